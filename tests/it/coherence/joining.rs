//! Which loads may be waited for.

use std::time::Duration;

use forewarm::{ReadFrom, ReadOptions};
use futures_util::future::join_all;
use tokio::time::sleep;

use super::world::{MILLISECOND, MINUTE, SECOND, WINDOW, World};

/// A load that began longer ago than that may miss what others have changed.
#[tokio::test(start_paused = true)]
async fn a_load_older_than_the_window_is_joined_only_under_a_lease() {
    for (is_cut, loads, name) in [(false, 1, "old"), (true, 2, "new")] {
        let world = World::new();
        let engine = world.engine().await;
        world.source.take(5 * SECOND);
        if is_cut {
            engine.line.cut_for(MINUTE);
        }
        let late = async {
            sleep(WINDOW + SECOND / 2).await;
            // Behind the back of the cache.
            world.source.set(1, "new");
            engine.get(1).await
        };
        let (early, late) = tokio::join!(engine.get(1), late);
        assert_eq!((&*early, &*late, world.source.loads()), ("old", name, loads));
    }
}

/// What tags a value has is known only when it comes.
#[tokio::test(start_paused = true)]
async fn who_joins_a_load_whose_tag_was_invalidated_before_loads_again() {
    for (is_own, is_batch) in [(true, false), (true, true), (false, false), (false, true)] {
        let world = World::new();
        world.source.tag(1, &["red"]);
        world.source.take(SECOND);
        let [one, two] = world.engines().await;
        let (invalidates, reads) = if is_own { (&two, &two) } else { (&one, &two) };
        let late = async {
            sleep(SECOND / 2).await;
            world.source.set(1, "new");
            invalidates.invalidate_tag("red").await;
            sleep(2 * MILLISECOND).await;
            if is_batch {
                let mut users = reads.users.get_many(&[1, 2]).await;
                users.remove(0).unwrap().unwrap().to_string()
            } else {
                reads.get(1).await
            }
        };
        let (early, late) = tokio::join!(reads.get(1), late);
        assert_eq!((&*early, &*late), ("old", "new"), "{is_own} {is_batch}");
        assert_eq!(reads.named(1).await, ("new".to_owned(), ReadFrom::L1));
    }
}

#[tokio::test(start_paused = true)]
async fn who_joins_a_load_whose_tag_was_not_invalidated_does_not_load_again() {
    let world = World::new();
    world.source.tag(1, &["red"]);
    world.source.take(SECOND);
    let engine = world.engine().await;
    let late = async {
        sleep(SECOND / 2).await;
        engine.invalidate_tag("blue").await;
        engine.get(1).await
    };
    tokio::join!(engine.get(1), late);
    assert_eq!(world.source.loads(), 1);
}

/// L2 was asked for what satisfies those who began the load.
#[tokio::test(start_paused = true)]
async fn who_wants_a_young_value_does_not_take_an_old_one_that_others_ask_l2_for() {
    let world = World::new();
    let [one, two] = world.engines().await;
    one.get(1).await;
    sleep(10 * SECOND).await;
    world.source.set(1, "new");
    let young = ReadOptions::new().max_age(Duration::from_secs(5));
    for options in [young, young, ReadOptions::new().refresh()] {
        two.forewarm.clear();
        let anybody = two.get(1);
        let (_, read) = tokio::join!(anybody, two.users.read(&1, &options));
        assert_eq!(*read.unwrap().value.unwrap(), "new");
    }
}

/// However many come, and whatever each of them wants.
#[tokio::test(start_paused = true)]
async fn those_who_want_young_values_share_a_load() {
    let world = World::new();
    let [one, two] = world.engines().await;
    one.get(1).await;
    sleep(10 * SECOND).await;
    world.source.take(SECOND / 10);
    let young = ReadOptions::new().max_age(Duration::from_secs(5));
    let reads = join_all((0..100).map(|_| two.users.read(&1, &young))).await;
    assert!(reads.into_iter().all(|read| read.unwrap().age < Duration::from_secs(5)));
    assert_eq!(world.source.loads(), 2);
}
