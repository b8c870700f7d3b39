//! What one engine says to be old is old for the others.

use forewarm::{Delivery, Freshness, ReadFrom, ReadOptions};
use tokio::time::sleep;

use super::world::{MILLISECOND, SECOND, WINDOW, World};

#[tokio::test(start_paused = true)]
async fn an_expiry_is_heard_and_the_old_value_served_until_it_is_renewed() {
    for has_hints in [true, false] {
        let world = World::new();
        let [one, two] = world.engines().await;
        two.line.bring_hints(has_hints);
        two.get(1).await;
        sleep(SECOND).await;
        world.source.set(1, "new");
        assert_eq!(one.users.expire(&1).await, Delivery::Applied);
        sleep(if has_hints { 2 * MILLISECOND } else { WINDOW }).await;
        let read = two.read(1).await;
        assert_eq!((read.from, read.freshness), (ReadFrom::L1, Freshness::Stale));
        assert_eq!(*read.value.unwrap(), "old");
        two.forewarm.settled().await;
        let read = two.read(1).await;
        assert_eq!((read.from, read.freshness), (ReadFrom::L1, Freshness::Fresh));
        assert_eq!(*read.value.unwrap(), "new");
    }
}

#[tokio::test(start_paused = true)]
async fn who_wants_a_fresh_value_waits_for_one_after_an_expiry_of_another() {
    let world = World::new();
    let [one, two] = world.engines().await;
    two.get(1).await;
    world.source.set(1, "new");
    assert_eq!(one.users.expire(&1).await, Delivery::Applied);
    sleep(2 * MILLISECOND).await;
    let read = two.users.read(&1, &ReadOptions::new().fresh_only()).await.unwrap();
    assert_eq!(read.freshness, Freshness::Fresh);
    assert_eq!(*read.value.unwrap(), "new");
}

/// The source is down: what is old is better than nothing.
#[tokio::test(start_paused = true)]
async fn an_expired_value_answers_while_the_source_fails() {
    let world = World::new();
    let [one, two] = world.engines().await;
    two.get(1).await;
    world.source.fail(true);
    assert_eq!(one.users.expire(&1).await, Delivery::Applied);
    sleep(2 * MILLISECOND).await;
    for _ in 0..3 {
        assert_eq!(two.get(1).await, "old");
        sleep(SECOND).await;
    }
}
