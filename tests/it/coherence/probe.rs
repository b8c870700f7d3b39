//! Looking for values that are stale although they should not be.

use tokio::time::sleep;

use super::world::{SECOND, WINDOW, World};

const STALE: &str = "forewarm_stale_observed_total";

fn world() -> World {
    let mut world = World::new();
    world.config.l2.probe_one_in = Some(1);
    world
}

#[tokio::test(start_paused = true)]
async fn a_value_that_was_changed_behind_the_back_of_the_cache_is_counted() {
    let world = world();
    let [one, two] = world.engines().await;
    world.source.set(1, "new");
    one.invalidate(1).await;
    sleep(SECOND).await;
    for engine in [&one, &two] {
        engine.get(1).await;
    }
    world.source.set(1, "newer");
    sleep(WINDOW).await;
    for engine in [&one, &two] {
        let counts = engine.counts();
        let stale: Vec<_> =
            counts.into_iter().filter(|(name, _)| name.starts_with(STALE)).collect();
        let expected = ["user l1", "user l2"].map(|labels| (format!("{STALE} {labels}"), 1));
        assert_eq!(stale, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_else_is_counted() {
    let world = world();
    let [one, two] = world.engines().await;
    for round in 0..20 {
        for engine in [&one, &two] {
            engine.get(1).await;
        }
        world.source.set(1, &round.to_string());
        let by = if round % 2 == 0 { &one } else { &two };
        by.invalidate(1).await;
        sleep(SECOND / 3).await;
    }
    sleep(2 * WINDOW).await;
    for engine in [&one, &two] {
        assert_eq!(engine.counted(STALE), 0);
    }
}
