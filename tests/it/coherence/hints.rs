//! How soon others hear of an invalidation.

use forewarm::{Delivery, ReadFrom};
use tokio::time::sleep;

use super::world::{Engine, MILLISECOND, WINDOW, World};

/// Every way to invalidate user 1, whose tag is `red`.
async fn invalidate(engine: &Engine, how: &str) {
    let users = &engine.users;
    let delivery = match how {
        "key" => users.invalidate(&1).await,
        "tag" => users.invalidate_tag("red").await.unwrap(),
        "pattern" => users.invalidate_matching("?").await.unwrap(),
        "resource" => users.invalidate_all().await,
        _ => engine.forewarm.invalidate_all().await,
    };
    assert_eq!(delivery, Delivery::Applied, "{how}");
}

const HOW: [&str; 5] = ["key", "tag", "pattern", "resource", "engine"];

#[tokio::test(start_paused = true)]
async fn an_invalidation_is_heard_within_milliseconds() {
    for how in HOW {
        let world = World::new();
        world.source.tag(1, &["red"]);
        let [one, two] = world.engines().await;
        assert_eq!(two.get(1).await, "old");
        world.source.set(1, "new");
        invalidate(&one, how).await;
        sleep(2 * MILLISECOND).await;
        assert_eq!(two.named(1).await, ("new".to_owned(), ReadFrom::Source), "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_hints_an_invalidation_is_heard_within_the_window() {
    for how in HOW {
        let world = World::new();
        world.source.tag(1, &["red"]);
        let [one, two] = world.engines().await;
        two.line.bring_hints(false);
        assert_eq!(two.get(1).await, "old");
        world.source.set(1, "new");
        invalidate(&one, how).await;
        sleep(2 * MILLISECOND).await;
        assert_eq!(two.get(1).await, "old", "{how}");
        sleep(WINDOW).await;
        assert_eq!(two.get(1).await, "new", "{how}");
    }
}

/// Whatever else one engine loses, it knows of its own change at once.
#[tokio::test(start_paused = true)]
async fn who_invalidates_need_not_hear_of_it() {
    for how in HOW {
        let world = World::new();
        world.source.tag(1, &["red"]);
        let engine = world.engine().await;
        engine.line.bring_hints(false);
        assert_eq!(engine.get(1).await, "old");
        world.source.set(1, "new");
        invalidate(&engine, how).await;
        assert_eq!(engine.named(1).await, ("new".to_owned(), ReadFrom::Source), "{how}");
    }
}
