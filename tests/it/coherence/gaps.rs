//! What an engine does that cannot know what it has missed.

use forewarm::{Change, Node, ReadFrom};
use tokio::time::sleep;

use super::world::{MILLISECOND, WINDOW, World};
use crate::sim::{Fate, Line, Op};

#[tokio::test(start_paused = true)]
async fn a_log_that_was_cut_voids_everything() {
    let world = World::new();
    let [one, two] = world.engines().await;
    for id in [1, 2] {
        two.get(id).await;
    }
    two.forewarm.settled().await;
    two.line.bring_hints(false);
    world.source.set(1, "new");
    one.invalidate(1).await;
    world.store.cut_log();
    sleep(WINDOW).await;
    assert_eq!(two.named(1).await, ("new".to_owned(), ReadFrom::Source));
    // Nothing is wrong with this one, but who knows?
    assert_eq!(two.named(2).await, ("old".to_owned(), ReadFrom::L2));
    assert_eq!(two.counted("forewarm_coherence_gaps_total"), 1);
}

/// A log that is cut where everybody has heard of everything is none.
#[tokio::test(start_paused = true)]
async fn a_log_that_was_cut_behind_its_readers_voids_nothing() {
    let world = World::new();
    let [one, two] = world.engines().await;
    one.invalidate(2).await;
    sleep(2 * MILLISECOND).await;
    two.get(1).await;
    world.store.cut_log();
    sleep(WINDOW).await;
    assert_eq!(two.named(1).await.1, ReadFrom::L1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_restarts_empty_voids_everything() {
    let world = World::new();
    let [one, two] = world.engines().await;
    two.get(1).await;
    two.line.bring_hints(false);
    world.source.set(1, "new");
    one.invalidate(1).await;
    // What it has acknowledged it knows no more.
    world.store.restart_empty();
    sleep(WINDOW).await;
    assert_eq!(two.named(1).await, ("new".to_owned(), ReadFrom::Source));
}

#[tokio::test(start_paused = true)]
async fn what_a_store_holds_that_was_rolled_back_is_not_served() {
    let world = World::new();
    let [one, two] = world.engines().await;
    two.get(1).await;
    two.forewarm.settled().await;
    world.store.take_snapshot();
    world.source.set(1, "new");
    one.invalidate(1).await;
    one.get(1).await;
    world.store.roll_back();
    for engine in [&one, &two] {
        engine.forewarm.clear();
        assert_eq!(engine.get(1).await, "new");
    }
    sleep(WINDOW).await;
    for engine in [&one, &two] {
        assert_eq!(engine.get(1).await, "new");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_cannot_be_read_voids_everything() {
    let world = World::new();
    let [one, two] = world.engines().await;
    for engine in [&one, &two] {
        engine.get(1).await;
    }
    two.forewarm.settled().await;
    world.store.tell(Node::NONE, Change::Unknown);
    sleep(2 * MILLISECOND).await;
    for engine in [&one, &two] {
        assert_eq!(engine.named(1).await.1, ReadFrom::L2);
    }
}

/// Of a key that this engine cannot read it is not known which one it is.
#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_read_voids_its_resource() {
    let world = World::new();
    let engine = world.engine().await;
    engine.get(1).await;
    engine.forewarm.settled().await;
    let key = "shop:user:not a number".to_owned();
    world.store.tell(Node::NONE, Change::Key { key, lag: None });
    sleep(2 * MILLISECOND).await;
    assert_eq!(engine.named(1).await.1, ReadFrom::L2);
    // That of another engine is none of its business.
    let key = "shop:team:1".to_owned();
    world.store.tell(Node::NONE, Change::Key { key, lag: None });
    sleep(2 * MILLISECOND).await;
    assert_eq!(engine.named(1).await.1, ReadFrom::L1);
}

/// It has not heard what was acknowledged before the store lost it, since it had not heard anything.
#[tokio::test(start_paused = true)]
async fn an_engine_that_has_not_heard_anything_yet_may_have_missed_something() {
    let world = World::new();
    let (one, line) = (world.engine().await, Line::new(0));
    line.set(Op::Poll, Fate::Fails);
    let two = world.engine_over(&line).await;
    two.get(1).await;
    world.source.set(1, "new");
    one.invalidate(1).await;
    world.store.restart_empty();
    line.clear();
    sleep(WINDOW).await;
    assert_eq!(two.get(1).await, "new");
}
