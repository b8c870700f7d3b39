//! C14: what is tried again, and when.

use forewarm::{Error, Policy, ReadOptions, SourcePolicy};
use tokio::time::Instant;

use super::source::{
    Mood, Source, asking, begun, expire, items, millis, others_run, pass, peeked, plain, secs,
    value,
};

fn three_attempts() -> SourcePolicy {
    SourcePolicy {
        attempts: 3,
        backoff_min: secs(1),
        backoff_max: secs(8),
        breaker_failures: 1_000,
        ..SourcePolicy::default()
    }
}

/// C14: transient failures are tried again at the planned times: the wait doubles up to the
/// longest, and a random part of up to its own length is added.
#[tokio::test(start_paused = true)]
async fn attempts_come_at_the_planned_times() {
    let source = Source::new();
    source.usually(Mood::Fails);
    let terms = SourcePolicy { attempts: 6, deadline: secs(1_000), ..three_attempts() };
    let (_engine, items) = items(asking(terms), &source).await;
    let mut gaps = Vec::new();
    for key in 0..20 {
        let before = source.loads();
        let error = items.get(&key).await.unwrap_err();
        assert!(matches!(error, Error::Load { .. }) && error.is_transient(), "{error:?}");
        let calls = &source.calls()[before..];
        assert_eq!(calls.len(), 6);
        for (pair, planned_secs) in calls.windows(2).zip([1, 2, 4, 8, 8]) {
            let gap = pair[1].at.duration_since(pair[0].at);
            // Timers ring up to a millisecond late.
            let planned = secs(planned_secs)..=secs(2 * planned_secs) + millis(1);
            assert!(planned.contains(&gap), "{gap:?} instead of {planned:?}");
            gaps.push(gap);
        }
    }
    let (count, _) = (gaps.len(), gaps.sort_unstable());
    gaps.dedup();
    assert!(gaps.len() > count / 2, "the waits vary");
}

/// C14: a failure that passes is seen by nobody who waits.
#[tokio::test(start_paused = true)]
async fn a_load_that_succeeds_at_the_last_attempt_is_no_failure() {
    let source = Source::new();
    source.next([Mood::Fails, Mood::Fails]);
    let (_engine, items) = items(asking(three_attempts()), &source).await;
    let other = begun(items.get(&1));
    assert_eq!(value(&items, 1).await, 0);
    assert_eq!(other.await.unwrap().as_deref(), Some(&0));
    let stats = items.stats();
    assert_eq!((source.loads(), stats.loads, stats.load_failures, stats.errors), (3, 3, 2, 0));
}

/// C14: what will not pass is not tried again.
#[tokio::test(start_paused = true)]
async fn permanent_failures_panics_and_deadlines_are_not_tried_again() {
    for mood in [Mood::Refuses, Mood::Panics, Mood::Hangs] {
        let source = Source::new();
        source.usually(mood);
        let (_engine, items) = items(asking(three_attempts()), &source).await;
        assert!(items.get(&1).await.is_err());
        pass(secs(100)).await;
        assert_eq!(source.loads(), 1, "{mood:?}");
    }
}

/// C14: the deadline is for all attempts together: none begins after it, and nobody waits for one.
#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_deadline() {
    let source = Source::new();
    source.usually(Mood::Fails);
    source.takes(millis(900));
    let terms = SourcePolicy {
        attempts: 10,
        backoff_min: millis(100),
        backoff_max: millis(100),
        deadline: secs(2),
        ..three_attempts()
    };
    let (_engine, items) = items(asking(terms), &source).await;
    for key in 0..20 {
        let (before, began) = (source.loads(), Instant::now());
        assert!(items.get(&key).await.is_err());
        assert!(began.elapsed() <= millis(2_001), "{:?}", began.elapsed());
        for call in &source.calls()[before..] {
            let begun = call.at.duration_since(began);
            assert!(begun < secs(2), "an attempt after {begun:?}");
        }
    }
}

/// C14: the slot is free while a load waits for its next attempt.
#[tokio::test(start_paused = true)]
async fn a_load_that_waits_to_be_tried_again_holds_nobody_up() {
    let source = Source::new();
    source.mood(1, Mood::Fails);
    let terms = SourcePolicy { concurrency: 1, ..three_attempts() };
    let (_engine, items) = items(asking(terms), &source).await;
    let failing = begun(items.get(&1));
    let began = Instant::now();
    assert_eq!(value(&items, 2).await, 0);
    assert_eq!(began.elapsed(), secs(0));
    assert!(failing.await.is_err());
}

/// C14: a key that keeps failing is renewed less and less often behind its readers.
#[tokio::test(start_paused = true)]
async fn renewals_of_a_failing_key_back_off() {
    let source = Source::new();
    let policy = Policy {
        stale_while_revalidate: Some(secs(1_000)),
        source: SourcePolicy { attempts: 1, ..three_attempts() },
        ..plain()
    };
    let (_engine, items) = items(policy, &source).await;
    value(&items, 1).await;
    pass(secs(60)).await;
    source.usually(Mood::Fails);
    for _ in 0..600 {
        assert_eq!(value(&items, 1).await, 0, "served while its renewals fail");
        pass(millis(100)).await;
    }
    let failed = &source.calls()[1..];
    for (pair, planned_secs) in failed.windows(2).zip([1, 2, 4, 8, 8, 8]) {
        let gap = pair[1].at.duration_since(pair[0].at);
        let planned = secs(planned_secs)..secs(planned_secs) + millis(200);
        assert!(planned.contains(&gap), "{gap:?} instead of {planned:?}");
    }
    assert!((8..12).contains(&failed.len()), "{} renewals in a minute", failed.len());
    // A success ends it.
    source.usually(Mood::Answers);
    let new = source.change();
    items.read(&1, &ReadOptions::new().refresh()).await.unwrap();
    assert_eq!(peeked(&items, 1), Some(new));
    expire(&items, 1).await;
    let before = source.loads();
    value(&items, 1).await;
    others_run().await;
    assert_eq!(source.loads(), before + 1);
}
