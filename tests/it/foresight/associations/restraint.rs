//! What is not loaded: where it is only watched, of no use, or too much.

use forewarm::{Capacity, Origin, Policy, PreloadMode, PreloadPolicy};
use tokio::time::sleep;

use super::super::source::{Source, others_run, plain, secs, started};
use super::{REST, followers, learning, read_in_turn};

/// C33, C34: what only observes loads nothing, and keeps the score of what it would have loaded.
#[tokio::test(start_paused = true)]
async fn what_only_observes_loads_nothing_and_keeps_the_score() {
    let preload = PreloadPolicy { mode: PreloadMode::Observe, ..PreloadPolicy::default() };
    let source = Source::new();
    let (_forewarm, items) = started(Policy { preload, ..plain() }, &source).await;
    let mut last = 0;
    for _ in 0..5 {
        read_in_turn(&items, &[1, 2], 10).await;
        let scored = items.stats().predictions.scored;
        assert!(scored > last, "{scored} after {last}");
        last = scored;
    }
    let stats = items.stats();
    assert_eq!((source.loads_for(Origin::Preload), stats.preload_count), (0, 0));
    // Every read was a miss, and its load had no other reason.
    assert_eq!(source.loads_for(Origin::Demand), 100);
    assert_eq!(followers(&items, 1), ["2"]);
    assert_eq!(stats.predictions.came_true, stats.predictions.scored);
    assert!(stats.predictions.brier_score < 0.1, "{:?}", stats.predictions);
}

/// C34: with random access next to nothing is loaded ahead.
#[tokio::test(start_paused = true)]
async fn with_random_access_preloading_falls_to_near_zero() {
    const READS: u64 = 10_000;
    for (ttl, keys) in [(secs(7_200), 1_000), (secs(7_200), 10_000), (secs(20), 1_000)] {
        let policy = Policy { ttl, capacity: Capacity::Entries(300), ..plain() };
        let policy = Policy { preload: PreloadPolicy::default(), ..policy };
        let source = Source::new();
        let (_forewarm, items) = started(policy, &source).await;
        let mut random = fastrand::Rng::with_seed(7);
        let mut read_half = async || {
            for _ in 0..READS / 2 {
                items.get(&random.u64(..keys)).await.unwrap();
                others_run().await;
                sleep(secs(1) / 10).await;
            }
            items.stats()
        };
        let (half, whole) = (read_half().await, read_half().await);
        let label = format!("ttl {ttl:?}, {keys} keys");
        let (begun, later) = (whole.preload_count, whole.preload_count - half.preload_count);
        assert!(whole.preloads_wasted < READS * 3 / 100, "{label}: {}", whole.preloads_wasted);
        assert!(later < READS / 2 / 100, "{label}: {later} of {begun} preloads in the second half");
    }
}

/// Reads that follow each other loosely, in some groups of ten keys, so that much seems worth
/// loading; gives the loads that were made by the end of each.
async fn loads_of_loose_reads(preload: PreloadPolicy, groups: u64) -> Vec<usize> {
    let source = Source::new();
    let (_forewarm, items) = started(Policy { preload, ..plain() }, &source).await;
    let mut random = fastrand::Rng::with_seed(7);
    let mut loads = Vec::new();
    for _ in 0..1_000 {
        let group = random.u64(..groups);
        for _ in 0..random.u64(1..4) {
            items.get(&(10 * group + random.u64(..10))).await.unwrap();
            others_run().await;
            sleep(secs(1)).await;
        }
        sleep(secs(random.u64(..10))).await;
        loads.push(source.calls().len());
    }
    loads
}

/// C13, C34: `extra_loads` bounds the loads beyond those of demand, at every moment.
#[tokio::test(start_paused = true)]
async fn loads_never_exceed_those_of_demand_by_more_than_is_allowed() {
    let eager = PreloadPolicy { threshold: 0.1, ..PreloadPolicy::default() };
    let sparing = PreloadPolicy { extra_loads: Some(0.05), ..eager.clone() };
    let off = PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() };
    for groups in [2, 8, 30] {
        let off = loads_of_loose_reads(off.clone(), groups).await;
        let sparing = loads_of_loose_reads(sparing.clone(), groups).await;
        let eager = loads_of_loose_reads(eager.clone(), groups).await;
        for (step, (sparing, off)) in sparing.iter().zip(&off).enumerate() {
            let bound = *off as f64 * 1.05 + 1.0;
            assert!(*sparing as f64 <= bound, "{groups} groups, {step}: {sparing}, demand {off}");
        }
        // It is the bound that holds it back.
        let (off, eager) = (off[off.len() - 1], eager[eager.len() - 1]);
        assert!(eager as f64 > off as f64 * 1.1, "{groups} groups: {eager}, demand {off}");
    }
}

/// C34: what is known of a policy's bound does not keep a sure pattern from being loaded.
#[tokio::test(start_paused = true)]
async fn what_spares_a_load_is_not_held_back() {
    let preload = PreloadPolicy { extra_loads: Some(0.05), ..learning().preload };
    let source = Source::new();
    let (_forewarm, items) = started(Policy { preload, ..learning() }, &source).await;
    read_in_turn(&items, &[1, 2], 200).await;
    assert!(items.stats().preload_hits > 150, "{:?}", items.stats());
    assert_eq!(source.calls().len(), 400);
    sleep(REST).await;
}
