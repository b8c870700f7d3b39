//! Changes of a key, and what is in the file when they have returned.

use forewarm::{Delivery, Freshness, ReadFrom, TrustOnRestart};
use futures_util::FutureExt as _;

use super::faulty::{Mode, Op};
use super::world::{MINUTE, SECOND, Setup, World};

/// C21: an invalidation that was applied has reached the file when it returns.
#[tokio::test]
async fn an_invalidation_is_in_the_file_before_it_returns() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    world.source.set(1, "new");
    assert_eq!(run.users.invalidate(&1).await, Delivery::Applied);
    assert_eq!(world.rows().await, 0);
    let read = run.read(1).await;
    assert_eq!((read.from, read.value.unwrap().as_str()), (ReadFrom::Source, "new"));
    run.forget().await;
    let read = run.read(1).await;
    assert_eq!((read.from, read.value.unwrap().as_str()), (ReadFrom::L2, "new"));
}

/// C21: an invalidation goes on when its caller goes away.
#[tokio::test]
async fn an_invalidation_whose_caller_goes_away_is_not_stopped_half_way() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    run.tier.set(Op::Invalidate, Mode::HeldBefore);
    {
        let mut invalidation = Box::pin(run.users.invalidate(&1));
        assert!(invalidation.as_mut().now_or_never().is_none());
    }
    world.source.set(1, "new");
    assert_eq!(run.get(1).await.unwrap(), "new", "here it holds at once");
    run.tier.release(Op::Invalidate);
    run.forewarm.settled().await;
    assert_eq!(world.rows().await, 0);
}

/// C21: a value that is put is in both tiers when it returns, and lives as a loaded one does.
#[tokio::test]
async fn a_put_is_in_the_file_before_it_returns() {
    let mut world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    assert_eq!(run.users.put(&1, "put".to_owned()).await, Delivery::Applied);
    assert_eq!(world.row(1).await.unwrap().unwrap(), "put");
    assert_eq!(run.get(1).await.unwrap(), "put");
    run.forget().await;
    assert_eq!(run.get(1).await.unwrap(), "put");
    assert_eq!(run.users.put(&404, "new".to_owned()).await, Delivery::Applied);
    world.end(run, 9 * MINUTE).await;
    let run = world.run(Setup::trusting(TrustOnRestart::WithinTtl)).await;
    for (id, user) in [(1, "put"), (404, "new")] {
        let read = run.read(id).await;
        assert_eq!((read.from, read.freshness), (ReadFrom::L2, Freshness::Fresh));
        assert_eq!(*read.value.unwrap(), user);
    }
    assert_eq!(world.source.loads(), 1);
}

/// C21: a put that L2 does not hear of holds here, and the old value in L2 is never seen again.
#[tokio::test]
async fn a_put_that_is_queued_holds_here_and_the_old_row_goes() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    run.tier.set_all(Mode::Fails);
    world.source.set(1, "put");
    assert_eq!(run.users.put(&1, "put".to_owned()).await, Delivery::Queued);
    assert_eq!(run.get(1).await.unwrap(), "put");
    run.tier.set(Op::Begin, Mode::Works);
    run.forewarm.clear();
    assert_eq!(run.read(1).await.from, ReadFrom::Source);
    assert_eq!(world.row(1).await.unwrap().unwrap(), "user 1", "the old one is still there");
    run.recover(&world.clock).await;
    assert_eq!(world.rows().await, 0);
    assert_eq!(run.get(1).await.unwrap(), "put");
}

/// C18: what is made stale is stale in both tiers, is renewed, and still answers if that fails.
#[tokio::test]
async fn what_is_made_stale_is_stale_in_both_tiers() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    world.source.fail(true);
    assert_eq!(run.users.expire(&1).await, Delivery::Applied);
    world.clock.advance(SECOND);
    let read = run.read(1).await;
    assert_eq!((read.from, read.freshness), (ReadFrom::L1, Freshness::Stale));
    run.forget().await;
    world.clock.advance(SECOND);
    let read = run.read(1).await;
    assert_eq!((read.from, read.freshness), (ReadFrom::L2, Freshness::Stale));
    assert_eq!(*read.value.unwrap(), "user 1");
    run.forget().await;
    world.source.fail(false);
    world.source.set(1, "new");
    world.clock.advance(SECOND);
    run.get(1).await;
    run.forewarm.settled().await;
    assert_eq!(run.get(1).await.unwrap(), "new");
    assert_eq!(world.row(1).await.unwrap().unwrap(), "new");
}

/// C21: to make a key stale that L2 does not hear of closes the way to its row as well.
#[tokio::test]
async fn what_is_made_stale_while_l2_is_down_is_not_fresh_there() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    run.tier.set_all(Mode::Fails);
    assert_eq!(run.users.expire(&1).await, Delivery::Queued);
    world.source.set(1, "new");
    run.tier.set(Op::Begin, Mode::Works);
    run.forewarm.clear();
    let read = run.read(1).await;
    assert_eq!((read.from, read.value.unwrap().as_str()), (ReadFrom::Source, "new"));
    run.recover(&world.clock).await;
    assert_eq!(world.rows().await, 0);
}

/// C21: to clear memory forgets nothing that L2 has.
#[tokio::test]
async fn what_is_cleared_is_still_in_l2() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    run.users.clear();
    assert!(run.users.peek(&1).is_none());
    assert_eq!(run.read(1).await.from, ReadFrom::L2);
    assert_eq!(world.source.loads(), 1);
}

/// C16: a value that is too large is given to the reader, kept nowhere, and counted once.
#[tokio::test]
async fn a_value_that_is_too_large_is_no_row() {
    let world = World::new();
    let mut setup = Setup::new();
    setup.policy.value_bytes_max = 100;
    let run = world.run(setup).await;
    world.source.set(1, &"x".repeat(101));
    for _ in 0..2 {
        assert_eq!(run.get(1).await.unwrap().len(), 101);
        run.forewarm.settled().await;
        assert_eq!(run.counted_of("fills_refused"), [("value_size".to_owned(), 1)]);
    }
    run.users.put(&1, "y".repeat(101)).now_or_never();
    run.forewarm.settled().await;
    assert_eq!(world.rows().await, 0);
    assert!(run.users.peek(&1).is_none());
    assert_eq!(world.source.loads(), 2);
}
