//! G1: what answers of a particular kind leave after an invalidation: stale ones, failures,
//! absences, batches and nested loads.

use std::sync::{Arc, OnceLock};

use forewarm::{LoadError, Policy, ReadOptions};

use super::fence::{CHANGES, Change, Items, every_read_gives, lasting};
use super::source::{
    Mood, Source, begun, engine, invalidate, items, others_run, pass, peeked, plain, resource,
    secs, value,
};

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
