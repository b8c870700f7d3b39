//! A source that says which version it gives, and may give an old one.

use forewarm::{Delivery, Error, InvalidateOptions};
use tokio::time::{Instant, sleep};

use super::world::{Engine, MILLISECOND, SECOND, World};

const KEY: &str = "shop:user:1";

/// Engines over a source that lags behind wherever it is asked. Each load is tried three times.
async fn behind() -> (World, [Engine; 2], InvalidateOptions) {
    let mut world = World::new();
    world.policy.source.attempts = 3;
    world.source.have_no_primary();
    let engines = world.engines().await;
    world.source.lag_behind(1);
    let version = world.source.set(1, "new");
    (world, engines, InvalidateOptions::new().min_version(version))
}

#[tokio::test(start_paused = true)]
async fn an_older_answer_is_asked_for_again_until_the_source_has_caught_up() {
    let (world, [one, two], options) = behind().await;
    assert_eq!(one.users.invalidate_with(&1, &options).await, Delivery::Applied);
    sleep(2 * MILLISECOND).await;
    let catch_up = async {
        sleep(SECOND / 20).await;
        world.source.catch_up();
    };
    let began = Instant::now();
    let (name, other, ()) = tokio::join!(one.get(1), two.get(1), catch_up);
    assert_eq!((&*name, &*other), ("new", "new"));
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_older_answer_is_refused_on_every_engine_that_has_heard() {
    let (world, [one, two], options) = behind().await;
    assert_eq!(one.users.invalidate_with(&1, &options).await, Delivery::Applied);
    sleep(2 * MILLISECOND).await;
    for engine in [&one, &two] {
        let loads = world.source.loads();
        let error = engine.users.get(&1).await.unwrap_err();
        assert!(matches!(&error, Error::Load { source, .. } if source.is_transient()), "{error:?}");
        assert_eq!(world.source.loads(), loads + 3, "it was tried again");
    }
    world.source.catch_up();
    sleep(SECOND).await;
    for engine in [&one, &two] {
        assert_eq!(engine.get(1).await, "new");
    }
}

#[tokio::test(start_paused = true)]
async fn l2_takes_only_what_is_new_enough() {
    let (world, [one, two], options) = behind().await;
    two.line.bring_hints(false);
    assert_eq!(one.users.invalidate_with(&1, &options).await, Delivery::Applied);
    // One that has not heard of it, and brings what was there before.
    assert_eq!(two.get(1).await, "old");
    two.forewarm.settled().await;
    assert!(!world.store.has(KEY));
    assert_eq!(two.counted("forewarm_fills_refused_total"), 1);
    world.source.catch_up();
    assert_eq!(one.get(1).await, "new");
    one.forewarm.settled().await;
    assert!(world.store.has(KEY));
}
