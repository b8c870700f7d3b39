//! Values that are put, and what others have changed meanwhile.

use forewarm::{Delivery, ReadFrom};
use tokio::time::sleep;

use super::world::{Engine, MILLISECOND, SECOND, WINDOW, World};
use crate::sim::{Fate, Op, Removed, SimStore};

const KEY: &str = "shop:user:1";

async fn put(engine: &Engine, name: &str) {
    assert_eq!(engine.users.put(&1, name.to_owned()).await, Delivery::Applied);
}

#[tokio::test(start_paused = true)]
async fn what_is_put_is_seen_by_all() {
    let world = World::new();
    let [one, two] = world.engines().await;
    two.get(1).await;
    world.source.set(1, "put");
    put(&one, "put").await;
    assert_eq!(one.named(1).await, ("put".to_owned(), ReadFrom::L1));
    sleep(2 * MILLISECOND).await;
    assert_eq!(two.named(1).await, ("put".to_owned(), ReadFrom::L2));
}

#[tokio::test(start_paused = true)]
async fn a_put_is_refused_by_l2_after_a_change_that_its_engine_has_not_heard_of() {
    for how in ["key", "tag", "pattern", "all", "expiry", "put"] {
        let mut world = World::new();
        world.tags = &["red"];
        let [one, two] = world.engines().await;
        two.line.bring_hints(false);
        let delivery = match how {
            "key" => one.users.invalidate(&1).await,
            "tag" => one.users.invalidate_tag("red").await.unwrap(),
            "pattern" => one.users.invalidate_matching("?").await.unwrap(),
            "all" => one.users.invalidate_all().await,
            "expiry" => one.users.expire(&1).await,
            _ => one.users.put(&1, "other".to_owned()).await,
        };
        assert_eq!(delivery, Delivery::Applied);
        put(&two, "put").await;
        assert!(!world.store.has(KEY), "{how}");
        assert_eq!(two.counted("forewarm_fills_refused_total"), 1, "{how}");
        // Once it has heard of it, the next one is stored.
        sleep(WINDOW).await;
        put(&two, "put").await;
        assert!(world.store.has(KEY), "{how}");
    }
}

/// A put may be executed late, and what the same engine has changed since would be undone.
#[tokio::test(start_paused = true)]
async fn a_put_is_refused_by_l2_after_a_change_of_its_own_engine_that_it_has_not_followed() {
    let world = World::new();
    let engine = world.engine().await;
    engine.line.bring_hints(false);
    put(&engine, "first").await;
    assert!(world.store.has(KEY));
    put(&engine, "second").await;
    assert!(!world.store.has(KEY));
    assert_eq!(engine.named(1).await, ("second".to_owned(), ReadFrom::L1));
    sleep(WINDOW).await;
    put(&engine, "third").await;
    assert!(world.store.has(KEY));
}

/// What it knows may be too old to compare with.
#[tokio::test(start_paused = true)]
async fn an_engine_without_a_lease_puts_nothing_into_l2() {
    let mut world = World::new();
    world.config.l2.breaker_failures = 1_000;
    let engine = world.engine().await;
    engine.line.set(Op::Poll, Fate::Fails);
    sleep(WINDOW).await;
    put(&engine, "put").await;
    assert!(!world.store.has(KEY));
    assert_eq!(engine.named(1).await, ("put".to_owned(), ReadFrom::L1));
}

/// What it brings is older by then than what came meanwhile.
#[tokio::test(start_paused = true)]
async fn a_put_that_is_executed_late_undoes_no_later_change_of_its_own_engine() {
    for (removed, is_stored) in [(None, false), (Some(Removed::OwnSince), true)] {
        let mut world = World::new();
        world.store = SimStore::without(removed);
        let [one, two] = world.engines().await;
        let there = 2 * SECOND;
        one.line.set(Op::Put, Fate::Takes { there, back: MILLISECOND });
        world.source.set(1, "put");
        assert_eq!(one.users.put(&1, "put".to_owned()).await, Delivery::Queued);
        sleep(SECOND).await;
        assert_eq!(
            one.users.stats().queued_invalidations,
            0,
            "it was delivered as an invalidation"
        );
        world.source.set(1, "new");
        assert_eq!(one.users.invalidate(&1).await, Delivery::Applied);
        sleep(there).await;
        assert_eq!(world.store.has(KEY), is_stored, "{removed:?}");
        let name = if is_stored { "put" } else { "new" };
        assert_eq!(two.get(1).await, name, "{removed:?}");
    }
}
