//! What is loaded ahead, changed while the engine runs.

use std::time::Duration;

use forewarm::{
    Classic, Origin, Policy, PreloadMode, PreloadPolicy, ReadFrom, ReadOptions, Resource, Verdict,
};
use tokio::time::sleep;

use super::source::{Source, engine, item, others_run, plain, predicting, secs, started};

/// Renewals alone.
fn alone() -> PreloadPolicy {
    PreloadPolicy { associations: false, rules: false, ..PreloadPolicy::default() }
}

fn tune(items: &Resource<u64, String>, change: impl FnOnce(&mut PreloadPolicy)) {
    let mut preload = items.preload_policy();
    change(&mut preload);
    items.tune(preload.clone()).unwrap();
    assert_eq!(items.preload_policy(), preload);
}

/// Reads keys once a second; gives the reads that memory did not answer.
async fn read_each_second(items: &Resource<u64, String>, keys: &[u64], seconds: u64) -> u64 {
    let mut misses = 0;
    for _ in 0..seconds {
        for key in keys {
            let read = items.read(key, &ReadOptions::new()).await.unwrap();
            misses += u64::from(read.from != ReadFrom::L1);
        }
        sleep(secs(1)).await;
    }
    misses
}

/// Reads one key after another, with a rest that is longer than they live.
async fn read_in_turn(items: &Resource<u64, String>, keys: &[u64], times: u64) {
    for _ in 0..times {
        for key in keys {
            items.get(key).await.unwrap();
            others_run().await;
            sleep(secs(1)).await;
        }
        sleep(secs(400)).await;
    }
}

/// C36: what was loaded while nothing was renewed is renewed in time, once it is to be.
#[tokio::test(start_paused = true)]
async fn what_is_held_is_renewed_once_it_is_to_be() {
    for before in [
        PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() },
        PreloadPolicy { mode: PreloadMode::Observe, ..PreloadPolicy::default() },
        PreloadPolicy { renewals: false, ..PreloadPolicy::default() },
    ] {
        let source = Source::new();
        let (_forewarm, items) = started(Policy { preload: before, ..plain() }, &source).await;
        assert_eq!(read_each_second(&items, &[1, 2], 150).await, 6);
        assert_eq!(source.loads_for(Origin::Preload), 0);
        tune(&items, |preload| {
            (preload.mode, preload.renewals) = (PreloadMode::Predicted, true);
        });
        assert_eq!(read_each_second(&items, &[1, 2], 300).await, 0);
        assert!(source.loads_for(Origin::Preload) >= 10);
        assert_eq!(items.explain(&1).verdict, Verdict::Renewed);
    }
}

/// C36: what is switched off loads nothing any more, though it was due or waited for its turn.
#[tokio::test(start_paused = true)]
async fn what_is_switched_off_loads_nothing_any_more() {
    for mode in [PreloadMode::Off, PreloadMode::Observe] {
        let source = Source::new();
        let preload = PreloadPolicy { loads_per_second: 0.01, burst: 5, ..alone() };
        let (_forewarm, items) = started(Policy { preload, ..plain() }, &source).await;
        let keys: Vec<u64> = (0..50).collect();
        read_each_second(&items, &keys, 59).await;
        sleep(Duration::from_millis(999)).await;
        // The others that are due wait for tokens.
        assert_eq!(source.loads_for(Origin::Preload), 5);
        tune(&items, |preload| {
            (preload.mode, preload.loads_per_second) = (mode.clone(), 1_000.0);
        });
        sleep(secs(1)).await;
        assert_eq!(source.loads_for(Origin::Preload), 5, "{mode:?}");
        assert!(items.stats().preloads_refused > 5, "{mode:?}");
        read_each_second(&items, &keys, 130).await;
        assert_eq!(source.loads_for(Origin::Preload), 5, "{mode:?}");
        tune(&items, |preload| preload.mode = PreloadMode::Predicted);
        sleep(secs(60)).await;
        assert!(source.loads_for(Origin::Preload) > 5, "{mode:?}");
    }
}

/// C36: from `off` on nothing is learned, from `observe` on all is: either way what follows is
/// loaded ahead once it is known.
#[tokio::test(start_paused = true)]
async fn what_is_switched_on_begins_to_learn() {
    for (mode, is_learned) in [(PreloadMode::Off, false), (PreloadMode::Observe, true)] {
        let source = Source::new();
        let preload = PreloadPolicy { mode, renewals: false, ..PreloadPolicy::default() };
        let (_forewarm, items) = started(Policy { preload, ..plain() }, &source).await;
        read_in_turn(&items, &[1, 2], 5).await;
        assert_eq!(items.related(&1).len(), usize::from(is_learned));
        tune(&items, |preload| preload.mode = PreloadMode::Predicted);
        read_in_turn(&items, &[1, 2], 1).await;
        assert_eq!(source.loads_for(Origin::Preload), usize::from(is_learned));
        read_in_turn(&items, &[1, 2], 5).await;
        assert_eq!(source.loads_for(Origin::Preload), 5 + usize::from(is_learned));

        tune(&items, |preload| preload.associations = false);
        let before = source.loads_for(Origin::Preload);
        read_in_turn(&items, &[1, 2], 3).await;
        assert_eq!(source.loads_for(Origin::Preload), before);
        tune(&items, |preload| preload.mode = PreloadMode::Off);
        read_in_turn(&items, &[1, 3], 3).await;
        assert_eq!(items.related(&1).len(), 1, "nothing more is learned");
    }
}

/// C36: another threshold holds for what comes due next, and is told wherever it is.
#[tokio::test(start_paused = true)]
async fn another_threshold_holds_at_the_next_decision() {
    let source = Source::new();
    let (_forewarm, items) = started(predicting(), &source).await;
    let renewed = async |key: u64| {
        items.get(&key).await.unwrap();
        sleep(secs(61)).await;
        source.loads_of(&key) - 1
    };
    assert_eq!(renewed(1).await, 0);
    tune(&items, |preload| preload.threshold = 0.05);
    assert_eq!(renewed(2).await, 1);
    assert_eq!((items.explain(&2).threshold, items.explain(&2).verdict), (0.05, Verdict::Renewed));
    assert_eq!(*items.policy(), predicting(), "it is the policy as it was declared");
    tune(&items, |preload| preload.threshold = 1.0);
    assert_eq!(renewed(3).await, 0);
}

/// C36: another rate and another burst hold from then on.
#[tokio::test(start_paused = true)]
async fn another_rate_holds_from_then_on() {
    let source = Source::new();
    let preload = PreloadPolicy { loads_per_second: 1.0, burst: 1, ..plain().preload };
    let (_forewarm, items) = started(Policy { preload, ..plain() }, &source).await;
    let took = async |keys: std::ops::Range<u64>| {
        let (keys, begun): (Vec<u64>, _) = (keys.collect(), tokio::time::Instant::now());
        assert_eq!(items.preload(&keys).await.loaded, keys.len());
        (begun.elapsed() + Duration::from_millis(500)).as_secs()
    };
    assert_eq!(took(0..11).await, 10);
    tune(&items, |preload| (preload.loads_per_second, preload.burst) = (10.0, 50));
    assert_eq!(took(100..200).await, 10);
    sleep(secs(10)).await;
    assert_eq!(took(200..250).await, 0);
}

/// C36: `extra_loads` counts from when it is set, and what is held then is not needed anew.
#[tokio::test(start_paused = true)]
async fn a_bound_on_extra_loads_can_be_set_and_taken_away() {
    let source = Source::new();
    let preload = PreloadPolicy { threshold: 0.01, ..alone() };
    let (_forewarm, items) = started(Policy { preload, ..plain() }, &source).await;
    // Keys that nobody reads again are renewed for nothing, within the time that follows.
    let extra = async |keys: std::ops::Range<u64>| {
        let before = source.loads_for(Origin::Preload);
        for key in keys {
            for _ in 0..2 {
                items.get(&key).await.unwrap();
            }
        }
        sleep(secs(59)).await;
        source.loads_for(Origin::Preload) - before
    };
    extra(0..100).await;
    let unbounded = extra(100..200).await;
    assert!(unbounded >= 100, "{unbounded}");
    tune(&items, |preload| preload.extra_loads = Some(0.1));
    assert_eq!([extra(0..200).await, extra(200..300).await], [0, 0]);
    let bounded = extra(300..400).await;
    assert!((1..=20).contains(&bounded), "{bounded}");
    tune(&items, |preload| preload.extra_loads = None);
    let unbounded = extra(400..500).await;
    assert!(unbounded >= 100, "{unbounded}");
}

/// C36: what cannot work, or cannot be changed, is named, and nothing has changed.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_tuned_is_named() {
    let (classic, source) = (PreloadMode::Classic(Classic::default()), Source::new());
    let (_forewarm, items) = started(predicting(), &source).await;
    let old = items.preload_policy();
    for (field, preload) in [
        ("mode", PreloadPolicy { mode: classic.clone(), ..old.clone() }),
        ("queue_max", PreloadPolicy { queue_max: 5, ..old.clone() }),
        ("warmed_per_second", PreloadPolicy { warmed_per_second: 5.0, ..old.clone() }),
        ("threshold", PreloadPolicy { threshold: 0.0, ..old.clone() }),
        ("burst", PreloadPolicy { burst: 0, ..old.clone() }),
        ("extra_loads", PreloadPolicy { extra_loads: Some(-1.0), ..old.clone() }),
    ] {
        let changed = PreloadPolicy { associations: false, ..preload };
        let error = items.tune(changed).unwrap_err();
        assert_eq!(error.field(), format!("item.preload.{field}"), "{error}");
        assert_eq!(items.preload_policy(), old);
    }

    // The classic rule goes on as it is, with another threshold.
    let preload = PreloadPolicy { mode: classic, ..old.clone() };
    let (_forewarm, items) = started(Policy { preload, ..plain() }, &source).await;
    tune(&items, |preload| preload.threshold = 0.9);
    assert_eq!(items.tune(old).unwrap_err().field(), "item.preload.mode");
}

/// C36: what is changed before the start holds from the start on.
#[tokio::test(start_paused = true)]
async fn what_is_tuned_before_the_start_holds_from_it_on() {
    let (forewarm, source) = (engine().await, Source::new());
    let items = item(&forewarm, plain(), &source);
    tune(&items, |preload| {
        (preload.mode, preload.renewals) = (PreloadMode::Predicted, false);
    });
    forewarm.start().await.unwrap();
    read_in_turn(&items, &[1, 2], 5).await;
    assert!(source.loads_for(Origin::Preload) >= 3);
}
