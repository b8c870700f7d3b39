//! How much memory holds, whatever comes. What the process takes: `benches/memory.rs`.

use std::time::Duration;

use forewarm::{Bytes, Capacity, Delivery, Policy, PreloadMode, PreloadPolicy};

use super::scrapes::Scrapes;
use super::source::{Mood, Source, plain, predicting, secs, started};

/// Lets the engine do what it puts off.
async fn settled() {
    tokio::time::sleep(secs(6)).await;
}

/// C06, C16: after many more different keys than fit, entries and weight are within the capacity
/// and a tenth.
#[tokio::test(start_paused = true)]
async fn many_different_keys_stay_within_the_capacity_and_a_tenth() {
    let in_bytes = Capacity::Bytes(Bytes::mib(2));
    for (capacity, keys) in [(Capacity::Entries(5_000), 50_000), (in_bytes, 200_000)] {
        let source = Source::new();
        let (_forewarm, items) = started(Policy { capacity, ..predicting() }, &source).await;
        for key in 0..keys {
            items.get(&key).await.unwrap();
        }
        settled().await;
        let stats = items.stats();
        let amount = capacity.amount();
        assert_eq!((stats.total_accesses, stats.capacity), (keys, amount));
        assert!(stats.weight <= amount + amount / 10, "{capacity:?}: {}", stats.weight);
        assert!(stats.weight >= amount * 8 / 10, "{capacity:?}: {}", stats.weight);
        assert!(stats.entries <= stats.weight, "{capacity:?}: {}", stats.entries);
        // What was forgotten of the entries is bounded too.
        assert!(stats.tracked_patterns <= stats.entries + (1 << 16), "{capacity:?}");
    }
}

/// C16: under ten times as much as fits, of all sizes and from all sides, memory stays within its
/// limit at every look.
#[tokio::test(start_paused = true)]
async fn memory_stays_within_its_limit_under_ten_times_its_load() {
    let capacity = Bytes::kib(256);
    let source = Source::new();
    let mut random = fastrand::Rng::with_seed(3);
    for key in 0..20_000 {
        source.mood(key, Mood::AnswersLong(random.usize(0..4_000)));
    }
    let preload = PreloadPolicy { burst: 100_000, ..PreloadPolicy::default() };
    let policy = Policy { capacity: capacity.into(), preload, ..plain() };
    let (_forewarm, items) = started(policy, &source).await;
    for _ in 0..100 {
        for _ in 0..40 {
            items.get(&random.u64(0..20_000)).await.unwrap();
        }
        let guesses: Vec<u64> = (0..10).map(|_| random.u64(0..20_000)).collect();
        items.preload(&guesses).await;
        assert_eq!(
            items.put(&random.u64(0..20_000), "x".repeat(random.usize(0..4_000))).await,
            Delivery::Applied
        );
        settled().await;
        let weight = items.stats().weight;
        assert!(weight <= capacity.get(), "{weight}");
    }
    assert!(items.stats().weight > capacity.get() / 2);
}

/// C16: a value that is too large is given to whoever asked, is not kept, is counted, and costs
/// nobody else a place.
#[tokio::test(start_paused = true)]
async fn an_oversize_value_is_skipped_and_counted_and_purges_nothing() {
    let source = Source::new();
    let policy = Policy { capacity: Bytes::kib(64).into(), value_bytes_max: 10_000, ..plain() };
    let (forewarm, items) = started(policy, &source).await;
    for key in 0..100 {
        items.get(&key).await.unwrap();
    }
    settled().await;
    let before = items.stats();
    source.mood(500, Mood::AnswersLong(10_001));
    for _ in 0..2 {
        let value = items.get(&500).await.unwrap().unwrap();
        assert_eq!(value.len(), 10_001);
        assert!(items.peek(&500).is_none());
    }
    assert_eq!(source.loads_of(&500), 2);
    assert_eq!(items.put(&501, "x".repeat(10_001)).await, Delivery::Applied);
    assert!(items.peek(&501).is_none());

    settled().await;
    let after = items.stats();
    assert_eq!((after.entries, after.weight), (before.entries, before.weight));
    let mut scrapes = Scrapes::new();
    scrapes.take(&forewarm);
    let of_size = [("resource", "item"), ("why", "value_size")];
    // Two loads, and a put.
    assert_eq!(scrapes.counter("forewarm_fills_refused_total", &of_size), 3);
    let labels = [("resource", "item"), ("cause", "capacity")];
    assert_eq!(scrapes.counter("forewarm_evictions_total", &labels), 100 - before.entries);
}

/// C16: a weigher of the user's own decides what an entry takes.
#[tokio::test(start_paused = true)]
async fn a_weigher_decides_what_an_entry_takes() {
    let source = Source::new();
    let forewarm = super::source::engine().await;
    let items = forewarm
        .memory_resource::<u64, String>("item")
        .policy(Policy { capacity: Capacity::Entries(100), ..plain() })
        .preload(PreloadMode::Off)
        .weigher(|key, value| if value.is_some() { 10 + key % 2 } else { 1 })
        .loader(source.clone())
        .build()
        .unwrap();
    forewarm.start().await.unwrap();
    for key in [2, 3] {
        items.get(&key).await.unwrap();
    }
    source.usually(Mood::HasNone);
    items.get(&4).await.unwrap();
    assert_eq!((items.stats().entries, items.stats().weight), (3, 22));
    source.usually(Mood::Answers);
    for key in 10..1_000 {
        items.get(&key).await.unwrap();
    }
    settled().await;
    let stats = items.stats();
    assert!(stats.weight <= 100 && stats.entries <= 10, "{stats:?}");
}

/// C16: every entry has a ttl of its own, which its answer may set.
#[tokio::test(start_paused = true)]
async fn entries_end_each_at_its_own_time() {
    let forewarm = super::source::engine().await;
    let items = forewarm
        .resource::<u64, u64>("item")
        .policy(plain())
        .load_with(|key| async move {
            Ok::<_, forewarm::LoadError>(forewarm::Loaded::found(key).ttl(secs(key)))
        })
        .build()
        .unwrap();
    for key in [10, 20, 3_600] {
        items.get(&key).await.unwrap();
    }
    for (passed, held) in [(0, 3), (9, 3), (1, 2), (9, 2), (1, 1), (3_579, 1), (1, 0)] {
        tokio::time::sleep(Duration::from_secs(passed)).await;
        let there = [10, 20, 3_600].iter().filter(|key| items.peek(*key).is_some()).count();
        assert_eq!(there, held);
    }
}
