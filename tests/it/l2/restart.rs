//! What the next run, and another engine, find in the file.

use std::time::Duration;

use forewarm::{Freshness, ReadFrom, ReadOptions, TrustOnRestart};
use futures_util::FutureExt as _;

use super::faulty::{Mode, Op};
use super::world::{MINUTE, SECOND, Setup, TTL, World};

/// A world whose last run has loaded user 1, and ended a while ago.
async fn after_a_run(pause: Duration) -> World {
    let mut world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    world.end(run, pause).await;
    world
}

/// C17: a restart keeps what has not expired, and its age.
#[tokio::test]
async fn a_value_of_a_former_run_is_found_without_a_load() {
    let world = after_a_run(3 * MINUTE).await;
    let run = world.run(Setup::trusting(TrustOnRestart::WithinTtl)).await;
    let read = run.read(1).await;
    assert_eq!((read.from, read.freshness), (ReadFrom::L2, Freshness::Fresh));
    assert_eq!(*read.value.unwrap(), "user 1");
    assert!(read.age >= 3 * MINUTE && read.age < 4 * MINUTE, "{:?}", read.age);
    world.clock.advance(6 * MINUTE);
    assert_eq!(run.read(1).await.freshness, Freshness::Fresh);
    assert_eq!(world.source.loads(), 1);
    world.clock.advance(MINUTE);
    assert_eq!(run.read(1).await.freshness, Freshness::Stale, "its time went on meanwhile");
}

/// C17: what has expired while nothing ran is not served.
#[tokio::test]
async fn what_expired_between_two_runs_is_loaded_again() {
    for trust in [TrustOnRestart::WithinTtl, TrustOnRestart::StaleOnly] {
        let world = after_a_run(TTL + 61 * MINUTE).await;
        let run = world.run(Setup::trusting(trust)).await;
        world.source.fail(true);
        assert!(run.users.get(&1).await.is_err(), "{trust:?}: it is not even kept for errors");
        world.source.fail(false);
        assert_eq!(run.read(1).await.from, ReadFrom::Source, "{trust:?}");
    }
}

/// C15: a reader who accepts nothing old gets nothing old, although the run has just begun.
#[tokio::test]
async fn a_value_of_a_former_run_is_as_old_as_it_was() {
    let world = after_a_run(3 * MINUTE).await;
    world.source.set(1, "new");
    let run = world.run(Setup::trusting(TrustOnRestart::WithinTtl)).await;
    let young = ReadOptions::new().max_age(MINUTE);
    for (options, from, user) in [
        (ReadOptions::new().max_age(4 * MINUTE), ReadFrom::L2, "user 1"),
        (young, ReadFrom::Source, "new"),
        (young, ReadFrom::L1, "new"),
    ] {
        let read = run.users.read(&1, &options).await.unwrap();
        assert_eq!((read.from, read.value.unwrap().as_str()), (from, user));
    }
}

/// C15: nothing older than the reader accepts, even if the source fails.
#[tokio::test]
async fn a_value_of_l2_that_is_too_old_for_the_reader_is_no_answer_to_a_failure() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    world.clock.advance(3 * MINUTE);
    world.source.fail(true);
    for options in [ReadOptions::new().max_age(MINUTE), ReadOptions::new().refresh()] {
        run.forget().await;
        assert!(run.users.read(&1, &options).await.is_err());
    }
    world.clock.advance(TTL);
    run.forget().await;
    assert!(run.users.read(&1, &ReadOptions::new().fresh_only()).await.is_err());
    assert_eq!(run.get(1).await.unwrap(), "user 1", "who accepts it gets it");
}

/// C15: a reader who accepts only what is fresh waits for a load.
#[tokio::test]
async fn a_stale_value_of_l2_is_not_for_those_who_want_a_fresh_one() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    world.source.set(1, "new");
    world.clock.advance(TTL + 10 * SECOND);
    run.forget().await;
    let read = run.users.read(&1, &ReadOptions::new().fresh_only()).await.unwrap();
    assert_eq!((read.from, read.value.unwrap().as_str()), (ReadFrom::Source, "new"));
}

/// C19: "there is no such thing" is kept in L2 as well, for its own short time.
#[tokio::test]
async fn an_absence_is_kept_in_l2_for_its_own_time() {
    let mut world = World::new();
    let run = world.run(Setup::new()).await;
    assert_eq!(run.get(404).await, None);
    run.forewarm.settled().await;
    assert_eq!(world.row(404).await, Some(None));
    world.end(run, 30 * SECOND).await;

    let run = world.run(Setup::trusting(TrustOnRestart::WithinTtl)).await;
    assert_eq!(run.get(404).await, None);
    assert_eq!(world.source.loads(), 1);
    world.source.set(404, "somebody");
    world.clock.advance(31 * SECOND);
    assert_eq!(run.get(404).await.unwrap(), "somebody", "it is not served past its time");
}

/// C19: where absences are not kept, they are not kept in L2 either.
#[tokio::test]
async fn an_absence_that_is_not_to_be_kept_is_no_row() {
    let world = World::new();
    let mut setup = Setup::new();
    setup.policy.absent_ttl = None;
    let run = world.run(setup).await;
    for _ in 0..2 {
        assert_eq!(run.get(404).await, None);
        run.forewarm.settled().await;
    }
    assert_eq!((world.rows().await, world.source.loads()), (0, 2));
}

/// C17: two engines share a file, and what one renews the other takes over.
#[tokio::test]
async fn a_renewal_by_another_engine_is_taken_over() {
    let world = World::new();
    let mut setup = Setup::trusting(TrustOnRestart::WithinTtl);
    setup.policy.stale_while_revalidate = None;
    let (one, two) = (world.run(setup.clone()).await, world.run(setup).await);
    one.load(1).await;
    assert_eq!(two.read(1).await.from, ReadFrom::L2);
    world.clock.advance(TTL + SECOND);
    world.source.set(1, "new");
    two.load(1).await;
    let read = one.read(1).await;
    assert_eq!((read.from, read.value.unwrap().as_str()), (ReadFrom::L2, "new"));
    assert_eq!(world.source.loads(), 2);
}

/// C12: while another engine loads a key, this one waits for it instead of asking the source too.
#[tokio::test]
async fn a_key_that_another_engine_is_loading_is_waited_for() {
    let world = World::new();
    let setup = Setup::trusting(TrustOnRestart::WithinTtl);
    let (one, two) = (world.run(setup.clone()).await, world.run(setup).await);
    world.source.hold();
    let mut first = Box::pin(one.get(1));
    assert!(first.as_mut().now_or_never().is_none());
    world.source.has_read(1).await;
    let (second, ()) = tokio::join!(two.read(1), async {
        // It asks again and again, and is told that somebody is loading it.
        two.tier.made(Op::Begin, 3).await;
        world.source.release();
    });
    assert_eq!(first.await.unwrap(), "user 1");
    assert_eq!((second.from, world.source.loads()), (ReadFrom::L2, 1));
}

/// C12: an engine that never brings what it began to load does not hold up another for long.
#[tokio::test]
async fn a_key_that_another_engine_never_brings_is_loaded_without_it() {
    let world = World::new();
    let mut setup = Setup::new();
    let one = world.run(setup.clone()).await;
    setup.config.l2.busy_wait = SECOND;
    let two = world.run(setup).await;
    one.tier.set(Op::Fill, Mode::HeldBefore);
    assert!(one.get(1).await.is_some());
    one.tier.begun(Op::Fill, 1).await;
    let (read, ()) = tokio::join!(two.read(1), async {
        two.tier.made(Op::Begin, 2).await;
        world.clock.advance(SECOND);
    });
    assert_eq!((read.from, world.source.loads()), (ReadFrom::Source, 2));
    assert_eq!(two.counted_of("fills_refused"), [("busy".to_owned(), 1)]);
    one.tier.release(Op::Fill);
    one.forewarm.settled().await;
    two.forewarm.settled().await;
    assert_eq!(two.tier.calls(Op::Fill), 0, "it had no permit");
}

/// C22: after the end nothing hangs, and what L2 has not heard of is not said to be applied.
#[tokio::test]
async fn after_the_end_an_invalidation_is_not_applied() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    assert!(run.forewarm.shutdown(MINUTE).await);
    assert_eq!(run.users.invalidate(&1).await, forewarm::Delivery::Queued);
    assert!(run.users.get(&1).await.is_err(), "what is wrong is not served");
    assert_eq!(world.row(1).await.unwrap().unwrap(), "user 1");
}

/// C22: what L2 was told last before the end is in the file.
#[tokio::test]
async fn what_is_queued_at_the_end_is_delivered_if_l2_answers_again() {
    let mut world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    run.tier.set(Op::Invalidate, Mode::Fails);
    assert_eq!(run.users.invalidate(&1).await, forewarm::Delivery::Queued);
    run.tier.set(Op::Invalidate, Mode::Works);
    world.end(run, SECOND).await;
    assert_eq!(world.rows().await, 0);
}
