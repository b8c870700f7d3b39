//! Runs that are under way when their engine is shut down.

use std::sync::Arc;
use std::time::Duration;

use forewarm::{Clock, Error, Forewarm, Job, JobPolicy, RunOutcome};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::{MINUTE, SECOND, instant};
use crate::sim::{Fate, Line, Op, SimStore};

/// The attempts of all engines.
type Attempts = Arc<Mutex<Vec<usize>>>;

/// An engine with a job that takes this long, or fails when it is told to stop.
async fn engine(store: &SimStore, line: &Line, attempts: &Attempts) -> (Forewarm, Job) {
    let clock = Clock::starting_at(instant("2026-03-10T12:00:00.5Z"));
    let builder = Forewarm::builder().clock(clock).tier(store.connect_over(line));
    let forewarm = builder.build().await.unwrap();
    let attempts = Arc::clone(attempts);
    let policy = JobPolicy { attempts: 3, ..JobPolicy::default() };
    let job = forewarm.job("shared").policy(policy).run_with(move |context| {
        attempts.lock().push(context.attempt());
        async move {
            tokio::select! {
                () = sleep(10 * SECOND) => Ok(()),
                // As a read of the engine would say.
                () = context.cancelled() => Err(Error::ShutDown)?,
            }
        }
    });
    let job = job.build().unwrap();
    forewarm.start().await.unwrap();
    sleep(SECOND / 10).await;
    (forewarm, job)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_because_its_engine_does_goes_on_elsewhere() {
    let (store, attempts) = (SimStore::new(), Attempts::default());
    let (first, job) = engine(&store, &Line::new(1), &attempts).await;
    let (_second, there) = engine(&store, &Line::new(2), &attempts).await;
    let run_id = job.trigger().unwrap();
    sleep(SECOND).await;
    assert!(first.shutdown(5 * SECOND).await);
    assert_eq!(job.runs(1).await[0].outcome, Some(RunOutcome::Aborted));
    sleep(MINUTE).await;
    assert_eq!(*attempts.lock(), [1, 2]);
    let [run] = &there.runs(10).await[..] else { panic!("there is one row") };
    assert_eq!((run.run_id, run.outcome), (run_id, Some(RunOutcome::Succeeded)));
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_end_was_not_heard_before_a_shutdown_is_not_done_again() {
    let (store, attempts) = (SimStore::new(), Attempts::default());
    let line = Line::new(1);
    let (first, job) = engine(&store, &line, &attempts).await;
    let (_second, there) = engine(&store, &Line::new(2), &attempts).await;
    job.trigger().unwrap();
    line.set(Op::EndRun, Fate::Fails);
    sleep(10 * SECOND + SECOND / 10).await;
    line.clear();
    // It asks again half a second after the first time.
    assert!(!first.shutdown(Duration::from_millis(200)).await);
    sleep(2 * MINUTE).await;
    assert_eq!(*attempts.lock(), [1]);
    assert_eq!(there.runs(1).await[0].outcome, Some(RunOutcome::Succeeded));
}
