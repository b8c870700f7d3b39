//! What is preloaded has a quota, and takes nothing from what is read much.

use std::collections::HashSet;
use std::time::Duration;

use forewarm::{Capacity, Forewarm, Policy, PreloadPolicy, ReadFrom, ReadOptions, Resource};

use super::source::{Source, predicting, started};

/// A memory of 1,000 entries that has seen 4,000 keys: full, with a hundred keys that are read
/// more than the others. Nothing is guessed but what a case asks for.
async fn full(source: &Source<u64>) -> (Forewarm, Resource<u64, String>) {
    let policy = Policy {
        capacity: Capacity::Entries(1_000),
        staging_share: 0.05,
        ttl: Duration::from_hours(1),
        preload: PreloadPolicy { associations: false, ..PreloadPolicy::default() },
        ..predicting()
    };
    let (forewarm, items) = started(policy, source).await;
    for round in 0..10 {
        for key in 0..100 {
            items.get(&key).await.unwrap();
        }
        for key in 0..400 {
            items.get(&(1_000 + round * 400 + key)).await.unwrap();
        }
    }
    tidied().await;
    let entries = items.stats().entries;
    assert!(entries > 900, "{entries}");
    (forewarm, items)
}

/// Lets the engine do what it puts off.
async fn tidied() {
    tokio::time::sleep(Duration::from_secs(6)).await;
}

/// The hundred keys that are read most, as memory holds them.
fn most_read(items: &Resource<u64, String>) -> HashSet<u64> {
    items.hot_keys(100).into_iter().map(|hot| hot.key).collect()
}

/// C16: of forty keys that are preloaded into a full memory, forty are there when they are read,
/// and none of the hundred most read is gone.
#[tokio::test(start_paused = true)]
async fn preloads_are_there_when_read_and_displace_none_of_the_most_read() {
    let source = Source::new();
    let (_forewarm, items) = full(&source).await;
    let proven: HashSet<u64> = (0..100).collect();
    assert_eq!(most_read(&items), proven);

    let keys: Vec<u64> = (10_000..10_040).collect();
    assert_eq!(items.preload(&keys).await.loaded, 40);
    tidied().await;
    // Other reads go on until the readers come.
    for key in 20_000..20_500 {
        items.get(&key).await.unwrap();
    }
    let mut there = 0;
    for key in &keys {
        let read = items.read(key, &ReadOptions::new()).await.unwrap();
        there += usize::from(read.from == ReadFrom::L1 && source.loads_of(key) == 1);
    }
    assert_eq!(there, 40);
    assert_eq!(most_read(&items), proven);
    for key in &proven {
        assert!(items.peek(key).is_some(), "{key}");
    }
    let stats = items.stats();
    assert_eq!((stats.preload_count, stats.preload_hits, stats.preloads_wasted), (40, 40, 0));
}

/// C16: more guesses than their quota has room for displace each other, and of the proven keys as
/// many as the quota holds, none of them among the most read.
#[tokio::test(start_paused = true)]
async fn a_flood_of_guesses_displaces_guesses_and_none_of_the_most_read() {
    let source = Source::new();
    let (_forewarm, items) = full(&source).await;
    let before = items.stats();
    let resident: HashSet<u64> = items.hot_keys(2_000).into_iter().map(|hot| hot.key).collect();
    let keys: Vec<u64> = (10_000..10_500).collect();
    assert_eq!(items.preload(&keys).await.loaded, 500);
    tidied().await;
    let guesses = keys.iter().filter(|key| items.peek(key).is_some()).count();
    assert_eq!(guesses, 50, "the quota is 5 % of 1,000");
    let stats = items.stats();
    assert_eq!(stats.preloads_wasted, 450);
    assert!(stats.entries <= 1_000, "{}", stats.entries);
    assert!(before.entries - (stats.entries - 50) <= 50, "{before:?} {stats:?}");
    let lost = resident.iter().filter(|key| items.peek(*key).is_none()).count();
    assert!(lost <= 50, "{lost}");
    assert!((0..100).all(|key| items.peek(&key).is_some()));
}

/// C16: once it is read, a preloaded entry lives as long as one that was loaded and read at that
/// moment.
#[tokio::test(start_paused = true)]
async fn a_preload_that_was_read_lives_as_long_as_any_other_entry() {
    let source = Source::new();
    let (_forewarm, items) = full(&source).await;
    let preloaded: Vec<u64> = (10_000..10_040).collect();
    let demanded: Vec<u64> = (11_000..11_040).collect();
    assert_eq!(items.preload(&preloaded).await.loaded, 40);
    for (one, other) in preloaded.iter().zip(&demanded) {
        items.get(one).await.unwrap();
        items.get(other).await.unwrap();
    }
    // Both are put under the same pressure, and looked for at each step.
    let (mut one, mut other) = (vec![0_u64; 40], vec![0_u64; 40]);
    for step in 0..200 {
        for key in 0..10 {
            items.get(&(30_000 + (10 * step + key) % 1_500)).await.unwrap();
        }
        for (keys, lives) in [(&preloaded, &mut one), (&demanded, &mut other)] {
            for (key, life) in keys.iter().zip(lives) {
                *life += u64::from(items.peek(key).is_some());
            }
        }
    }
    let mean = |lives: &[u64]| lives.iter().sum::<u64>() as f64 / lives.len() as f64;
    assert!(mean(&one) >= 0.9 * mean(&other), "{} and {}", mean(&one), mean(&other));
    assert!(mean(&other) < 200.0, "the pressure was too low to tell");
}

/// C16: where nothing is preloaded, the quota costs nothing: the same entries are held as without.
#[tokio::test(start_paused = true)]
async fn without_preloads_the_quota_is_not_missed() {
    let mut held = Vec::new();
    for staging_share in [0.0, 0.05, 0.5] {
        let source = Source::new();
        let capacity = Capacity::Entries(1_000);
        let policy = Policy { capacity, staging_share, ..predicting() };
        let (_forewarm, items) = started(policy, &source).await;
        for round in 0..3 {
            for key in 0..1_000 {
                items.get(&(round * 400 + key)).await.unwrap();
            }
        }
        tidied().await;
        held.push(items.stats().entries);
    }
    assert!(held.iter().all(|entries| *entries > 980), "{held:?}");
}

/// C16: guesses may fill a memory that has room, and give it back when it is wanted.
#[tokio::test(start_paused = true)]
async fn guesses_take_what_is_free_and_give_it_back() {
    let source = Source::new();
    let capacity = Capacity::Entries(1_000);
    let policy = Policy { capacity, staging_share: 0.05, ..predicting() };
    let (_forewarm, items) = started(policy, &source).await;
    let guesses: Vec<u64> = (10_000..10_500).collect();
    assert_eq!(items.preload(&guesses).await.loaded, 500);
    tidied().await;
    let there = || guesses.iter().filter(|key| items.peek(*key).is_some()).count();
    assert_eq!(there(), 500);
    for key in 0..860 {
        items.get(&key).await.unwrap();
    }
    tidied().await;
    // A quota of 5 % of 1,000, less what the sampling took beyond it.
    assert!((45..=50).contains(&there()), "{}", there());
    // Memory was filled anew since: they have had their time.
    for key in 0..2_000 {
        items.get(&key).await.unwrap();
    }
    tidied().await;
    assert_eq!(there(), 0);
}

/// C16: a preload that was read is as good as proven, and leaves like one, even if no preload comes
/// after it.
#[tokio::test(start_paused = true)]
async fn a_preload_that_was_read_does_not_stay_for_ever() {
    let source = Source::new();
    let (_forewarm, items) = full(&source).await;
    let keys: Vec<u64> = (10_000..10_040).collect();
    assert_eq!(items.preload(&keys).await.loaded, 40);
    for key in &keys {
        items.get(key).await.unwrap();
    }
    for round in 0..40 {
        for key in 0..400 {
            items.get(&(20_000 + round * 200 + key)).await.unwrap();
        }
    }
    tidied().await;
    let left = keys.iter().filter(|key| items.peek(*key).is_some()).count();
    assert!(left < 20, "{left}");
}

/// C16: what is read often and leaves the hot segment has a second chance behind it.
#[tokio::test(start_paused = true)]
async fn what_leaves_the_hot_segment_is_still_found() {
    let source = Source::new();
    let capacity = Capacity::Entries(1_000);
    let policy = Policy { capacity, hot_share: 0.5, ..predicting() };
    let (_forewarm, items) = started(policy, &source).await;
    for key in 0..900 {
        for _ in 0..3 {
            items.get(&key).await.unwrap();
        }
    }
    tidied().await;
    for key in 0..900 {
        items.get(&key).await.unwrap();
    }
    assert_eq!((items.stats().entries, source.calls().len()), (900, 900));
}
