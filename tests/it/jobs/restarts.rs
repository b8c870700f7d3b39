//! What was done before a restart is known after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use forewarm::{Forewarm, Job, JobPolicy, RunOutcome, Trigger};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::sleep;

use super::{Kind, Store};
use crate::waiting::until;

async fn start(store: &Store, policy: &JobPolicy, runs: &Arc<AtomicUsize>) -> (Forewarm, Job) {
    let forewarm = store.engine().await;
    let counted = Arc::clone(runs);
    let job = forewarm.job("job").policy(policy.clone()).run_with(move |_| {
        counted.fetch_add(1, SeqCst);
        async { Ok(()) }
    });
    let job = job.build().unwrap();
    forewarm.start().await.unwrap();
    (forewarm, job)
}

#[tokio::test]
async fn what_is_due_once_is_done_once_on_every_store() {
    for kind in Kind::ALL {
        let store = Store::launch(kind).await;
        let runs = Arc::new(AtomicUsize::new(0));
        let triggers = vec![Trigger::once_after(Duration::from_millis(500))];
        let policy = JobPolicy { triggers, ..JobPolicy::default() };
        let mut logs = Vec::new();
        for _ in 0..3 {
            let (forewarm, job) = start(&store, &policy, &runs).await;
            until("it was done", async || {
                job.runs(1).await.first().is_some_and(|run| run.outcome.is_some())
            })
            .await;
            sleep(Duration::from_secs(1)).await;
            logs.push(job.runs(10).await);
            assert!(forewarm.shutdown(Duration::from_secs(5)).await);
        }
        assert_eq!(runs.load(SeqCst), 1, "{kind:?}");
        assert_eq!(logs[0][0].outcome, Some(RunOutcome::Succeeded));
        assert!(logs.iter().all(|log| *log == logs[0] && log.len() == 1), "{kind:?}: {logs:#?}");
    }
}

#[tokio::test]
async fn three_engines_have_one_row_for_each_second_on_every_store() {
    for kind in Kind::ALL {
        let store = Store::launch(kind).await;
        let runs = Arc::new(AtomicUsize::new(0));
        let triggers = vec![Trigger::every(Duration::from_secs(1)).unwrap()];
        let policy = JobPolicy { triggers, coalesce: false, ..JobPolicy::default() };
        let mut engines = Vec::new();
        for _ in 0..3 {
            engines.push(start(&store, &policy, &runs).await);
        }
        sleep(Duration::from_secs(6)).await;
        let rows = engines[2].1.runs(4).await;
        assert!(rows.len() == 4 && runs.load(SeqCst) >= 4, "{kind:?}: {rows:#?}");
        let apart = |pair: &[forewarm::Run]| pair[0].scheduled.duration_since(pair[1].scheduled);
        assert!(rows.windows(2).all(|pair| apart(pair).as_secs() == 1), "{kind:?}: {rows:#?}");
        for (forewarm, _) in &engines {
            assert!(forewarm.shutdown(Duration::from_secs(5)).await);
        }
        let (forewarm, job) = start(&store, &policy, &runs).await;
        until("the log is there", async || job.runs(100).await.len() >= runs.load(SeqCst)).await;
        forewarm.shutdown(Duration::from_secs(5)).await;
        let rows = job.runs(100).await;
        assert!(rows.iter().all(|run| run.outcome == Some(RunOutcome::Succeeded)), "{rows:#?}");
    }
}

/// A gauge of the one job, as it is published now.
fn gauge(forewarm: &Forewarm, name: &str) -> Option<f64> {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || forewarm.publish_metrics());
    recorder.snapshotter().snapshot().into_vec().into_iter().find_map(|(key, _, _, value)| {
        match value {
            DebugValue::Gauge(value) if key.key().name() == name => Some(value.into_inner()),
            _ => None,
        }
    })
}

#[tokio::test]
async fn when_a_job_last_succeeded_is_known_after_a_restart() {
    const LAST: &str = "forewarm_job_last_success_timestamp_seconds";
    let store = Store::launch(Kind::ALL[0]).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let triggers = vec![Trigger::cron("0 0 * * 1-5", "UTC").unwrap()];
    let policy = JobPolicy { triggers, ..JobPolicy::default() };
    let (forewarm, job) = start(&store, &policy, &runs).await;
    // It has not succeeded since it was first known, and an alert can see that.
    let first = gauge(&forewarm, LAST).unwrap();
    assert_eq!(gauge(&forewarm, "forewarm_job_interval_seconds"), Some(3.0 * 86_400.0));
    sleep(Duration::from_millis(50)).await;
    job.trigger().unwrap();
    until("it was done", async || job.status().last_success.is_some()).await;
    let done = gauge(&forewarm, LAST).unwrap();
    assert!(done > first, "{done} {first}");
    until("the log has it", async || job.runs(1).await.iter().all(|run| run.ended.is_some())).await;
    assert!(forewarm.shutdown(Duration::from_secs(5)).await);

    let (forewarm, job) = start(&store, &policy, &runs).await;
    // A log keeps it to the microsecond, or to the millisecond.
    let is_known = async || gauge(&forewarm, LAST).is_some_and(|at| (at - done).abs() < 0.01);
    until("it is known again", is_known).await;
    assert_eq!(job.status().last_success, None, "that is what has succeeded here");
    assert!(forewarm.shutdown(Duration::from_secs(5)).await);
}
