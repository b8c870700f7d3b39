//! C18: what is served past its ttl, how it is renewed, and what a failing source leaves.

use forewarm::{
    EarlyRefresh, Error, Freshness, Origin, Policy, PreloadPolicy, ReadFrom, ReadOptions,
};
use futures_util::FutureExt as _;

use super::source::{
    Mood, Source, engine, expire, items, millis, others_run, pass, peeked, plain, resource, secs,
    value,
};

/// C18: a stale value is served at once and renewed behind the reader, up to the bound; past it
/// the reader waits.
#[tokio::test(start_paused = true)]
async fn stale_while_revalidate_serves_at_once_up_to_its_bound() {
    for (passed_secs, waits) in [(59, false), (60, false), (89, false), (90, true)] {
        let source = Source::new();
        let policy = Policy { stale_while_revalidate: Some(secs(30)), ..plain() };
        let (_engine, items) = items(policy, &source).await;
        value(&items, 1).await;
        pass(secs(passed_secs)).await;
        let new = source.change();
        let hold = source.hold();
        let mut read = Box::pin(items.get(&1));
        let served = (&mut read).now_or_never();
        assert_eq!(served.is_none(), waits, "after {passed_secs} s");
        others_run().await;
        let renews = passed_secs >= 60;
        assert_eq!(source.loads(), 1 + usize::from(renews), "after {passed_secs} s");
        drop(hold);
        others_run().await;
        assert_eq!(peeked(&items, 1), Some(if renews { new } else { 0 }));
    }
}

/// C18: readers who are served a stale value begin one renewal, whose origin the loader is told.
#[tokio::test(start_paused = true)]
async fn many_stale_reads_are_one_renewal() {
    let source = Source::new();
    let policy = Policy { stale_while_revalidate: Some(secs(30)), ..plain() };
    let (_engine, items) = items(policy, &source).await;
    value(&items, 1).await;
    pass(secs(61)).await;
    source.change();
    let hold = source.hold();
    for _ in 0..100 {
        assert_eq!(value(&items, 1).await, 0);
    }
    drop(hold);
    others_run().await;
    assert_eq!(value(&items, 1).await, 1);
    let calls = source.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!((calls[1].origin, calls[1].held), (Origin::Refresh, Some(0)));
    let stats = items.stats();
    assert_eq!((stats.l1_stale, stats.l1_hits, stats.refreshes), (100, 1, 1));
}

/// C18: a failing source serves stale up to the bound, then the error.
#[tokio::test(start_paused = true)]
async fn stale_if_error_serves_up_to_its_bound_and_then_the_error() {
    let source = Source::new();
    let policy = Policy { stale_if_error: Some(secs(600)), ..plain() };
    let (_engine, items) = items(policy, &source).await;
    value(&items, 1).await;
    source.usually(Mood::Refuses);
    pass(secs(60)).await;
    for second in 60..659 {
        let read = items.read(&1, &ReadOptions::new()).await.unwrap();
        assert_eq!(read.freshness, Freshness::Stale);
        assert_eq!((read.from, read.age.as_secs()), (ReadFrom::L1, second));
        pass(secs(1)).await;
    }
    assert!(items.get(&1).await.is_ok());
    pass(secs(1)).await;
    assert!(matches!(items.get(&1).await, Err(Error::Load { .. })));
    let stats = items.stats();
    assert_eq!((stats.stale_on_error, stats.errors), (600, 1));
    // It is over as soon as the source answers.
    source.usually(Mood::Answers);
    assert_eq!(value(&items, 1).await, 0);
}

/// C18: every kind of failure leaves the old value; without the policy it is the error.
#[tokio::test(start_paused = true)]
async fn whatever_makes_a_load_fail_the_old_value_is_served() {
    for mood in [Mood::Fails, Mood::Refuses, Mood::Panics, Mood::Hangs] {
        for stale_if_error in [Some(secs(600)), None] {
            let source = Source::new();
            let policy = Policy { stale_if_error, ..plain() };
            let (_engine, items) = items(policy, &source).await;
            value(&items, 1).await;
            pass(secs(61)).await;
            source.usually(mood);
            let read = items.get(&1).await;
            assert_eq!(read.is_ok(), stale_if_error.is_some(), "{mood:?}: {read:?}");
        }
    }
}

/// C18: during its renewal a key is never absent, and readers see the old value until the new one
/// is there.
#[tokio::test(start_paused = true)]
async fn a_key_is_never_absent_during_its_renewal() {
    let source = Source::new();
    source.takes(secs(5));
    let policy = Policy { stale_while_revalidate: Some(secs(30)), ..plain() };
    let (_engine, items) = items(policy, &source).await;
    value(&items, 1).await;
    for round in 0..10 {
        pass(secs(56)).await;
        assert_eq!(peeked(&items, 1), Some(round));
        source.change();
        assert_eq!(value(&items, 1).await, round, "the read that begins the renewal");
        let mut seen = Vec::new();
        for _ in 0..100 {
            let peeked = peeked(&items, 1).expect("absent during its renewal");
            let read = items.get(&1).now_or_never().expect("a reader waits");
            assert_eq!(read.unwrap().as_deref(), Some(&peeked));
            seen.push(peeked);
            pass(millis(100)).await;
        }
        assert!(seen.is_sorted() && seen[0] == round && seen[99] == round + 1, "{seen:?}");
    }
    assert_eq!(items.stats().misses, 1);
}

/// C18: a renewal that fails changes nothing, neither while the value is fresh nor afterwards.
#[tokio::test(start_paused = true)]
async fn a_failed_renewal_keeps_the_old_value() {
    for mood in [Mood::Fails, Mood::Refuses, Mood::Panics, Mood::Hangs] {
        let source = Source::new();
        let policy = Policy { stale_while_revalidate: Some(secs(300)), ..plain() };
        let (_engine, items) = items(policy, &source).await;
        value(&items, 1).await;
        source.change();
        source.usually(mood);
        let refresh = ReadOptions::new().refresh();
        assert!(items.read(&1, &refresh).await.is_err(), "{mood:?}");
        let fresh = items.peek(&1).map(|read| read.freshness);
        assert_eq!(fresh, Some(Freshness::Fresh), "{mood:?}");
        pass(secs(61)).await;
        assert_eq!(value(&items, 1).await, 0, "{mood:?}");
        pass(secs(31)).await;
        assert_eq!(peeked(&items, 1), Some(0), "{mood:?}");
        assert_eq!((items.stats().refreshes, items.stats().errors), (0, 1), "{mood:?}");
    }
}

/// C18: a key read once a second with a ttl of a minute hits in at least 999 reads of 1,000, where
/// the rule of an older system reaches 984.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_read_every_second_hardly_ever_waits() {
    let source = Source::new();
    source.takes(millis(50));
    let forewarm = engine().await;
    let policy = Policy { preload: PreloadPolicy::default(), ..plain() };
    let items = resource(&forewarm, "item", policy, &source);
    forewarm.start().await.unwrap();
    for _ in 0..4 * 3_600 {
        items.get(&1).await.unwrap();
        tokio::time::sleep(secs(1)).await;
    }
    let stats = items.stats();
    assert!(stats.hit_ratio() >= 0.999, "{} misses: {}", stats.misses, stats.hit_ratio());
    assert!(source.loads() <= 250, "{} loads in 240 ttls", source.loads());
}

/// C18: early refresh lets a read renew what is still fresh.
#[tokio::test(start_paused = true)]
async fn an_early_refresh_renews_behind_the_reader_and_before_the_expiry() {
    for (passed_secs, renews) in [(29, false), (31, true)] {
        let source = Source::new();
        let policy = Policy { early_refresh: Some(EarlyRefresh::After(0.5)), ..plain() };
        let (_engine, items) = items(policy, &source).await;
        value(&items, 1).await;
        pass(secs(passed_secs)).await;
        let new = source.change();
        let read = items.read(&1, &ReadOptions::new()).await.unwrap();
        assert_eq!((read.value.as_deref(), read.freshness), (Some(&0), Freshness::Fresh));
        others_run().await;
        assert_eq!(peeked(&items, 1), Some(if renews { new } else { 0 }), "{passed_secs} s");
    }
}

/// C18: a loader may answer that nothing has changed: the value stays and is as good as new.
#[tokio::test(start_paused = true)]
async fn a_validated_value_lives_again() {
    let source = Source::new();
    let (_engine, items) = items(plain(), &source).await;
    source.usually(Mood::Unchanged);
    assert!(matches!(items.get(&1).await, Err(Error::Load { .. })), "nothing was held");
    source.usually(Mood::Answers);
    value(&items, 1).await;
    source.usually(Mood::Unchanged);
    for _ in 0..5 {
        pass(secs(61)).await;
        let read = items.read(&1, &ReadOptions::new()).await.unwrap();
        assert_eq!((read.value.as_deref(), read.freshness), (Some(&0), Freshness::Fresh));
        assert_eq!((read.from, read.age), (ReadFrom::Source, secs(0)));
    }
    assert!(source.calls()[2..].iter().all(|call| call.held == Some(0)));
}

/// C18: what is said to be old is served while it is renewed, and if that fails.
#[tokio::test(start_paused = true)]
async fn an_expired_key_is_renewed_at_its_next_read() {
    let source = Source::new();
    let policy = Policy {
        stale_while_revalidate: Some(secs(30)),
        stale_if_error: Some(secs(300)),
        ..plain()
    };
    let (_engine, items) = items(policy, &source).await;
    value(&items, 1).await;
    pass(secs(5)).await;
    source.usually(Mood::Refuses);
    expire(&items, 1).await;
    let read = items.read(&1, &ReadOptions::new()).await.unwrap();
    assert_eq!((read.value.as_deref(), read.freshness), (Some(&0), Freshness::Stale));
    others_run().await;
    assert_eq!(source.loads(), 2);
    pass(secs(40)).await;
    assert_eq!(value(&items, 1).await, 0, "its renewals fail");
    pass(secs(30)).await;
    source.usually(Mood::Answers);
    let new = source.change();
    assert_eq!(value(&items, 1).await, new);
}

/// C18: the very next read after an expiry renews, with the clock of a running system too.
#[tokio::test]
async fn the_first_read_after_an_expiry_renews() {
    let source = Source::new();
    let policy = Policy { stale_while_revalidate: Some(secs(600)), ..plain() };
    let (forewarm, items) = items(policy, &source).await;
    for nth in 1..=20 {
        value(&items, 1).await;
        source.change();
        expire(&items, 1).await;
        assert_eq!(value(&items, 1).await, nth - 1, "served while it is renewed");
        forewarm.settled().await;
        assert_eq!(peeked(&items, 1), Some(nth));
    }
    assert_eq!(items.stats().l1_stale, 20);
}

/// C18: what a load brings that began before its key was said to be old is not taken for new.
#[tokio::test(start_paused = true)]
async fn a_load_from_before_does_not_renew_an_expired_key() {
    let source = Source::new();
    let policy = Policy { stale_while_revalidate: Some(secs(30)), ..plain() };
    let (_engine, items) = items(policy, &source).await;
    value(&items, 1).await;
    pass(secs(61)).await;
    let hold = source.hold();
    value(&items, 1).await;
    let new = source.change();
    expire(&items, 1).await;
    source.let_pass();
    drop(hold);
    others_run().await;
    let read = items.read(&1, &ReadOptions::new().fresh_only()).await.unwrap();
    assert_eq!(read.value.as_deref(), Some(&new));
}
