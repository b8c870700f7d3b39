//! A moment of the modelled system: the source, L2, the nodes, and all who are at work.
//!
//! There is one key. A version of its value is a number that grows with every change of the
//! source, so a value is stale for a reader if its version is less than what the reader *must* see.

use crate::l2::{L2, Mark};

pub(crate) const NODES: usize = 2;
pub(crate) const GETS: usize = 5;
pub(crate) const CHANGES: usize = 3;

/// What the source holds at first.
pub(crate) const FIRST_VERSION: u8 = 1;

/// Everything there is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct State {
    /// The version that the source holds.
    pub(crate) source: u8,
    pub(crate) l2: L2,
    /// The server that would take the place of the present one, with what it has heard so far.
    pub(crate) standby: L2,
    /// Which of the two servers is the present one.
    pub(crate) server: u8,
    /// How often a server was promoted.
    pub(crate) promotions: u8,
    /// How many lives L2 has begun.
    pub(crate) lives: u8,
    pub(crate) nodes: [Node; NODES],
    pub(crate) gets: [Get; GETS],
    pub(crate) changes: [Change; CHANGES],
    /// What may still go wrong.
    pub(crate) budget: Faults,
    pub(crate) breach: Option<Breach>,
}

/// One engine.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Node {
    /// What memory holds of the key.
    pub(crate) entry: Option<Entry>,
    /// The get whose load is in the table of flights.
    pub(crate) flight: Option<u8>,
    /// Up to where the log has been applied.
    pub(crate) cursor: Mark,
    /// The time since the last poll that came back was sent.
    pub(crate) synced: Age,
    /// How many invalidations of groups it has heard of.
    pub(crate) epoch: u8,
    /// The changes that close the gate of the key.
    pub(crate) closed: u8,
    /// Whether its connection to the present server has been made.
    pub(crate) is_connected: bool,
    pub(crate) poll: Poll,
    pub(crate) polls_left: u8,
    /// The places in the log of messages that are under way to it, as bits.
    pub(crate) messages: u8,
}

/// What memory holds of the key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Entry {
    pub(crate) version: u8,
    /// The time since its load began.
    pub(crate) age: Age,
    /// The epoch of the node when its load began.
    pub(crate) epoch: u8,
    /// Whether it is within its life. Past it, it may still be served if a load fails.
    pub(crate) is_fresh: bool,
}

/// A span of time in ticks, which stops where it makes no difference any more.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Age(u8);

impl Age {
    pub(crate) const ZERO: Self = Self(0);

    /// Longer ago than the window.
    pub(crate) const fn beyond(window: u8) -> Self {
        Self(window + 1)
    }

    pub(crate) const fn is_within(self, window: u8) -> bool {
        self.0 <= window
    }

    pub(crate) const fn tick(&mut self, window: u8) {
        if self.0 <= window {
            self.0 += 1;
        }
    }
}

/// A caller who wants the key, and the load that it begins, if it does.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Get {
    pub(crate) step: GetStep,
    pub(crate) must: Must,
    /// What was read, from L2 or the source.
    pub(crate) version: u8,
    /// An older value that L2 had, for the case that the load fails.
    pub(crate) fallback: u8,
    /// The time since the load began.
    pub(crate) age: Age,
    /// The epoch of the node when the load began; of one who joined, when it came.
    pub(crate) epoch: u8,
    /// Whose load it waits for.
    pub(crate) leader: u8,
    pub(crate) has_permit: bool,
    /// Where counters take the place of permits: what it was.
    pub(crate) generation: u8,
    pub(crate) is_poisoned: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum GetStep {
    /// It has not come yet.
    #[default]
    Idle,
    /// It has come, and has to look again.
    Boarding,
    /// Its question is on the way to L2.
    Asking,
    /// It is about to read the source.
    Loading,
    /// It has a value that is not in memory yet.
    Landing,
    /// It has been answered, and the value is on the way to L2.
    Filling,
    /// It has joined somebody's flight.
    Waiting,
    Done,
}

/// The least version that a get may give, by either promise.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Must {
    /// What was changed on the same node.
    pub(crate) here: u8,
    /// What was changed anywhere, longer ago than the window.
    pub(crate) anywhere: u8,
}

/// A caller who changes the source and says so.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Change {
    pub(crate) step: ChangeStep,
    /// What the source held when it had been changed.
    pub(crate) version: u8,
    /// For a put: the cursor of the node when the call was made.
    pub(crate) since: Mark,
    /// The call has returned.
    pub(crate) has_returned: bool,
    /// It returned, or came to say, that it was applied.
    pub(crate) is_applied: bool,
    /// The time since.
    pub(crate) age: Age,
    /// Nobody waits for its first request any more, and it may still be executed.
    pub(crate) is_late: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum ChangeStep {
    #[default]
    Idle,
    /// The source has changed.
    Committed,
    /// Memory has heard of it, and the request is on the way to L2.
    Sent,
    /// L2 has executed it, and the answer is on its way.
    Executed,
    /// The call has returned, and the invalidation waits in the outbox.
    Queued,
    /// L2 has executed what was in the outbox.
    Delivered,
    Done,
}

/// A node's poll.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Poll {
    pub(crate) step: PollStep,
    /// The time since it was sent.
    pub(crate) age: Age,
    pub(crate) found: Found,
    /// Where the log stood.
    pub(crate) mark: Mark,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum PollStep {
    #[default]
    Resting,
    Sent,
    Answered,
    /// Without [`Mechanism::LeaseAfterRows`](crate::protocol::Mechanism::LeaseAfterRows): the
    /// window has begun, and the rows are still to be applied.
    Renewed,
}

/// What a poll has found.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Found {
    pub(crate) key: bool,
    pub(crate) group: bool,
    pub(crate) gap: bool,
}

/// How often what may go wrong.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Faults {
    /// Changes whose answer does not come in time, whether or not they are executed.
    pub(crate) timeouts: u8,
    /// Loads that fail.
    pub(crate) errors: u8,
    /// Values that pass their life.
    pub(crate) expiries: u8,
    /// Servers that the other one takes the place of.
    pub(crate) failovers: u8,
    /// Times when the standby hears of everything.
    pub(crate) replications: u8,
    /// Times when the log is cut off.
    pub(crate) trims: u8,
    /// Epochs that are forgotten.
    pub(crate) forgotten: u8,
    /// Counters that expire, where they take the place of permits.
    pub(crate) tombstones: u8,
}

/// A promise that was broken.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Breach {
    /// G1: stale after a change on the same node.
    SameNode,
    /// G2: stale longer than the window after a change was applied.
    AnyNode,
}

impl Breach {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::SameNode => "G1",
            Self::AnyNode => "G2",
        }
    }
}
