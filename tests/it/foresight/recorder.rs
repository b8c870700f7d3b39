//! What is remembered of reads.

use std::time::Duration;

use forewarm::{Capacity, Delivery, Policy, ReadOptions, Resource, Store};
use tokio::task::JoinSet;

use super::scrapes::Scrapes;
use super::source::{Mood, Source, plain, started};

/// The score of a key.
fn score(items: &Resource<u64, String>, key: u64) -> f64 {
    items.explain(&key).score
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-4 * b
}

/// C04: the read path records by itself, each read once, whichever way it is made.
#[tokio::test(start_paused = true)]
async fn every_way_to_read_records_one_read() {
    let source = Source::new();
    source.mood(3, Mood::HasNone);
    source.mood(4, Mood::Refuses);
    let (_forewarm, items) = started(plain(), &source).await;
    for key in [1, 2, 3, 4] {
        for nth in 0..2 {
            let read = f64::from(4 * nth);
            drop(items.get(&key).await);
            assert!(close(score(&items, key), read + 1.0), "get {key}, {nth}");
            drop(items.with(&key, |_| ()).await);
            assert!(close(score(&items, key), read + 2.0), "with {key}, {nth}");
            drop(items.read(&key, &ReadOptions::new()).await);
            assert!(close(score(&items, key), read + 3.0), "read {key}, {nth}");
            drop(items.get_many(&[key]).await);
            assert!(close(score(&items, key), read + 4.0), "get_many {key}, {nth}");
        }
    }
    assert_eq!(items.stats().total_accesses, 4 * 2 * 4);
}

/// C04: what is no read is not recorded.
#[tokio::test(start_paused = true)]
async fn looking_changing_and_loading_ahead_record_nothing() {
    let source = Source::new();
    let (forewarm, items) = started(plain(), &source).await;
    items.get(&1).await.unwrap();
    items.preload(&[1, 2]).await;
    assert!(items.peek(&1).is_some() && items.peek(&2).is_some());
    assert_eq!((items.hot_keys(5).len(), forewarm.stats().len()), (2, 1));
    assert_eq!(items.put(&1, "new".to_owned()).await, Delivery::Applied);
    assert_eq!(items.expire(&1).await, Delivery::Applied);
    assert_eq!(items.invalidate(&1).await, Delivery::Applied);
    assert_eq!((score(&items, 1), score(&items, 2)), (1.0, 0.0));
    assert_eq!(items.stats().total_accesses, 1);
}

/// C04: no count is lost, from however many threads keys are read.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_from_many_threads_are_all_counted() {
    const TASKS: u64 = 8;
    const READS: u64 = 5_000;
    let source = Source::new();
    // A half-life so long that nothing decays while this runs.
    let policy = Policy { half_life: Duration::from_hours(24 * 365 * 100), ..plain() };
    let policy = Policy { ttl: Duration::from_hours(24), ..policy };
    let (_forewarm, items) = started(policy, &source).await;
    let mut tasks = JoinSet::new();
    for task in 1..=TASKS {
        let items = items.clone();
        tasks.spawn(async move {
            for _ in 0..READS {
                items.get(&0).await.unwrap();
                items.get(&task).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let stats = items.stats();
    assert_eq!(stats.total_accesses, 2 * TASKS * READS);
    assert_eq!(stats.l1_hits + stats.misses, 2 * TASKS * READS);
    for task in 1..=TASKS {
        // No other task reads it. What comes after its first 256 reads is told by a sample.
        let score = score(&items, task);
        assert!((score - 5_000.0).abs() < 50.0, "{task}: {score}");
    }
}

/// C04: what is known of a key's reads outlives its entry, and goes on where it was.
#[tokio::test(start_paused = true)]
async fn reads_are_remembered_when_the_entry_has_left() {
    let source = Source::new();
    let policy = Policy { capacity: Capacity::Entries(20), ..plain() };
    let (_forewarm, items) = started(policy, &source).await;
    for _ in 0..2 {
        items.get(&1).await.unwrap();
    }
    assert_eq!(items.invalidate(&1).await, Delivery::Applied);
    assert!(close(score(&items, 1), 2.0));
    items.get(&1).await.unwrap();
    assert!(close(score(&items, 1), 3.0));
    for key in 100..1_000 {
        for _ in 0..5 {
            items.get(&key).await.unwrap();
        }
    }
    assert!(items.peek(&1).is_none());
    assert!(close(score(&items, 1), 3.0));
    items.get(&1).await.unwrap();
    assert!(close(score(&items, 1), 4.0));
    assert_eq!(source.loads_of(&1), 3);
}

/// C04, C06: the memory of keys that are not resident is bounded, and what it forgets is counted.
#[tokio::test(start_paused = true)]
async fn what_a_full_table_forgets_is_counted() {
    let source = Source::new();
    let policy = Policy { store: Store::Nowhere, tracked_keys: 256, ..plain() };
    let (forewarm, items) = started(policy, &source).await;
    for key in 0..5_000 {
        items.get(&key).await.unwrap();
    }
    let tracked = items.stats().tracked_patterns;
    assert!((200..=256).contains(&tracked), "{tracked}");
    let mut scrapes = Scrapes::new();
    scrapes.take(&forewarm);
    let dropped = scrapes
        .counter("forewarm_tracked_dropped_total", &[("resource", "item"), ("table", "reads")]);
    assert_eq!(dropped, 5_000 - tracked);
}
