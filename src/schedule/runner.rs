//! Running jobs: the loop that looks what is due, and the runs that it starts.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;
use jiff::SignedDuration;

use super::context::{JobContext, JobError};
use super::core::JobCore;
use super::due::Due;
use super::jobs::Jobs;
use super::leases::Lease;
use super::log::RunOutcome;
use super::plan::LOOK_EVERY;
use super::taking::{Ours, Taken, take, tell};
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
    due: Due,
    /// What is noted when it is dropped; nothing for a run that is another engine's.
    outcome: Option<RunOutcome>,
    /// Whether it could not begin, and waits again.
    waits: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let Self { jobs, core, due, outcome, waits } = self;
        core.ended(jobs, due.run_id, *outcome);
        if *waits {
            core.put_back(jobs, *due);
        }
        if *outcome == Some(RunOutcome::LeaseLost) {
            // Unless another engine has taken it, it is for this one to go on.
            core.adopt(Due::adopted(due.run_id, due.scheduled, due.reason));
        }
        jobs.wake.notify_one();
    }
}

async fn run(jobs: Arc<Jobs>, core: Arc<JobCore>, due: Due) {
    let mut ending = Ending { jobs, core, due, outcome: None, waits: false };
    let (jobs, core) = (Arc::clone(&ending.jobs), Arc::clone(&ending.core));
    let taken = match take(&jobs, &core, &due).await {
        Taken::Ours(taken) => taken,
        Taken::Theirs => return,
        Taken::Busy => {
            ending.waits = true;
            return;
        }
        // Whoever looks for what was left finds it again.
        Taken::Unheard if due.is_adopted => return,
        Taken::Unheard => {
            core.begin(&jobs, &due);
            core.failure(due.run_id, &JobError::permanent("the second tier did not answer"));
            ending.outcome = Some(RunOutcome::Unclaimed);
            return;
        }
    };
    let due = Due { run_id: taken.run_id, ..due };
    ending.due = due;
    core.begin(&jobs, &due);
    ending.outcome = Some(RunOutcome::Aborted);
    let began = jobs.clock.now();
    let outcome = {
        let work = within_deadline(&jobs, &core, &due, &taken);
        tokio::select! {
            biased;
            () = lost(taken.lease.as_ref()) => RunOutcome::LeaseLost,
            outcome = work => outcome,
        }
    };
    ending.outcome = Some(outcome);
    // One that was broken off is given back.
    if let Some(lease) = taken.lease
        && !matches!(outcome, RunOutcome::LeaseLost | RunOutcome::Aborted)
    {
        tell(&jobs, &core, lease, (due.run_id, outcome, began)).await;
    }
}

async fn lost(lease: Option<&Lease>) {
    match lease {
        Some(lease) => lease.lost().await,
        None => std::future::pending().await,
    }
}

async fn within_deadline(jobs: &Jobs, core: &JobCore, due: &Due, taken: &Ours) -> RunOutcome {
    let deadline = jobs.clock.now().plus(core.policy.deadline);
    let attempts = pin!(attempts(jobs, core, due, taken, deadline));
    let ended = task::timeout_at(jobs.clock.instant(deadline), attempts).await;
    ended.unwrap_or_else(|| {
        let late = format!("it took longer than {:?}", core.policy.deadline);
        core.failure(due.run_id, &JobError::permanent(late));
        RunOutcome::Deadline
    })
}

/// Tries until an attempt succeeds, a failure will not pass, or there were enough.
async fn attempts(
    jobs: &Jobs,
    core: &JobCore,
    due: &Due,
    taken: &Ours,
    deadline: Moment,
) -> RunOutcome {
    let before = taken.attempts_before;
    let Some(left) = core.policy.attempts.checked_sub(before).filter(|left| *left > 0) else {
        // Perhaps it is this run that they have died of.
        let gone = "every engine that tried it has gone, or has lost it";
        core.failure(due.run_id, &JobError::permanent(gone));
        return RunOutcome::Failed;
    };
    let late_by = jobs.clock.wall().duration_since(due.scheduled).max(SignedDuration::ZERO);
    let times = Times { due_at: jobs.clock.now().minus(late_by.unsigned_abs()), deadline };
    let mut waits = core.policy.waits(jobs.seed ^ due.run_id.0).take(left - 1);
    for nth in before + 1.. {
        if let Some(lease) = &taken.lease {
            lease.held.attempts.store(u32::try_from(nth).unwrap_or(u32::MAX), Relaxed);
        }
        let error = match attempt(jobs, core, due, times, nth).await {
            Ok(()) => return RunOutcome::Succeeded,
            Err(Failure::Panicked) => return RunOutcome::Panicked,
            Err(Failure::Error(error)) => error,
        };
        let wait = if error.is_transient() { waits.next() } else { None };
        let Some(wait) = wait else { break };
        let (job, run_id) = (&core.name, due.run_id);
        tracing::warn!(%job, %run_id, attempt = nth, %error, ?wait, "the job is tried again");
        // An engine that is being shut down may be what it has failed of, and leaves it to another.
        tokio::select! {
            biased;
            () = jobs.tasks.stopped() => return RunOutcome::Aborted,
            () = task::sleep_until(jobs.clock.instant(jobs.clock.now().plus(wait))) => {}
        }
    }
    RunOutcome::Failed
}

/// The moments of a run that its attempts share.
#[derive(Clone, Copy)]
struct Times {
    due_at: Moment,
    deadline: Moment,
}

enum Failure {
    Error(JobError),
    Panicked,
}

async fn attempt(
    jobs: &Jobs,
    core: &JobCore,
    due: &Due,
    Times { due_at, deadline }: Times,
    nth: usize,
) -> Result<(), Failure> {
    core.attempt(jobs, due.run_id, nth);
    let context = JobContext {
        job: Arc::clone(&core.name),
        run_id: due.run_id,
        reason: due.reason,
        scheduled: due.scheduled,
        due_at,
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
