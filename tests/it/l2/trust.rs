//! What a value of a former run is worth, by policy.

use std::time::Duration;

use forewarm::{Freshness, ReadFrom, ReadOptions, TrustOnRestart};

use super::world::{MINUTE, Run, SECOND, Setup, TTL, World};

/// A new run over what another one has loaded some time ago; the source has changed since.
async fn restarted(trust: TrustOnRestart, pause: Duration) -> (World, Run) {
    let mut world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    world.end(run, pause).await;
    world.source.set(1, "new");
    let run = world.run(Setup::trusting(trust)).await;
    (world, run)
}

/// C17: a value of a former run is worth what the policy says.
#[tokio::test]
async fn the_policy_says_what_a_value_of_a_former_run_is_worth() {
    let stale = TTL + 10 * SECOND;
    let old = TTL + 10 * MINUTE;
    // Policy, time between the runs; who answers the first read, how fresh; loads in all when all
    // is done.
    let cases = [
        (TrustOnRestart::Never, MINUTE, ReadFrom::Source, Freshness::Fresh, 2),
        (TrustOnRestart::StaleOnly, MINUTE, ReadFrom::L2, Freshness::Stale, 2),
        (TrustOnRestart::WithinTtl, MINUTE, ReadFrom::L2, Freshness::Fresh, 1),
        (TrustOnRestart::Never, stale, ReadFrom::Source, Freshness::Fresh, 2),
        (TrustOnRestart::StaleOnly, stale, ReadFrom::L2, Freshness::Stale, 2),
        (TrustOnRestart::WithinTtl, stale, ReadFrom::L2, Freshness::Stale, 2),
        (TrustOnRestart::StaleOnly, old, ReadFrom::Source, Freshness::Fresh, 2),
        (TrustOnRestart::WithinTtl, old, ReadFrom::Source, Freshness::Fresh, 2),
    ];
    for (trust, pause, from, freshness, loads) in cases {
        let (world, run) = restarted(trust, pause).await;
        let read = run.read(1).await;
        assert_eq!((read.from, read.freshness), (from, freshness), "{trust:?} after {pause:?}");
        let user = if from == ReadFrom::L2 { "user 1" } else { "new" };
        assert_eq!(*read.value.unwrap(), user, "{trust:?} after {pause:?}");
        run.forewarm.settled().await;
        assert_eq!(world.source.loads(), loads, "{trust:?} after {pause:?}");
        if loads == 2 {
            let read = run.read(1).await;
            assert_eq!((read.from, read.freshness), (ReadFrom::L1, Freshness::Fresh));
            assert_eq!(*read.value.unwrap(), "new", "{trust:?} after {pause:?}");
            assert_eq!(world.row(1).await.unwrap().unwrap(), "new", "{trust:?} after {pause:?}");
        }
    }
}

/// C18: a value of a former run answers if the source fails, unless it is worth nothing.
#[tokio::test]
async fn a_value_of_a_former_run_answers_if_the_source_fails() {
    for (trust, pause, answers, stale_on_error) in [
        (TrustOnRestart::Never, MINUTE, false, 0),
        (TrustOnRestart::StaleOnly, MINUTE, true, 0),
        (TrustOnRestart::StaleOnly, TTL + 10 * MINUTE, true, 1),
        (TrustOnRestart::WithinTtl, TTL + 10 * MINUTE, true, 1),
    ] {
        let (world, run) = restarted(trust, pause).await;
        world.source.fail(true);
        let read = run.users.read(&1, &ReadOptions::new()).await;
        assert_eq!(read.is_ok(), answers, "{trust:?} after {pause:?}");
        if let Ok(read) = read {
            assert_eq!((read.from, read.freshness), (ReadFrom::L2, Freshness::Stale));
            assert!(read.age >= pause, "{:?} after {pause:?}", read.age);
        }
        let stats = run.users.stats();
        assert_eq!(stats.stale_on_error, stale_on_error, "{trust:?} after {pause:?}");
        run.forewarm.settled().await;
        world.source.fail(false);
        world.clock.advance(SECOND);
        run.get(1).await;
        run.forewarm.settled().await;
        assert_eq!(run.get(1).await.unwrap(), "new", "{trust:?} after {pause:?}");
    }
}

/// C15: who wants a fresh value does not get one that only counts as stale.
#[tokio::test]
async fn a_value_of_a_former_run_is_not_fresh_for_those_who_want_a_fresh_one() {
    let (_world, run) = restarted(TrustOnRestart::StaleOnly, MINUTE).await;
    let read = run.users.read(&1, &ReadOptions::new().fresh_only()).await.unwrap();
    assert_eq!((read.from, read.freshness), (ReadFrom::Source, Freshness::Fresh));
    assert_eq!(*read.value.unwrap(), "new");
}

/// C19: an absence of a former run is renewed behind the reader, so that what has come since shows.
#[tokio::test]
async fn an_absence_of_a_former_run_is_renewed_at_once() {
    let mut world = World::new();
    let run = world.run(Setup::new()).await;
    assert_eq!(run.get(404).await, None);
    run.forewarm.settled().await;
    world.end(run, 10 * SECOND).await;
    world.source.set(404, "somebody");
    let run = world.run(Setup::trusting(TrustOnRestart::StaleOnly)).await;
    assert_eq!(run.get(404).await, None);
    run.forewarm.settled().await;
    assert_eq!(run.get(404).await.unwrap(), "somebody");
}

/// C11: what is loaded ahead after a restart is loaded, not taken over although it counts as stale.
#[tokio::test]
async fn a_preload_does_not_bring_what_counts_as_stale() {
    let (_world, run) = restarted(TrustOnRestart::StaleOnly, MINUTE).await;
    let preloaded = run.users.preload(&[1]).await;
    assert_eq!(preloaded.loaded, 1);
    let read = run.read(1).await;
    assert_eq!((read.from, read.freshness), (ReadFrom::L1, Freshness::Fresh));
    assert_eq!(*read.value.unwrap(), "new");
}
