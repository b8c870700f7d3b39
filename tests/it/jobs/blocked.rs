//! An application that blocks all its threads keeps what it has taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use forewarm::{JobPolicy, RunOutcome};
use tokio::runtime::Builder;

use super::{Kind, Store};
use crate::waiting::until;

/// As short as may be, and two of them and more.
const LEASE: Duration = Duration::from_secs(3);
const BLOCKED_FOR: Duration = Duration::from_secs(8);

/// A runtime of one thread, whose job holds that thread, on a store that another engine shares.
async fn blocked(kind: Kind) {
    let store = Arc::new(Store::launch(kind).await);
    let runs = Arc::new(AtomicUsize::new(0));
    let policy = JobPolicy { lease: LEASE, ..JobPolicy::default() };
    let shared = (Arc::clone(&store), Arc::clone(&runs), policy.clone());
    let blocked = std::thread::spawn(move || {
        let (store, runs, policy) = shared;
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let forewarm = store.engine().await;
            let job = forewarm.job("heavy").policy(policy).run_with(move |_| {
                runs.fetch_add(1, SeqCst);
                async {
                    std::thread::sleep(BLOCKED_FOR);
                    Ok(())
                }
            });
            let job = job.build().unwrap();
            forewarm.start().await.unwrap();
            job.trigger().unwrap();
            until("it has ended", async || {
                job.runs(1).await.first().is_some_and(|run| run.outcome.is_some())
            })
            .await;
            let run = job.runs(1).await.remove(0);
            forewarm.shutdown(Duration::from_secs(5)).await;
            run
        })
    });
    let forewarm = store.engine().await;
    let counted = Arc::clone(&runs);
    let job = forewarm.job("heavy").policy(policy).run_with(move |_| {
        counted.fetch_add(1, SeqCst);
        async { Ok(()) }
    });
    let job = job.build().unwrap();
    forewarm.start().await.unwrap();
    until("it was done", async || blocked.is_finished()).await;
    let run = blocked.join().unwrap();
    assert_eq!((run.outcome, run.attempts), (Some(RunOutcome::Succeeded), 1), "{run:?}");
    assert!(run.took.unwrap() >= BLOCKED_FOR);
    assert_eq!((runs.load(SeqCst), job.runs(10).await.len()), (1, 1));
    assert!(forewarm.shutdown(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_blocked_application_loses_no_run_on_an_sqlite_file() {
    blocked(Kind::Sqlite).await;
}

#[tokio::test]
async fn a_blocked_application_loses_no_run_on_a_postgres_server() {
    blocked(Kind::Postgres).await;
}

#[tokio::test]
async fn a_blocked_application_loses_no_run_on_a_redis_server() {
    blocked(Kind::Redis).await;
}
