//! The ways that a read takes, and what is counted on each.

use std::sync::Arc;
use std::time::Duration;

use forewarm::{Delivery, Error, Forewarm, Freshness, Policy, ReadFrom, ReadOptions, Store};

use super::faulty::Op;
use super::source::Source;
use super::world::{MINUTE, SECOND, Setup, TTL, World};

/// One count of a kind of read.
fn one(path: &str) -> Vec<(String, u64)> {
    vec![(path.to_owned(), 1)]
}

/// C15: memory, then L2, then the source, and the counters tell which.
#[tokio::test]
async fn every_case_takes_its_path_and_is_counted_once() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    let past = TTL + 10 * SECOND;
    let too_old = TTL + MINUTE;
    // User, time passed before, whether memory is emptied, whether the source fails; what is
    // counted, who answers, how fresh.
    let cases = [
        (1, Duration::ZERO, false, false, "source hit", ReadFrom::Source, Freshness::Fresh),
        (1, Duration::ZERO, false, false, "l1 hit", ReadFrom::L1, Freshness::Fresh),
        (1, Duration::ZERO, true, false, "l2 hit", ReadFrom::L2, Freshness::Fresh),
        (1, Duration::ZERO, false, false, "l1 hit", ReadFrom::L1, Freshness::Fresh),
        (404, Duration::ZERO, false, false, "source absent", ReadFrom::Source, Freshness::Fresh),
        (404, Duration::ZERO, false, false, "l1 absent", ReadFrom::L1, Freshness::Fresh),
        (404, Duration::ZERO, true, false, "l2 absent", ReadFrom::L2, Freshness::Fresh),
        (1, Duration::ZERO, false, false, "l2 hit", ReadFrom::L2, Freshness::Fresh),
        (1, past, false, true, "l1 stale", ReadFrom::L1, Freshness::Stale),
        (1, Duration::ZERO, true, true, "l2 stale", ReadFrom::L2, Freshness::Stale),
        (1, too_old, false, true, "source stale", ReadFrom::L1, Freshness::Stale),
        (1, Duration::ZERO, true, true, "source stale", ReadFrom::L2, Freshness::Stale),
        (1, SECOND, false, false, "source hit", ReadFrom::Source, Freshness::Fresh),
    ];
    for (nth, (id, passed, is_emptied, fails, path, from, freshness)) in
        cases.into_iter().enumerate()
    {
        run.forewarm.settled().await;
        world.clock.advance(passed);
        world.source.fail(fails);
        if is_emptied {
            run.forewarm.clear();
        }
        let read = run.read(id).await;
        assert_eq!((read.from, read.freshness), (from, freshness), "{nth}: {path}");
        assert_eq!(read.value.is_some(), id == 1, "{nth}: {path}");
        assert_eq!(run.counted_of("reads"), one(path), "{nth}");
    }
    world.source.fail(true);
    assert!(run.users.get(&2).await.is_err());
    assert_eq!(run.counted_of("reads"), one("source error"));
}

/// C15: a bypass neither reads nor writes either tier, and a peek is not even counted.
#[tokio::test]
async fn a_bypass_and_a_peek_leave_both_tiers_as_they_are() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    assert!(run.users.peek(&1).is_none());
    let read = run.users.read(&1, &ReadOptions::new().bypass()).await.unwrap();
    run.forewarm.settled().await;
    assert_eq!(read.from, ReadFrom::Source);
    assert!(run.users.peek(&1).is_none());
    assert_eq!((run.tier.calls(Op::Begin), run.tier.calls(Op::Fill)), (0, 0));
    assert_eq!(world.rows().await, 0);
    assert_eq!(run.counted_of("reads"), one("source bypass"));
    run.load(1).await;
    world.source.set(1, "new");
    run.users.read(&1, &ReadOptions::new().bypass()).await.unwrap();
    assert_eq!(world.row(1).await.unwrap().unwrap(), "user 1");
    assert_eq!(run.users.peek(&1).unwrap().from, ReadFrom::L1);
}

/// C15: a promotion gives memory what is left of the life in L2, and no more.
#[tokio::test]
async fn a_promoted_value_does_not_live_longer_than_it_would_have() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    for _ in 0..3 {
        world.clock.advance(3 * MINUTE);
        run.forget().await;
        assert_eq!(run.read(1).await.from, ReadFrom::L2);
    }
    // Time has gone on without the log being followed; now it is.
    assert_eq!(run.read(1).await.from, ReadFrom::L1);
    let read = run.users.peek(&1).unwrap();
    assert!(read.age >= 9 * MINUTE && read.age < 10 * MINUTE, "{:?}", read.age);
    let held = run.users.explain(&1).held.unwrap();
    assert!(held.fresh_for <= MINUTE && held.fresh_for > 30 * SECOND, "{:?}", held.fresh_for);
    world.clock.advance(MINUTE);
    world.source.hold();
    let read = run.read(1).await;
    assert_eq!((read.from, read.freshness), (ReadFrom::L1, Freshness::Stale));
    world.source.release();
}

/// C18: the time for which a value is served while it is renewed does not begin again in memory.
#[tokio::test]
async fn a_stale_value_that_is_promoted_is_no_less_stale() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    world.source.fail(true);
    world.clock.advance(TTL + 20 * SECOND);
    run.forget().await;
    let read = run.read(1).await;
    assert_eq!((read.from, read.freshness), (ReadFrom::L2, Freshness::Stale));
    run.forewarm.settled().await;
    world.clock.advance(20 * SECOND);
    assert!(run.users.peek(&1).is_none(), "40 s after its ttl it is only for errors");
}

/// C39: of 100 keys, the 30 that memory lacks are one look-up in L2 and one call of the loader.
#[tokio::test]
async fn thirty_misses_of_a_hundred_keys_are_one_look_up_and_one_load() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    let keys: Vec<u32> = (1..=100).rev().collect();
    let misses: Vec<u32> = keys.iter().copied().filter(|id| id % 10 < 3).collect();
    let known: Vec<u32> = keys.iter().copied().filter(|id| id % 10 >= 3).collect();
    assert_eq!((misses.len(), known.len()), (30, 70));
    assert!(run.users.get_many(&known).await.iter().all(Result::is_ok));
    run.forewarm.settled().await;

    let values = |users: Vec<Result<Option<Arc<String>>, Error>>| {
        users.into_iter().map(|user| (*user.unwrap().unwrap()).clone()).collect::<Vec<_>>()
    };
    let expected: Vec<_> = keys.iter().map(|id| format!("user {id}")).collect();
    assert_eq!(values(run.users.get_many(&keys).await), expected);
    run.forewarm.settled().await;
    assert_eq!(run.tier.sizes(Op::Begin), [70, 30]);
    assert_eq!(run.tier.sizes(Op::Fill), [70, 30]);
    assert_eq!(world.source.calls(), [known, misses]);

    assert_eq!(values(run.users.get_many(&keys).await), expected);
    assert_eq!(run.tier.calls(Op::Begin), 2, "all in memory");
    run.forget().await;
    assert_eq!(values(run.users.get_many(&keys).await), expected);
    assert_eq!(run.tier.sizes(Op::Begin), [70, 30, 100]);
    assert_eq!(world.source.loads(), 100, "all in L2");
    assert_eq!(world.rows().await, 100);
}

/// C39: each key of a batch comes from where it is, and one that fails does not fail the rest.
#[tokio::test]
async fn the_keys_of_a_batch_take_paths_of_their_own() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    for id in [1, 2] {
        run.load(id).await;
    }
    run.forget().await;
    run.load(2).await;
    run.counted();
    world.source.spoil(3);
    let users = run.users.get_many(&[4, 3, 2, 1, 404, 4]).await;
    let texts: Vec<_> = users
        .iter()
        .map(|user| user.as_ref().ok().map(|user| user.as_ref().map(|user| user.as_str())))
        .collect();
    let (one, two, four) = (Some(Some("user 1")), Some(Some("user 2")), Some(Some("user 4")));
    assert_eq!(texts, [four, None, two, one, Some(None), four]);
    let expected = [("l1 hit", 1), ("l2 hit", 1), ("source absent", 1), ("source error", 1)];
    let mut expected: Vec<_> = expected.map(|(path, n)| (path.to_owned(), n)).into();
    expected.push(("source hit".into(), 2));
    assert_eq!(run.counted_of("reads"), expected);
    assert_eq!(world.source.calls().last().unwrap(), &[4, 3, 404]);
}

/// C22: a cache that is switched off, or that has no L2, is passed straight through.
#[tokio::test(start_paused = true)]
async fn what_is_switched_off_is_passed_straight_through() {
    let source = Source::new();
    let forewarm = Forewarm::builder().build().await.unwrap();
    let resource = |name: &str, store| {
        let policy = Policy { store, ..Policy::default() };
        let resource = forewarm.resource::<u32, String>(name).policy(policy);
        resource.loader(source.clone()).build().unwrap()
    };
    let (off, memory) = (resource("off", Store::Nowhere), resource("memory", Store::Both));
    forewarm.start().await.unwrap();
    for nth in 1..=3 {
        assert_eq!(*off.get(&1).await.unwrap().unwrap(), "user 1");
        assert_eq!(source.loads(), nth, "every read is a load");
    }
    assert_eq!(off.invalidate(&1).await, Delivery::Applied);
    for _ in 0..3 {
        assert_eq!(*memory.get(&1).await.unwrap().unwrap(), "user 1");
    }
    assert_eq!(source.loads(), 4);
    assert_eq!(memory.invalidate(&1).await, Delivery::Applied);
    assert_eq!(memory.put(&1, "new".to_owned()).await, Delivery::Applied);
    assert_eq!(*memory.get(&1).await.unwrap().unwrap(), "new");
}
