//! C12: one load per key, whoever wants it and whatever becomes of those who wait.

use std::sync::Arc;

use forewarm::{Error, Freshness, Origin, Policy, ReadFrom, ReadOptions};
use futures_util::future::join_all;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::source::{Mood, Source, begun, items, others_run, pass, peeked, plain, secs, value};

/// C12: one load for any number of concurrent misses.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_reads_of_a_cold_key_are_one_load() {
    const TASKS: usize = 4;
    let source = Source::new();
    let (_engine, items) = items(plain(), &source).await;
    let hold = source.hold();
    let all_wait = Arc::new(Barrier::new(TASKS + 1));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (items, all_wait) = (items.clone(), Arc::clone(&all_wait));
        tasks.spawn(async move {
            let reads: Vec<_> = (0..10_000 / TASKS).map(|_| begun(items.get(&1))).collect();
            all_wait.wait().await;
            join_all(reads).await
        });
    }
    all_wait.wait().await;
    drop(hold);
    let outcomes: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(outcomes.len(), 10_000);
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap().as_deref() == Some(&0)));
    assert_eq!(source.loads(), 1);
    let stats = items.stats();
    assert_eq!((stats.misses, stats.l1_hits, stats.loads), (10_000, 0, 1));
}

/// C12: the load belongs to nobody who waits for it.
#[tokio::test(start_paused = true)]
async fn the_reader_who_began_a_load_may_go_away() {
    let source = Source::new();
    let (_engine, items) = items(plain(), &source).await;
    let hold = source.hold();
    let leader = begun(items.get(&1));
    let follower = begun(items.get(&1));
    drop(leader);
    others_run().await;
    drop(hold);
    assert_eq!(follower.await.unwrap().as_deref(), Some(&0));
    assert_eq!(source.loads(), 1);
}

/// C12: a load that nobody waits for any more still ends, and brings what it brings.
#[tokio::test(start_paused = true)]
async fn a_load_goes_on_when_everybody_has_gone_away() {
    let source = Source::new();
    let (_engine, items) = items(plain(), &source).await;
    let hold = source.hold();
    drop([begun(items.get(&1)), begun(items.get(&1))]);
    drop(hold);
    others_run().await;
    assert_eq!(peeked(&items, 1), Some(0));
    assert_eq!((value(&items, 1).await, source.loads()), (0, 1));
}

/// C12: one failed load is one error for each who waited, and the next reader loads again.
#[tokio::test(start_paused = true)]
async fn a_failure_and_a_panic_are_one_error_for_everybody_who_waits() {
    for mood in [Mood::Panics, Mood::Refuses] {
        let source = Source::new();
        let (_engine, items) = items(plain(), &source).await;
        let hold = source.hold();
        source.usually(mood);
        let reads: Vec<_> = (0..100).map(|_| begun(items.get(&1))).collect();
        drop(hold);
        for outcome in join_all(reads).await {
            let error = outcome.unwrap_err();
            let is_right = match mood {
                Mood::Panics => matches!(error, Error::Panicked { .. }),
                _ => matches!(error, Error::Load { .. }),
            };
            assert!(is_right, "{mood:?}: {error:?}");
        }
        assert_eq!((source.loads(), items.stats().errors), (1, 100), "{mood:?}");
        source.let_pass();
        source.usually(Mood::Answers);
        assert_eq!((value(&items, 1).await, source.loads()), (0, 2), "{mood:?}");
    }
}

/// C12: preload and demand share one load; the reader is told whose it was.
#[tokio::test(start_paused = true)]
async fn a_reader_joins_a_preload_and_two_preloads_are_one_load() {
    let source = Source::new();
    let (_engine, items) = items(plain(), &source).await;
    let hold = source.hold();
    let first = begun(items.preload(&[1]));
    let second = items.preload(&[1]).await;
    assert_eq!((second.held, second.loaded), (1, 0));
    let options = ReadOptions::new();
    let read = begun(items.read(&1, &options));
    drop(hold);
    let read = read.await.unwrap();
    assert_eq!((read.value.as_deref(), read.joined), (Some(&0), Some(Origin::Preload)));
    assert_eq!((first.await.loaded, source.loads()), (1, 1));
}

/// C12: a renewal and a reader who accepts nothing stale share one load.
#[tokio::test(start_paused = true)]
async fn a_reader_joins_a_renewal() {
    let source = Source::new();
    let policy = Policy { stale_while_revalidate: Some(secs(60)), ..plain() };
    let (_engine, items) = items(policy, &source).await;
    value(&items, 1).await;
    pass(secs(61)).await;
    source.change();
    let hold = source.hold();
    let served = items.read(&1, &ReadOptions::new()).await.unwrap();
    assert_eq!((served.freshness, served.joined), (Freshness::Stale, None));
    let options = ReadOptions::new().fresh_only();
    let read = begun(items.read(&1, &options));
    let another = begun(items.read(&1, &options));
    drop(hold);
    for read in [read.await.unwrap(), another.await.unwrap()] {
        assert_eq!((read.value.as_deref(), read.from), (Some(&1), ReadFrom::Source));
        assert_eq!((read.joined, read.freshness), (Some(Origin::Refresh), Freshness::Fresh));
    }
    assert_eq!(source.loads(), 2);
}

/// C12: loads of different keys do not wait for each other.
#[tokio::test(start_paused = true)]
async fn a_load_that_takes_long_holds_up_no_other_key() {
    let source = Source::new();
    let (_engine, items) = items(plain(), &source).await;
    let hold = source.hold();
    let slow = begun(items.get(&1));
    source.let_pass();
    for key in 2..200 {
        assert_eq!(value(&items, key).await, 0, "key {key}");
    }
    drop(hold);
    assert_eq!(slow.await.unwrap().as_deref(), Some(&0));
}
