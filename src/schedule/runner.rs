//! Running jobs: the loop that looks what is due, and the runs that it starts.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;

use super::context::{JobContext, JobError};
use super::jobs::{JobCore, Jobs};
use super::log::{RunId, RunOutcome};
use super::plan::{Due, LOOK_EVERY};
use crate::background::{self, Next};
use crate::clock::Moment;
use crate::task;

/// Begins to look, again and again, what is due.
pub(super) fn start(jobs: &Arc<Jobs>) {
    let weak = Arc::downgrade(jobs);
    background::repeat(&jobs.tasks, jobs.clock.clone(), Arc::clone(&jobs.wake), move || {
        std::future::ready(look(&weak))
    });
}

fn look(jobs: &Weak<Jobs>) -> Next {
    let Some(jobs) = jobs.upgrade() else { return Next::Never };
    let mut next = jobs.clock.now().plus(LOOK_EVERY);
    for core in jobs.all() {
        let (started, next_of_job) = core.look(&jobs);
        next = next.min(next_of_job);
        for due in started {
            jobs.tasks.spawn(run(Arc::clone(&jobs), Arc::clone(&core), due));
        }
    }
    Next::At(next)
}

/// Frees the place of a run, whatever becomes of it.
struct Ending {
    jobs: Arc<Jobs>,
    core: Arc<JobCore>,
    run_id: RunId,
    /// What is noted when it is dropped; nothing for a run that is another engine's.
    outcome: Option<RunOutcome>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.core.ended(&self.jobs, self.run_id, self.outcome);
        self.jobs.wake.notify_one();
    }
}

async fn run(jobs: Arc<Jobs>, core: Arc<JobCore>, due: Due) {
    let run_id = due.run_id;
    let mut ending = Ending { jobs, core, run_id, outcome: None };
    let (jobs, core) = (Arc::clone(&ending.jobs), Arc::clone(&ending.core));
    if due.is_shared {
        match claim(&jobs, &core, &due).await {
            Claim::Ours => {}
            Claim::Theirs => return,
            Claim::Unheard => {
                core.begin(&jobs, &due);
                core.failure(run_id, &JobError::permanent("the second tier did not answer"));
                ending.outcome = Some(RunOutcome::Unclaimed);
                return;
            }
        }
    }
    core.begin(&jobs, &due);
    ending.outcome = Some(RunOutcome::Aborted);
    let deadline = jobs.clock.now().plus(core.policy.deadline);
    let attempts = pin!(attempts(&jobs, &core, &due, deadline));
    let ended = task::timeout_at(jobs.clock.instant(deadline), attempts).await;
    ending.outcome = Some(ended.unwrap_or_else(|| {
        let late = format!("it took longer than {:?}", core.policy.deadline);
        core.failure(run_id, &JobError::permanent(late));
        RunOutcome::Deadline
    }));
}

/// Who runs what is due.
enum Claim {
    Ours,
    Theirs,
    /// L2 did not say.
    Unheard,
}

/// How long L2 remembers that an instant was taken: longer than clocks differ that people look at.
const CLAIM_KEPT_FOR: Duration = Duration::from_hours(48);
/// Between two tries to ask L2.
const CLAIM_AGAIN: Duration = Duration::from_secs(1);

/// Takes an instant, for as long as it is not too late to start. Whoever took it without hearing so
/// is told no by the next try: then nobody runs it, and never two.
async fn claim(jobs: &Jobs, core: &JobCore, due: &Due) -> Claim {
    let Some(l2) = &jobs.l2 else { return Claim::Ours };
    let name = format!("{}:job:{}:{}", jobs.prefix.as_str(), core.name, due.scheduled);
    loop {
        match l2.claim(&name, CLAIM_KEPT_FOR).await {
            Some(true) => return Claim::Ours,
            Some(false) => return Claim::Theirs,
            None => {}
        }
        let again = jobs.clock.now().plus(CLAIM_AGAIN);
        if again > due.give_up || jobs.tasks.is_stopping() {
            return Claim::Unheard;
        }
        task::sleep_until(jobs.clock.instant(again)).await;
    }
}

/// Tries until an attempt succeeds, a failure will not pass, or there were enough.
async fn attempts(jobs: &Jobs, core: &JobCore, due: &Due, deadline: Moment) -> RunOutcome {
    let mut waits = core.policy.waits(jobs.seed ^ due.run_id.0);
    for nth in 1.. {
        let error = match attempt(jobs, core, due, deadline, nth).await {
            Ok(()) => return RunOutcome::Succeeded,
            Err(Failure::Panicked) => return RunOutcome::Panicked,
            Err(Failure::Error(error)) => error,
        };
        let wait = if error.is_transient() { waits.next() } else { None };
        let Some(wait) = wait.filter(|_| !jobs.tasks.is_stopping()) else { break };
        let (job, run_id) = (&core.name, due.run_id);
        tracing::warn!(%job, %run_id, attempt = nth, %error, ?wait, "the job is tried again");
        task::sleep_until(jobs.clock.instant(jobs.clock.now().plus(wait))).await;
    }
    RunOutcome::Failed
}

enum Failure {
    Error(JobError),
    Panicked,
}

async fn attempt(
    jobs: &Jobs,
    core: &JobCore,
    due: &Due,
    deadline: Moment,
    nth: usize,
) -> Result<(), Failure> {
    core.attempt(jobs, due.run_id);
    let context = JobContext {
        job: Arc::clone(&core.name),
        run_id: due.run_id,
        reason: due.reason,
        scheduled: due.scheduled,
        attempt: nth,
        deadline,
        clock: jobs.clock.clone(),
        tasks: Arc::clone(&jobs.tasks),
    };
    let Some(work) = core.work() else {
        return Err(Failure::Error(JobError::permanent("the engine has been shut down")));
    };
    let failure = match AssertUnwindSafe(async { work(context).await }).catch_unwind().await {
        Ok(Ok(())) => {
            let (job, run_id) = (&core.name, due.run_id);
            tracing::info!(%job, %run_id, attempt = nth, "the job is done");
            return Ok(());
        }
        Ok(Err(error)) => Failure::Error(error),
        // What it panicked with may be a value; the panic hook tells it.
        Err(_panic) => Failure::Panicked,
    };
    match &failure {
        Failure::Error(error) => core.failure(due.run_id, error),
        Failure::Panicked => core.failure(due.run_id, &JobError::permanent("it panicked")),
    }
    Err(failure)
}
