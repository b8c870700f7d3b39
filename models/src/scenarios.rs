//! The scenarios. Nodes are called A and B, and here 0 and 1.

use crate::event::Event as E;
use crate::l2::Selector::{Group, Key, Other};
use crate::protocol::Mechanism as M;
use crate::scenario::{Form, Scenario};
use crate::state::Faults;

mod larger;

pub(crate) const A: u8 = 0;
pub(crate) const B: u8 = 1;

/// All scenarios there are.
pub(crate) fn all() -> Vec<Scenario> {
    [small(), larger()].concat()
}

/// Those that take minutes.
pub(crate) fn larger() -> Vec<Scenario> {
    larger::all()
}

/// Those that are small enough for every change, with what they cannot be without.
pub(crate) fn small() -> Vec<Scenario> {
    let mut all = one_node_and_two();
    all.extend(windows());
    all.extend(cuts_and_lives());
    all.extend(groups());
    all.extend(puts());
    all
}

pub(crate) fn faults() -> Faults {
    Faults::default()
}

fn one_node_and_two() -> Vec<Scenario> {
    let s1 = Scenario::new("S1", "one node: loads and a preload against invalidations")
        .gets(&[A, A])
        .preloads(&[A])
        .invalidations(&[A], Key)
        .sees(&[E::L1Hit, E::L2Hit, E::Joined, E::FillStored, E::FillRefused, E::Unstored])
        .stale_without("poisoned flights store", &[M::PoisonFlights])
        .stale_without("poisoned flights are joined", &[M::DetachFlights]);
    let s2 = Scenario::new("S2", "two nodes: fills of one against invalidations of the other")
        .gets(&[A, B, B])
        .invalidations(&[B], Key)
        .sees(&[E::L2Hit, E::FillStored, E::FillRefused])
        .stale_without("L2 takes every fill", &[M::FillByPermit])
        .stale_without("L2 is read while an invalidation is under way", &[M::Gate]);
    let s5 = Scenario::new("S5", "an entry passes its life, and its load fails")
        .gets(&[A, A, A])
        .invalidations(&[A], Key)
        .faults(Faults { errors: 1, expiries: 1, ..faults() })
        .sees(&[E::ServedStale])
        .stale_without("an invalidation leaves the stale copy", &[M::PurgeStale]);
    let s7 = Scenario::new("S7", "what expires in L2 against a slow load")
        .gets(&[A, B, A])
        .invalidations(&[A], Key)
        .faults(Faults { tombstones: 1, ..faults() })
        .sees(&[E::FillRefused])
        .stale_without("a counter that expires, for permits", &[M::PermitNotCounter]);
    vec![s1, s2, s5, s7]
}

fn windows() -> Vec<Scenario> {
    let s3 = Scenario::new("S3", "B invalidates, A polls, and its messages are lost")
        .gets(&[A, A])
        .invalidations(&[B], Key)
        .polls([1, 0])
        .window(1)
        .sees(&[E::L1Hit, E::Joined, E::Replaced, E::RowsApplied])
        .stale_without("no lease and no polls", &[M::Lease, M::Poll])
        .stale_without("hints and polls, but no lease", &[M::Lease])
        .stale_without("the lease runs from the answer", &[M::LeaseFromSend])
        .stale_without("flights are joined without a lease", &[M::LeaseToJoin])
        .stale_without("entries are stamped at the end", &[M::StampAtStart])
        .stale_without("the lease begins before the rows", &[M::LeaseAfterRows])
        .stale_without("a message renews the lease", &[M::LeaseByPollAlone])
        .safe_without("no micro-ttl", &[M::MicroTtl]);
    let s3r = Scenario::new("S3r", "a flight that may not be joined is replaced")
        .gets(&[A, A, A])
        .invalidations(&[B], Key)
        .polls([1, 0])
        .window(1)
        .sees(&[E::Replaced, E::RowsApplied])
        .stale_without("a replaced flight stores", &[M::PoisonReplaced]);
    let s3m = Scenario::new("S3m", "messages of two keys, one of them lost")
        .gets(&[A, A])
        .invalidations(&[B], Key)
        .invalidations(&[B], Other)
        .polls([1, 0])
        .window(1)
        .stale_without("a message moves the cursor", &[M::CursorByPollAlone]);
    let s3t = Scenario::new("S3t", "the log is cut off before A polls")
        .gets(&[A, A])
        .invalidations(&[B], Key)
        .polls([1, 0])
        .window(1)
        .faults(Faults { trims: 1, ..faults() })
        .sees(&[E::Gap])
        .stale_without("a gap voids nothing", &[M::GapVoids]);
    vec![s3, s3r, s3m, s3t]
}

fn cuts_and_lives() -> Vec<Scenario> {
    let s4 = Scenario::new("S4", "A, which invalidates, is cut off from L2")
        .gets(&[A, A])
        .invalidations(&[A], Key)
        .polls([1, 0])
        .window(1)
        .faults(Faults { timeouts: 1, ..faults() })
        .asks_time_out()
        .sees(&[E::GateClosed, E::TimedOut, E::ExecutedLate])
        .safe_without("own rows are not skipped", &[M::SkipOwnRows]);
    let s4g = Scenario::new("S4g", "A is cut off, without a clock")
        .gets(&[A, A])
        .invalidations(&[A], Key)
        .faults(Faults { timeouts: 1, ..faults() })
        .asks_time_out()
        .sees(&[E::GateClosed, E::TimedOut])
        .stale_without("L2 is read while an invalidation waits", &[M::Gate]);
    let s4b = Scenario::new("S4b", "A, which reads, is cut off from L2")
        .gets(&[A, A])
        .invalidations(&[B], Key)
        .polls([1, 0])
        .window(1)
        .asks_time_out()
        .sees(&[E::L1Hit, E::Replaced])
        .stale_without("hints and polls, but no lease", &[M::Lease]);
    let lives = |name, title| {
        Scenario::new(name, title).gets(&[A, A]).invalidations(&[B], Key).polls([1, 0]).window(1)
    };
    let s6 = lives("S6", "a standby takes over that has missed acknowledged writes")
        .faults(Faults { failovers: 1, replications: 1, ..faults() })
        .sees(&[E::NewLife, E::Gap])
        .stale_without("no handshake", &[M::Handshake])
        .stale_without("a gap voids nothing", &[M::GapVoids])
        .stale_without("values and permits outlive their life", &[M::LifeOfValues]);
    let s6b = lives("S6b", "the first server takes over again")
        .faults(Faults { failovers: 2, replications: 1, ..faults() })
        .sees(&[E::NewLife])
        .stale_without("a server has one name for ever", &[M::NameOfPromotion]);
    let s10 = Scenario::new("S10", "a transaction of the application invalidates")
        .gets(&[A, A])
        .change(A, Key, Form::Transaction)
        .polls([1, 0])
        .window(1)
        .sees(&[E::RowsApplied])
        .stale_without("its row is that of its node", &[M::TransactionIsNobodys]);
    vec![s4, s4g, s4b, s6, s6b, s10]
}

fn groups() -> Vec<Scenario> {
    let s8 = Scenario::new("S8", "one node: a group is invalidated, known when a load ends")
        .gets(&[A, A, A])
        .invalidations(&[A], Group)
        .sees(&[E::Joined, E::Rejoined, E::FillRefused])
        .stale_without("joiners do not look again", &[M::JoinersRecheck])
        .stale_without("entries have the epoch of their end", &[M::EpochAtStart])
        .stale_without("fills are not compared", &[M::FillChecksEpoch])
        .stale_without("reads are not compared", &[M::ReadChecksEpoch]);
    let s8b = Scenario::new("S8b", "two nodes: a group is invalidated, with polls")
        .gets(&[A, A])
        .invalidations(&[B], Group)
        .polls([1, 0])
        .window(1)
        .sees(&[E::RowsApplied]);
    let s8c = Scenario::new("S8c", "an epoch is forgotten")
        .gets(&[A, A])
        .invalidations(&[A], Group)
        .faults(Faults { forgotten: 1, ..faults() })
        .stale_without("while something older is there", &[M::EpochOutlivesOlder]);
    vec![s8, s8b, s8c]
}

fn puts() -> Vec<Scenario> {
    let s9 = Scenario::new("S9", "A puts, and B invalidates")
        .gets(&[A, B])
        .change(A, Key, Form::Put)
        .invalidations(&[B], Key)
        .polls([1, 0])
        .sees(&[E::PutStored, E::PutRefused, E::RowsApplied])
        .stale_without("every put is stored", &[M::PutIsConditional])
        .stale_without("a put's cursor is that of its sending", &[M::PutCursorBeforeStore])
        .stale_without("what is put is no longer in the source", &[M::PutIsCurrent]);
    let s9o = Scenario::new("S9o", "A puts, and then invalidates")
        .gets(&[A, B])
        .change(A, Key, Form::Put)
        .invalidations(&[A], Key)
        .window(1)
        .faults(Faults { timeouts: 1, ..faults() })
        .sees(&[E::PutStored, E::PutRefused, E::ExecutedLate])
        .stale_without("a put heeds only what others have changed", &[M::PutHeedsOwn]);
    let s9p = Scenario::new("S9p", "A puts twice")
        .gets(&[A, B])
        .change(A, Key, Form::Put)
        .change(A, Key, Form::Put)
        .window(1)
        .faults(Faults { timeouts: 1, ..faults() })
        .sees(&[E::PutStored, E::PutRefused, E::ExecutedLate])
        .stale_without("a put heeds only what others have changed", &[M::PutHeedsOwn]);
    let own_g1 = Scenario::new("own-g1", "A puts and invalidates, and all readers are there")
        .gets(&[A, A])
        .change(A, Key, Form::Put)
        .invalidations(&[A], Key)
        .sees(&[E::PutStored, E::PutRefused])
        .stale_without("a put heeds only what others have changed", &[M::PutHeedsOwn]);
    let s9t = Scenario::new("S9t", "the log is cut off before a put comes")
        .gets(&[A, B])
        .change(A, Key, Form::Put)
        .invalidations(&[B], Key)
        .faults(Faults { trims: 1, ..faults() })
        .sees(&[E::PutRefused])
        .stale_without("what was cut off counts for nothing", &[M::PutHeedsTrim]);
    let s9g = Scenario::new("S9g", "A puts, and B invalidates a group, whose epoch is forgotten")
        .gets(&[A, B])
        .change(A, Key, Form::Put)
        .invalidations(&[B], Group)
        .faults(Faults { forgotten: 1, ..faults() })
        .sees(&[E::PutStored, E::PutRefused])
        .stale_without("a put heeds no groups", &[M::PutHeedsGroups]);
    vec![s9, s9o, s9p, own_g1, s9t, s9g]
}
