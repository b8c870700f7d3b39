//! Declaring a job.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::context::{JobContext, JobError};
use super::core::{JobParts, Work};
use super::job::Job;
use super::jobs::Jobs;
use super::policy::JobPolicy;
use super::trigger::Trigger;
use crate::error::{ConfigError, Error};
use crate::key::Name;

/// Declares a job: what it does, when, and how.
///
/// Made by [`Forewarm::job`](crate::Forewarm::job).
#[must_use = "a job exists once it is built"]
pub struct JobBuilder {
    jobs: Arc<Jobs>,
    name: String,
    policy: JobPolicy,
    work: Option<Work>,
    /// The first trigger that cannot work.
    wrong: Option<ConfigError>,
}

impl JobBuilder {
    pub(crate) fn new(jobs: Arc<Jobs>, name: &str) -> Self {
        let (name, policy) = (name.to_owned(), JobPolicy::default());
        Self { jobs, name, policy, work: None, wrong: None }
    }

    /// Sets the whole policy. Default: [`JobPolicy::default`].
    pub fn policy(self, policy: JobPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Runs it whenever this trigger says so, as well as when the others do.
    pub fn on(mut self, trigger: Trigger) -> Self {
        self.policy.triggers.push(trigger);
        self
    }

    /// Runs it at a fixed rate: [`Trigger::every`].
    pub fn every(self, every: Duration) -> Self {
        self.on_checked(Trigger::every(every))
    }

    /// Runs it by the five fields of cron: [`Trigger::cron`].
    pub fn cron(self, pattern: &str, zone: &str) -> Self {
        self.on_checked(Trigger::cron(pattern, zone))
    }

    /// Runs it every day at this time in a zone: [`Trigger::daily_at`].
    pub fn daily_at(self, hour: u8, minute: u8, zone: &str) -> Self {
        self.on_checked(Trigger::daily_at(hour, minute, zone))
    }

    /// Runs it on every engine: [`JobPolicy::on_every_engine`].
    pub fn on_every_engine(mut self) -> Self {
        self.policy.on_every_engine = true;
        self
    }

    /// The policy so far.
    ///
    /// # Errors
    ///
    /// A trigger cannot work.
    pub(crate) fn checked_policy(&self) -> Result<&JobPolicy, ConfigError> {
        self.wrong.clone().map_or(Ok(&self.policy), Err)
    }

    fn on_checked(mut self, trigger: Result<Trigger, ConfigError>) -> Self {
        match trigger {
            Ok(trigger) => self.on(trigger),
            Err(error) => {
                self.wrong.get_or_insert(error);
                self
            }
        }
    }

    /// Sets what it does: `.run_with(|context| async move { .. })`. A future that has not ended by
    /// the deadline is dropped.
    ///
    /// A job that holds a handle of its engine, such as a [`Resource`](crate::Resource), keeps it
    /// running until [`Forewarm::shutdown`](crate::Forewarm::shutdown).
    pub fn run_with<F, Fut>(self, run: F) -> Self
    where
        F: Fn(JobContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        Self { work: Some(Arc::new(move |context| Box::pin(run(context)))), ..self }
    }

    /// Declares the job.
    ///
    /// # Errors
    ///
    /// The policy or a trigger cannot work, the name is taken or is none, there is nothing to do, or
    /// the engine has been started.
    pub fn build(self) -> Result<Job, Error> {
        let Self { jobs, name, policy, work, wrong } = self;
        let field = || format!("job `{name}`");
        let name = Name::parse(&name).map_err(|error| {
            let remedy = "use a name of 1 to 64 bytes without `:` and control characters";
            ConfigError::new(field(), error.to_string(), remedy)
        })?;
        if let Some(error) = wrong {
            return Err(error.within(name.as_str()).into());
        }
        policy.check(name.as_str())?;
        let work = work
            .ok_or_else(|| ConfigError::new(field(), "has nothing to do", "give it `run_with`"))?;
        let core = jobs.register(JobParts { name, policy, work })?;
        Ok(Job { jobs, core })
    }
}

impl Jobs {
    /// The jobs, in the order in which they were declared.
    pub(crate) fn handles(self: &Arc<Self>) -> Vec<Job> {
        self.all().into_iter().map(|core| Job { jobs: Arc::clone(self), core }).collect()
    }
}

impl fmt::Debug for JobBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobBuilder")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
