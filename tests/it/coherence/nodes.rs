//! Engines know which others share their store.

use std::collections::BTreeSet;

use forewarm::{Forewarm, NodeSeen};
use tokio::time::sleep;

use super::world::{MILLISECOND, SECOND, World};
use crate::sim::{Fate, Op};

/// Who is known, as texts, and the longest time that one has not been seen.
fn named(nodes: &[NodeSeen]) -> (BTreeSet<String>, std::time::Duration) {
    assert!(nodes[0].is_self && nodes.iter().filter(|node| node.is_self).count() == 1);
    let names = nodes.iter().map(|node| node.node.to_string()).collect();
    (names, nodes.iter().map(|node| node.seen_ago).max().unwrap())
}

#[tokio::test(start_paused = true)]
async fn engines_that_share_a_store_know_of_each_other() {
    let mut world = World::new();
    world.config.l2.share_hot_every = Some(2 * SECOND);
    let [one, two, three] = world.engines().await;
    sleep(3 * SECOND).await;
    let (names, ago) = named(&one.forewarm.nodes().await);
    assert_eq!(names.len(), 3);
    assert_eq!(named(&two.forewarm.nodes().await).0, names);
    assert!(ago <= 2 * SECOND, "{ago:?}");
    world.config.prefix = "other".into();
    let stranger = world.engine().await;
    assert_eq!(stranger.forewarm.nodes().await.len(), 1);

    // One ends in order; one is cut off and forgotten, and knows itself alone.
    assert!(three.forewarm.shutdown(SECOND).await);
    assert_eq!(one.forewarm.nodes().await.len(), 2);
    two.line.set(Op::MergeHot, Fate::Fails);
    sleep(3 * SECOND).await;
    let (names, ago) = named(&one.forewarm.nodes().await);
    assert!(names.len() == 2 && ago > 2 * SECOND, "{ago:?}");
    sleep(4 * SECOND).await;
    assert_eq!(one.forewarm.nodes().await.len(), 1);
    assert_eq!(two.forewarm.nodes().await.len(), 1);
    two.line.clear();
    sleep(10 * SECOND).await;
    assert_eq!(one.forewarm.nodes().await.len(), 2);
}

/// A change wakes them all: the more there are, the less often each polls, so that together they do
/// not ask more of the store than it can answer.
#[tokio::test(start_paused = true)]
async fn engines_share_the_time_of_their_store() {
    let mut world = World::new();
    world.config.l2.share_hot_every = Some(2 * SECOND);
    let [one, two, _others @ ..] = world.engines::<40>().await;
    sleep(3 * SECOND).await;
    // Nor does one poll more often that cannot ask how many they are.
    one.line.set(Op::MergeHot, Fate::Fails);
    sleep(3 * SECOND).await;
    let polls = || [&one, &two].map(|engine| engine.line.calls(Op::Poll));
    let before = polls();
    for _ in 0..1_000 {
        two.invalidate(1).await;
        sleep(MILLISECOND).await;
    }
    for (before, now) in before.into_iter().zip(polls()) {
        assert!((200..=300).contains(&(now - before)), "{} polls in a second", now - before);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_second_tier_there_are_no_nodes() {
    let forewarm = Forewarm::builder().build().await.unwrap();
    forewarm.start().await.unwrap();
    assert_eq!(forewarm.nodes().await, []);
}
