//! What is done behind the readers: expired rows go, and the size of L2 is told.

use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::faulty::{Mode, Op};
use super::world::{Run, SECOND, Setup, TTL, World};
use crate::waiting::until;

/// An engine that sweeps all the time.
fn sweeping() -> Setup {
    let mut setup = Setup::new();
    setup.config.l2.sweep_every = Duration::from_millis(1);
    setup
}

/// Waits until a sweep has been made that began after this call.
async fn swept(run: &Run) {
    // The one under way may have begun before.
    let sweeps = run.tier.calls(Op::Sweep) + 1;
    run.tier.begun(Op::Sweep, sweeps + 1).await;
}

/// C17: rows that nobody can be served any more are removed, a few at a time.
#[tokio::test]
async fn expired_rows_are_removed_in_small_batches() {
    let world = World::new();
    for id in 1..=1_200 {
        world.source.set(id, "somebody");
    }
    let run = world.run(sweeping()).await;
    let ids: Vec<u32> = (1..=1_200).collect();
    assert!(run.users.get_many(&ids).await.iter().all(Result::is_ok));
    run.forewarm.settled().await;
    swept(&run).await;
    assert_eq!(world.rows().await, 1_200, "what is stale may still be needed");
    world.clock.advance(TTL + Duration::from_mins(30));
    run.load(1).await;
    swept(&run).await;
    assert_eq!(world.rows().await, 1_200);

    world.clock.advance(Duration::from_mins(31));
    until("one is left", async || {
        swept(&run).await;
        world.rows().await <= 1
    })
    .await;
    assert!(world.row(1).await.is_some(), "it was renewed");
    assert!(run.tier.sizes(Op::Sweep).iter().all(|rows_max| *rows_max <= 500));
    let expired: Vec<_> = run.tier.swept().iter().map(|swept| swept.expired).collect();
    assert_eq!(expired.iter().sum::<u64>(), 1_199);
    assert_eq!(expired.iter().max(), Some(&500));
}

/// C32: how much L2 holds is published.
#[tokio::test]
async fn the_size_of_l2_is_published() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    let run = world.run(sweeping()).await;
    for id in [1, 2, 3] {
        run.load(id).await;
    }
    swept(&run).await;
    let mut gauges = Vec::new();
    for (key, _, _, value) in recorder.snapshotter().snapshot().into_vec() {
        if let DebugValue::Gauge(value) = value {
            gauges.push((key.key().name().to_owned(), value.into_inner()));
        }
    }
    let gauge = |name: &str| gauges.iter().find(|(known, _)| known == name).unwrap().1;
    assert!((gauge("forewarm_l2_entries") - 3.0).abs() < 0.5);
    assert!(gauge("forewarm_l2_bytes") >= 4_096.0);
    assert!(run.is_l2_up());
}

/// C22: a sweep that fails is tried again, and holds nobody up.
#[tokio::test]
async fn a_sweep_that_fails_is_tried_again() {
    let world = World::new();
    let run = world.run(sweeping()).await;
    run.load(1).await;
    run.tier.set(Op::Sweep, Mode::Fails);
    swept(&run).await;
    assert!(run.get(1).await.is_some());
    run.tier.set(Op::Sweep, Mode::Works);
    world.clock.advance(SECOND);
    let made = run.tier.swept().len();
    run.tier.made(Op::Sweep, made + 2).await;
}
