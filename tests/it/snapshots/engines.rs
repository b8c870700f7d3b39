//! Snapshots of several engines over one store, and of one that starts again.

use forewarm::{Clock, Forewarm, Snapshot};
use tokio::time::sleep;

use super::{HOUR, MINUTE, Parts, SECOND, Source, instant};
use crate::sim::{Line, SimStore};

struct Node {
    forewarm: Forewarm,
    line: Line,
    sections: Snapshot<Parts>,
}

async fn node(nth: u64, store: &SimStore, source: &Source, wall: &str) -> Node {
    let line = Line::new(nth);
    let clock = Clock::starting_at(instant(wall));
    let builder = Forewarm::builder().clock(clock).tier(store.connect_over(&line));
    let forewarm = builder.build().await.unwrap();
    let sections = forewarm.snapshot("sections").every(HOUR).jitter(30 * SECOND);
    let sections = source.feeds(sections).build().unwrap();
    forewarm.start().await.unwrap();
    Node { forewarm, line, sections }
}

fn versions(nodes: &[Node]) -> Vec<Option<u32>> {
    nodes.iter().map(|node| node.sections.get().map(|parts| parts[0])).collect()
}

#[tokio::test(start_paused = true)]
async fn the_source_is_asked_once_for_all_engines() {
    let (store, source) = (SimStore::new(), Source::of(2));
    source.takes(3 * SECOND);
    let mut nodes = Vec::new();
    for nth in 0..3 {
        nodes.push(node(nth, &store, &source, "2026-03-10T12:00:01Z").await);
    }
    sleep(MINUTE).await;
    assert_eq!((source.loads(), versions(&nodes)), (1, vec![Some(1); 3]));
    for hours in 1..=5 {
        sleep(HOUR).await;
        assert_eq!((source.loads(), versions(&nodes)), (1 + hours, vec![Some(1 + hours); 3]));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_told_to_renew_it_renews_it_everywhere_within_the_window() {
    let (store, source) = (SimStore::new(), Source::of(2));
    let mut nodes = Vec::new();
    for nth in 0..3 {
        nodes.push(node(nth, &store, &source, "2026-03-10T12:00:01Z").await);
    }
    sleep(MINUTE).await;
    nodes[1].sections.refresh().await.unwrap();
    assert_eq!(nodes[1].sections.get().unwrap()[0], 2);
    sleep(2 * SECOND).await;
    assert_eq!((source.loads(), versions(&nodes)), (2, vec![Some(2); 3]));
}

#[tokio::test(start_paused = true)]
async fn a_restart_asks_the_source_only_if_it_was_due_meanwhile() {
    let (store, source) = (SimStore::new(), Source::of(2));
    for (wall, loads) in [
        ("2026-03-10T12:00:01Z", 1),
        ("2026-03-10T12:40:00Z", 1),
        // Within these twenty minutes of the store's own time it was due.
        ("2026-03-10T13:00:05Z", 2),
        ("2026-03-10T13:30:00Z", 2),
    ] {
        let node = node(0, &store, &source, wall).await;
        node.sections.loaded().await.unwrap();
        sleep(10 * MINUTE).await;
        assert_eq!((source.loads(), node.sections.get().unwrap()[0]), (loads, loads), "{wall}");
        assert!(node.forewarm.shutdown(SECOND).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_a_dead_source_serves_what_the_store_has() {
    let (store, source) = (SimStore::new(), Source::of(2));
    let first = node(0, &store, &source, "2026-03-10T12:00:01Z").await;
    first.sections.loaded().await.unwrap();
    sleep(MINUTE).await;
    first.forewarm.shutdown(SECOND).await;
    sleep(2 * HOUR).await;

    source.fails(true);
    let second = node(0, &store, &source, "2026-03-10T14:01:01Z").await;
    assert_eq!(second.sections.loaded().await.unwrap()[0], 1);
    sleep(MINUTE).await;
    let status = second.sections.status();
    assert!(status.age > Some(2 * HOUR) && status.consecutive_failures > 0, "{status:?}");
    source.fails(false);
    sleep(10 * MINUTE).await;
    assert!(second.sections.status().age < Some(11 * MINUTE));
}

#[tokio::test(start_paused = true)]
async fn without_the_store_each_engine_asks_the_source() {
    let (store, source) = (SimStore::new(), Source::of(2));
    let mut nodes = Vec::new();
    for nth in 0..2 {
        nodes.push(node(nth, &store, &source, "2026-03-10T12:00:01Z").await);
    }
    sleep(MINUTE).await;
    for node in &nodes {
        node.line.cut_for(24 * HOUR);
    }
    sleep(HOUR + 5 * MINUTE).await;
    assert_eq!(source.loads(), 3);
    assert!(nodes.iter().all(|node| node.sections.status().age < Some(10 * MINUTE)));
}
