//! What is kept of a value.

use std::sync::Arc;

use forewarm::{Error, Forewarm, LoadError, ReadOptions, Resource};

use crate::sim::SimStore;

fn leaderboard(forewarm: &Forewarm) -> Resource<u64, Vec<u32>> {
    let ranks = forewarm.resource("leaderboard").trim(|mut ranks: Vec<u32>| {
        assert!(ranks.first() != Some(&u32::MAX), "it cannot be trimmed");
        ranks.truncate(100);
        ranks
    });
    ranks
        .load_with(|length: u64| async move {
            let first = if length == 0 { u32::MAX } else { 1 };
            Ok::<_, LoadError>(
                (first..).take(usize::try_from(length).unwrap().max(1)).collect::<Vec<_>>(),
            )
        })
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_ranks_are_kept_wherever_they_come_from_and_go_to() {
    let store = SimStore::new();
    let forewarm = Forewarm::builder().tier(store.connect()).build().await.unwrap();
    let ranks = leaderboard(&forewarm);
    forewarm.start().await.unwrap();
    for (length, kept) in [(500, 100), (7, 7)] {
        assert_eq!(ranks.get(&length).await.unwrap().unwrap().len(), kept);
        let live = ranks.read(&length, &ReadOptions::new().bypass()).await.unwrap();
        assert_eq!(live.value.unwrap().len(), kept);
    }
    let shared = Arc::new(vec![3; 200]);
    let _delivery = ranks.put(&1, Arc::clone(&shared)).await;
    assert_eq!((ranks.get(&1).await.unwrap().unwrap().len(), shared.len()), (100, 200));

    // L2 has no more than that either.
    let other = Forewarm::builder().tier(store.connect()).build().await.unwrap();
    let memory = other.resource::<u64, Vec<u32>>("leaderboard");
    let memory = memory.load_with(|_| async { Err::<Vec<u32>, _>(LoadError::permanent("closed")) });
    let memory = memory.build().unwrap();
    other.start().await.unwrap();
    assert_eq!(memory.get(&500).await.unwrap().unwrap().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn one_that_panics_is_the_error_of_those_who_wait() {
    let forewarm = Forewarm::builder().build().await.unwrap();
    let ranks = leaderboard(&forewarm);
    forewarm.start().await.unwrap();
    let error = ranks.get(&0).await.unwrap_err();
    assert!(matches!(error, Error::Panicked { .. }), "{error:?}");
    assert!(ranks.get(&5).await.unwrap().is_some());
}
