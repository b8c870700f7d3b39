//! G1: after `invalidate` has returned, no read that starts later gives a value whose load began
//! before it: every path by which one could, in an order of events that would bring it about.

use std::sync::Arc;

use forewarm::{Capacity, EarlyRefresh, Forewarm, Policy, PreloadPolicy, ReadOptions, Resource};

use super::source::{
    Source, begun, copied, engine, invalidate, items, others_run, pass, peeked, plain, put, secs,
    value,
};

pub(super) type Items = Resource<u64, u64>;

/// Served stale for long, in either way.
pub(super) fn lasting() -> Policy {
    Policy { stale_while_revalidate: Some(secs(600)), stale_if_error: Some(secs(600)), ..plain() }
}

/// Every way to read a key gives this value.
pub(super) async fn every_read_gives(items: &Items, key: u64, expected: u64) {
    let options = ReadOptions::new();
    let values = [
        items.get(&key).await.unwrap(),
        items.with(&key, copied).await.unwrap().map(Arc::new),
        items.get_many(&[key]).await.remove(0).unwrap(),
        items.read(&key, &options).await.unwrap().value,
        items.read(&key, &options.max_age(secs(3_600))).await.unwrap().value,
        items.peek(&key).unwrap().value,
    ];
    for value in values {
        assert_eq!(value.as_deref(), Some(&expected));
    }
}

/// How a change is announced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Invalidate,
    Put,
    Clear,
    ClearAll,
}

pub(super) const CHANGES: [Change; 4] =
    [Change::Invalidate, Change::Put, Change::Clear, Change::ClearAll];

impl Change {
    /// Changes the source, and says so; gives the new value.
    pub(super) async fn make(
        self,
        source: &Source,
        forewarm: &Forewarm,
        items: &Items,
        key: u64,
    ) -> u64 {
        let new = source.change();
        match self {
            Self::Invalidate => invalidate(items, key).await,
            Self::Put => put(items, key, new).await,
            Self::Clear => items.clear(),
            Self::ClearAll => forewarm.clear(),
        }
        new
    }
}

/// G1: an entry in memory, in either of its segments, is gone.
#[tokio::test(start_paused = true)]
async fn an_entry_in_memory_is_gone() {
    for change in CHANGES {
        let source = Source::new();
        // Most of the entries are in the second segment, whose share is the larger one.
        let policy = Policy { capacity: Capacity::Entries(1_000), hot_share: 0.05, ..lasting() };
        let (forewarm, items) = items(policy, &source).await;
        for key in 0..500 {
            value(&items, key).await;
        }
        let held: Vec<u64> = (0..500).filter(|key| items.peek(key).is_some()).collect();
        assert!(held.len() > 200, "{} held", held.len());
        for key in held {
            let new = change.make(&source, &forewarm, &items, key).await;
            assert!(peeked(&items, key).is_none_or(|peeked| peeked == new), "{change:?}");
            every_read_gives(&items, key, new).await;
        }
    }
}

/// G1: a load under way cannot be joined any more, nor store what it brings.
#[tokio::test(start_paused = true)]
async fn a_load_under_way_is_neither_joined_nor_stored() {
    for change in CHANGES {
        let source = Source::new();
        let (forewarm, items) = items(lasting(), &source).await;
        let hold = source.hold();
        let early = begun(items.get(&1));
        let joined = begun(items.get_many(&[1]));
        source.let_pass();
        let new = change.make(&source, &forewarm, &items, 1).await;
        every_read_gives(&items, 1, new).await;
        drop(hold);
        assert_eq!(early.await.unwrap().as_deref(), Some(&0), "who came before may get the old");
        assert!(joined.await[0].is_ok());
        others_run().await;
        every_read_gives(&items, 1, new).await;
    }
}

/// G1: the same if nobody reads the key before the old load ends.
#[tokio::test(start_paused = true)]
async fn an_old_load_that_ends_first_leaves_nothing() {
    for change in CHANGES {
        let source = Source::new();
        let (forewarm, items) = items(lasting(), &source).await;
        let hold = source.hold();
        let early = begun(items.get(&1));
        source.let_pass();
        let new = change.make(&source, &forewarm, &items, 1).await;
        drop(hold);
        assert!(early.await.is_ok());
        others_run().await;
        assert!(peeked(&items, 1).is_none_or(|peeked| peeked == new), "{change:?}");
        every_read_gives(&items, 1, new).await;
    }
}

/// G1: two loads of different ages, both from before the last change, in either order of arrival.
#[tokio::test(start_paused = true)]
async fn several_old_loads_in_any_order_leave_nothing() {
    for first_ends_first in [false, true] {
        let source = Source::new();
        let (_forewarm, items) = items(lasting(), &source).await;
        let first_hold = source.hold();
        let first = begun(items.get(&1));
        source.change();
        invalidate(&items, 1).await;
        let second_hold = source.hold();
        let second = begun(items.get(&1));
        let new = source.change();
        invalidate(&items, 1).await;
        source.let_pass();
        let holds =
            if first_ends_first { [first_hold, second_hold] } else { [second_hold, first_hold] };
        for hold in holds {
            drop(hold);
            others_run().await;
            every_read_gives(&items, 1, new).await;
        }
        assert_eq!(first.await.unwrap().as_deref(), Some(&0));
        assert_eq!(second.await.unwrap().as_deref(), Some(&1));
        every_read_gives(&items, 1, new).await;
    }
}

/// G1: renewals under way, whatever began them, bring nothing back.
#[tokio::test(start_paused = true)]
async fn a_renewal_under_way_brings_nothing_back() {
    for change in CHANGES {
        for how in ["stale", "early", "asked for", "due"] {
            let source = Source::new();
            let policy = Policy {
                early_refresh: (how == "early").then_some(EarlyRefresh::After(0.5)),
                lead: (how == "due").then_some(secs(20)),
                preload: if how == "due" { PreloadPolicy::default() } else { plain().preload },
                ..lasting()
            };
            let (forewarm, items) = items(policy, &source).await;
            forewarm.start().await.unwrap();
            for _ in 0..3 {
                value(&items, 1).await;
                pass(secs(10)).await;
            }
            assert_eq!(source.loads(), 1, "{how}");
            let hold = source.hold();
            let options = ReadOptions::new().refresh();
            let asked = (how == "asked for").then(|| begun(items.read(&1, &options)));
            pass(secs(if how == "stale" { 31 } else { 11 })).await;
            value(&items, 1).await;
            others_run().await;
            assert_eq!(source.under_way(), 1, "{how}");
            source.let_pass();
            let new = change.make(&source, &forewarm, &items, 1).await;
            let case = format!("{how}, {change:?}");
            assert!(peeked(&items, 1).is_none_or(|peeked| peeked == new), "{case}");
            drop(hold);
            if let Some(asked) = asked {
                assert!(asked.await.is_ok(), "{case}");
            }
            others_run().await;
            assert!(peeked(&items, 1).is_none_or(|peeked| peeked == new), "{case}");
            every_read_gives(&items, 1, new).await;
        }
    }
}

/// G1: a preload under way brings nothing back, joined or not.
#[tokio::test(start_paused = true)]
async fn a_preload_under_way_brings_nothing_back() {
    for change in CHANGES {
        for is_joined in [false, true] {
            let source = Source::new();
            let (forewarm, items) = items(lasting(), &source).await;
            let hold = source.hold();
            let preload = begun(items.preload(&[1, 2]));
            let joined = is_joined.then(|| begun(items.get(&1)));
            source.let_pass();
            let new = change.make(&source, &forewarm, &items, 1).await;
            drop(hold);
            preload.await;
            if let Some(joined) = joined {
                assert!(joined.await.is_ok());
            }
            assert!(peeked(&items, 1).is_none_or(|peeked| peeked == new), "{change:?}");
            every_read_gives(&items, 1, new).await;
        }
    }
}

/// G1: what was put is not overtaken by a load that began before, and ends after.
#[tokio::test(start_paused = true)]
async fn a_put_is_not_overwritten_by_an_older_load() {
    let source = Source::new();
    let (_forewarm, items) = items(lasting(), &source).await;
    let hold = source.hold();
    let early = begun(items.get(&1));
    put(&items, 1, 100).await;
    every_read_gives(&items, 1, 100).await;
    drop(hold);
    assert!(early.await.is_ok());
    others_run().await;
    every_read_gives(&items, 1, 100).await;
    // A put of what cannot be kept is still an invalidation.
    let forewarm = engine().await;
    let policy = Policy { capacity: Capacity::Entries(100), ..lasting() };
    let heavy = forewarm.resource::<u64, u64>("heavy").policy(policy).loader(source.clone());
    let heavy = heavy.weigher(|_, value| value.map_or(1, |value| *value)).build().unwrap();
    let hold = source.hold();
    let early = begun(heavy.get(&1));
    source.let_pass();
    let new = source.change();
    put(&heavy, 1, 1_000).await;
    drop(hold);
    assert!(early.await.is_ok());
    others_run().await;
    assert_eq!((peeked(&heavy, 1), value(&heavy, 1).await), (None, new));
}
