//! What came of each preload.

use forewarm::{
    Capacity, Classic, Delivery, Error, Policy, PreloadMode, PreloadPolicy, ResourceStats,
    SourcePolicy,
};
use tokio::runtime::Handle;

use super::source::{Mood, Source, item, others_run, plain, predicting, secs, started, text};

/// The outcomes: useful, wasted, late, failed, refused.
const fn outcomes(stats: &ResourceStats) -> [u64; 5] {
    [
        stats.preload_hits,
        stats.preloads_wasted,
        stats.preloads_late,
        stats.preloads_failed,
        stats.preloads_refused,
    ]
}

/// The preloads that were begun and have come to something.
fn settled(stats: &ResourceStats) -> u64 {
    outcomes(stats).iter().take(4).sum()
}

/// C33: each outcome, produced by a script, is counted exactly, and together they are the preloads
/// that were begun.
#[tokio::test(start_paused = true)]
async fn every_outcome_is_counted_exactly() {
    let source = Source::new();
    let terms = SourcePolicy { deadline: secs(5), ..plain().source };
    let (_forewarm, items) = started(Policy { source: terms, ..plain() }, &source).await;

    // Useful: read, however often.
    items.preload(&[1, 2, 3]).await;
    assert_eq!(outcomes(&items.stats()), [0; 5]);
    for key in [1, 2, 3, 1, 1] {
        text(&items, key).await;
    }
    assert_eq!(outcomes(&items.stats()), [3, 0, 0, 0, 0]);

    // Wasted: invalidated, replaced and cleared before anybody read it.
    items.preload(&[4, 5]).await;
    assert_eq!(items.invalidate(&4).await, Delivery::Applied);
    assert_eq!(items.put(&5, "new".to_owned()).await, Delivery::Applied);
    text(&items, 5).await;
    assert_eq!(outcomes(&items.stats()), [3, 2, 0, 0, 0]);
    items.preload(&[6]).await;
    items.clear();
    assert_eq!(outcomes(&items.stats()), [3, 3, 0, 0, 0]);

    // Late: asked for while it was loading.
    source.hold();
    let asked = source.calls().len() + 1;
    let preload = Handle::current().spawn({
        let items = items.clone();
        async move { items.preload(&[7]).await }
    });
    source.asked(asked).await;
    let reader = Handle::current().spawn({
        let items = items.clone();
        async move { text(&items, 7).await }
    });
    others_run().await;
    source.release();
    assert_eq!((preload.await.unwrap().loaded, reader.await.unwrap()), (1, "v1".to_owned()));
    text(&items, 7).await;
    assert_eq!(outcomes(&items.stats()), [3, 3, 1, 0, 0]);

    // Failed: whatever the failure.
    for (key, mood) in [(8, Mood::Refuses), (9, Mood::Panics), (10, Mood::Hangs)] {
        source.mood(key, mood);
        assert_eq!(items.preload(&[key]).await.failed, 1);
    }
    assert_eq!(outcomes(&items.stats()), [3, 3, 1, 3, 0]);

    // Refused: the key has failed just now.
    assert_eq!(items.preload(&[10]).await.refused, 1);
    let stats = items.stats();
    assert_eq!(outcomes(&stats), [3, 3, 1, 3, 1]);
    assert_eq!(stats.preload_count, 10);
    assert_eq!(settled(&stats), stats.preload_count);
    assert!((stats.preload_hit_rate - 0.3).abs() < 1e-9);
}

/// C33: renewals ahead of expiry are judged by the same measure, without a word from the caller.
#[tokio::test(start_paused = true)]
async fn renewals_are_judged_without_a_word_from_the_caller() {
    let source = Source::new();
    let (_forewarm, items) = started(predicting(), &source).await;
    for _ in 0..200 {
        text(&items, 1).await;
        tokio::time::sleep(secs(1)).await;
    }
    let stats = items.stats();
    assert_eq!(outcomes(&stats), [3, 0, 0, 0, 0]);
    assert_eq!(stats.preload_count, 3);
    // The next one is renewed in vain: nobody comes any more.
    tokio::time::sleep(secs(3_600)).await;
    let begun = items.stats().preload_count;
    text(&items, 1).await;
    let stats = items.stats();
    assert_eq!(stats.preload_hits, 3);
    assert_eq!(stats.preloads_wasted, begun - 3);
    assert!(begun > 3);
}

/// C33: a preload that is invalidated while it loads is wasted.
#[tokio::test(start_paused = true)]
async fn a_preload_overtaken_by_an_invalidation_is_wasted() {
    let source = Source::new();
    let (_forewarm, items) = started(plain(), &source).await;
    source.hold();
    let preload = Handle::current().spawn({
        let items = items.clone();
        async move { items.preload(&[1]).await }
    });
    source.asked(1).await;
    assert_eq!(items.invalidate(&1).await, Delivery::Applied);
    source.release();
    preload.await.unwrap();
    assert_eq!(outcomes(&items.stats()), [0, 1, 0, 0, 0]);
    assert!(items.peek(&1).is_none());
}

/// C33: a preload for which there is no room is refused, and is none of those begun.
#[tokio::test(start_paused = true)]
async fn what_a_limit_stops_is_refused_and_not_begun() {
    let source = Source::new();
    let terms = SourcePolicy { flights_max: 2, ..plain().source };
    let (_forewarm, items) = started(Policy { source: terms, ..plain() }, &source).await;
    source.hold();
    let readers: Vec<_> = [1, 2]
        .map(|key| {
            let items = items.clone();
            Handle::current().spawn(async move { text(&items, key).await })
        })
        .into();
    source.asked(2).await;
    assert_eq!(items.preload(&[3, 4]).await.refused, 2);
    source.release();
    for reader in readers {
        reader.await.unwrap();
    }
    let stats = items.stats();
    assert_eq!((outcomes(&stats), stats.preload_count), ([0, 0, 0, 0, 2], 0));
}

/// C33: preloads that a shutdown ends have failed.
#[tokio::test(start_paused = true)]
async fn preloads_ended_by_a_shutdown_have_failed() {
    let source = Source::new();
    let (forewarm, items) = started(plain(), &source).await;
    source.hold();
    let preload = Handle::current().spawn({
        let items = items.clone();
        async move { items.preload(&[1, 2]).await }
    });
    source.asked(2).await;
    assert!(!forewarm.shutdown(secs(1)).await);
    assert_eq!(preload.await.unwrap().failed, 2);
    let stats = items.stats();
    assert_eq!((outcomes(&stats), stats.preload_count), ([0, 0, 0, 2, 0], 2));
}

/// C33: whatever happens, precision and coverage are between 0 and 1, and in the end each preload
/// that was begun has had one outcome. (The older system: 7.0.)
#[tokio::test(start_paused = true)]
async fn on_random_histories_each_preload_has_one_outcome() {
    let modes =
        [PreloadMode::Off, PreloadMode::Predicted, PreloadMode::Classic(Classic::default())];
    for (nth, mode) in modes.into_iter().cycle().take(6).enumerate() {
        let mut random = fastrand::Rng::with_seed(nth as u64);
        let source = Source::new();
        source.takes(secs(nth as u64 % 3));
        for (key, mood) in [(0, Mood::Refuses), (1, Mood::Panics), (2, Mood::HasNone)] {
            source.mood(key, mood);
        }
        let preload = PreloadPolicy { mode: mode.clone(), threshold: 0.3, ..Default::default() };
        let capacity = Capacity::Entries(30);
        let policy = Policy { capacity, preload, stale_if_error: Some(secs(60)), ..plain() };
        let forewarm = super::source::engine().await;
        let items = item(&forewarm, policy, &source);
        forewarm.start().await.unwrap();
        for _ in 0..600 {
            let key = random.u64(0..60);
            let items = items.clone();
            let mut work: Vec<u64> = vec![key];
            match random.u32(0..20) {
                0 => drop(items.invalidate(&key).await),
                1 => drop(items.put(&key, "new".to_owned()).await),
                2 => drop(items.expire(&key).await),
                3 => tokio::time::sleep(secs(random.u64(0..90))).await,
                4..6 => {
                    work.extend((0..random.u64(0..4)).map(|_| random.u64(0..60)));
                    drop(Handle::current().spawn(async move { items.preload(&work).await }));
                }
                _ => drop(Handle::current().spawn(async move { items.get(&key).await.map(drop) })),
            }
            others_run().await;
            let stats = items_stats(&forewarm);
            assert!(settled(&stats) <= stats.preload_count, "{mode:?}: {stats:?}");
            assert!((0.0..=1.0).contains(&stats.preload_hit_rate), "{mode:?}: {stats:?}");
        }
        tokio::time::sleep(secs(10)).await;
        forewarm.shutdown(secs(100)).await;
        forewarm.publish_metrics();
        forewarm.clear();
        let stats = items_stats(&forewarm);
        assert_eq!(settled(&stats), stats.preload_count, "{mode:?}: {stats:?}");
        assert!(stats.preload_hits > 0 && stats.preloads_wasted > 0, "{mode:?}: {stats:?}");
        // Each useful one answered a read from memory, so that coverage cannot exceed 1 either.
        assert!(stats.preload_hits <= stats.l1_hits + stats.l1_stale, "{mode:?}: {stats:?}");
    }
}

fn items_stats(forewarm: &forewarm::Forewarm) -> ResourceStats {
    forewarm.stats().remove(0)
}

/// C33: a preload that fails has failed once, also if somebody waits for it.
#[tokio::test(start_paused = true)]
async fn a_preload_that_fails_its_reader_is_counted_once() {
    let source = Source::new();
    source.usually(Mood::Refuses);
    let (_forewarm, items) = started(plain(), &source).await;
    source.hold();
    let preload = Handle::current().spawn({
        let items = items.clone();
        async move { items.preload(&[1]).await }
    });
    source.asked(1).await;
    let reader = Handle::current().spawn({
        let items = items.clone();
        async move { items.get(&1).await }
    });
    others_run().await;
    source.release();
    assert_eq!(preload.await.unwrap().failed, 1);
    assert!(matches!(reader.await.unwrap(), Err(Error::Load { .. })));
    let stats = items.stats();
    assert_eq!((settled(&stats), stats.preload_count, stats.errors), (1, 1, 1));
}

/// C33: a preload that nobody has read when it can no longer be served is wasted, though it is
/// still kept for a source that fails.
#[tokio::test(start_paused = true)]
async fn a_preload_that_expires_unread_is_wasted() {
    for revalidate in [None, Some(secs(30))] {
        let source = Source::new();
        let policy = Policy {
            ttl: secs(60),
            jitter: 0.0,
            stale_while_revalidate: revalidate,
            stale_if_error: Some(secs(3_600)),
            ..plain()
        };
        let (_forewarm, items) = started(policy, &source).await;
        items.preload(&[1, 2]).await;
        text(&items, 1).await;
        let served_for = secs(60) + revalidate.unwrap_or_default();
        tokio::time::sleep(served_for - secs(1)).await;
        assert_eq!(outcomes(&items.stats()), [1, 0, 0, 0, 0], "{revalidate:?}");
        tokio::time::sleep(secs(2)).await;
        assert_eq!(outcomes(&items.stats()), [1, 1, 0, 0, 0], "{revalidate:?}");
        assert_eq!(items.stats().entries, 2);
    }
}
