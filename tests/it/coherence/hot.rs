//! What is read much on one engine is at hand on the others.

use forewarm::{PreloadMode, ReadFrom};
use tokio::time::sleep;

use super::world::{SECOND, World};

#[tokio::test(start_paused = true)]
async fn what_is_hot_on_one_engine_is_copied_by_another_without_a_load() {
    for is_warm in [true, false] {
        let mut world = World::new();
        world.config.l2.share_hot_every = Some(SECOND);
        world.policy.preload.mode = if is_warm { PreloadMode::Predicted } else { PreloadMode::Off };
        let [one, two] = world.engines().await;
        for _ in 0..20 {
            one.get(1).await;
        }
        sleep(3 * SECOND).await;
        assert_eq!(two.users.peek(&1).is_some(), is_warm);
        assert!(two.users.peek(&2).is_none(), "nobody reads it");
        assert_eq!(world.source.loads(), 1);
        let from = if is_warm { ReadFrom::L1 } else { ReadFrom::L2 };
        assert_eq!(two.named(1).await, ("old".to_owned(), from));
    }
}

/// What was copied is void like any other when it is invalidated.
#[tokio::test(start_paused = true)]
async fn what_was_copied_is_invalidated_like_any_other() {
    let mut world = World::new();
    world.config.l2.share_hot_every = Some(SECOND);
    world.policy.preload.mode = PreloadMode::Predicted;
    let [one, two] = world.engines().await;
    for _ in 0..20 {
        one.get(1).await;
    }
    sleep(3 * SECOND).await;
    world.source.set(1, "new");
    one.invalidate(1).await;
    sleep(SECOND / 100).await;
    assert_eq!(two.get(1).await, "new");
}
