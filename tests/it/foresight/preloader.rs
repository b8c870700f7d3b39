//! Loading ahead: in time, within its budget, and whatever the source does.

use std::time::Duration;

use forewarm::{
    BreakerState, Classic, Origin, Policy, PreloadMode, PreloadPolicy, ReadFrom, ReadOptions,
    Resource, SourcePolicy, Verdict,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::source::{
    Call, Mood, Source, engine, others_run, plain, predicting, secs, started, text,
};

/// Reads some keys once a second for a while; gives the reads that did not come from memory.
async fn read_every_second(items: &Resource<u64, String>, keys: &[u64], seconds: u64) -> u64 {
    let start = Instant::now();
    let mut misses = 0;
    for second in 0..seconds {
        sleep_until(start + secs(second)).await;
        for key in keys {
            let read = items.read(key, &ReadOptions::new()).await;
            misses += u64::from(read.map_or(true, |read| read.from != ReadFrom::L1));
        }
    }
    misses
}

/// C11, C18: a key that is read once a second, with a ttl of a minute, hits 999 of 1,000 times.
/// (The older system: 984.)
#[tokio::test(start_paused = true)]
async fn a_key_read_once_a_second_hits_999_of_1000_times() {
    const HOURS: u64 = 3;
    let by_default = Policy { ttl: secs(60), ..Policy::default() };
    let without_stale = Policy { stale_while_revalidate: None, ..by_default.clone() };
    let policies = [by_default, without_stale, predicting(), predicting()];
    for (policy, millis) in policies.into_iter().zip([50, 50, 50, 0]) {
        let source = Source::new();
        source.takes(Duration::from_millis(millis));
        let (_forewarm, items) = started(policy, &source).await;
        let misses = read_every_second(&items, &[1], HOURS * 3_600).await;
        assert!(misses * 1_000 <= HOURS * 3_600, "{misses} misses");
        assert_eq!(source.loads_for(Origin::Demand) as u64, misses);
        // It is not had by loading more often than needed.
        assert!(source.calls().len() <= 200, "{} loads", source.calls().len());
    }

    // The same measure finds what is wrong with loading only what has expired.
    let source = Source::new();
    source.takes(Duration::from_millis(50));
    let mode = PreloadMode::Classic(Classic::default());
    let preload = PreloadPolicy { mode, ..PreloadPolicy::default() };
    let (_forewarm, items) = started(Policy { preload, ..plain() }, &source).await;
    let misses = read_every_second(&items, &[1], HOURS * 3_600).await;
    assert!(misses * 1_000 > 8 * HOURS * 3_600, "{misses} misses");
}

/// C11: what is due is renewed in time: after its due moment, before it expires, and within a
/// thousandth of a ttl.
#[tokio::test(start_paused = true)]
async fn due_keys_are_renewed_before_they_expire() {
    let source = Source::new();
    source.takes(secs(1));
    let policy = Policy { lead: Some(secs(5)), ..predicting() };
    let (_forewarm, items) = started(policy, &source).await;
    read_every_second(&items, &[1, 2, 3], 600).await;
    for key in [1, 2, 3] {
        let calls: Vec<Call<u64>> =
            source.calls().into_iter().filter(|call| call.key == key).collect();
        assert!(calls.len() >= 10, "{key}: {} loads", calls.len());
        assert_eq!(calls[0].origin, Origin::Demand);
        let one_tick = secs(60) / 1_000;
        for pair in calls.windows(2) {
            assert_eq!(pair[1].origin, Origin::Preload, "{key}");
            let passed = pair[1].at - pair[0].at;
            assert!(passed + one_tick >= secs(55) && passed <= secs(55) + one_tick, "{passed:?}");
        }
    }
    // The first read of each, and those that came within the second that its load took.
    assert!(items.stats().misses <= 6);
}

/// C11: `refresh_every` renews at an age, long before the entry expires.
#[tokio::test(start_paused = true)]
async fn what_is_to_be_refreshed_every_so_often_is() {
    let source = Source::new();
    let policy = Policy { refresh_every: Some(secs(20)), ..predicting() };
    let (_forewarm, items) = started(policy, &source).await;
    read_every_second(&items, &[1], 121).await;
    // At 0, on demand, and then every 20 s.
    let loads = source.calls().len();
    assert!((6..=7).contains(&loads), "{loads}");
    assert_eq!(source.loads_for(Origin::Demand), 1);
}

/// C11: a key whose reads have stopped is not renewed for long.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_no_longer_read_is_let_go() {
    let source = Source::new();
    let (_forewarm, items) = started(predicting(), &source).await;
    read_every_second(&items, &[1], 120).await;
    sleep(Duration::from_hours(5)).await;
    let behind = source.loads_for(Origin::Preload);
    assert!((2..=4).contains(&behind), "{behind} renewals");
    assert_eq!(items.explain(&1).verdict, Verdict::TooUnlikely);
}

/// C11: a key that was read once has no rate; it is renewed only if the threshold allows for how
/// rarely such keys come back.
#[tokio::test(start_paused = true)]
async fn once_read_keys_are_renewed_by_what_is_known_of_their_kind() {
    for (threshold, renewals) in [(0.5, 0), (0.05, 1)] {
        let source = Source::new();
        let preload = PreloadPolicy { threshold, ..PreloadPolicy::default() };
        let (_forewarm, items) = started(Policy { preload, ..plain() }, &source).await;
        items.get(&1).await.unwrap();
        sleep(secs(61)).await;
        assert_eq!(source.loads_for(Origin::Preload), renewals, "{threshold}");
    }
}

/// C11: what keeps coming back after one read is learned, and then renewed.
#[tokio::test(start_paused = true)]
async fn it_is_learned_that_once_read_keys_come_back() {
    let source = Source::new();
    let (_forewarm, items) = started(predicting(), &source).await;
    // Each key is read twice, more than a ttl apart: by itself the second read is a miss.
    let mut late_misses = 0;
    for key in 0..300 {
        items.get(&key).await.unwrap();
        sleep(secs(10)).await;
        if let Some(back) = key.checked_sub(7) {
            let read = items.read(&back, &ReadOptions::new()).await.unwrap();
            late_misses += u64::from(key >= 250 && read.from != ReadFrom::L1);
        }
    }
    assert!(items.explain(&299).probability > 0.5);
    assert_eq!(late_misses, 0);
}

/// C11: a loader that fails or panics ends nothing: other keys are renewed, and its own again when
/// it has recovered.
#[tokio::test(start_paused = true)]
async fn failing_and_panicking_loaders_do_not_stop_the_preloader() {
    for mood in [Mood::Fails, Mood::Refuses, Mood::Panics, Mood::Hangs] {
        let source = Source::new();
        let terms = SourcePolicy { deadline: secs(2), ..plain().source };
        let (_forewarm, items) = started(Policy { source: terms, ..predicting() }, &source).await;
        read_every_second(&items, &[1, 2], 30).await;
        source.mood(1, mood);
        // The reads of key 1 wait for loads that fail; those of key 2 must not miss.
        let start = Instant::now();
        for second in 0..300 {
            sleep_until(start + secs(second)).await;
            let read = items.read(&2, &ReadOptions::new()).await.unwrap();
            assert_eq!(read.from, ReadFrom::L1, "{mood:?} at {second}");
        }
        let behind = |key| {
            let calls = source.calls();
            calls.iter().filter(|c| c.key == key && c.origin == Origin::Preload).count()
        };
        assert!(behind(1) >= 1 && behind(2) >= 4, "{mood:?}: {}, {}", behind(1), behind(2));
        assert!(items.stats().preloads_failed >= 1, "{mood:?}");

        source.mood(1, Mood::Answers);
        let before = behind(1);
        read_every_second(&items, &[1, 2], 130).await;
        assert!(behind(1) >= before + 2, "{mood:?}");
        assert_eq!(text(&items, 1).await, format!("v{}", source.loads_of(&1)));
    }
}

/// C11: while the source is left alone nothing is loaded ahead, and when it is back, it is again.
#[tokio::test(start_paused = true)]
async fn renewals_go_on_when_the_source_is_back() {
    let source = Source::new();
    let (_forewarm, items) = started(predicting(), &source).await;
    let keys: Vec<u64> = (0..20).collect();
    read_every_second(&items, &keys, 30).await;
    source.usually(Mood::Fails);
    for key in 100..105 {
        items.get(&key).await.unwrap_err();
    }
    assert_eq!(items.stats().breaker, BreakerState::Open);
    let asked = source.calls().len();
    let told = items.preload(&[200]).await;
    assert_eq!((told.refused, source.calls().len()), (1, asked));

    sleep(secs(60)).await;
    source.usually(Mood::Answers);
    read_every_second(&items, &keys, 180).await;
    assert_eq!(items.stats().breaker, BreakerState::Closed);
    assert_eq!(read_every_second(&items, &keys, 120).await, 0);
}

/// C11, C13: over no span are more keys loaded ahead than the burst and the rate allow, whoever
/// asks for it.
#[tokio::test(start_paused = true)]
async fn max_loads_is_never_exceeded_over_any_span() {
    const RATE: f64 = 5.0;
    const BURST: usize = 10;
    let source = Source::new();
    let preload =
        PreloadPolicy { loads_per_second: RATE, burst: BURST, ..PreloadPolicy::default() };
    let policy = Policy { ttl: secs(20), lead: Some(secs(8)), preload, ..plain() };
    let (_forewarm, items) = started(policy, &source).await;
    let keys: Vec<u64> = (0..400).collect();
    let asking = {
        let items = items.clone();
        let wanted: Vec<u64> = (10_000..10_300).collect();
        tokio::runtime::Handle::current().spawn(async move {
            sleep(secs(30)).await;
            items.preload(&wanted).await
        })
    };
    read_every_second(&items, &keys, 150).await;
    assert_eq!(asking.await.unwrap().loaded, 300);
    let ahead: Vec<_> =
        source.calls().into_iter().filter(|call| call.origin == Origin::Preload).collect();
    // All of it was used, by both.
    assert!(ahead.len() > 600, "{}", ahead.len());
    assert!(ahead.iter().any(|call| call.key < 400));
    for (first, from) in ahead.iter().enumerate() {
        for (last, to) in ahead.iter().enumerate().skip(first) {
            let allowed = BURST as f64 + RATE * (to.at - from.at).as_secs_f64();
            let begun = (last - first + 1) as f64;
            assert!(begun <= allowed + 1e-3, "{begun} in {:?}", to.at - from.at);
        }
    }
}

/// C11: with nothing to load, nothing happens.
#[tokio::test(start_paused = true)]
async fn an_engine_without_resources_does_nothing() {
    let forewarm = engine().await;
    forewarm.start().await.unwrap();
    sleep(Duration::from_hours(24)).await;
    assert_eq!(forewarm.stats(), []);
    assert!(forewarm.shutdown(secs(1)).await);
}

/// C11: where preloading is off, the hottest key is loaded only when somebody asks for it; and who
/// asks for a preload gets it.
#[tokio::test(start_paused = true)]
async fn with_preloading_off_nothing_is_loaded_ahead_unasked() {
    let source = Source::new();
    let (_forewarm, items) = started(plain(), &source).await;
    let misses = read_every_second(&items, &[1], 600).await;
    assert_eq!((misses, source.calls().len()), (10, 10));
    assert_eq!(source.loads_for(Origin::Demand), 10);
    assert_eq!(items.stats().preload_count, 0);

    assert_eq!(items.preload(&[2]).await.loaded, 1);
    assert_eq!(items.read(&2, &ReadOptions::new()).await.unwrap().from, ReadFrom::L1);
}

/// C11, C19: what the source does not have is not renewed, however often it is asked for.
#[tokio::test(start_paused = true)]
async fn absent_keys_are_not_renewed() {
    let source = Source::new();
    source.mood(1, Mood::HasNone);
    let policy = Policy { absent_ttl: Some(secs(30)), ..predicting() };
    let (_forewarm, items) = started(policy, &source).await;
    read_every_second(&items, &[1], 300).await;
    assert_eq!(source.calls().len(), 10);
    assert_eq!(source.loads_for(Origin::Preload), 0);
    sleep(Duration::from_hours(1)).await;
    assert_eq!(source.calls().len(), 10);
}

/// C11: an explicit preload skips what is fresh, loads what is not, and tells what came of it.
#[tokio::test(start_paused = true)]
async fn a_preload_tells_what_came_of_each_key() {
    let source = Source::new();
    source.mood(3, Mood::HasNone);
    source.mood(4, Mood::Refuses);
    let (_forewarm, items) = started(plain(), &source).await;
    items.get(&1).await.unwrap();
    let told = items.preload(&[1, 2, 3, 4, 2]).await;
    assert_eq!((told.loaded, told.absent, told.failed), (1, 1, 1));
    assert_eq!((told.held, told.refused), (2, 0));
    // Of the failing key nothing is asked before its wait is over.
    assert_eq!(items.preload(&[4]).await.refused, 1);
    assert_eq!(source.loads_of(&4), 1);
}

/// C11, C12: a key that is loading is not loaded ahead a second time.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_loading_is_not_loaded_ahead_again() {
    let source = Source::new();
    let (_forewarm, items) = started(plain(), &source).await;
    source.hold();
    let reader = {
        let items = items.clone();
        tokio::runtime::Handle::current().spawn(async move { text(&items, 1).await })
    };
    source.asked(1).await;
    assert_eq!(items.preload(&[1]).await.held, 1);
    others_run().await;
    source.release();
    assert_eq!(reader.await.unwrap(), "v1");
    assert_eq!(source.calls().len(), 1);
    assert_eq!(items.stats().preload_count, 0);
}

/// C11, C13: calls for preloads keep to their share of the calls.
#[tokio::test(start_paused = true)]
async fn preloads_keep_to_their_share_of_the_calls() {
    let source = Source::new();
    let terms = SourcePolicy { concurrency: 8, preload_share: 0.25, ..plain().source };
    let (_forewarm, items) = started(Policy { source: terms, ..plain() }, &source).await;
    source.hold();
    let asking = {
        let items = items.clone();
        let keys: Vec<u64> = (0..20).collect();
        tokio::runtime::Handle::current().spawn(async move { items.preload(&keys).await })
    };
    others_run().await;
    assert_eq!(source.calls().len(), 2);
    source.release();
    assert_eq!(asking.await.unwrap().loaded, 20);
    assert_eq!(source.calls().len(), 20);
}
