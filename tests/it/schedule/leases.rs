//! Runs under leases: renewed, lost, taken over, given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use forewarm::{Clock, Forewarm, Job, JobError, JobPolicy, RunOutcome, Trigger};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::{MINUTE, SECOND, instant};
use crate::sim::{Fate, Line, Op, SimStore};

/// What the runs of all engines are seen to do.
#[derive(Clone, Default)]
struct Watch {
    under_way: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    /// When attempts began, and which they were.
    attempts: Arc<Mutex<Vec<(Instant, usize)>>>,
}

impl Watch {
    async fn run(self, nth: usize, takes: Duration) -> Result<(), JobError> {
        struct Under(Arc<AtomicUsize>);
        impl Drop for Under {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        self.most.fetch_max(self.under_way.fetch_add(1, SeqCst) + 1, SeqCst);
        let _under = Under(Arc::clone(&self.under_way));
        self.attempts.lock().push((Instant::now(), nth));
        sleep(takes).await;
        Ok(())
    }

    fn numbers(&self) -> Vec<usize> {
        self.attempts.lock().iter().map(|(_, nth)| *nth).collect()
    }
}

struct Node {
    forewarm: Forewarm,
    line: Line,
    job: Job,
}

/// Engines that share a store and a job.
async fn nodes(count: u64, watch: &Watch, policy: &JobPolicy, takes: Duration) -> Vec<Node> {
    let store = SimStore::new();
    let mut nodes = Vec::new();
    for nth in 0..count {
        let line = Line::new(nth);
        let clock = Clock::starting_at(instant("2026-03-10T12:00:00.5Z"));
        let builder = Forewarm::builder().clock(clock).tier(store.connect_over(&line));
        let forewarm = builder.build().await.unwrap();
        let watch = watch.clone();
        let job = forewarm.job("shared").policy(policy.clone());
        let job = job.run_with(move |context| watch.clone().run(context.attempt(), takes));
        let job = job.build().unwrap();
        forewarm.start().await.unwrap();
        nodes.push(Node { forewarm, line, job });
    }
    sleep(SECOND / 10).await;
    nodes
}

fn cut_off(line: &Line) {
    line.cut_for(10 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_longer_than_its_lease_stays_where_it_is() {
    let watch = Watch::default();
    let nodes = nodes(3, &watch, &JobPolicy::default(), 9 * MINUTE).await;
    let run_id = nodes[0].job.trigger().unwrap();
    sleep(10 * MINUTE).await;
    assert_eq!(watch.numbers(), [1]);
    for node in &nodes {
        let [run] = &node.job.runs(10).await[..] else { panic!("there is one row") };
        assert_eq!((run.run_id, run.outcome), (run_id, Some(RunOutcome::Succeeded)));
        assert_eq!(run.took, Some(9 * MINUTE));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cut_off_is_broken_off_and_done_by_another() {
    let watch = Watch::default();
    let nodes = nodes(3, &watch, &JobPolicy::default(), MINUTE).await;
    let run_id = nodes[0].job.trigger().unwrap();
    sleep(15 * SECOND).await;
    cut_off(&nodes[0].line);
    let cut_at = Instant::now();
    sleep(3 * MINUTE).await;
    assert_eq!((watch.numbers(), watch.most.load(SeqCst)), (vec![1, 2], 1));
    let again = watch.attempts.lock()[1].0;
    // A lease, and a look every third of one.
    let took = again - cut_at;
    assert!(took > 20 * SECOND && took <= 41 * SECOND, "{took:?}");
    let [run] = &nodes[1].job.runs(10).await[..] else { panic!("there is one row") };
    assert_eq!((run.run_id, run.attempts), (run_id, 2));
    assert_eq!(run.outcome, Some(RunOutcome::Succeeded));
    // It cannot ask, and tells what it knows itself.
    assert_eq!(nodes[0].job.runs(10).await[0].outcome, Some(RunOutcome::LeaseLost));
    nodes[0].line.mend();
    sleep(10 * MINUTE).await;
    assert_eq!(nodes[0].job.runs(10).await[0].outcome, Some(RunOutcome::Succeeded));
    assert_eq!(watch.numbers(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_survives_a_short_silence_of_l2() {
    let watch = Watch::default();
    let nodes = nodes(2, &watch, &JobPolicy::default(), 5 * MINUTE).await;
    nodes[0].job.trigger().unwrap();
    for _ in 0..5 {
        sleep(15 * SECOND).await;
        for fate in [Fate::Fails, Fate::Lost, Fate::Unanswered { there: Duration::ZERO }] {
            nodes[0].line.set(Op::RenewRuns, fate);
            sleep(4 * SECOND).await;
        }
        nodes[0].line.clear();
    }
    sleep(5 * MINUTE).await;
    assert_eq!(watch.numbers(), [1]);
}

#[tokio::test(start_paused = true)]
async fn leases_are_renewed_again_by_somebody_else_if_whoever_did_it_has_panicked() {
    let watch = Watch::default();
    let nodes = nodes(2, &watch, &JobPolicy::default(), 5 * MINUTE).await;
    nodes[0].job.trigger().unwrap();
    nodes[0].line.set(Op::RenewRuns, Fate::Panics);
    // Each third of a lease.
    sleep(12 * SECOND).await;
    nodes[0].line.clear();
    sleep(6 * MINUTE).await;
    assert_eq!(watch.numbers(), [1]);
    assert_eq!(nodes[1].job.runs(1).await[0].outcome, Some(RunOutcome::Succeeded));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_costs_every_engine_its_lease_is_given_up() {
    let watch = Watch::default();
    let nodes = nodes(2, &watch, &JobPolicy::default(), 5 * MINUTE).await;
    for node in &nodes {
        node.line.set(Op::RenewRuns, Fate::Fails);
    }
    nodes[0].job.trigger().unwrap();
    sleep(10 * MINUTE).await;
    assert_eq!((watch.numbers(), watch.most.load(SeqCst)), (vec![1, 2, 3], 1));
    let [run] = &nodes[1].job.runs(10).await[..] else { panic!("there is one row") };
    assert_eq!(run.outcome, Some(RunOutcome::Failed));
    let error = run.error.as_deref().unwrap();
    assert!(error.starts_with("every engine that tried it has gone"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_a_shutdown_breaks_off_goes_on_elsewhere() {
    let watch = Watch::default();
    let mut nodes = nodes(2, &watch, &JobPolicy::default(), MINUTE).await;
    nodes[0].job.trigger().unwrap();
    sleep(15 * SECOND).await;
    let stopped_at = Instant::now();
    assert!(!nodes.remove(0).forewarm.shutdown(SECOND).await);
    sleep(2 * MINUTE).await;
    assert_eq!(watch.numbers(), [1, 2]);
    let after = watch.attempts.lock()[1].0 - stopped_at;
    assert!(after <= 11 * SECOND, "it need not wait for the lease to run out: {after:?}");
    assert_eq!(nodes[0].job.runs(1).await[0].outcome, Some(RunOutcome::Succeeded));
}

#[tokio::test(start_paused = true)]
async fn all_engines_together_run_no_more_than_may_be() {
    for max_instances in [1, 2] {
        for coalesce in [true, false] {
            let watch = Watch::default();
            let triggers = vec![Trigger::every(20 * SECOND).unwrap()];
            let policy = JobPolicy { triggers, max_instances, coalesce, ..JobPolicy::default() };
            let nodes = nodes(3, &watch, &policy, 45 * SECOND).await;
            for node in &nodes {
                node.job.trigger().unwrap();
            }
            sleep(30 * MINUTE).await;
            assert_eq!(watch.most.load(SeqCst), max_instances, "coalesce: {coalesce}");
            // They are not idle either.
            let runs = watch.numbers().len();
            assert!(runs >= 35 * max_instances, "{runs} runs of {max_instances} at a time");
            assert!(watch.numbers().iter().all(|nth| *nth == 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_end_is_not_heard_is_told_again() {
    let watch = Watch::default();
    let nodes = nodes(2, &watch, &JobPolicy::default(), SECOND).await;
    nodes[0].line.set(Op::EndRun, Fate::Fails);
    nodes[0].job.trigger().unwrap();
    sleep(2 * MINUTE).await;
    assert_eq!(nodes[0].job.status().running, 1, "its lease goes on until it is told");
    nodes[0].line.clear();
    sleep(2 * SECOND).await;
    assert_eq!(nodes[1].job.runs(1).await[0].outcome, Some(RunOutcome::Succeeded));
    assert_eq!(watch.numbers(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_has_lost_its_memory_has_a_run_done_again() {
    let watch = Watch::default();
    let store = SimStore::new();
    let clock = Clock::starting_at(instant("2026-03-10T12:00:00.5Z"));
    let builder = Forewarm::builder().clock(clock).tier(store.connect());
    let forewarm = builder.build().await.unwrap();
    let seen = watch.clone();
    let job =
        forewarm.job("job").run_with(move |context| seen.clone().run(context.attempt(), MINUTE));
    let job = job.build().unwrap();
    forewarm.start().await.unwrap();
    sleep(SECOND).await;
    job.trigger().unwrap();
    sleep(15 * SECOND).await;
    store.restart_empty();
    sleep(2 * MINUTE).await;
    assert_eq!((watch.numbers().len(), watch.most.load(SeqCst)), (2, 1));
    assert_eq!(job.runs(1).await[0].outcome, Some(RunOutcome::Succeeded));
}
