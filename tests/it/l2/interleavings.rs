//! Scripted orders of reads, loads and changes of a key: after a change has returned, nobody who
//! comes later sees what was read before it.

use forewarm::{Delivery, Freshness, ReadFrom, TrustOnRestart};
use futures_util::FutureExt as _;

use super::faulty::{Mode, Op};
use super::world::{MINUTE, Run, SECOND, Setup, TTL, World};

/// Nobody sees anything but `user` any more: from memory, from L2, or in the next run.
async fn sees_only(mut world: World, run: Run, user: &str) {
    for _ in 0..2 {
        assert_eq!(run.get(1).await.unwrap(), user);
        run.forget().await;
    }
    let row = world.row(1).await;
    assert!(row.is_none_or(|row| row.unwrap() == user));
    world.end(run, SECOND).await;
    let run = world.run(Setup::trusting(TrustOnRestart::WithinTtl)).await;
    assert_eq!(run.get(1).await.unwrap(), user);
}

/// C21: a load that began before an invalidation brings its value nowhere but to its own readers.
#[tokio::test]
async fn a_load_that_began_before_an_invalidation_fills_nothing() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    world.source.hold();
    let (old, ()) = tokio::join!(run.get(1), async {
        world.source.has_read(1).await;
        world.source.hold_no_more();
        world.source.set(1, "new");
        assert_eq!(run.users.invalidate(&1).await, Delivery::Applied);
        world.source.release();
    });
    assert_eq!(old.unwrap(), "user 1");
    run.forewarm.settled().await;
    assert!(run.users.peek(&1).is_none());
    assert_eq!(world.row(1).await, None);
    sees_only(world, run, "new").await;
}

/// C21: the same if a later reader has loaded the new value before the old load ends.
#[tokio::test]
async fn a_load_that_is_overtaken_by_a_later_one_changes_nothing() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    world.source.hold();
    let (old, ()) = tokio::join!(run.get(1), async {
        world.source.has_read(1).await;
        world.source.hold_no_more();
        world.source.set(1, "new");
        assert_eq!(run.users.invalidate(&1).await, Delivery::Applied);
        assert_eq!(run.get(1).await.unwrap(), "new");
        run.tier.made(Op::Fill, 1).await;
        assert_eq!(world.row(1).await.unwrap().unwrap(), "new");
        world.source.release();
    });
    assert_eq!(old.unwrap(), "user 1");
    run.forewarm.settled().await;
    assert_eq!(world.row(1).await.unwrap().unwrap(), "new");
    sees_only(world, run, "new").await;
}

/// C21: a value that is on its way to L2 when its key is invalidated does not stay there, whether
/// it gets there before or after.
#[tokio::test]
async fn a_value_on_its_way_to_l2_does_not_survive_an_invalidation() {
    for mode in [Mode::HeldBefore, Mode::HeldAfter] {
        let world = World::new();
        let run = world.run(Setup::new()).await;
        run.tier.set(Op::Fill, mode);
        assert_eq!(run.get(1).await.unwrap(), "user 1");
        match mode {
            Mode::HeldBefore => run.tier.begun(Op::Fill, 1).await,
            _ => run.tier.made(Op::Fill, 1).await,
        }
        run.tier.set(Op::Fill, Mode::Works);
        world.source.set(1, "new");
        assert_eq!(run.users.invalidate(&1).await, Delivery::Applied);
        assert_eq!(world.row(1).await, None, "{mode:?}");
        run.tier.release(Op::Fill);
        run.forewarm.settled().await;
        assert_eq!(world.row(1).await, None, "{mode:?}");
        sees_only(world, run, "new").await;
    }
}

/// C21: a value that is on its way to L2 does not replace what is put meanwhile.
#[tokio::test]
async fn a_value_on_its_way_to_l2_does_not_replace_what_is_put() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.tier.set(Op::Fill, Mode::HeldBefore);
    assert_eq!(run.get(1).await.unwrap(), "user 1");
    run.tier.begun(Op::Fill, 1).await;
    run.tier.set(Op::Fill, Mode::Works);
    world.source.set(1, "put");
    assert_eq!(run.users.put(&1, "put".to_owned()).await, Delivery::Applied);
    run.tier.release(Op::Fill);
    run.forewarm.settled().await;
    assert_eq!(world.row(1).await.unwrap().unwrap(), "put");
    sees_only(world, run, "put").await;
}

/// C18: a value that is on its way to L2 when its key is made stale does not get there as fresh.
#[tokio::test]
async fn a_value_on_its_way_to_l2_is_not_fresh_after_its_key_was_made_stale() {
    for mode in [Mode::HeldBefore, Mode::HeldAfter] {
        let world = World::new();
        let run = world.run(Setup::new()).await;
        run.tier.set(Op::Fill, mode);
        assert_eq!(run.get(1).await.unwrap(), "user 1");
        match mode {
            Mode::HeldBefore => run.tier.begun(Op::Fill, 1).await,
            _ => run.tier.made(Op::Fill, 1).await,
        }
        run.tier.set(Op::Fill, Mode::Works);
        world.source.set(1, "new");
        assert_eq!(run.users.expire(&1).await, Delivery::Applied);
        run.tier.release(Op::Fill);
        world.clock.advance(SECOND);
        run.forget().await;
        assert_ne!(run.read(1).await.freshness == Freshness::Fresh, mode == Mode::HeldAfter);
        run.forewarm.settled().await;
        sees_only(world, run, "new").await;
    }
}

/// C21: a hit in L2 that was decided before an invalidation and lands after it stays nowhere.
#[tokio::test]
async fn a_hit_of_l2_that_lands_after_an_invalidation_is_not_kept() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    run.forget().await;
    run.tier.set(Op::Begin, Mode::HeldAfter);
    let (old, ()) = tokio::join!(run.read(1), async {
        run.tier.made(Op::Begin, 2).await;
        run.tier.set(Op::Begin, Mode::Works);
        world.source.set(1, "new");
        assert_eq!(run.users.invalidate(&1).await, Delivery::Applied);
        let read = run.read(1).await;
        assert_eq!((read.from, read.value.unwrap().as_str()), (ReadFrom::Source, "new"));
        run.tier.release(Op::Begin);
    });
    assert_eq!((old.from, old.value.unwrap().as_str()), (ReadFrom::L2, "user 1"));
    sees_only(world, run, "new").await;
}

/// C21: a permit that was given before an invalidation, and is heard of after it, is worth nothing.
#[tokio::test]
async fn a_permit_from_before_an_invalidation_is_void() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.tier.set(Op::Begin, Mode::HeldAfter);
    world.source.hold();
    let (old, ()) = tokio::join!(run.get(1), async {
        run.tier.made(Op::Begin, 1).await;
        assert_eq!(run.users.invalidate(&1).await, Delivery::Applied);
        run.tier.release(Op::Begin);
        world.source.has_read(1).await;
        // It read after that invalidation, but before the next change.
        world.source.set(1, "new");
        world.source.hold_no_more();
        assert_eq!(run.users.invalidate(&1).await, Delivery::Applied);
        world.source.release();
    });
    assert_eq!(old.unwrap(), "user 1");
    run.forewarm.settled().await;
    assert_eq!(world.row(1).await, None);
    run.tier.set(Op::Begin, Mode::Works);
    sees_only(world, run, "new").await;
}

/// C21: a renewal that began before an invalidation brings nothing back.
#[tokio::test]
async fn a_renewal_under_way_does_not_survive_an_invalidation() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    world.clock.advance(TTL + SECOND);
    world.source.hold();
    let read = run.read(1).await;
    assert_eq!((read.from, read.freshness), (ReadFrom::L1, Freshness::Stale));
    world.source.has_read(2).await;
    world.source.hold_no_more();
    world.source.set(1, "new");
    assert_eq!(run.users.invalidate(&1).await, Delivery::Applied);
    world.source.release();
    run.forewarm.settled().await;
    assert!(run.users.peek(&1).is_none());
    assert_eq!(world.row(1).await, None);
    sees_only(world, run, "new").await;
}

/// C21: what L2 keeps for a failing source goes with an invalidation too.
#[tokio::test]
async fn a_stale_value_that_was_read_for_a_failure_does_not_survive_an_invalidation() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    world.clock.advance(TTL + MINUTE);
    run.forget().await;
    world.source.hold();
    let (old, ()) = tokio::join!(run.users.get(&1).map(|old| old.unwrap()), async {
        world.source.has_read(2).await;
        world.source.hold_no_more();
        assert_eq!(run.users.invalidate(&1).await, Delivery::Applied);
        world.source.fail(true);
        assert!(run.users.get(&1).await.is_err(), "nothing old is left to serve");
        world.source.fail(false);
        world.source.set(1, "new");
        world.source.release();
    });
    assert_eq!(*old.unwrap(), "user 1");
    world.clock.advance(SECOND);
    sees_only(world, run, "new").await;
}

/// C21: a put is not overtaken by a load that began before it.
#[tokio::test]
async fn a_put_is_not_overtaken_by_an_older_load() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    world.source.hold();
    let (old, ()) = tokio::join!(run.get(1), async {
        world.source.has_read(1).await;
        world.source.hold_no_more();
        world.source.set(1, "put");
        assert_eq!(run.users.put(&1, "put".to_owned()).await, Delivery::Applied);
        world.source.release();
    });
    assert_eq!(old.unwrap(), "user 1");
    run.forewarm.settled().await;
    assert_eq!(run.read(1).await.from, ReadFrom::L1);
    assert_eq!(world.row(1).await.unwrap().unwrap(), "put");
    assert_eq!(world.source.loads(), 1);
    sees_only(world, run, "put").await;
}

/// C21: of two puts the older one never stays in L2, in whatever order L2 hears of them.
#[tokio::test]
async fn of_two_puts_the_older_one_does_not_stay_in_l2() {
    for mode in [Mode::HeldBefore, Mode::HeldAfter] {
        let world = World::new();
        let run = world.run(Setup::new()).await;
        run.tier.set(Op::Put, mode);
        let mut first = Box::pin(run.users.put(&1, "first".to_owned()));
        assert!(first.as_mut().now_or_never().is_none());
        run.tier.begun(Op::Put, 1).await;
        run.tier.set(Op::Put, Mode::Works);
        world.source.set(1, "second");
        assert_eq!(run.users.put(&1, "second".to_owned()).await, Delivery::Applied);
        run.tier.release(Op::Put);
        assert_eq!(first.await, Delivery::Applied);
        assert_eq!(run.get(1).await.unwrap(), "second");
        assert_ne!(world.row(1).await, Some(Some("first".into())), "{mode:?}");
        sees_only(world, run, "second").await;
    }
}

/// C21: an invalidation that comes while a put is on its way removes what was put, in any order.
#[tokio::test]
async fn a_put_on_its_way_does_not_survive_an_invalidation() {
    for mode in [Mode::HeldBefore, Mode::HeldAfter] {
        let world = World::new();
        let run = world.run(Setup::new()).await;
        run.tier.set(Op::Put, mode);
        let mut put = Box::pin(run.users.put(&1, "put".to_owned()));
        assert!(put.as_mut().now_or_never().is_none());
        run.tier.begun(Op::Put, 1).await;
        world.source.set(1, "new");
        assert_eq!(run.users.invalidate(&1).await, Delivery::Applied);
        assert_eq!(run.get(1).await.unwrap(), "new", "{mode:?}");
        run.tier.release(Op::Put);
        assert_eq!(put.await, Delivery::Applied);
        run.forewarm.settled().await;
        assert_ne!(world.row(1).await, Some(Some("put".into())), "{mode:?}");
        sees_only(world, run, "new").await;
    }
}

/// C21: a load that begins while an invalidation is on its way to L2 sees only the source.
#[tokio::test]
async fn while_l2_has_not_heard_of_an_invalidation_it_is_not_asked() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    for mode in [Mode::HeldBefore, Mode::HeldAfter] {
        let asked = run.tier.calls(Op::Begin);
        run.tier.set(Op::Invalidate, mode);
        world.source.set(1, "new");
        let mut invalidation = Box::pin(run.users.invalidate(&1));
        assert!(invalidation.as_mut().now_or_never().is_none());
        let read = run.read(1).await;
        assert_eq!((read.from, read.value.unwrap().as_str()), (ReadFrom::Source, "new"));
        assert_eq!(run.tier.calls(Op::Begin), asked);
        run.tier.release(Op::Invalidate);
        assert_eq!(invalidation.await, Delivery::Applied);
        assert_eq!(world.row(1).await, None);
    }
    run.tier.set(Op::Invalidate, Mode::Works);
    sees_only(world, run, "new").await;
}
