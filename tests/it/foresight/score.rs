//! Scores, as far as the unit tests of `score` and `predictor::classic` do not show them.

use std::time::Duration;

use forewarm::{Classic, Policy, PreloadMode, PreloadPolicy};

use super::source::{Source, plain, secs, started};

/// The half-life of 0.9 per hour.
const SIX_AND_A_HALF_HOURS: Duration = Duration::from_secs(23_690);

/// C05: ten thousand reads last week and one today rank below 500 in the last minute.
#[tokio::test(start_paused = true)]
async fn last_week_ranks_below_the_last_minute() {
    let source = Source::new();
    let policy = Policy { half_life: SIX_AND_A_HALF_HOURS, ..plain() };
    let (_forewarm, items) = started(policy, &source).await;
    for _ in 0..10_000 {
        items.get(&1).await.unwrap();
    }
    assert_eq!(items.hot_keys(1)[0].key, 1);
    tokio::time::sleep(Duration::from_hours(7 * 24)).await;
    items.get(&1).await.unwrap();
    for _ in 0..500 {
        items.get(&2).await.unwrap();
    }
    tokio::time::sleep(secs(30)).await;
    let hot = items.hot_keys(2);
    assert_eq!((hot[0].key, hot[1].key), (2, 1));
    // What comes after its first 256 reads is told by a sample.
    assert!((hot[0].score - 500.0).abs() < 20.0, "{hot:?}");
    assert!((hot[1].score - 1.0).abs() < 0.001, "{hot:?}");
}

/// C05, C11: with the rule of the older system, once a minute those keys are loaded whose score
/// reaches the threshold and that are not held fresh: one read is enough for six and a half hours.
#[tokio::test(start_paused = true)]
async fn the_classic_rule_reloads_for_hours_what_was_read_once() {
    let source = Source::new();
    let mode = PreloadMode::Classic(Classic::default());
    let preload = PreloadPolicy { mode, ..PreloadPolicy::default() };
    let (_forewarm, items) = started(Policy { preload, ..plain() }, &source).await;
    items.get(&1).await.unwrap();
    tokio::time::sleep(secs(60 * 394 + 30)).await;
    let loads = source.calls();
    assert_eq!(loads.len(), 1 + 394, "one on demand, and one in each minute");
    for (one, next) in loads.iter().skip(1).zip(loads.iter().skip(2)) {
        assert_eq!(next.at - one.at, secs(60));
    }
    tokio::time::sleep(Duration::from_hours(10)).await;
    // 0.9 ^ 6.5788 h is less than the threshold.
    assert_eq!(source.calls().len(), 1 + 394);
    assert_eq!(items.stats().preload_count, 394);
}
