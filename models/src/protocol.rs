//! What keeps the promise: the mechanisms of the protocol, each of which a run can leave out.

/// A mechanism of the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mechanism {
    /// A flight that an invalidation met does not store what it brings.
    PoisonFlights,
    /// Nor is it joined by anybody who comes later.
    DetachFlights,
    /// A flight that another one takes the place of, since it may not be joined, is poisoned.
    PoisonReplaced,
    /// An entry that is past its life is invalidated like any other.
    PurgeStale,
    /// While an invalidation has not been heard by L2, its node does not read the key there.
    Gate,
    /// What a node has changed itself it does not void again when it finds it in the log.
    SkipOwnRows,

    /// L2 takes a value only with the permit that its load was given.
    FillByPermit,
    /// A permit that is gone refuses; a counter that has expired begins again.
    PermitNotCounter,

    /// Memory is served only for a window after a poll, or after the load of the entry began.
    Lease,
    /// Polls are made at all.
    Poll,
    /// The window begins when the poll was sent, and not when its answer came.
    LeaseFromSend,
    /// It begins for those only who have applied what the poll found.
    LeaseAfterRows,
    /// Only a poll begins it: a message is no proof that others have come.
    LeaseByPollAlone,
    /// A flight is joined only within the window.
    LeaseToJoin,
    /// An entry's own window begins with its load, and not with its end.
    StampAtStart,
    /// An entry has a window of its own, so that memory serves while L2 cannot be asked.
    MicroTtl,
    /// The cursor is moved by polls only, and not by messages.
    CursorByPollAlone,

    /// Each new connection asks who the server is; another one begins a new life.
    Handshake,
    /// Who the server is changes whenever it is promoted, also if it was the server once before.
    NameOfPromotion,
    /// Values and permits of an earlier life are none.
    LifeOfValues,
    /// A node voids what it holds when the log cannot tell what it missed.
    GapVoids,

    /// Who joined a flight takes its value only if no group was invalidated in between.
    JoinersRecheck,
    /// An entry has the epoch in which its load began.
    EpochAtStart,
    /// L2 refuses a fill whose permit is older than the epoch of its group.
    FillChecksEpoch,
    /// L2 does not give a value that is older than the epoch of its group.
    ReadChecksEpoch,
    /// L2 forgets an epoch only when nothing older is there.
    EpochOutlivesOlder,

    /// A put is stored only if the log has no change of the key since the put's cursor.
    PutIsConditional,
    /// Nor one that the putting node has made itself.
    PutHeedsOwn,
    /// Nor one of a group of the key.
    PutHeedsGroups,
    /// A put's cursor is the one that was there before memory took the value.
    PutCursorBeforeStore,
    /// A log that does not reach back to the put's cursor refuses it.
    PutHeedsTrim,
    /// Nobody puts what the source holds no more when it is called.
    PutIsCurrent,

    /// A change that a transaction of the application made is nobody's.
    TransactionIsNobodys,
}

/// The protocol, with or without some of its mechanisms.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Protocol {
    missing: u64,
}

impl Protocol {
    /// The protocol as it should be.
    pub(crate) const FULL: Self = Self { missing: 0 };

    /// The protocol without these.
    pub(crate) fn without(mechanisms: &[Mechanism]) -> Self {
        let missing = mechanisms.iter().fold(0, |bits, mechanism| bits | 1 << *mechanism as u64);
        Self { missing }
    }

    /// Whether it has a mechanism.
    pub(crate) const fn has(self, mechanism: Mechanism) -> bool {
        self.missing & 1 << mechanism as u64 == 0
    }

    /// Whether messages make a difference: where they are hints alone they only make a poll come
    /// earlier, and polls may come at any time here.
    pub(crate) const fn heeds_messages(self) -> bool {
        !self.has(Mechanism::LeaseByPollAlone) || !self.has(Mechanism::CursorByPollAlone)
    }
}

#[cfg(test)]
mod tests {
    use super::{Mechanism, Protocol};
    use crate::scenarios;

    #[test]
    fn no_mechanism_is_there_for_nothing() {
        let scenarios = scenarios::all();
        let removals = scenarios.iter().flat_map(|scenario| &scenario.removals);
        let missing = removals.fold(0, |bits, removal| bits | removal.protocol().missing);
        let last = Protocol::without(&[Mechanism::TransactionIsNobodys]).missing;
        assert_eq!(missing, last | (last - 1));
    }
}
