//! Keys that are wanted from the first start on.

use forewarm::{LoadError, ReadyBy};

use super::*;

async fn seeded(home: &Home, source: &Source<u64>) -> (Forewarm, Resource<u64, String>) {
    let forewarm = home.engine().await;
    let items = forewarm.resource("item").policy(one_by_one()).loader(source.clone());
    let items = items
        .seed([7, 5])
        .seed_with(|| async { Err::<Vec<u64>, _>(LoadError::transient("no table")) })
        .seed_with(|| async { panic!("a defect") as Result<Vec<u64>, LoadError> })
        .seed_with(|| async { Ok([9, 7, 1]) })
        .build()
        .unwrap();
    forewarm.start().await.unwrap();
    (forewarm, items)
}

#[tokio::test(start_paused = true)]
async fn seeds_are_loaded_in_their_order_and_those_that_cannot_be_had_are_none() {
    let (home, source) = (Home::new(), Source::new());
    let (forewarm, _items) = seeded(&home, &source).await;
    let ready = forewarm.ready().await;
    assert_eq!((ready.by, ready.wanted, ready.warm), (ReadyBy::Share, 4, 4));
    assert_eq!(asked(&source), [7, 5, 9, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_goes_before_seeds() {
    let (home, source) = (Home::new(), Source::new());
    remember(&home, &[(1, 5), (2, 3)]).await;
    let (forewarm, _items) = seeded(&home, &source).await;
    forewarm.ready().await;
    forewarm.settled().await;
    assert_eq!(asked(&source), [1, 2, 7, 5, 9]);
}

#[tokio::test(start_paused = true)]
async fn seeds_need_no_memory_and_nobody_has_to_have_read_them() {
    let (forewarm, source) =
        (Forewarm::builder().config(config()).build().await.unwrap(), Source::new());
    let items = forewarm.resource::<u64, String>("item").policy(plain()).loader(source.clone());
    let items = items.seed(1..=20).build().unwrap();
    forewarm.start().await.unwrap();
    assert_eq!(forewarm.ready().await.wanted, 20);
    items.get(&1).await.unwrap();
    let stats = items.stats();
    assert_eq!((stats.l1_hits, stats.preload_hits), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_engine_is_not_ready_before_it_knows_its_seeds() {
    let forewarm = Forewarm::builder().config(config()).build().await.unwrap();
    let items = forewarm.resource::<u64, String>("item").policy(plain()).loader(Source::new());
    let never = || async { std::future::pending::<Result<Vec<u64>, LoadError>>().await };
    let _items = items.seed_with(never).build().unwrap();
    forewarm.start().await.unwrap();
    assert!(!forewarm.is_ready());
    // Both come at the same moment.
    assert!(matches!(forewarm.ready().await.by, ReadyBy::Deadline | ReadyBy::Share));
}
