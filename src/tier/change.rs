//! What is invalidated, and how others hear of it.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::{Serialize, Serializer};

/// An engine among those that share a store: a random number.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Node(pub u64);

impl Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Node {
    /// Nobody in particular: what it writes concerns every engine.
    pub const NONE: Self = Self(0);
}

/// What is invalidated.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Selector<'a> {
    /// One full key.
    Key(&'a str),
    /// All keys of a resource, given as `{prefix}:{resource}`.
    Resource(&'a str),
    /// The values of a resource that were filled with this tag.
    Tag {
        /// `{prefix}:{resource}`.
        resource: &'a str,
        /// The tag.
        tag: &'a str,
    },
    /// The keys of a resource that match a pattern.
    Pattern {
        /// `{prefix}:{resource}`.
        resource: &'a str,
        /// A pattern for the rest of the full key, as [`Pattern`](crate::Pattern) reads it: `*`
        /// stands for any characters, `?` for one, and `\` takes the meaning of the next away.
        pattern: &'a str,
    },
}

/// A selector, and what is known of the source behind it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Invalidation<'a> {
    /// What is invalidated.
    pub selector: Selector<'a>,
    /// For how long the source may still answer with what was there before. Heeded for
    /// [`Selector::Key`] only.
    pub lag: Option<Lag>,
}

impl<'a> From<Selector<'a>> for Invalidation<'a> {
    fn from(selector: Selector<'a>) -> Self {
        Self { selector, lag: None }
    }
}

/// A source that answers from copies which may lag behind.
///
/// While it lasts, a store refuses fills of the key, but for those whose version is known to be
/// new enough.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Lag {
    /// How long it lasts.
    pub lasts: Duration,
    /// What is of this version or a later one is not behind.
    pub min_version: Option<u64>,
}

/// Where a reader of a store's log stands; made by [`Tier::poll`](crate::Tier::poll). One mark for
/// each part of the store that keeps a log of its own, in an order that does not change.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cursor(pub Vec<Mark>);

/// A place in a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark {
    /// Which life of the store this is: another one begins when it has lost what it acknowledged.
    pub incarnation: u64,
    /// The place in the log of that life, as the store counts it.
    pub position: u64,
}

/// What [`Tier::poll`](crate::Tier::poll) found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Polled {
    /// Where the reader stands now.
    pub cursor: Cursor,
    /// What was changed, each as it was told.
    pub changes: Vec<Logged>,
    /// Changes may be missing: whatever is held of this store may be void.
    pub is_gap: bool,
    /// Another poll, from the new cursor, gives more.
    pub has_more: bool,
}

/// A change as the log has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Logged {
    /// The same for the same change, however often it is told; unlike that of any other.
    pub id: u64,
    /// Who made it.
    pub by: Node,
    /// What it was.
    pub change: Change,
}

/// What a log tells of.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A key was invalidated, or put.
    Key {
        /// The full key.
        key: String,
        /// What was known of the source.
        lag: Option<Lag>,
    },
    /// A key was made stale.
    Expired {
        /// The full key.
        key: String,
    },
    /// A resource was invalidated as a whole.
    Resource {
        /// `{prefix}:{resource}`.
        resource: String,
    },
    /// The values with a tag were invalidated.
    Tag {
        /// `{prefix}:{resource}`.
        resource: String,
        /// The tag.
        tag: String,
    },
    /// The keys that match a pattern were invalidated.
    Pattern {
        /// `{prefix}:{resource}`.
        resource: String,
        /// The pattern.
        pattern: String,
    },
    /// Something that this version cannot read: it may have been anything.
    Unknown,
}
