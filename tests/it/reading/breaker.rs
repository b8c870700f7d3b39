//! C14: a source that fails is left alone for a while.

use forewarm::{BreakerState, Error, Policy, SourcePolicy};
use futures_util::future::join_all;

use super::source::{Mood, Source, asking, begun, items, millis, pass, plain, secs, value};

fn five_failures() -> SourcePolicy {
    SourcePolicy { breaker_failures: 5, breaker_open_for: secs(10), ..plain().source }
}

/// C14: after N failures the loader is not called until half-open; then one call decides.
#[tokio::test(start_paused = true)]
async fn the_breaker_opens_tries_and_closes() {
    let source = Source::new();
    let (_engine, items) = items(asking(five_failures()), &source).await;
    let state = || items.stats().breaker;
    source.usually(Mood::Fails);
    for key in 0..5 {
        assert_eq!(state(), BreakerState::Closed);
        assert!(matches!(items.get(&key).await, Err(Error::Load { .. })));
    }
    assert_eq!(state(), BreakerState::Open);
    for (passed_millis, left_millis) in [(0, 10_000), (4_000, 6_000), (5_999, 1)] {
        pass(millis(passed_millis)).await;
        let error = items.get(&100).await.unwrap_err();
        let Error::BreakerOpen { retry_in, .. } = &error else { panic!("{error:?}") };
        assert!(*retry_in <= millis(left_millis) && error.is_transient(), "{error:?}");
    }
    assert_eq!(source.loads(), 5, "the source is left alone");
    pass(millis(2)).await;
    assert_eq!(state(), BreakerState::HalfOpen);
    assert!(matches!(items.get(&100).await, Err(Error::Load { .. })));
    assert_eq!((state(), source.loads()), (BreakerState::Open, 6));
    assert!(matches!(items.get(&100).await, Err(Error::BreakerOpen { .. })));
    pass(millis(10_001)).await;
    source.usually(Mood::Answers);
    assert_eq!(value(&items, 100).await, 0);
    assert_eq!((state(), source.loads()), (BreakerState::Closed, 7));
    assert_eq!(value(&items, 101).await, 0);
}

/// C14: of many who come when it is time for a trial, one tries.
#[tokio::test(start_paused = true)]
async fn one_load_tries_a_source_that_was_left_alone() {
    let source = Source::new();
    let (_engine, items) = items(asking(five_failures()), &source).await;
    source.usually(Mood::Fails);
    for key in 0..5 {
        assert!(items.get(&key).await.is_err());
    }
    pass(secs(11)).await;
    let hold = source.hold();
    source.usually(Mood::Answers);
    let trial = begun(items.get(&0));
    for key in 1..50 {
        assert!(matches!(items.get(&key).await, Err(Error::BreakerOpen { .. })), "key {key}");
    }
    assert_eq!(source.loads(), 6);
    drop(hold);
    assert!(trial.await.is_ok());
    source.let_pass();
    assert_eq!(value(&items, 1).await, 0);
}

/// C14: loads that waited for their turn when the breaker opened do not call the loader either.
#[tokio::test(start_paused = true)]
async fn loads_that_wait_for_a_slot_are_stopped_by_the_breaker_too() {
    let source = Source::new();
    let terms = SourcePolicy { concurrency: 1, ..five_failures() };
    let (_engine, items) = items(asking(terms), &source).await;
    source.usually(Mood::Fails);
    source.takes(millis(10));
    let keys: Vec<u64> = (0..50).collect();
    let outcomes = join_all(keys.iter().map(|key| items.get(key))).await;
    let stopped = |outcome: &&Result<_, _>| matches!(outcome, Err(Error::BreakerOpen { .. }));
    assert_eq!(outcomes.iter().filter(stopped).count(), 45);
    assert_eq!(source.loads(), 5);
}

/// C14: attempts count, and the breaker ends them.
#[tokio::test(start_paused = true)]
async fn the_breaker_counts_every_attempt() {
    let source = Source::new();
    source.usually(Mood::Fails);
    let terms = SourcePolicy { attempts: 8, backoff_min: millis(10), ..five_failures() };
    let (_engine, items) = items(asking(terms), &source).await;
    assert!(matches!(items.get(&1).await, Err(Error::BreakerOpen { .. })));
    assert_eq!(source.loads(), 5);
}

/// C14: what counts against a source, and what shows that it is there.
#[tokio::test(start_paused = true)]
async fn only_a_source_that_does_not_answer_is_left_alone() {
    for (mood, state) in [
        (Mood::Fails, BreakerState::Open),
        (Mood::Panics, BreakerState::Open),
        (Mood::Hangs, BreakerState::Open),
        (Mood::Refuses, BreakerState::Closed),
        (Mood::HasNone, BreakerState::Closed),
    ] {
        let source = Source::new();
        source.usually(mood);
        let terms = SourcePolicy { deadline: secs(1), ..five_failures() };
        let (_engine, items) = items(asking(terms), &source).await;
        for key in 0..5 {
            drop(items.get(&key).await);
        }
        assert_eq!(items.stats().breaker, state, "{mood:?}");
    }
}

/// C14: failures in a row count, not failures in all.
#[tokio::test(start_paused = true)]
async fn an_answer_forgives_the_failures_before_it() {
    let source = Source::new();
    let (_engine, items) = items(asking(five_failures()), &source).await;
    for round in 0..10 {
        source.next([Mood::Fails; 4]);
        for key in 0..5 {
            drop(items.get(&(10 * round + key)).await);
        }
        assert_eq!(items.stats().breaker, BreakerState::Closed, "round {round}");
    }
}

/// C14, C18: while the source is left alone, what is held is served as far as the policy allows.
#[tokio::test(start_paused = true)]
async fn an_open_breaker_does_not_keep_stale_values_from_readers() {
    let source = Source::new();
    let policy = Policy { stale_if_error: Some(secs(600)), ..asking(five_failures()) };
    let (_engine, items) = items(policy, &source).await;
    value(&items, 1).await;
    pass(secs(61)).await;
    source.usually(Mood::Fails);
    for key in 10..15 {
        assert!(items.get(&key).await.is_err());
    }
    let loads = source.loads();
    assert_eq!(value(&items, 1).await, 0);
    assert_eq!((source.loads(), items.stats().stale_on_error), (loads, 1));
}
