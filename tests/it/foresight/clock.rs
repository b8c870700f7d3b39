//! Which clock decides what.

use forewarm::{Clock, Forewarm, Freshness, ReadFrom, ReadOptions};
use jiff::{SignedDuration, Timestamp};

use super::source::{Source, config, item, plain, secs, started};

/// C03: moving the wall clock by an hour changes no score and no ttl.
#[tokio::test(start_paused = true)]
async fn a_step_of_the_wall_clock_changes_no_score_and_no_ttl() {
    for hours in [1, -1] {
        let clock = Clock::starting_at(Timestamp::from_second(1_000_000_000).unwrap());
        let builder = Forewarm::builder().config(config()).clock(clock.clone());
        let forewarm = builder.build().await.unwrap();
        let source = Source::new();
        let items = item(&forewarm, plain(), &source);
        forewarm.start().await.unwrap();
        for _ in 0..5 {
            items.get(&1).await.unwrap();
            tokio::time::sleep(secs(5)).await;
        }
        let (before, hot) = (items.explain(&1), items.hot_keys(1));
        assert!((before.score - 5.0).abs() < 0.1, "{before:?}");
        assert_eq!(before.rate, Some(1.0 / 5.0));

        clock.step_wall(SignedDuration::from_hours(hours));
        assert_eq!(items.explain(&1), before, "{hours} h");
        assert_eq!(items.hot_keys(1), hot, "{hours} h");
        tokio::time::sleep(secs(34)).await;
        let read = items.read(&1, &ReadOptions::new()).await.unwrap();
        assert_eq!((read.from, read.age), (ReadFrom::L1, secs(59)), "{hours} h");
        tokio::time::sleep(secs(1)).await;
        let read = items.read(&1, &ReadOptions::new()).await.unwrap();
        assert_eq!(read.from, ReadFrom::Source, "{hours} h");
    }
}

/// C03: tests run on paused time, which moves ages, ttls and scores together.
#[tokio::test(start_paused = true)]
async fn paused_time_moves_ages_ttls_and_scores() {
    let source = Source::new();
    let policy = forewarm::Policy { ttl: secs(7_200), half_life: secs(3_600), ..plain() };
    let (_forewarm, items) = started(policy, &source).await;
    items.get(&1).await.unwrap();
    tokio::time::sleep(secs(3_600)).await;
    let known = items.explain(&1);
    let held = known.held.unwrap();
    assert_eq!((held.age, held.fresh_for), (secs(3_600), secs(3_600)));
    assert!((known.score - 0.5).abs() < 1e-6, "{}", known.score);
    tokio::time::sleep(secs(3_600)).await;
    assert_eq!(items.explain(&1).held.map(|held| held.freshness), Some(Freshness::Expired));
}

/// C03: a clock can be moved by hand, for tests that cannot pause the runtime.
#[tokio::test]
async fn a_clock_that_is_advanced_makes_entries_expire() {
    let clock = Clock::system();
    let builder = Forewarm::builder().config(config()).clock(clock.clone());
    let forewarm = builder.build().await.unwrap();
    let source = Source::new();
    let items = item(&forewarm, plain(), &source);
    items.get(&1).await.unwrap();
    clock.advance(secs(61));
    items.get(&1).await.unwrap();
    assert_eq!(source.loads_of(&1), 2);
}
