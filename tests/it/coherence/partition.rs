//! What an engine answers that can reach neither L2 nor the source.

use std::time::Duration;

use forewarm::{Error, Partition, ReadFrom, ReadOptions};
use tokio::time::sleep;

use super::world::{Engine, MINUTE, WINDOW, World};

/// An engine that is cut off and does not know any more whether what it holds of user 1 is void.
async fn cut_off(partition: Partition, flights_max: usize) -> (World, Engine) {
    let mut world = World::new();
    world.policy.partition = partition;
    world.policy.source.flights_max = flights_max;
    let engine = world.engine().await;
    engine.get(1).await;
    engine.line.cut_for(MINUTE);
    sleep(WINDOW).await;
    (world, engine)
}

#[tokio::test(start_paused = true)]
async fn what_is_not_verified_is_loaded_anew_whatever_the_policy() {
    for partition in [Partition::Bounded, Partition::Strict] {
        let (world, engine) = cut_off(partition, 10).await;
        world.source.set(1, "new");
        let read = engine.read(1).await;
        assert_eq!((read.from, read.is_verified), (ReadFrom::Source, true));
        assert_eq!(*read.value.unwrap(), "new");
    }
}

/// Only if there are too many loads under way, and only labelled.
#[tokio::test(start_paused = true)]
async fn what_is_not_verified_is_served_if_too_many_loads_are_under_way_and_only_labelled() {
    for partition in [Partition::Bounded, Partition::Strict] {
        let (world, engine) = cut_off(partition, 1).await;
        world.source.take(10 * WINDOW);
        let read = async {
            sleep(Duration::from_millis(300)).await;
            engine.users.read(&1, &ReadOptions::new()).await
        };
        let (_, read) = tokio::join!(engine.get(2), read);
        match (partition, read) {
            (Partition::Bounded, Ok(read)) => {
                assert_eq!((read.from, read.is_verified), (ReadFrom::L1, false));
                assert_eq!(*read.value.unwrap(), "old");
            }
            (Partition::Strict, Err(Error::Overloaded { .. })) => {}
            (partition, read) => panic!("{partition:?}: {read:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_verified_is_not_served_instead_of_an_error_of_the_source() {
    for partition in [Partition::Bounded, Partition::Strict] {
        let (world, engine) = cut_off(partition, 10).await;
        world.source.fail(true);
        let error = engine.users.get(&1).await.unwrap_err();
        assert!(matches!(error, Error::Load { .. }), "{error:?}");
        // What it has heard of by then, it may serve.
        engine.line.mend();
        sleep(WINDOW).await;
        let read = engine.read(1).await;
        assert_eq!((read.from, read.is_verified), (ReadFrom::L1, true));
    }
}
