//! G1: after `invalidate` has returned, no read that starts later gives a value whose load began
//! before it: every path by which one could, in an order of events that would bring it about.

use std::sync::{Arc, OnceLock};

use forewarm::{
    Capacity, EarlyRefresh, Forewarm, LoadError, Policy, PreloadPolicy, ReadOptions, Resource,
};

use super::source::{
    Mood, Source, begun, copied, engine, invalidate, items, others_run, pass, peeked, plain, put,
    resource, secs, value,
};

type Items = Resource<u64, u64>;

/// Served stale for long, in either way.
fn lasting() -> Policy {
    Policy { stale_while_revalidate: Some(secs(600)), stale_if_error: Some(secs(600)), ..plain() }
}

/// Every way to read a key gives this value.
async fn every_read_gives(items: &Items, key: u64, expected: u64) {
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
enum Change {
    Invalidate,
    Put,
    Clear,
    ClearAll,
}

const CHANGES: [Change; 4] = [Change::Invalidate, Change::Put, Change::Clear, Change::ClearAll];

impl Change {
    /// Changes the source, and says so; gives the new value.
    async fn make(self, source: &Source, forewarm: &Forewarm, items: &Items, key: u64) -> u64 {
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

/// G1: a stale value that was invalidated is served in no case: not while it is renewed, and not
/// because that fails.
#[tokio::test(start_paused = true)]
async fn a_stale_value_does_not_come_back_after_an_invalidation() {
    for passed_secs in [0, 61, 300] {
        for mood in [Mood::Fails, Mood::Refuses, Mood::Panics, Mood::Hangs] {
            let source = Source::new();
            let (_forewarm, items) = items(lasting(), &source).await;
            value(&items, 1).await;
            pass(secs(passed_secs)).await;
            let case = format!("{mood:?} after {passed_secs} s");
            source.usually(mood);
            // The key is known to be failing when the invalidation comes.
            let refresh = ReadOptions::new().refresh();
            assert!(items.read(&1, &refresh).await.is_err(), "{case}");
            assert_eq!(value(&items, 1).await, 0, "{case}");
            others_run().await;
            invalidate(&items, 1).await;
            for _ in 0..3 {
                assert!(items.get(&1).await.is_err(), "{case}");
                assert!(items.get_many(&[1]).await[0].is_err(), "{case}");
                assert!(items.peek(&1).is_none(), "{case}");
            }
            pass(secs(60)).await;
            source.usually(Mood::Answers);
            let new = source.change();
            every_read_gives(&items, 1, new).await;
        }
    }
}

/// G1: the failure of a load from before brings nothing back either, and the reader who waits for
/// it since before the change is not served what has been invalidated meanwhile.
#[tokio::test(start_paused = true)]
async fn a_load_that_fails_after_an_invalidation_leaves_nothing_to_fall_back_on() {
    let source = Source::new();
    let (_forewarm, items) = items(lasting(), &source).await;
    value(&items, 1).await;
    pass(secs(61)).await;
    source.usually(Mood::Refuses);
    let hold = source.hold();
    let options = ReadOptions::new().refresh();
    let early = begun(items.read(&1, &options));
    invalidate(&items, 1).await;
    let late = begun(items.get(&1));
    drop(hold);
    assert!(early.await.is_err());
    assert!(late.await.is_err());
    assert!(items.peek(&1).is_none());
}

/// G1: "nothing has changed" said of a value that was invalidated meanwhile does not restore it.
#[tokio::test(start_paused = true)]
async fn an_invalidated_value_is_not_validated() {
    let source = Source::new();
    let (_forewarm, items) = items(lasting(), &source).await;
    value(&items, 1).await;
    pass(secs(61)).await;
    source.usually(Mood::Unchanged);
    let hold = source.hold();
    value(&items, 1).await;
    source.let_pass();
    source.usually(Mood::Answers);
    let new = source.change();
    invalidate(&items, 1).await;
    drop(hold);
    others_run().await;
    assert!(items.peek(&1).is_none());
    let load = value(&items, 1).await;
    assert_eq!((load, source.calls()[2].held), (new, None), "what was wrong is not held up");
}

/// G1: absences go as values do.
#[tokio::test(start_paused = true)]
async fn an_absence_under_way_is_not_kept_after_an_invalidation() {
    let source = Source::new();
    let (_forewarm, items) = items(lasting(), &source).await;
    source.usually(Mood::HasNone);
    let hold = source.hold();
    let early = begun(items.get(&1));
    source.usually(Mood::Answers);
    source.let_pass();
    invalidate(&items, 1).await;
    drop(hold);
    assert!(early.await.unwrap().is_none());
    others_run().await;
    assert!(items.peek(&1).is_none());
    every_read_gives(&items, 1, 0).await;
}

/// G1: an attempt after an invalidation belongs to a load from before it.
#[tokio::test(start_paused = true)]
async fn what_a_later_attempt_of_an_old_load_brings_is_not_shared() {
    let source = Source::new();
    source.next([Mood::Fails]);
    let policy = Policy {
        source: forewarm::SourcePolicy { attempts: 2, ..Default::default() },
        ..lasting()
    };
    let (_forewarm, items) = items(policy, &source).await;
    let early = begun(items.get(&1));
    others_run().await;
    invalidate(&items, 1).await;
    assert!(early.await.is_ok());
    others_run().await;
    assert!(items.peek(&1).is_none());
}

/// G1: keys of a batch that are invalidated while it is under way are not kept; the others are.
#[tokio::test(start_paused = true)]
async fn a_batch_under_way_keeps_only_what_was_not_invalidated() {
    for change in CHANGES {
        let source = Source::in_batches(10);
        let (forewarm, items) = items(lasting(), &source).await;
        let hold = source.hold();
        let early = begun(items.get_many(&[1, 2, 3]));
        source.let_pass();
        let new = change.make(&source, &forewarm, &items, 2).await;
        let late = items.get_many(&[2]).await;
        assert_eq!(late[0].as_ref().unwrap().as_deref(), Some(&new), "{change:?}");
        drop(hold);
        assert!(early.await.iter().all(Result::is_ok));
        others_run().await;
        let others = match change {
            Change::Invalidate | Change::Put => Some(0),
            Change::Clear | Change::ClearAll => None,
        };
        assert_eq!((peeked(&items, 1), peeked(&items, 3)), (others, others), "{change:?}");
        every_read_gives(&items, 2, new).await;
    }
}

/// G1: a value made of others, all of them invalidated, is made anew of new ones.
#[tokio::test(start_paused = true)]
async fn a_nested_load_under_way_is_not_built_upon() {
    let source = Source::new();
    let forewarm = engine().await;
    let parts = resource(&forewarm, "part", lasting(), &source);
    let inner = parts.clone();
    let load = move |key: u64| {
        let inner = inner.clone();
        async move { inner.get(&key).await.map(|part| *part.unwrap()).map_err(LoadError::permanent) }
    };
    let wholes = forewarm.resource::<u64, u64>("whole").policy(lasting()).load_with(load);
    let wholes = wholes.build().unwrap();
    let hold = source.hold();
    let early = begun(wholes.get(&1));
    source.let_pass();
    let new = source.change();
    invalidate(&parts, 1).await;
    invalidate(&wholes, 1).await;
    every_read_gives(&wholes, 1, new).await;
    every_read_gives(&parts, 1, new).await;
    drop(hold);
    assert_eq!(early.await.unwrap().as_deref(), Some(&0));
    others_run().await;
    every_read_gives(&wholes, 1, new).await;
    every_read_gives(&parts, 1, new).await;
}

/// G1: an invalidation by the very loader that loads the key holds too.
#[tokio::test(start_paused = true)]
async fn a_loader_may_invalidate_its_own_key() {
    let forewarm = engine().await;
    let own: Arc<OnceLock<Items>> = Arc::default();
    let handle = Arc::clone(&own);
    let load = move |key: u64| {
        let own = Arc::clone(&handle);
        async move {
            invalidate(own.get().unwrap(), key).await;
            Ok::<_, LoadError>(key)
        }
    };
    let items = forewarm.resource::<u64, u64>("item").policy(plain()).load_with(load);
    let items = items.build().unwrap();
    own.set(items.clone()).unwrap();
    assert_eq!(value(&items, 1).await, 1);
    assert!(items.peek(&1).is_none());
}

/// G1: an invalidation is complete even if its caller does not wait for it to return.
#[tokio::test(start_paused = true)]
async fn an_invalidation_that_is_dropped_half_way_has_been_made() {
    let source = Source::new();
    let (_forewarm, items) = items(lasting(), &source).await;
    value(&items, 1).await;
    let new = source.change();
    let invalidation = Box::pin(items.invalidate(&1));
    assert!(futures_util::FutureExt::now_or_never(invalidation).is_some());
    every_read_gives(&items, 1, new).await;
}

/// G1: other keys keep what they have.
#[tokio::test(start_paused = true)]
async fn an_invalidation_touches_no_other_key() {
    let source = Source::new();
    let (_forewarm, items) = items(lasting(), &source).await;
    for key in 0..100 {
        value(&items, key).await;
    }
    source.change();
    invalidate(&items, 50).await;
    for key in (0..100).filter(|key| *key != 50) {
        every_read_gives(&items, key, 0).await;
    }
    assert_eq!(source.loads(), 100);
}
