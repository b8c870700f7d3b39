//! An engine that stood still for a while.

use forewarm::ReadFrom;
use futures_util::future::join_all;

use super::world::{MINUTE, World};
use crate::sim::Op;

#[tokio::test(start_paused = true)]
async fn an_engine_that_stood_still_serves_nothing_void_and_asks_once_for_all_of_memory() {
    let world = World::new();
    let [one, two] = world.engines().await;
    for id in 1..10 {
        two.get(id).await;
    }
    // While it stands still, time passes and nothing of it runs.
    two.line.bring_hints(false);
    world.source.set(1, "new");
    one.invalidate(1).await;
    two.clock.advance(MINUTE);

    let (polls, loads) = (two.line.calls(Op::Poll), world.source.loads());
    let read = join_all((1..10).map(|id| two.named(id))).await;
    assert_eq!(read[0], ("new".to_owned(), ReadFrom::Source));
    for read in &read[1..] {
        assert_eq!(*read, ("old".to_owned(), ReadFrom::L1));
    }
    assert_eq!((two.line.calls(Op::Poll), world.source.loads()), (polls + 1, loads + 1));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_stood_still_and_is_cut_off_asks_the_source() {
    let world = World::new();
    let [one, two] = world.engines().await;
    two.get(1).await;
    world.source.set(1, "new");
    two.line.cut_for(MINUTE);
    one.invalidate(1).await;
    two.clock.advance(MINUTE);
    assert_eq!(two.named(1).await, ("new".to_owned(), ReadFrom::Source));
}

#[tokio::test(start_paused = true)]
async fn many_keys_at_once_are_verified_by_one_poll() {
    let world = World::new();
    let engine = world.engine().await;
    for id in 1..10 {
        engine.get(id).await;
    }
    engine.clock.advance(MINUTE);
    let (polls, loads) = (engine.line.calls(Op::Poll), world.source.loads());
    for user in engine.users.get_many(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).await {
        assert_eq!(*user.unwrap().unwrap(), "old");
    }
    assert_eq!((engine.line.calls(Op::Poll), world.source.loads()), (polls + 1, loads));
}
