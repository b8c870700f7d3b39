//! What is counted, and the words for it.

use super::{EVICTIONS, FILLS_REFUSED, L2_FAILURES, LOADS, PRELOADS, READS, REFRESHES};
use super::{MEMORY_KEYS, MEMORY_READS, MEMORY_WRITES, STALE_OBSERVED, TRACKED_DROPPED};

use crate::entry::{Origin, Reason};

/// A name and a value of a label.
type Pair = (&'static str, &'static str);

/// Something that is counted.
pub(crate) trait Event: Copy + 'static {
    /// Every event of this kind, in the order of [`Event::index`].
    fn all() -> impl Iterator<Item = Self>;

    /// The place among all events.
    fn index(self) -> usize;

    /// The metric that counts it.
    fn metric(self) -> &'static str;

    /// What tells it from the others.
    fn labels(self) -> impl Iterator<Item = Pair>;
}

/// How a read was answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReadOutcome {
    L1Hit,
    L1Stale,
    L1Absent,
    L2Hit,
    L2Stale,
    L2Absent,
    SourceHit,
    SourceAbsent,
    /// The load failed, and a stale value was served.
    SourceStale,
    SourceError,
    Bypass,
}

impl ReadOutcome {
    const ALL: [Self; 11] = [
        Self::L1Hit,
        Self::L1Stale,
        Self::L1Absent,
        Self::L2Hit,
        Self::L2Stale,
        Self::L2Absent,
        Self::SourceHit,
        Self::SourceAbsent,
        Self::SourceStale,
        Self::SourceError,
        Self::Bypass,
    ];
}

impl Event for ReadOutcome {
    fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    fn index(self) -> usize {
        self as usize
    }

    fn metric(self) -> &'static str {
        READS
    }

    fn labels(self) -> impl Iterator<Item = Pair> {
        let (tier, outcome) = match self {
            Self::L1Hit => ("l1", "hit"),
            Self::L1Stale => ("l1", "stale"),
            Self::L1Absent => ("l1", "absent"),
            Self::L2Hit => ("l2", "hit"),
            Self::L2Stale => ("l2", "stale"),
            Self::L2Absent => ("l2", "absent"),
            Self::SourceHit => ("source", "hit"),
            Self::SourceAbsent => ("source", "absent"),
            Self::SourceStale => ("source", "stale"),
            Self::SourceError => ("source", "error"),
            Self::Bypass => ("source", "bypass"),
        };
        [("tier", tier), ("outcome", outcome)].into_iter()
    }
}

/// A key was asked of the source, why, and how that ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Load(pub(crate) Origin, pub(crate) LoadOutcome);

/// How asking the source for a key ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LoadOutcome {
    Found,
    Absent,
    Unchanged,
    Failed,
    Deadline,
    Panicked,
}

impl LoadOutcome {
    const ALL: [Self; 6] =
        [Self::Found, Self::Absent, Self::Unchanged, Self::Failed, Self::Deadline, Self::Panicked];

    pub(crate) const fn is_answer(self) -> bool {
        matches!(self, Self::Found | Self::Absent | Self::Unchanged)
    }
}

impl Event for Load {
    fn all() -> impl Iterator<Item = Self> {
        let with = |origin| LoadOutcome::ALL.into_iter().map(move |outcome| Self(origin, outcome));
        Origin::ALL.into_iter().flat_map(with)
    }

    fn index(self) -> usize {
        self.0 as usize * LoadOutcome::ALL.len() + self.1 as usize
    }

    fn metric(self) -> &'static str {
        LOADS
    }

    fn labels(self) -> impl Iterator<Item = Pair> {
        let outcome = match self.1 {
            LoadOutcome::Found => "found",
            LoadOutcome::Absent => "absent",
            LoadOutcome::Unchanged => "unchanged",
            LoadOutcome::Failed => "failed",
            LoadOutcome::Deadline => "deadline",
            LoadOutcome::Panicked => "panicked",
        };
        [("origin", self.0.label()), ("outcome", outcome)].into_iter()
    }
}

/// A key was chosen to be loaded ahead, why, and what came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Preload(pub(crate) Reason, pub(crate) PreloadOutcome);

/// What came of a preload. Each has exactly one outcome in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PreloadOutcome {
    /// It was read before it left.
    Useful,
    /// It left without having been read.
    Wasted,
    /// Somebody asked for it while it was loading.
    Late,
    /// The load failed.
    Failed,
    /// A limit did not let it start.
    Refused,
    /// It was to be copied from L2, which does not hold it.
    NotHeld,
}

impl PreloadOutcome {
    const ALL: [Self; 6] =
        [Self::Useful, Self::Wasted, Self::Late, Self::Failed, Self::Refused, Self::NotHeld];
}

impl Event for Preload {
    fn all() -> impl Iterator<Item = Self> {
        let with =
            |reason| PreloadOutcome::ALL.into_iter().map(move |outcome| Self(reason, outcome));
        Reason::ALL.into_iter().flat_map(with)
    }

    fn index(self) -> usize {
        self.0 as usize * PreloadOutcome::ALL.len() + self.1 as usize
    }

    fn metric(self) -> &'static str {
        PRELOADS
    }

    fn labels(self) -> impl Iterator<Item = Pair> {
        let outcome = match self.1 {
            PreloadOutcome::Useful => "useful",
            PreloadOutcome::Wasted => "wasted",
            PreloadOutcome::Late => "late",
            PreloadOutcome::Failed => "failed",
            PreloadOutcome::Refused => "refused",
            PreloadOutcome::NotHeld => "not_held",
        };
        [("reason", self.0.label()), ("outcome", outcome)].into_iter()
    }
}

/// How renewing a key that is held ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refresh {
    Done,
    Failed,
}

impl Event for Refresh {
    fn all() -> impl Iterator<Item = Self> {
        [Self::Done, Self::Failed].into_iter()
    }

    fn index(self) -> usize {
        self as usize
    }

    fn metric(self) -> &'static str {
        REFRESHES
    }

    fn labels(self) -> impl Iterator<Item = Pair> {
        let outcome = match self {
            Self::Done => "done",
            Self::Failed => "failed",
        };
        std::iter::once(("outcome", outcome))
    }
}

/// Why an entry left memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Eviction {
    /// Room was needed, and others were read more.
    Capacity,
    /// Room was needed among the preloaded, and others were likelier to be read.
    Staging,
    /// Somebody said that it is wrong.
    Invalidated,
    /// A newer value took its place.
    Replaced,
    /// Everything was cleared.
    Cleared,
}

impl Eviction {
    const ALL: [Self; 5] =
        [Self::Capacity, Self::Staging, Self::Invalidated, Self::Replaced, Self::Cleared];
}

impl Event for Eviction {
    fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    fn index(self) -> usize {
        self as usize
    }

    fn metric(self) -> &'static str {
        EVICTIONS
    }

    fn labels(self) -> impl Iterator<Item = Pair> {
        let cause = match self {
            Self::Capacity => "capacity",
            Self::Staging => "staging",
            Self::Invalidated => "invalidated",
            Self::Replaced => "replaced",
            Self::Cleared => "cleared",
        };
        std::iter::once(("cause", cause))
    }
}

/// Why a loaded value was not stored in a tier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// The key's text is too long.
    KeyLength,
    /// The key's text does not parse back to the same key.
    KeyText,
    /// The value is too large.
    ValueSize,
    /// The value cannot be encoded.
    Encoding,
    /// The key was invalidated while it was loading.
    Invalidated,
    /// L2 no longer knows the permit, or knows another.
    Permit,
    /// Another engine was loading the key.
    Busy,
    /// There are too many tags, or one is too long.
    Tags,
}

impl Refusal {
    const ALL: [Self; 8] = [
        Self::KeyLength,
        Self::KeyText,
        Self::ValueSize,
        Self::Encoding,
        Self::Invalidated,
        Self::Permit,
        Self::Busy,
        Self::Tags,
    ];
}

impl Event for Refusal {
    fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    fn index(self) -> usize {
        self as usize
    }

    fn metric(self) -> &'static str {
        FILLS_REFUSED
    }

    fn labels(self) -> impl Iterator<Item = Pair> {
        let why = match self {
            Self::KeyLength => "key_length",
            Self::KeyText => "key_text",
            Self::ValueSize => "value_size",
            Self::Encoding => "encoding",
            Self::Invalidated => "invalidated",
            Self::Permit => "permit",
            Self::Busy => "busy",
            Self::Tags => "tags",
        };
        std::iter::once(("why", why))
    }
}

/// What was asked of L2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum L2Op {
    Begin,
    Fill,
    Release,
    Put,
    Invalidate,
    Expire,
    Sweep,
    Size,
    Poll,
    MergeHot,
    MeetJobs,
    TakeRun,
    RenewRuns,
    EndRun,
    Runs,
    LapsedRuns,
    /// Not a call: a key was not there, and no permit to fill it could be given.
    Permit,
    /// Not a call: a row that could not be read.
    Decode,
}

impl L2Op {
    const ALL: [Self; 18] = [
        Self::Begin,
        Self::Fill,
        Self::Release,
        Self::Put,
        Self::Invalidate,
        Self::Expire,
        Self::Sweep,
        Self::Size,
        Self::Poll,
        Self::MergeHot,
        Self::MeetJobs,
        Self::TakeRun,
        Self::RenewRuns,
        Self::EndRun,
        Self::Runs,
        Self::LapsedRuns,
        Self::Permit,
        Self::Decode,
    ];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Fill => "fill",
            Self::Release => "release",
            Self::Put => "put",
            Self::Invalidate => "invalidate",
            Self::Expire => "expire",
            Self::Sweep => "sweep",
            Self::Size => "size",
            Self::Poll => "poll",
            Self::MergeHot => "merge_hot",
            Self::MeetJobs => "meet_jobs",
            Self::TakeRun => "take_run",
            Self::RenewRuns => "renew_runs",
            Self::EndRun => "end_run",
            Self::Runs => "runs",
            Self::LapsedRuns => "lapsed_runs",
            Self::Permit => "permit",
            Self::Decode => "decode",
        }
    }
}

impl Event for L2Op {
    fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    fn index(self) -> usize {
        self as usize
    }

    fn metric(self) -> &'static str {
        L2_FAILURES
    }

    fn labels(self) -> impl Iterator<Item = Pair> {
        std::iter::once(("op", self.label()))
    }
}

/// A value that the probe found to be stale.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StaleIn {
    L1,
    L2,
}

impl StaleIn {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
        }
    }
}

impl Event for StaleIn {
    fn all() -> impl Iterator<Item = Self> {
        [Self::L1, Self::L2].into_iter()
    }

    fn index(self) -> usize {
        self as usize
    }

    fn metric(self) -> &'static str {
        STALE_OBSERVED
    }

    fn labels(self) -> impl Iterator<Item = Pair> {
        std::iter::once(("tier", self.label()))
    }
}

/// What became of the memory across restarts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MemoryEvent {
    /// The file was read.
    Restored,
    /// There was none.
    Missing,
    /// There was one that cannot be read.
    Refused,
    Written,
    Failed,
    /// Another engine writes the file.
    Taken,
    /// What is in its place is no memory of this engine, and was not replaced.
    Foreign,
    KeyRestored,
    /// Nothing can be made of a key in the file.
    KeySkipped,
}

impl MemoryEvent {
    const ALL: [Self; 9] = [
        Self::Restored,
        Self::Missing,
        Self::Refused,
        Self::Written,
        Self::Failed,
        Self::Taken,
        Self::Foreign,
        Self::KeyRestored,
        Self::KeySkipped,
    ];
}

impl Event for MemoryEvent {
    fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    fn index(self) -> usize {
        self as usize
    }

    fn metric(self) -> &'static str {
        match self {
            Self::Restored | Self::Missing | Self::Refused => MEMORY_READS,
            Self::Written | Self::Failed | Self::Taken | Self::Foreign => MEMORY_WRITES,
            Self::KeyRestored | Self::KeySkipped => MEMORY_KEYS,
        }
    }

    fn labels(self) -> impl Iterator<Item = Pair> {
        let outcome = match self {
            Self::Restored | Self::KeyRestored => "restored",
            Self::Missing => "missing",
            Self::Refused => "refused",
            Self::Written => "written",
            Self::Failed => "failed",
            Self::Taken => "taken",
            Self::Foreign => "foreign",
            Self::KeySkipped => "skipped",
        };
        std::iter::once(("outcome", outcome))
    }
}

/// A bounded table that was full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Full {
    /// Reads of keys that are not in memory.
    Reads,
    /// Keys that keep failing.
    Failing,
    /// Entries of moka that may move back to the hot segment.
    Rising,
    /// Groups of keys that were invalidated: then all keys were.
    Groups,
    /// Keys whose source lags behind.
    Lagging,
    /// Names of loaded values that wait to be noted: then they are looked up when they are read.
    Names,
}

impl Full {
    const ALL: [Self; 6] =
        [Self::Reads, Self::Failing, Self::Rising, Self::Groups, Self::Lagging, Self::Names];
}

impl Event for Full {
    fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    fn index(self) -> usize {
        self as usize
    }

    fn metric(self) -> &'static str {
        TRACKED_DROPPED
    }

    fn labels(self) -> impl Iterator<Item = Pair> {
        let table = match self {
            Self::Reads => "reads",
            Self::Failing => "failing",
            Self::Rising => "rising",
            Self::Groups => "groups",
            Self::Lagging => "lagging",
            Self::Names => "names",
        };
        std::iter::once(("table", table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices_are_places<E: Event>() {
        for (place, event) in E::all().enumerate() {
            assert_eq!(event.index(), place);
        }
    }

    #[test]
    fn every_event_has_its_own_place() {
        indices_are_places::<ReadOutcome>();
        indices_are_places::<Load>();
        indices_are_places::<Preload>();
        indices_are_places::<Refresh>();
        indices_are_places::<Eviction>();
        indices_are_places::<Refusal>();
        indices_are_places::<L2Op>();
        indices_are_places::<Full>();
        indices_are_places::<StaleIn>();
        indices_are_places::<MemoryEvent>();
    }
}
