//! A job: its plan, its log, and how it is doing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::context::{JobContext, JobError};
use super::due::Due;
use super::jobs::Jobs;
use super::log::{Run, RunLog, RunOutcome};
use super::plan::{Looked, Plan, Present, Terms};
use super::policy::JobPolicy;
use super::rhythm::Rhythm;
use super::trigger::Trigger;
use crate::clock::Moment;
use crate::error::{ConfigError, Error};
use crate::key::Name;
use crate::metrics::{Counters, JOB_INTERVAL, JOB_LAST_SUCCESS};
use crate::sync::Mutex;
use crate::tier::{JobMemory, RunId};

/// What a job does.
pub(super) type Work = Arc<dyn Fn(JobContext) -> Working + Send + Sync>;
pub(super) type Working = Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;

/// A job.
pub(super) struct JobCore {
    pub(super) name: Arc<str>,
    /// `{prefix}:{name}`.
    pub(super) full_name: Arc<str>,
    pub(super) policy: JobPolicy,
    /// Whether its runs are done by one engine of those that share L2.
    pub(super) is_shared: bool,
    seed: u64,
    outcomes: Counters<RunOutcome>,
    state: Mutex<State>,
}

struct State {
    /// Taken when the engine is shut down, since it may hold a handle of the engine.
    work: Option<Work>,
    /// What is due; from the start of the engine.
    plan: Option<Plan>,
    log: RunLog,
    last_success: Option<Timestamp>,
    /// The runs that have failed since the last one that succeeded.
    failures: u64,
    rhythm: Rhythm,
}

/// What a job is made of.
pub(super) struct JobParts {
    pub(super) name: Name,
    pub(super) policy: JobPolicy,
    pub(super) work: Work,
}

/// The clocks of engines are not further apart.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(60);

/// How a job is doing at the moment.
pub(super) struct Figures {
    pub(super) next_run: Option<Timestamp>,
    pub(super) is_paused: bool,
    pub(super) running: usize,
    pub(super) waiting: usize,
    pub(super) last_success: Option<Timestamp>,
    pub(super) failures: u64,
}

impl JobCore {
    pub(super) fn new(jobs: &Jobs, parts: JobParts) -> Self {
        let JobParts { name, policy, work } = parts;
        let log = RunLog::new(policy.log_kept_for, policy.log_runs_max);
        let (work, rhythm) = (Some(work), Rhythm::default());
        let state = State { work, plan: None, log, last_success: None, failures: 0, rhythm };
        Self {
            seed: xxhash_rust::xxh3::xxh3_64_with_seed(name.as_str().as_bytes(), jobs.seed),
            name: name.as_str().into(),
            full_name: format!("{}:{}", jobs.prefix.as_str(), name.as_str()).into(),
            is_shared: jobs.l2.is_some() && !policy.on_every_engine,
            policy,
            outcomes: Counters::new(),
            state: Mutex::new(state),
        }
    }

    /// Begins to plan.
    pub(super) fn start(&self, present: Present) {
        let mut state = self.state.lock();
        state.plan = Some(Plan::new(&self.policy, self.is_shared, present));
        state.rhythm.follow(&self.policy.triggers, present.wall);
    }

    /// Lets go of what it does, which may hold a handle of the engine.
    pub(super) fn let_go(&self) {
        let work = self.state.lock().work.take();
        // Outside of the lock, since it may hold the last handle of something.
        drop(work);
    }

    /// Brings the figures to the `metrics` facade.
    pub(super) fn publish(&self) {
        let name = metrics::SharedString::from(self.name.to_string());
        let label = metrics::Label::new("job", name);
        self.outcomes.publish(std::slice::from_ref(&label));
        let (succeeded, interval) = {
            let rhythm = &self.state.lock().rhythm;
            (rhythm.succeeded_secs(), rhythm.interval_secs())
        };
        let labels = vec![label];
        if let Some(secs) = succeeded {
            metrics::gauge!(JOB_LAST_SUCCESS, labels.clone()).set(secs);
        }
        metrics::gauge!(JOB_INTERVAL, labels).set(interval.unwrap_or(0.0));
    }

    /// What is to be started now, and when to look again.
    pub(super) fn look(&self, jobs: &Jobs) -> (Vec<Due>, Moment) {
        let (present, new_id) = (jobs.present(), || jobs.new_id());
        let terms = self.terms(&new_id);
        let mut state = self.state.lock();
        let Some(plan) = &mut state.plan else { return (Vec::new(), Moment::NEVER) };
        let Looked { start, missed } = plan.look(&terms, present);
        let next = plan.next_look(present);
        self.note_missed(&mut state.log, &missed, present);
        (start, next)
    }

    fn note_missed(&self, log: &mut RunLog, missed: &[Due], present: Present) {
        for due in missed {
            tracing::warn!(job = %self.name, scheduled = %due.scheduled, "the job was not run in time");
            self.outcomes.one(RunOutcome::Missed);
            log.add(self.row(due), present.now);
            log.end(due.run_id, RunOutcome::Missed, present.now, present.wall);
        }
    }

    const fn terms<'a>(&'a self, new_id: &'a dyn Fn() -> RunId) -> Terms<'a> {
        Terms { policy: &self.policy, seed: self.seed, new_id }
    }

    fn row(&self, due: &Due) -> Run {
        Run::waiting(due.run_id, &self.name, due.reason, due.scheduled)
    }

    pub(super) fn work(&self) -> Option<Work> {
        self.state.lock().work.clone()
    }

    /// Notes that a run begins, if the log does not have it already.
    pub(super) fn begin(&self, jobs: &Jobs, due: &Due) {
        let now = jobs.clock.now();
        let mut state = self.state.lock();
        state.log.add(self.row(due), now);
    }

    pub(super) fn attempt(&self, jobs: &Jobs, run_id: RunId, nth: usize) {
        let (now, wall) = (jobs.clock.now(), jobs.clock.wall());
        self.state.lock().log.attempt(run_id, nth, now, wall);
    }

    /// A run as the log here has it.
    pub(super) fn told(&self, run_id: RunId) -> Option<Run> {
        self.state.lock().log.find(run_id).cloned()
    }

    /// Goes on where L2 says, if it says anything.
    pub(super) fn go_on(&self, jobs: &Jobs, memory: Option<JobMemory>) {
        let handled = memory.and_then(|memory| memory.handled);
        if let Some(handled) =
            handled.filter(|at| at.duration_since(jobs.clock.wall()) > CLOCKS_APART)
        {
            let job = &self.name;
            tracing::warn!(%job, %handled, "a clock was ahead: the job goes on from the present");
        }
        let mut state = self.state.lock();
        if let Some(memory) = memory {
            state.rhythm.known_since(memory.since);
        }
        if let Some(plan) = &mut state.plan {
            plan.go_on(&self.policy, memory, jobs.present());
        }
    }

    /// Takes over what the log of L2 knows of earlier runs.
    pub(super) fn remember(&self, runs: &[Run]) {
        self.state.lock().rhythm.remember(runs);
    }

    /// A run could not begin for now.
    pub(super) fn put_back(&self, jobs: &Jobs, due: Due) {
        if let Some(plan) = &mut self.state.lock().plan {
            plan.put_back(&self.policy, due, jobs.present());
        }
    }

    /// Takes in a run that an engine has left or lost.
    pub(super) fn adopt(&self, due: Due) {
        if let Some(plan) = &mut self.state.lock().plan {
            plan.adopt(due);
        }
    }

    pub(super) fn failure(&self, run_id: RunId, error: &JobError) {
        self.state.lock().log.failure(run_id, &error.to_string());
    }

    /// A run has ended; without an outcome if it is another engine's, or waits again.
    pub(super) fn ended(&self, jobs: &Jobs, run_id: RunId, outcome: Option<RunOutcome>) {
        let (now, wall) = (jobs.clock.now(), jobs.clock.wall());
        let mut state = self.state.lock();
        if let Some(plan) = &mut state.plan {
            plan.ended();
        }
        let Some(outcome) = outcome else { return };
        state.log.end(run_id, outcome, now, wall);
        self.outcomes.one(outcome);
        if outcome == RunOutcome::Succeeded {
            (state.last_success, state.failures) = (Some(wall), 0);
            state.rhythm.succeeded(wall);
        } else {
            state.failures += 1;
            drop(state);
            tracing::error!(job = %self.name, %run_id, ?outcome, "the job has failed");
        }
    }

    /// Asks for a run.
    pub(super) fn ask(&self, jobs: &Jobs) -> Result<RunId, Error> {
        if jobs.tasks.is_stopping() {
            return Err(Error::ShutDown);
        }
        let (present, new_id) = (jobs.present(), || jobs.new_id());
        let terms = self.terms(&new_id);
        let mut state = self.state.lock();
        let Some(plan) = &mut state.plan else {
            return Err(self.too_early("is told to run too early"));
        };
        let Some(due) = plan.ask(&terms, present) else {
            let waiting = plan.waiting();
            return Err(Error::JobBusy { job: Arc::clone(&self.name), waiting });
        };
        let row = self.row(&due);
        state.log.add(row, present.now);
        drop(state);
        jobs.wake.notify_one();
        Ok(due.run_id)
    }

    fn too_early(&self, problem: &str) -> Error {
        let field = format!("job `{}`", self.name);
        ConfigError::new(field, problem, "start the engine first").into()
    }

    /// Follows other triggers from now on.
    pub(super) fn reschedule(&self, jobs: &Jobs, triggers: Vec<Trigger>) -> Result<(), Error> {
        if jobs.tasks.is_stopping() {
            return Err(Error::ShutDown);
        }
        let policy = JobPolicy { triggers, ..self.policy.clone() };
        policy.check(&self.name)?;
        let (present, new_id) = (jobs.present(), || jobs.new_id());
        let terms = self.terms(&new_id);
        let mut state = self.state.lock();
        let State { plan, log, rhythm, .. } = &mut *state;
        let Some(plan) = plan else {
            return Err(self.too_early("is rescheduled too early"));
        };
        rhythm.follow(&policy.triggers, present.wall);
        let missed = plan.reschedule(&terms, present, policy.triggers);
        self.note_missed(log, &missed, present);
        drop(state);
        jobs.wake.notify_one();
        Ok(())
    }

    /// When it is due.
    pub(super) fn triggers(&self) -> Vec<Trigger> {
        let state = self.state.lock();
        state.plan.as_ref().map_or_else(|| self.policy.triggers.clone(), Plan::triggers)
    }

    pub(super) fn pause(&self, jobs: &Jobs, is_paused: bool) {
        let (present, new_id) = (jobs.present(), || jobs.new_id());
        let terms = self.terms(&new_id);
        if let Some(plan) = &mut self.state.lock().plan {
            plan.pause(&terms, present, is_paused);
        }
        jobs.wake.notify_one();
    }

    /// The newest runs that this engine knows of itself.
    pub(super) fn newest_here(&self, jobs: &Jobs, count: usize) -> Vec<Run> {
        self.state.lock().log.newest(count, jobs.clock.now())
    }

    pub(super) fn figures(&self, jobs: &Jobs) -> Figures {
        let present = jobs.present();
        let state = self.state.lock();
        let plan = state.plan.as_ref();
        let next = plan.and_then(|plan| plan.next_due(present));
        Figures {
            next_run: next.map(|(wall, _)| wall),
            is_paused: plan.is_some_and(Plan::is_paused),
            running: plan.map_or(0, Plan::running),
            waiting: plan.map_or(0, Plan::waiting),
            last_success: state.last_success,
            failures: state.failures,
        }
    }
}
