//! C19: "there is no such thing" is an answer, and lives for a short time of its own.

use forewarm::{Loaded, Policy, PreloadPolicy, ReadOptions, Verdict};

use super::source::{
    Mood, Source, begun, engine, invalidate, items, others_run, pass, peeked, plain, put, resource,
    secs, value,
};

fn twenty_seconds() -> Policy {
    Policy { absent_ttl: Some(secs(20)), ..plain() }
}

/// C19: an absent key that is asked for 1,000 times within its negative ttl is one load.
#[tokio::test(start_paused = true)]
async fn an_absent_key_is_loaded_once_in_its_ttl() {
    let source = Source::new();
    source.usually(Mood::HasNone);
    let (_engine, items) = items(twenty_seconds(), &source).await;
    for _ in 0..1_000 {
        assert!(items.get(&1).await.unwrap().is_none());
        tokio::time::sleep(secs(19) / 1_000).await;
    }
    assert_eq!(source.loads(), 1);
    let stats = items.stats();
    assert_eq!((stats.misses, stats.l1_hits), (1, 999));
    pass(secs(1)).await;
    assert!(items.get(&1).await.unwrap().is_none());
    assert_eq!(source.loads(), 2);
}

/// C19: the answer ends with its ttl: it is served stale under no policy.
#[tokio::test(start_paused = true)]
async fn an_absence_is_not_served_past_its_ttl() {
    let source = Source::new();
    source.usually(Mood::HasNone);
    let policy = Policy {
        stale_while_revalidate: Some(secs(600)),
        stale_if_error: Some(secs(600)),
        ..twenty_seconds()
    };
    let (_engine, items) = items(policy, &source).await;
    assert!(items.get(&1).await.unwrap().is_none());
    pass(secs(21)).await;
    assert!(items.peek(&1).is_none());
    source.usually(Mood::Refuses);
    assert!(items.get(&1).await.is_err());
    source.usually(Mood::Answers);
    assert_eq!(value(&items, 1).await, 0, "what was created is seen");
}

/// C19: a change clears it.
#[tokio::test(start_paused = true)]
async fn what_is_put_or_invalidated_is_absent_no_longer() {
    let source = Source::new();
    let (_engine, items) = items(twenty_seconds(), &source).await;
    for key in [1, 2] {
        source.mood(key, Mood::HasNone);
        assert!(items.get(&key).await.unwrap().is_none());
        source.mood(key, Mood::Answers);
        assert!(items.get(&key).await.unwrap().is_none());
    }
    put(&items, 1, 7).await;
    assert_eq!((value(&items, 1).await, source.loads_of(1)), (7, 1));
    invalidate(&items, 2).await;
    assert_eq!((value(&items, 2).await, source.loads_of(2)), (0, 2));
}

/// C19: without a negative ttl an absence is given to those who wait, and never kept.
#[tokio::test(start_paused = true)]
async fn without_a_negative_ttl_an_absence_is_never_kept() {
    let source = Source::new();
    source.usually(Mood::HasNone);
    let (_engine, items) = items(Policy { absent_ttl: None, ..plain() }, &source).await;
    for nth in 1..=10 {
        assert!(items.get(&1).await.unwrap().is_none());
        assert!(items.peek(&1).is_none());
        assert_eq!((source.loads(), items.stats().entries), (nth, 0));
    }
    let hold = source.hold();
    let reads = [begun(items.get(&1)), begun(items.get(&1))];
    drop(hold);
    for read in reads {
        assert!(read.await.unwrap().is_none());
    }
    assert_eq!(source.loads(), 11);
}

/// C19: what has gone away is not served any more, whether or not its absence is kept.
#[tokio::test(start_paused = true)]
async fn what_has_gone_away_is_not_served_from_before() {
    for absent_ttl in [Some(secs(20)), None] {
        let source = Source::new();
        let policy = Policy {
            absent_ttl,
            stale_while_revalidate: Some(secs(600)),
            stale_if_error: Some(secs(600)),
            ..plain()
        };
        let (_engine, items) = items(policy, &source).await;
        value(&items, 1).await;
        pass(secs(61)).await;
        source.usually(Mood::HasNone);
        assert_eq!(value(&items, 1).await, 0, "served once, and renewed behind");
        others_run().await;
        assert_eq!(peeked(&items, 1), None, "{absent_ttl:?}");
        assert!(items.get(&1).await.unwrap().is_none(), "{absent_ttl:?}");
        source.usually(Mood::Refuses);
        pass(secs(21)).await;
        assert!(items.get(&1).await.is_err(), "{absent_ttl:?}: it does not come back");
    }
}

/// C19: absent keys are not loaded ahead, however often they are asked for.
#[tokio::test(start_paused = true)]
async fn absent_keys_are_not_preloaded() {
    let source = Source::new();
    source.mood(1, Mood::HasNone);
    let forewarm = engine().await;
    let policy = Policy { preload: PreloadPolicy::default(), ..twenty_seconds() };
    let items = resource(&forewarm, "item", policy, &source);
    forewarm.start().await.unwrap();
    for _ in 0..600 {
        assert!(items.get(&1).await.unwrap().is_none());
        value(&items, 2).await;
        assert_eq!(items.explain(&1).verdict, Verdict::Absent);
        tokio::time::sleep(secs(1)).await;
    }
    let ahead_of = |key| {
        let calls = source.calls();
        let ahead = calls.iter().filter(|call| call.origin == forewarm::Origin::Preload);
        ahead.filter(|call| call.keys.contains(&key)).count()
    };
    assert_eq!(ahead_of(1), 0);
    assert!(ahead_of(2) > 0, "a key that is there is loaded ahead");
}

/// C19: a preload of a key that is absent says so, and does not ask again.
#[tokio::test(start_paused = true)]
async fn a_requested_preload_of_an_absent_key_is_told_apart() {
    let source = Source::new();
    source.mood(1, Mood::HasNone);
    let (_engine, items) = items(twenty_seconds(), &source).await;
    let first = items.preload(&[1, 2]).await;
    assert_eq!((first.absent, first.loaded), (1, 1));
    let second = items.preload(&[1, 2]).await;
    assert_eq!((second.held, second.loaded + second.absent), (2, 0));
    assert_eq!(source.loads(), 2);
}

/// C19: a loader may say how long an absence is fresh.
#[tokio::test(start_paused = true)]
async fn an_absence_may_bring_its_own_ttl() {
    let forewarm = engine().await;
    let load = |key: u64| async move { Ok(Loaded::<u64>::absent().ttl(secs(key))) };
    for absent_ttl in [Some(secs(20)), None] {
        let name = format!("item {}", absent_ttl.is_some());
        let policy = Policy { absent_ttl, ..plain() };
        let items = forewarm.resource::<u64, u64>(&name).policy(policy).load_with(load);
        let items = items.build().unwrap();
        assert!(items.get(&5).await.unwrap().is_none());
        pass(secs(4)).await;
        let read = items.read(&5, &ReadOptions::new()).await.unwrap();
        assert_eq!((read.value, read.age), (None, secs(4)), "{absent_ttl:?}");
        pass(secs(2)).await;
        assert!(items.peek(&5).is_none());
    }
}
