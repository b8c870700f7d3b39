//! Invalidations that L2 has not heard of, and the gate before it until it has.

use std::time::Duration;

use forewarm::{Delivery, Policy, ReadFrom, ReadOptions};
use tokio::time::sleep;

use super::faulty::{Mode, Op};
use super::source::Source;
use super::world::{Run, SECOND, Setup, World};
use crate::sim::SimStore;

/// C21: while an invalidation is queued the key is not read from L2, whatever L2 says; then it is.
#[tokio::test]
async fn a_queued_invalidation_keeps_the_old_row_from_being_seen() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    run.load(2).await;
    run.tier.set(Op::Invalidate, Mode::Fails);
    world.source.set(1, "new");
    assert_eq!(run.users.invalidate(&1).await, Delivery::Queued);
    assert_eq!(run.users.stats().queued_invalidations, 1);
    for _ in 0..3 {
        run.forget().await;
        let read = run.read(1).await;
        assert_eq!((read.from, read.value.unwrap().as_str()), (ReadFrom::Source, "new"));
    }
    assert_eq!(run.tier.calls(Op::Begin), 2, "L2 is not even asked");
    assert_eq!(world.row(1).await.unwrap().unwrap(), "user 1");
    assert_eq!(run.read(2).await.from, ReadFrom::L2, "of other keys it is");

    run.recover(&world.clock).await;
    assert_eq!(world.row(1).await, None);
    run.forget().await;
    assert_eq!(run.read(1).await.from, ReadFrom::Source);
    run.forget().await;
    let read = run.read(1).await;
    assert_eq!((read.from, read.value.unwrap().as_str()), (ReadFrom::L2, "new"));
}

/// A run over a store, in paused time.
async fn shelved(setup: Setup) -> (Source, SimStore, Run) {
    let (source, store) = (Source::new(), SimStore::new());
    let run = setup.begin(None, &source, store.connect()).await;
    (source, store, run)
}

/// C21: a queued invalidation is tried again and again, however long L2 is away.
#[tokio::test(start_paused = true)]
async fn a_queued_invalidation_is_delivered_however_long_l2_was_away() {
    for outage in [Duration::from_millis(100), 3 * SECOND, Duration::from_hours(1)] {
        let (source, store, run) = shelved(Setup::timed()).await;
        run.load(1).await;
        run.tier.set_all(Mode::Fails);
        source.set(1, "new");
        assert_eq!(run.users.invalidate(&1).await, Delivery::Queued);
        sleep(outage).await;
        run.tier.set_all(Mode::Works);
        assert!(store.has("shop:user:1"));
        sleep(2 * SECOND).await;
        assert!(!store.has("shop:user:1"), "after {outage:?}");
        assert_eq!(run.users.stats().queued_invalidations, 0, "after {outage:?}");
        let tried = run.tier.calls(Op::Invalidate);
        sleep(Duration::from_mins(1)).await;
        assert_eq!(run.tier.calls(Op::Invalidate), tried, "delivered once");
    }
}

/// C21: the gate opens with the last invalidation of a key, not with the first.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_invalidated_again_meanwhile_stays_closed() {
    let (source, _store, run) = shelved(Setup::timed()).await;
    run.load(1).await;
    run.tier.set(Op::Invalidate, Mode::Fails);
    assert_eq!(run.users.invalidate(&1).await, Delivery::Queued);
    run.tier.set(Op::Invalidate, Mode::Works);
    source.set(1, "new");
    assert_eq!(run.users.invalidate(&1).await, Delivery::Applied);
    let asked = run.tier.calls(Op::Begin);
    assert_eq!(run.get(1).await.unwrap(), "new");
    assert_eq!(run.tier.calls(Op::Begin), asked, "one of the two still waits");
    sleep(SECOND).await;
    run.forget().await;
    assert_eq!(run.get(1).await.unwrap(), "new");
    assert_eq!(run.tier.calls(Op::Begin), asked + 1);
}

/// C21: too many queued invalidations become one of the whole resource, which is never too little.
#[tokio::test(start_paused = true)]
async fn an_outbox_that_overflows_closes_the_whole_resource() {
    let mut setup = Setup::timed();
    setup.config.l2.outbox_max = 3;
    setup.config.l2.breaker_failures = 1_000;
    let (source, store) = (Source::new(), SimStore::new());
    let (tier, remote) = super::faulty::Faulty::new(store.connect());
    let forewarm = forewarm::Forewarm::builder().config(setup.config).tier(tier);
    let forewarm = forewarm.build().await.unwrap();
    let resource = |name: &str| {
        let policy = Policy { jitter: 0.0, ..setup.policy.clone() };
        let resource = forewarm.resource::<u32, String>(name).policy(policy);
        resource.loader(source.clone()).build().unwrap()
    };
    let (users, teams) = (resource("user"), resource("team"));
    forewarm.start().await.unwrap();
    for id in 1..=20 {
        users.get(&id).await.unwrap();
        teams.get(&id).await.unwrap();
    }
    forewarm.settled().await;
    remote.set(Op::Invalidate, Mode::Fails);
    for id in 1..=10 {
        source.set(id, "new");
        assert_eq!(users.invalidate(&id).await, Delivery::Queued);
        assert!(users.stats().queued_invalidations <= 4, "it is bounded");
    }
    forewarm.clear();
    let begun = remote.calls(Op::Begin);
    for id in 1..=20 {
        let read = users.read(&id, &ReadOptions::new()).await.unwrap();
        let user = if id <= 10 { "new".to_owned() } else { format!("user {id}") };
        assert_eq!((read.from, (*read.value.unwrap()).clone()), (ReadFrom::Source, user));
    }
    assert_eq!(remote.calls(Op::Begin), begun, "L2 is not asked of any user");
    let read = teams.read(&1, &ReadOptions::new()).await.unwrap();
    assert_eq!(read.from, ReadFrom::L2, "of teams it is");

    remote.set(Op::Invalidate, Mode::Works);
    sleep(2 * SECOND).await;
    assert_eq!(users.stats().queued_invalidations, 0);
    assert!(!store.has("shop:user:1") && !store.has("shop:user:20"));
    assert!(store.has("shop:team:1"));
    forewarm.clear();
    for from in [ReadFrom::Source, ReadFrom::L2] {
        let read = users.read(&1, &ReadOptions::new()).await.unwrap();
        assert_eq!((read.from, read.value.unwrap().as_str()), (from, "new"));
        forewarm.settled().await;
        forewarm.clear();
    }
}

/// C21: what was loaded while the resource was closed does not get to L2 by a permit from before.
#[tokio::test]
async fn an_overflow_voids_the_loads_under_way() {
    let world = World::new();
    let mut setup = Setup::new();
    setup.config.l2.outbox_max = 1;
    let run = world.run(setup).await;
    world.source.hold();
    let (old, ()) = tokio::join!(run.get(1), async {
        world.source.has_read(1).await;
        world.source.hold_no_more();
        world.source.set(1, "new");
        run.tier.set(Op::Invalidate, Mode::Fails);
        for id in [1, 2, 3] {
            assert_eq!(run.users.invalidate(&id).await, Delivery::Queued);
        }
        run.recover(&world.clock).await;
        world.source.release();
    });
    assert_eq!(old.unwrap(), "user 1", "who came before gets what was loaded for it");
    run.forewarm.settled().await;
    assert_eq!(world.row(1).await, None);
    assert_eq!(run.get(1).await.unwrap(), "new");
}
