//! C39: reading many keys at once.

use std::sync::Arc;

use forewarm::{
    BreakerState, Error, LoadContext, LoadError, Loaded, Loader, Policy, PreloadPolicy,
    SourcePolicy,
};
use tokio::time::Instant;

use super::source::{
    Mood, Source, asking, begun, engine, items, millis, others_run, plain, put, secs, value,
};

type Outcomes = Vec<Result<Option<Arc<u64>>, Error>>;

fn values(outcomes: &Outcomes) -> Vec<Option<u64>> {
    outcomes.iter().map(|outcome| outcome.as_ref().unwrap().as_deref().copied()).collect()
}

/// C39: of 100 keys of which 30 are missing, the 30 are one call of the loader; the order is kept.
#[tokio::test(start_paused = true)]
async fn what_is_missing_is_loaded_in_one_call() {
    let source = Source::in_batches(100);
    let (_engine, items) = items(plain(), &source).await;
    let keys: Vec<u64> = (0..100).collect();
    for key in keys.iter().filter(|key| *key % 10 < 7) {
        put(&items, *key, 1_000 + *key).await;
    }
    source.change();
    let outcomes = items.get_many(&keys).await;
    let expected: Vec<_> =
        keys.iter().map(|key| Some(if key % 10 < 7 { 1_000 + key } else { 1 })).collect();
    assert_eq!(values(&outcomes), expected);
    let missing: Vec<_> = keys.iter().copied().filter(|key| key % 10 >= 7).collect();
    let calls = source.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].keys, missing);
    let stats = items.stats();
    assert_eq!((stats.total_accesses, stats.l1_hits, stats.misses), (100, 70, 30));
    assert_eq!(stats.loads, 30, "keys are counted, and not calls");
    assert_eq!(values(&items.get_many(&keys).await), expected);
    assert_eq!(source.loads(), 1);
}

/// C39: a call takes as many keys as the loader says, and no more.
#[tokio::test(start_paused = true)]
async fn a_call_takes_no_more_keys_than_the_loader_says() {
    for (per_call, sizes) in [
        (1, vec![1; 25]),
        (10, vec![10, 10, 5]),
        (25, vec![25]),
        (1_000, vec![25]),
        // One that says nothing sensible is asked for one key at a time.
        (0, vec![1; 25]),
    ] {
        let source = Source::in_batches(per_call);
        let (_engine, items) = items(plain(), &source).await;
        let keys: Vec<u64> = (0..25).collect();
        assert_eq!(values(&items.get_many(&keys).await), [Some(0); 25]);
        let asked: Vec<_> = source.calls().iter().map(|call| call.keys.len()).collect();
        assert_eq!(asked, sizes, "{per_call} per call");
        assert_eq!(source.keys(), keys, "{per_call} per call");
    }
}

/// C39: one key that fails fails alone.
#[tokio::test(start_paused = true)]
async fn one_failed_key_does_not_fail_the_rest() {
    for per_call in [1, 10] {
        let source = Source::in_batches(per_call);
        source.mood(3, Mood::Refuses);
        source.mood(5, Mood::HasNone);
        let (_engine, items) = items(plain(), &source).await;
        let keys: Vec<u64> = (0..10).collect();
        let outcomes = items.get_many(&keys).await;
        for (key, outcome) in keys.iter().zip(&outcomes) {
            match (key, outcome) {
                (3, Err(Error::Load { .. })) => {}
                (5, Ok(None)) => {}
                (_, Ok(Some(value))) => assert_eq!(**value, 0),
                _ => panic!("key {key} of {per_call} per call: {outcome:?}"),
            }
        }
        assert_eq!(items.stats().load_failures, 1);
        assert_eq!(items.stats().breaker, BreakerState::Closed);
    }
}

/// C39: a failed key is tried again without those that did not fail.
#[tokio::test(start_paused = true)]
async fn only_what_failed_is_asked_for_again() {
    let source = Source::in_batches(10);
    source.next([Mood::Answers, Mood::Fails, Mood::Answers, Mood::Fails]);
    let terms = SourcePolicy { attempts: 3, ..SourcePolicy::default() };
    let (_engine, items) = items(asking(terms), &source).await;
    assert_eq!(values(&items.get_many(&[1, 2, 3, 4]).await), [Some(0); 4]);
    let asked: Vec<_> = source.calls().into_iter().map(|call| call.keys).collect();
    assert_eq!(asked, [vec![1, 2, 3, 4], vec![2, 4]]);
}

/// C39, C14: a key that failed for good is not asked for again with one that may still come.
#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_not_tried_again_with_a_transient_one() {
    let source = Source::in_batches(10);
    source.mood(1, Mood::Refuses);
    source.next([Mood::Fails]);
    let terms = SourcePolicy { attempts: 3, ..SourcePolicy::default() };
    let (_engine, items) = items(asking(terms), &source).await;
    let outcomes = items.get_many(&[1, 2]).await;
    assert!(outcomes[0].is_err() && outcomes[1].is_ok(), "{outcomes:?}");
    assert_eq!((source.loads_of(1), source.loads_of(2)), (1, 2));
}

/// C39: those whose keys are there do not wait for the keys that are tried again.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_tried_again_holds_up_no_other_reader() {
    let source = Source::in_batches(10);
    source.mood(2, Mood::Fails);
    let terms = SourcePolicy { attempts: 3, backoff_min: secs(1), ..SourcePolicy::default() };
    let (_engine, items) = items(asking(terms), &source).await;
    let many = begun(items.get_many(&[1, 2, 3]));
    let began = Instant::now();
    assert_eq!((value(&items, 1).await, value(&items, 3).await), (0, 0));
    assert_eq!(began.elapsed(), millis(0));
    assert!(many.await[1].is_err());
}

/// C39: the same key several times, or no key at all.
#[tokio::test(start_paused = true)]
async fn duplicates_are_one_load_and_no_keys_are_none() {
    let source = Source::in_batches(10);
    let (_engine, items) = items(plain(), &source).await;
    assert!(items.get_many(&[]).await.is_empty());
    assert_eq!(source.loads(), 0);
    assert_eq!(values(&items.get_many(&[2, 1, 2, 2, 1]).await), [Some(0); 5]);
    assert_eq!(source.keys(), [2, 1]);
    assert_eq!(items.stats().total_accesses, 5);
}

/// C39, C12: keys that others are loading are waited for.
#[tokio::test(start_paused = true)]
async fn keys_that_are_loading_are_not_asked_for_again() {
    let source = Source::in_batches(10);
    let (_engine, items) = items(plain(), &source).await;
    let hold = source.hold();
    let one = begun(items.get(&2));
    let many = begun(items.get_many(&[1, 2, 3]));
    let another = begun(items.get_many(&[3, 4]));
    others_run().await;
    drop(hold);
    assert_eq!(values(&many.await), [Some(0); 3]);
    assert_eq!(values(&another.await), [Some(0); 2]);
    assert!(one.await.is_ok());
    assert_eq!(source.keys(), [2, 1, 3, 4]);
}

/// C39, C12: a caller who goes away ends nothing.
#[tokio::test(start_paused = true)]
async fn a_batch_goes_on_when_its_caller_has_gone_away() {
    let source = Source::in_batches(10);
    let (_engine, items) = items(plain(), &source).await;
    let hold = source.hold();
    drop(begun(items.get_many(&[1, 2, 3])));
    drop(hold);
    others_run().await;
    assert!([1, 2, 3].iter().all(|key| items.peek(key).is_some()));
    assert_eq!(source.loads(), 1);
}

/// C39: a call that panics or hangs fails its own keys, and those of no other call.
#[tokio::test(start_paused = true)]
async fn a_call_that_panics_or_hangs_fails_its_own_keys() {
    for mood in [Mood::Panics, Mood::Hangs] {
        let source = Source::in_batches(2);
        source.mood(3, mood);
        let (_engine, items) = items(plain(), &source).await;
        let outcomes = items.get_many(&[1, 2, 3, 4, 5]).await;
        let failed: Vec<_> = outcomes.iter().map(Result::is_err).collect();
        assert_eq!(failed, [false, false, true, true, false], "{mood:?}");
        let is_right = |error: &Error| match mood {
            Mood::Panics => matches!(error, Error::Panicked { .. }),
            _ => matches!(error, Error::Deadline { .. }),
        };
        assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(is_right));
    }
}

/// C39: a loader that gives fewer results than keys fails the keys without one.
#[tokio::test(start_paused = true)]
async fn a_missing_result_fails_its_key() {
    struct Forgetful;
    impl Loader<u64, u64> for Forgetful {
        async fn load(&self, key: &u64, _cx: &LoadContext<u64>) -> Result<Loaded<u64>, LoadError> {
            Ok((*key).into())
        }

        fn keys_per_call(&self) -> usize {
            10
        }

        async fn load_many(
            &self,
            keys: &[(u64, LoadContext<u64>)],
        ) -> Vec<Result<Loaded<u64>, LoadError>> {
            keys.iter().take(2).map(|(key, _)| Ok((*key).into())).collect()
        }
    }
    let forewarm = engine().await;
    let items = forewarm.resource("item").policy(plain()).loader(Forgetful).build().unwrap();
    let outcomes = items.get_many(&[1, 2, 3]).await;
    assert_eq!((outcomes[0].is_ok(), outcomes[1].is_ok()), (true, true));
    assert!(matches!(&outcomes[2], Err(Error::Load { source, .. }) if !source.is_transient()));
    assert_eq!(items.stats().load_failures, 1);
}

/// C39, C13: limits on keys count keys: batches do not get more of them through.
#[tokio::test(start_paused = true)]
async fn budgets_count_keys_and_not_batches() {
    let source = Source::in_batches(10);
    let terms = SourcePolicy { flights_max: 25, ..plain().source };
    let preload = PreloadPolicy { loads_per_second: 10.0, burst: 20, ..plain().preload };
    let (_engine, items) = items(Policy { preload, ..asking(terms) }, &source).await;
    let keys: Vec<u64> = (0..40).collect();
    let outcomes = items.get_many(&keys).await;
    let refused = |outcome: &&Result<_, _>| matches!(outcome, Err(Error::Overloaded { .. }));
    assert_eq!(outcomes.iter().filter(refused).count(), 15);
    assert!(outcomes[..25].iter().all(Result::is_ok), "first come, first served");
    let began = Instant::now();
    let ahead: Vec<u64> = (100..160).collect();
    assert_eq!(items.preload(&ahead).await.loaded, 60);
    let took = began.elapsed();
    assert!((secs(4)..millis(4_200)).contains(&took), "20 at once and 10 a second: {took:?}");
    let per_call = source.calls().iter().map(|call| call.keys.len()).max();
    assert_eq!(per_call, Some(10));
    assert_eq!(items.stats().preload_count, 60);
}

/// C39, C13: calls of a batch take slots like any other, one each.
#[tokio::test(start_paused = true)]
async fn the_calls_of_a_batch_keep_to_the_concurrency() {
    let source = Source::in_batches(5);
    source.takes(millis(10));
    let terms = SourcePolicy { concurrency: 3, ..plain().source };
    let (_engine, items) = items(asking(terms), &source).await;
    let keys: Vec<u64> = (0..100).collect();
    assert_eq!(values(&items.get_many(&keys).await), [Some(0); 100]);
    assert_eq!((source.loads(), source.most_at_once()), (20, 3));
}

/// C39, C18: stale keys of a batch are served at once and renewed behind, as single ones are.
#[tokio::test(start_paused = true)]
async fn a_batch_serves_stale_values_and_fallbacks() {
    let source = Source::in_batches(10);
    let policy = Policy {
        stale_while_revalidate: Some(secs(30)),
        stale_if_error: Some(secs(600)),
        ..plain()
    };
    let (_engine, items) = items(policy, &source).await;
    items.get_many(&[1, 2]).await;
    super::source::pass(secs(61)).await;
    source.change();
    assert_eq!(values(&items.get_many(&[1, 2]).await), [Some(0), Some(0)]);
    others_run().await;
    assert_eq!(values(&items.get_many(&[1, 2]).await), [Some(1), Some(1)]);
    super::source::pass(secs(120)).await;
    source.change();
    source.mood(1, Mood::Refuses);
    for attempt in 0..2 {
        assert_eq!(values(&items.get_many(&[1, 2]).await), [Some(1), Some(2)], "{attempt}");
    }
}
