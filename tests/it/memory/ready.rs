//! When an engine is ready, and what a source that is away does to it.

use forewarm::{Origin, ReadyBy};
use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::*;
use crate::foresight::source::{Mood, others_run, secs};

const KEYS: [(u64, usize); 10] =
    [(1, 10), (2, 9), (3, 8), (4, 7), (5, 6), (6, 5), (7, 4), (8, 3), (9, 2), (10, 1)];

#[tokio::test(start_paused = true)]
async fn an_engine_with_nothing_to_remember_is_ready_when_it_has_started() {
    let forewarm = Forewarm::builder().config(config()).build().await.unwrap();
    let _items = item(&forewarm, one_by_one(), &Source::new());
    assert!(!forewarm.is_ready());
    forewarm.start().await.unwrap();
    others_run().await;
    assert!(forewarm.is_ready());
    let ready = forewarm.ready().now_or_never().unwrap();
    assert_eq!((ready.by, ready.wanted, ready.warm), (ReadyBy::Share, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn it_is_ready_when_the_share_is_warm_and_not_before() {
    let home = Home::new();
    remember(&home, &KEYS).await;
    let (forewarm, source) = (home.engine().await, Source::new());
    source.mood(10, Mood::Hangs);
    source.hold();
    let _items = start(&forewarm, one_by_one(), &source).await;
    source.asked(1).await;
    assert!(!forewarm.is_ready());
    source.release();
    let began = Instant::now();
    let ready = forewarm.ready().await;
    assert_eq!((ready.by, ready.wanted, ready.warm), (ReadyBy::Share, 10, 9));
    assert!(began.elapsed() < secs(1) && forewarm.is_ready());
}

#[tokio::test(start_paused = true)]
async fn it_is_ready_at_the_deadline_whatever_is_warm() {
    let home = Home::new();
    remember(&home, &KEYS).await;
    let source = Source::new();
    source.hold();
    let terms = MemoryConfig { ready_deadline: secs(7), ..home.terms() };
    let forewarm = home.engine_with(terms).await;
    let _items = start(&forewarm, one_by_one(), &source).await;
    let began = Instant::now();
    let ready = forewarm.ready().await;
    assert_eq!((ready.by, ready.wanted, ready.warm), (ReadyBy::Deadline, 10, 0));
    assert!((secs(7)..secs(8)).contains(&began.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_engine_that_is_shut_down_hears_of_it() {
    let home = Home::new();
    remember(&home, &KEYS).await;
    let (forewarm, source) = (home.engine().await, Source::new());
    source.hold();
    let _items = start(&forewarm, one_by_one(), &source).await;
    let (ready, _) = tokio::join!(forewarm.ready(), end(&forewarm));
    assert_eq!(ready.by, ReadyBy::ShutDown);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_away_at_the_restart_stops_nothing_and_costs_no_memory() {
    let home = Home::new();
    remember(&home, &KEYS).await;
    for _ in 0..2 {
        let (forewarm, source) = (home.engine().await, Source::new());
        source.usually(Mood::Fails);
        let items = start(&forewarm, one_by_one(), &source).await;
        items.get(&1).await.unwrap_err();
        assert_eq!(forewarm.ready().await.by, ReadyBy::Deadline);
        // A breaker stands before it: it is not asked again and again.
        assert!(source.calls().len() < 40, "{}", source.calls().len());
        assert!(end(&forewarm).await);
    }
    let (forewarm, source) = (home.engine().await, Source::new());
    let _items = start(&forewarm, one_by_one(), &source).await;
    assert_eq!(forewarm.ready().await.by, ReadyBy::Share);
    forewarm.settled().await;
    assert!((1..=9).all(|key| source.loads_of(&key) == 1), "{:?}", asked(&source));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_comes_back_in_time_is_asked_again() {
    let home = Home::new();
    remember(&home, &KEYS).await;
    let (forewarm, source) = (home.engine().await, Source::new());
    source.usually(Mood::Fails);
    let _items = start(&forewarm, one_by_one(), &source).await;
    tokio::time::sleep(secs(3)).await;
    assert!(!forewarm.is_ready());
    source.usually(Mood::Answers);
    let ready = forewarm.ready().await;
    assert_eq!((ready.by, ready.wanted), (ReadyBy::Share, 10));
}

#[tokio::test(start_paused = true)]
async fn who_waits_goes_before_what_is_remembered() {
    let home = Home::new();
    remember(&home, &KEYS).await;
    let (forewarm, source) = (home.engine().await, Source::new());
    source.hold();
    let items = start(&forewarm, one_by_one(), &source).await;
    source.asked(1).await;
    // The one slot that preloads have is taken; the other is for those who wait.
    let mut reads = Box::pin(async { tokio::join!(items.get(&77), items.get(&10)) });
    assert!((&mut reads).now_or_never().is_none());
    source.asked(2).await;
    assert_eq!(asked(&source), [1, 77]);
    source.release();
    let (other, last) = reads.await;
    assert!(other.unwrap().is_some() && last.unwrap().is_some());
    assert_eq!(asked(&source)[..3], [1, 77, 10]);
    assert_eq!(source.loads_for(Origin::Demand), 2);
}

/// The default budget is enough for ten thousand keys in a few seconds.
#[tokio::test(start_paused = true)]
async fn ten_thousand_keys_are_warm_in_five_seconds() {
    let home = Home::new();
    let keys: Vec<_> = (0..10_000).map(|key| (key, 1)).collect();
    remember(&home, &keys).await;
    let (forewarm, source) = (home.engine().await, Source::new());
    source.takes(Duration::from_millis(1));
    let policy = Policy { source: SourcePolicy::default(), ..one_by_one() };
    let _items = start(&forewarm, policy, &source).await;
    let began = Instant::now();
    let ready = forewarm.ready().await;
    assert_eq!((ready.by, ready.wanted, ready.warm), (ReadyBy::Share, 10_000, 9_000));
    assert!(began.elapsed() < secs(5), "{:?}", began.elapsed());
}
