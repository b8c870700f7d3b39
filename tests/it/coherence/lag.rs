//! A source that answers from copies which lag behind.

use forewarm::{Delivery, ReadFrom, ReadOptions};
use tokio::time::sleep;

use super::world::{Engine, MILLISECOND, SECOND, World};

const KEY: &str = "shop:user:1";

/// Engines over a source whose copies lag behind for up to 10 s, and do so now for user 1.
async fn lagging() -> (World, [Engine; 2]) {
    let mut world = World::new();
    world.policy.replica_lag = Some(10 * SECOND);
    world.source.tag(1, &["red"]);
    let engines = world.engines().await;
    // What was changed just before they began they do not know.
    sleep(11 * SECOND).await;
    world.source.lag_behind(1);
    (world, engines)
}

#[tokio::test(start_paused = true)]
async fn after_an_invalidation_every_engine_asks_where_changes_are_made() {
    let (world, [one, two]) = lagging().await;
    two.get(1).await;
    world.source.set(1, "new");
    assert_eq!(one.users.invalidate(&1).await, Delivery::Applied);
    assert_eq!(one.get(1).await, "new");
    sleep(2 * MILLISECOND).await;
    assert_eq!(two.named(1).await, ("new".to_owned(), ReadFrom::Source));
    assert_eq!((world.source.loads(), world.source.at_primary()), (3, 2));
    two.forewarm.settled().await;
    assert!(!world.store.has(KEY), "L2 takes nothing meanwhile");
    // Nothing is known of other keys.
    one.get(2).await;
    assert_eq!(world.source.at_primary(), 2);

    sleep(11 * SECOND).await;
    world.source.catch_up();
    for engine in [&one, &two] {
        engine.forewarm.clear();
        engine.get(1).await;
        engine.forewarm.settled().await;
    }
    assert_eq!((world.source.loads(), world.source.at_primary()), (5, 2));
    assert!(world.store.has(KEY));
}

/// An engine that has not heard of the change yet loads what was there before, for itself.
#[tokio::test(start_paused = true)]
async fn what_was_loaded_from_a_copy_does_not_get_to_the_others() {
    let (world, [one, two]) = lagging().await;
    two.line.bring_hints(false);
    world.source.set(1, "new");
    assert_eq!(one.users.invalidate(&1).await, Delivery::Applied);
    assert_eq!(two.get(1).await, "old");
    two.forewarm.settled().await;
    assert_eq!(one.get(1).await, "new");
    sleep(SECOND).await;
    assert_eq!(two.get(1).await, "new");
}

/// A put is an invalidation too.
#[tokio::test(start_paused = true)]
async fn after_a_put_every_engine_asks_where_changes_are_made() {
    let (world, [one, two]) = lagging().await;
    two.get(1).await;
    world.source.set(1, "put");
    assert_eq!(one.users.put(&1, "put".to_owned()).await, Delivery::Applied);
    assert_eq!(one.named(1).await, ("put".to_owned(), ReadFrom::L1));
    sleep(2 * MILLISECOND).await;
    assert_eq!(two.get(1).await, "put");
    one.forewarm.clear();
    assert_eq!(one.get(1).await, "put");
    assert_eq!(world.source.at_primary(), 2);
    assert!(!world.store.has(KEY));
}

#[tokio::test(start_paused = true)]
async fn who_bypasses_the_cache_asks_where_changes_are_made() {
    let (world, [one, _two]) = lagging().await;
    world.source.set(1, "new");
    let bypass = ReadOptions::new().bypass();
    assert_eq!(*one.users.read(&1, &bypass).await.unwrap().value.unwrap(), "old");
    assert_eq!(one.users.invalidate(&1).await, Delivery::Applied);
    assert_eq!(*one.users.read(&1, &bypass).await.unwrap().value.unwrap(), "new");
}

/// Which keys it was about, only those know who hold their values.
#[tokio::test(start_paused = true)]
async fn after_a_group_was_invalidated_every_engine_asks_where_changes_are_made() {
    for how in ["tag", "pattern", "all"] {
        let (world, [one, two]) = lagging().await;
        two.get(1).await;
        world.source.set(1, "new");
        let delivery = match how {
            "tag" => one.users.invalidate_tag("red").await.unwrap(),
            "pattern" => one.users.invalidate_matching("?").await.unwrap(),
            _ => one.users.invalidate_all().await,
        };
        assert_eq!(delivery, Delivery::Applied);
        sleep(2 * MILLISECOND).await;
        assert_eq!(two.get(1).await, "new", "{how}");
        one.forewarm.clear();
        assert_eq!(one.get(1).await, "new", "{how}");
        assert_eq!((world.source.loads(), world.source.at_primary()), (2, 1), "{how}");
    }
}

/// What was changed is not known, so it may have been anything, and of late.
#[tokio::test(start_paused = true)]
async fn after_a_gap_an_engine_asks_where_changes_are_made() {
    let (world, [one, two]) = lagging().await;
    two.get(1).await;
    two.line.bring_hints(false);
    world.source.set(1, "new");
    assert_eq!(one.users.invalidate(&1).await, Delivery::Applied);
    world.store.cut_log();
    sleep(SECOND).await;
    assert_eq!(two.named(1).await, ("new".to_owned(), ReadFrom::Source));
    assert_eq!(world.source.at_primary(), 1);
}

/// Whether it hears of what was changed just before is not sure.
#[tokio::test(start_paused = true)]
async fn an_engine_that_has_just_begun_asks_where_changes_are_made() {
    let (world, [one, _two]) = lagging().await;
    world.source.set(1, "new");
    assert_eq!(one.users.invalidate(&1).await, Delivery::Applied);
    world.store.cut_log();
    let three = world.engine().await;
    assert_eq!(three.get(1).await, "new");
}
