//! A preload that waits for its budget, and readers who come meanwhile.

use forewarm::{Forewarm, LoadContext, LoadError, Loaded, Loader, Policy, PreloadPolicy};
use futures_util::FutureExt as _;

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
async fn a_preload_that_waits_for_tokens_holds_no_reader_up() {
    let forewarm = Forewarm::builder().build().await.unwrap();
    let preload = PreloadPolicy { loads_per_second: 1.0, burst: 2, ..PreloadPolicy::default() };
    let policy = Policy { preload, ..Policy::default() };
    let numbers = forewarm.memory_resource::<u32, u32>("number").policy(policy);
    let numbers = numbers.loader(Echo).build().unwrap();
    forewarm.start().await.unwrap();
    // Two of the four keys have to wait for a token, a second each.
    let mut ahead = Box::pin(numbers.preload(&[1, 2, 3, 4]));
    assert!((&mut ahead).now_or_never().is_none());
    let read = numbers.get(&1).now_or_never().expect("the loader answers at once");
    assert_eq!(read.unwrap().as_deref(), Some(&1));
    let preloaded = ahead.await;
    assert_eq!((preloaded.loaded, preloaded.held), (3, 1));
}
