//! L2: one server that does one thing after the other, and each at once.

use std::hash::{Hash, Hasher};

use crate::protocol::{Mechanism, Protocol};
use crate::state::Found;

/// The most rows that a log may come to have.
pub(crate) const ROWS: usize = 9;

/// What a server holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct L2 {
    /// Which life this is.
    pub(crate) life: u8,
    /// The server that began this life; see [`L2::greet`].
    pub(crate) named_by: u8,
    /// The place of the last row of the log.
    pub(crate) length: u8,
    /// The place of the last row that was cut off.
    pub(crate) trimmed: u8,
    /// The rows by their places, from one on.
    pub(crate) rows: Rows,
    pub(crate) value: Option<Value>,
    pub(crate) permit: Option<Permit>,
    /// The place of the last invalidation of the group.
    pub(crate) epoch: u8,
    /// Where a counter takes the place of permits: the invalidations of the key. It expires.
    pub(crate) generation: u8,
}

/// A name that no server has.
const NOBODY: u8 = u8::MAX;

impl Default for L2 {
    fn default() -> Self {
        Self {
            life: 0,
            named_by: NOBODY,
            length: 0,
            trimmed: 0,
            rows: Rows([Row::Other; ROWS]),
            value: None,
            permit: None,
            epoch: 0,
            generation: 0,
        }
    }
}

/// The rows of a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rows([Row; ROWS]);

/// In one piece, which takes much less time.
impl Hash for Rows {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let add = |number: u64, row: &Row| {
            let digit = match row {
                Row::Other => 0,
                Row::Key(by) => 1 + by.digit(),
                Row::Group(by) => 4 + by.digit(),
            };
            number << 3 | digit
        };
        self.0.iter().fold(0, add).hash(hasher);
    }
}

/// What was changed, as the log has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Row {
    /// Another key.
    Other,
    Key(By),
    Group(By),
}

/// Who has changed something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum By {
    Node(u8),
    Nobody,
}

impl By {
    /// Different for all who there are.
    fn digit(self) -> u64 {
        match self {
            Self::Node(node) => u64::from(node.min(1)),
            Self::Nobody => 2,
        }
    }
}

/// What a change is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Selector {
    Key,
    /// A tag, a pattern, or a resource, to which the key belongs.
    Group,
    /// Something else.
    Other,
}

/// A place in the log of one life.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Mark {
    pub(crate) life: u8,
    pub(crate) position: u8,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Value {
    pub(crate) version: u8,
    pub(crate) life: u8,
    /// Where the log stood before it was loaded.
    pub(crate) asof: u8,
    pub(crate) is_fresh: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Permit {
    /// The get that has it; stands for a random number.
    pub(crate) holder: u8,
    pub(crate) life: u8,
    pub(crate) asof: u8,
}

/// What is said of a key that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begun {
    Hit(u8),
    /// It may be loaded; with an older value, if there is one.
    Permit {
        fallback: u8,
    },
}

/// A put that asks to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put {
    pub(crate) by: u8,
    pub(crate) version: u8,
    pub(crate) since: Mark,
}

impl L2 {
    /// A new connection asks who the server is. What another one has written begins a new life,
    /// in which it counts for nothing. Gives whether it did.
    pub(crate) fn greet(&mut self, name: u8, lives: &mut u8) -> bool {
        if self.named_by == name {
            return false;
        }
        *lives += 1;
        let (value, permit) = (self.value, self.permit);
        *self = Self { life: *lives, named_by: name, value, permit, ..Self::default() };
        true
    }

    pub(crate) const fn mark(&self) -> Mark {
        Mark { life: self.life, position: self.length }
    }

    /// Gives the value, or else a permit. A permit that another one has may have run out, and is
    /// replaced.
    pub(crate) fn begin(&mut self, protocol: Protocol, holder: u8, renews: bool) -> Begun {
        let value = self.value.filter(|value| self.is_valid(protocol, *value));
        match value {
            Some(value) if value.is_fresh && !renews => return Begun::Hit(value.version),
            // What is invalid is of no use to anybody.
            None => self.value = None,
            Some(_) => {}
        }
        self.permit = Some(Permit { holder, life: self.life, asof: self.length });
        Begun::Permit { fallback: value.map_or(0, |value| value.version) }
    }

    fn is_valid(&self, protocol: Protocol, value: Value) -> bool {
        let lives = value.life == self.life || !protocol.has(Mechanism::LifeOfValues);
        lives && (value.asof >= self.epoch || !protocol.has(Mechanism::ReadChecksEpoch))
    }

    /// Stores what was loaded, if its permit still stands; gives whether it did.
    pub(crate) fn fill(
        &mut self,
        protocol: Protocol,
        holder: u8,
        version: u8,
        generation: u8,
    ) -> bool {
        let permit = self.permit.filter(|permit| permit.holder == holder);
        let asof = permit.map_or(self.length, |permit| permit.asof);
        let is_taken = if !protocol.has(Mechanism::FillByPermit) {
            true
        } else if !protocol.has(Mechanism::PermitNotCounter) {
            self.generation == generation
        } else {
            permit.is_some_and(|permit| {
                permit.life == self.life || !protocol.has(Mechanism::LifeOfValues)
            })
        };
        let is_in_time = asof >= self.epoch || !protocol.has(Mechanism::FillChecksEpoch);
        if !is_taken || !is_in_time {
            return false;
        }
        // Who does not compare epochs notes the place of the fill, as if it were that of the load.
        let asof = if protocol.has(Mechanism::FillChecksEpoch) { asof } else { self.length };
        self.permit = None;
        self.value = Some(Value { version, life: self.life, asof, is_fresh: true });
        true
    }

    /// Voids what is selected, and notes it in the log.
    pub(crate) fn invalidate(&mut self, by: By, selector: Selector) {
        self.length += 1;
        let row = match selector {
            Selector::Key => Row::Key(by),
            Selector::Group => Row::Group(by),
            Selector::Other => Row::Other,
        };
        self.rows.0[usize::from(self.length - 1)] = row;
        match selector {
            Selector::Key => {
                (self.value, self.permit) = (None, None);
                self.generation += 1;
            }
            Selector::Group => self.epoch = self.length,
            Selector::Other => {}
        }
    }

    /// Invalidates the key, and stores its new value if nothing has happened to the key since the
    /// put's cursor; gives whether it did.
    pub(crate) fn put(&mut self, protocol: Protocol, put: Put) -> bool {
        let is_stored =
            !protocol.has(Mechanism::PutIsConditional) || self.is_untouched(protocol, put);
        self.invalidate(By::Node(put.by), Selector::Key);
        if is_stored {
            let (version, life, asof) = (put.version, self.life, self.length);
            self.value = Some(Value { version, life, asof, is_fresh: true });
        }
        is_stored
    }

    fn is_untouched(&self, protocol: Protocol, put: Put) -> bool {
        let reaches_back =
            put.since.position >= self.trimmed || !protocol.has(Mechanism::PutHeedsTrim);
        let counts = |by: By| by != By::Node(put.by) || protocol.has(Mechanism::PutHeedsOwn);
        let touches = |row: &Row| match row {
            Row::Key(by) => counts(*by),
            Row::Group(by) => counts(*by) && protocol.has(Mechanism::PutHeedsGroups),
            Row::Other => false,
        };
        let is_known = put.since.life == self.life || !protocol.has(Mechanism::LifeOfValues);
        is_known && reaches_back && !self.rows_after(put.since.position).iter().any(touches)
    }

    /// What the row at a place is about.
    pub(crate) fn row(&self, position: u8) -> Row {
        self.rows.0[usize::from(position - 1)]
    }

    fn rows_after(&self, position: u8) -> &[Row] {
        let length = usize::from(self.length);
        let from = usize::from(position.max(self.trimmed)).min(length);
        &self.rows.0[from..length]
    }

    /// What a node finds that has read the log up to a mark.
    pub(crate) fn poll(&self, protocol: Protocol, by: u8, since: Mark) -> Found {
        let is_heard =
            |by_whom: By| by_whom != By::Node(by) || !protocol.has(Mechanism::SkipOwnRows);
        if since.life != self.life || since.position < self.trimmed {
            return Found { gap: true, ..Found::default() };
        }
        let mut found = Found::default();
        for row in self.rows_after(since.position) {
            match row {
                Row::Key(by) => found.key |= is_heard(*by),
                Row::Group(by) => found.group |= is_heard(*by),
                Row::Other => {}
            }
        }
        found
    }

    /// Cuts the log off.
    pub(crate) fn trim(&mut self) {
        self.trimmed = self.length;
        self.forget_rows(self.length);
    }

    /// Forgets what the rows were about up to a place, which nobody reads any more.
    pub(crate) fn forget_rows(&mut self, up_to: u8) {
        self.rows.0[..usize::from(up_to)].fill(Row::Other);
    }

    /// Forgets by how much something is older or younger than the epoch. Every later epoch is
    /// younger than all there is, and one that is forgotten is older: within a life.
    pub(crate) const fn settle(&mut self, protocol: Protocol) {
        if !protocol.has(Mechanism::LifeOfValues) {
            return;
        }
        let epoch = self.epoch;
        if let Some(value) = &mut self.value {
            value.asof = if value.asof < epoch { 0 } else { epoch };
        }
        if let Some(permit) = &mut self.permit {
            permit.asof = if permit.asof < epoch { 0 } else { epoch };
        }
    }

    /// Whether nothing is there any more that an epoch would void.
    pub(crate) fn may_forget_epoch(&self, protocol: Protocol) -> bool {
        let is_younger = |asof: u8, life: u8| asof >= self.epoch || life != self.life;
        let value = self.value.is_none_or(|value| is_younger(value.asof, value.life));
        let permit = self.permit.is_none_or(|permit| is_younger(permit.asof, permit.life));
        self.epoch > 0 && (value && permit || !protocol.has(Mechanism::EpochOutlivesOlder))
    }
}
