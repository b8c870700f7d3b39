//! What the simulated source holds.

use std::time::Duration;

use forewarm::Pattern;
use serde::{Deserialize, Serialize};

/// A value: which it is, and from when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Thing {
    pub(super) key: u32,
    pub(super) version: u64,
    /// When its load began, or it was put: as events are counted, and in time since the start.
    pub(super) tick: u64,
    pub(super) at: Duration,
    pub(super) is_put: bool,
}

/// A resource of the engines.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    /// In memory and in the store.
    Shared,
    /// In memory only.
    Local,
    /// In both, and its source lags behind: see [`LAG`].
    Lagging,
}

/// What is invalidated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    Key(u32),
    /// The same, with the new value.
    Put(u32),
    /// Values of this colour: every version of a thing has one.
    Colour(u64),
    /// The same for those that were loaded.
    LoadedColour(u64),
    Pattern(&'static str),
    All,
    /// It is only made stale.
    Expiry(u32),
}

pub(super) const KINDS: [Kind; 3] = [Kind::Shared, Kind::Local, Kind::Lagging];
/// Few, so that they are met again and again; and such that patterns match some.
pub(super) const KEYS: [u32; 6] = [1, 2, 11, 12, 21, 22];
/// How far the copies may be behind from which lagging things are loaded.
pub(super) const LAG: Duration = Duration::from_millis(200);
pub(super) const PATTERNS: [&str; 5] = ["1*", "?", "2?", "*2", "*"];
pub(super) const COLOURS: u64 = 3;

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Local => "local",
            Self::Lagging => "lagging",
        }
    }
}

impl Thing {
    /// What it is tagged with, whoever brings it.
    pub(super) fn colour(&self) -> u64 {
        (u64::from(self.key) + self.version) % COLOURS
    }
}

/// The tag of all things of a colour.
pub(super) fn tag(colour: u64) -> String {
    format!("colour {colour}")
}

/// The tag of things of a colour that were loaded.
pub(super) fn loaded_tag(colour: u64) -> String {
    format!("loaded {colour}")
}

impl What {
    /// Whether it is about a key's value, or about its absence.
    pub(super) fn selects(self, key: u32, thing: Option<&Thing>, wants_fresh: bool) -> bool {
        let has = |colour| thing.is_some_and(|thing| thing.colour() == colour);
        match self {
            Self::Key(selected) | Self::Put(selected) => selected == key,
            Self::Expiry(selected) => selected == key && wants_fresh,
            Self::Colour(colour) => has(colour),
            Self::LoadedColour(colour) => has(colour) && thing.is_some_and(|thing| !thing.is_put),
            Self::Pattern(pattern) => pattern.parse::<Pattern>().unwrap().matches(&key.to_string()),
            Self::All => true,
        }
    }
}
