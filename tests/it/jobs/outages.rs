//! Servers that die in the middle of a run, and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use forewarm::lab::Data;
use forewarm::{Job, JobPolicy, RunOutcome};
use tokio::time::sleep;

use super::{Kind, Place, Store};
use crate::waiting::until;

impl Store {
    fn kill(&self) {
        match &self.place {
            Place::File(_) => {}
            Place::Postgres(server) => server.kill().unwrap(),
            Place::Redis(server) => server.kill().unwrap(),
        }
    }

    async fn start(&self) {
        match &self.place {
            Place::File(_) => {}
            Place::Postgres(server) => server.start(Data::Kept).await.unwrap(),
            Place::Redis(server) => server.start(Data::Lost).await.unwrap(),
        }
    }
}

/// How many runs are under way, and how many there have been.
#[derive(Default)]
struct Count {
    under_way: AtomicUsize,
    most: AtomicUsize,
    begun: AtomicUsize,
}

struct Under(Arc<Count>);

impl Drop for Under {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, SeqCst);
    }
}

async fn outcome(job: &Job) -> Option<RunOutcome> {
    job.runs(1).await.first().and_then(|run| run.outcome)
}

/// Two engines; the server dies for longer than a lease, and loses everything if it is Redis.
async fn outage(kind: Kind) {
    let store = Store::launch(kind).await;
    let count = Arc::new(Count::default());
    let mut jobs = Vec::new();
    for _ in 0..2 {
        let forewarm = store.engine().await;
        let lease = Duration::from_secs(3);
        let counted = Arc::clone(&count);
        let job = forewarm.job("long").policy(JobPolicy { lease, ..JobPolicy::default() });
        let job = job.run_with(move |_| {
            let under = Under(Arc::clone(&counted));
            counted.begun.fetch_add(1, SeqCst);
            counted.most.fetch_max(counted.under_way.fetch_add(1, SeqCst) + 1, SeqCst);
            async move {
                sleep(Duration::from_secs(6)).await;
                drop(under);
                Ok(())
            }
        });
        jobs.push((job.build().unwrap(), forewarm));
        jobs.last().unwrap().1.start().await.unwrap();
    }
    let (job, forewarm) = &jobs[0];
    until("it can be taken", async || store.engine().await.shutdown(Duration::ZERO).await).await;
    job.trigger().unwrap();
    until("it is under way", async || count.under_way.load(SeqCst) == 1).await;
    store.kill();
    until("it is broken off", async || outcome(job).await == Some(RunOutcome::LeaseLost)).await;
    assert_eq!(count.under_way.load(SeqCst), 0);
    store.start().await;
    until("it was done", async || outcome(job).await == Some(RunOutcome::Succeeded)).await;
    assert_eq!((count.begun.load(SeqCst), count.most.load(SeqCst)), (2, 1));
    assert_eq!(job.runs(10).await.len(), 1);
    forewarm.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_run_is_done_when_postgres_is_back() {
    outage(Kind::Postgres).await;
}

#[tokio::test]
async fn a_run_is_done_when_redis_is_back_and_has_lost_everything() {
    outage(Kind::Redis).await;
}
