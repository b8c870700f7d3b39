//! A preload that waits for its budget, and readers who come meanwhile.

use std::time::Duration;

use forewarm::{Forewarm, LoadContext, LoadError, Loaded, Loader, Policy, PreloadPolicy};
use tokio::time::{Instant, sleep};

/// Answers with the key itself, in calls of up to four.
struct Echo;

impl Loader<u32, u32> for Echo {
    async fn load(&self, key: &u32, _cx: &LoadContext<u32>) -> Result<Loaded<u32>, LoadError> {
        Ok((*key).into())
    }

    fn keys_per_call(&self) -> usize {
        4
    }
}

#[tokio::test(start_paused = true)]
async fn a_preload_that_waits_or_is_dropped_holds_no_reader_up() {
    for is_dropped in [true, false] {
        let forewarm = Forewarm::builder().build().await.unwrap();
        let preload = PreloadPolicy { loads_per_second: 1.0, burst: 2, ..PreloadPolicy::default() };
        let policy = Policy { preload, ..Policy::default() };
        let numbers = forewarm.memory_resource::<u32, u32>("number").policy(policy);
        let numbers = numbers.loader(Echo).build().unwrap();
        forewarm.start().await.unwrap();
        let ahead = numbers.clone();
        // Two of the four keys have to wait for a token, a second each.
        let ahead = tokio::spawn(async move { ahead.preload(&[1, 2, 3, 4]).await });
        sleep(Duration::from_millis(10)).await;
        let began = Instant::now();
        let reader = numbers.clone();
        let reader =
            tokio::spawn(async move { reader.get(&1).await.map(|value| value.map(|v| *v)) });
        sleep(Duration::from_millis(10)).await;
        if is_dropped {
            ahead.abort();
        }
        assert_eq!(reader.await.unwrap().unwrap(), Some(1), "dropped: {is_dropped}");
        assert!(began.elapsed() < Duration::from_millis(20), "dropped: {is_dropped}");
        if !is_dropped {
            let preloaded = ahead.await.unwrap();
            assert_eq!((preloaded.loaded, preloaded.held), (3, 1));
        }
    }
}
