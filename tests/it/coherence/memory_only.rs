//! Resources whose values stay in memory hear of invalidations too.

use forewarm::{Clock, Delivery, Forewarm, ReadFrom, ReadOptions, Resource, Store};
use tokio::time::sleep;

use super::world::{MILLISECOND, WINDOW, World};
use crate::sim::{Line, SimStore};

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_kept_in_memory_only_hears_of_invalidations() {
    for has_hints in [true, false] {
        let mut world = World::new();
        world.policy.store = Store::Memory;
        world.source.tag(1, &["red"]);
        let [one, two] = world.engines().await;
        two.line.bring_hints(has_hints);
        for (round, how) in ["key", "tag", "pattern", "all"].into_iter().enumerate() {
            two.get(1).await;
            let name = round.to_string();
            world.source.set(1, &name);
            let delivery = match how {
                "key" => one.users.invalidate(&1).await,
                "tag" => one.users.invalidate_tag("red").await.unwrap(),
                "pattern" => one.users.invalidate_matching("1").await.unwrap(),
                _ => one.users.invalidate_all().await,
            };
            assert_eq!(delivery, Delivery::Applied);
            sleep(if has_hints { 2 * MILLISECOND } else { WINDOW }).await;
            assert_eq!(two.named(1).await, (name, ReadFrom::Source), "{how}");
        }
        assert_eq!(world.store.keys(), [""; 0]);
    }
}

/// A value that cannot be written down.
struct Handle(u64);

async fn handles(store: &SimStore) -> (Forewarm, Resource<u32, Handle>, Line) {
    let line = Line::new(0);
    let builder = Forewarm::builder().prefix("shop").clock(Clock::system());
    let forewarm = builder.tier(store.connect_over(&line)).build().await.unwrap();
    let handles = forewarm.memory_resource::<u32, Handle>("handle");
    let handles = handles.load_with(|id| async move { Ok(Handle(u64::from(id))) }).build().unwrap();
    forewarm.start().await.unwrap();
    sleep(MILLISECOND).await;
    (forewarm, handles, line)
}

#[tokio::test(start_paused = true)]
async fn a_resource_of_values_that_cannot_be_written_hears_of_invalidations() {
    let store = SimStore::new();
    let (_one, by_one, _) = handles(&store).await;
    let (_two, by_two, _) = handles(&store).await;
    assert_eq!(by_two.get(&1).await.unwrap().unwrap().0, 1);
    assert_eq!(by_one.invalidate(&1).await, Delivery::Applied);
    sleep(2 * MILLISECOND).await;
    let read = by_two.read(&1, &ReadOptions::new()).await.unwrap();
    assert_eq!(read.from, ReadFrom::Source);
}
