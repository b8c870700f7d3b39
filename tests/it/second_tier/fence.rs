//! Invalidations and L2: what was read before one is never seen after it.

use forewarm::{Config, Delivery, L2Config, Policy, ReadFrom, ReadOptions, TrustOnRestart};

use super::told::Mood;
use super::world::{Home, SECOND};

const ANY: ReadOptions = ReadOptions::new();

/// C21: L2 has heard of it when the call returns.
#[tokio::test]
async fn an_applied_invalidation_has_removed_the_row() {
    let home = Home::new();
    let world = home.open(Home::policy()).await;
    world.name(7).await;
    home.source.set(7, "Ada");
    assert_eq!(world.users.invalidate(&7).await, Delivery::Applied);
    assert_eq!(home.rows().await, 0);
    assert_eq!(world.name(7).await, "Ada");
}

/// C21: a load that began before an invalidation fills neither tier, however late it ends.
#[tokio::test]
async fn a_load_that_was_overtaken_reaches_no_tier() {
    let home = Home::new();
    let world = home.open(Home::policy()).await;
    home.source.hold();
    let (early, ()) = tokio::join!(world.users.get(&7), async {
        home.source.has_begun().await;
        home.source.set(7, "Ada");
        assert_eq!(world.users.invalidate(&7).await, Delivery::Applied);
        home.source.let_go();
    });
    // It began before the invalidation, and so did its read.
    assert_eq!(early.unwrap().unwrap().as_str(), "user 7");
    world.forewarm.settled().await;
    assert_eq!((home.rows().await, world.users.peek(&7).is_none()), (0, true));
    assert_eq!(world.name(7).await, "Ada");
}

/// C21: so does a load that a put overtook.
#[tokio::test]
async fn a_put_is_not_overwritten_by_an_older_load() {
    let home = Home::new();
    let world = home.open(Home::policy()).await;
    home.source.hold();
    let (early, ()) = tokio::join!(world.users.get(&7), async {
        home.source.has_begun().await;
        assert_eq!(world.users.put(&7, "Ada".to_owned()).await, Delivery::Applied);
        home.source.let_go();
    });
    assert!(early.is_ok());
    world.forewarm.settled().await;
    assert_eq!(world.name(7).await, "Ada");
    world.forget();
    let read = world.users.read(&7, &ANY).await.unwrap();
    assert_eq!((read.value.unwrap().as_str(), read.from), ("Ada", ReadFrom::L2));
}

/// C21: an invalidation that L2 has not heard of closes the key: nothing is read from there.
#[tokio::test]
async fn a_queued_invalidation_keeps_readers_from_l2_until_it_is_delivered() {
    let home = Home::new();
    let world = home.open(Home::policy()).await;
    world.name(7).await;
    world.name(8).await;
    home.told.writes(Mood::Fails);
    home.source.set(7, "Ada");
    assert_eq!(world.users.invalidate(&7).await, Delivery::Queued);
    // The old row is still there, and L2 could be read.
    assert_eq!(home.rows().await, 2);
    for _ in 0..3 {
        world.forget();
        assert_eq!(world.name(7).await, "Ada");
    }
    assert_eq!(world.users.stats().queued_invalidations, 1);

    home.told.writes(Mood::Works);
    home.clock.advance(2 * SECOND);
    home.told.invalidated().await;
    world.forewarm.settled().await;
    assert_eq!(home.rows().await, 1);
    while world.users.stats().queued_invalidations > 0 {
        tokio::task::yield_now().await;
    }
    let loads = home.source.loads();
    for from in [ReadFrom::Source, ReadFrom::L2] {
        world.forget();
        let read = world.users.read(&7, &ANY).await.unwrap();
        assert_eq!((read.value.unwrap().as_str(), read.from), ("Ada", from));
        world.forewarm.settled().await;
    }
    assert_eq!(home.source.loads(), loads + 1);
}

/// C21: more than the outbox holds closes the resource, which is never too little.
#[tokio::test]
async fn an_overflowing_outbox_closes_the_whole_resource() {
    let home = Home::new();
    let l2 = L2Config { outbox_max: 10, ..Home::config().l2 };
    let tier = home.options().open().await.unwrap();
    let config = Config { l2, ..Home::config() };
    let world = home.open_with(Home::policy(), config, tier).await;
    for key in 0..30 {
        world.name(key).await;
    }
    home.told.writes(Mood::Fails);
    for key in 0..20 {
        home.source.set(key, "new");
        assert_eq!(world.users.invalidate(&key).await, Delivery::Queued);
    }
    assert!(world.users.stats().queued_invalidations <= 11);
    world.forget();
    let begun = home.told.calls().begin;
    for key in 0..20 {
        assert_eq!(world.name(key).await, "new");
    }
    assert_eq!(home.told.calls().begin, begun, "the resource is closed");

    home.told.writes(Mood::Works);
    home.clock.advance(2 * SECOND);
    home.told.invalidated().await;
    while world.users.stats().queued_invalidations > 0 {
        tokio::task::yield_now().await;
    }
    world.forget();
    for key in 0..30 {
        assert_eq!(
            world.name(key).await,
            if key < 20 { "new".into() } else { format!("user {key}") }
        );
    }
}

/// C21: L2 forgets that it may be served, and keeps it for a source that fails.
#[tokio::test]
async fn an_expired_value_is_renewed_and_kept_for_a_failing_source() {
    let home = Home::new();
    let world = home.open(Home::policy()).await;
    world.name(7).await;
    home.source.set(7, "Ada");
    assert_eq!(world.users.expire(&7).await, Delivery::Applied);
    world.forget();
    home.source.fail(true);
    assert_eq!(world.name(7).await, "user 7");
    home.source.fail(false);
    home.clock.advance(10 * SECOND);
    world.forget();
    assert_eq!(world.name(7).await, "Ada");
}

/// C21: neither does a stale answer bring back what was invalidated.
#[tokio::test]
async fn no_stale_answer_brings_back_what_was_invalidated() {
    for trust_on_restart in [TrustOnRestart::StaleOnly, TrustOnRestart::WithinTtl] {
        let home = Home::new();
        let policy = || Policy {
            stale_while_revalidate: Some(60 * SECOND),
            trust_on_restart,
            ..Home::policy()
        };
        let world = home.open(policy()).await;
        world.name(7).await;
        world.close().await;
        let world = home.open(policy()).await;
        assert_eq!(world.name(7).await, "user 7");
        home.clock.advance(61 * SECOND);
        assert_eq!(world.users.invalidate(&7).await, Delivery::Applied);
        home.source.fail(true);
        assert!(world.users.get(&7).await.is_err(), "{trust_on_restart:?}");
        world.forget();
        assert!(world.users.get(&7).await.is_err(), "{trust_on_restart:?}");
    }
}
