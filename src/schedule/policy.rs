//! How a job runs, checked before anything starts.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::trigger::Trigger;
use crate::error::ConfigError;

/// How a job runs.
///
/// Every knob has a default; start from [`JobPolicy::default`] and change what differs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct JobPolicy {
    /// When it is due: whenever one of these says so. Without any it runs only when it is told to.
    /// Default: none.
    pub triggers: Vec<Trigger>,
    /// Delays each run by a random span up to this, so that jobs that are due together do not start
    /// together; not those at or after the start of an engine. Default: none.
    #[serde(with = "crate::span")]
    pub jitter: Duration,
    /// Makes one run, for the newest, of all that is due while none can start. Default: true.
    pub coalesce: bool,
    /// The runs that may be under way at a time, over all engines that share an L2; what is due
    /// meanwhile waits. Default: 1, since two runs of one job would write the same things in any
    /// order.
    pub max_instances: usize,
    /// How long what is due may wait to be started, 1 s or more; after that it is missed, and
    /// counted. Default: 60 s.
    #[serde(with = "crate::span")]
    pub misfire_grace: Duration,
    /// What becomes of what came due while nobody looked: the machine was suspended, its clock was
    /// set forward, or no engine was running, of those that share an L2. Default: [`CatchUp::Once`].
    pub catch_up: CatchUp,
    /// Runs it on every engine, and notes it there only. Otherwise, on engines that share an L2, one
    /// of them takes each run, and nobody does while L2 does not answer; but what is due at the start
    /// of an engine is always its own. Default: false.
    pub on_every_engine: bool,
    /// How long another engine waits before it takes over a run whose engine says nothing any more.
    /// It is renewed every third of this, on a thread of its own; an engine that cannot do so in time
    /// breaks the run off. 3 s to 1 hour. Default: 30 s.
    #[serde(with = "crate::span")]
    pub lease: Duration,
    /// How often a run is tried in all, if its failures are transient, or the engines that had it
    /// have gone. Default: 3.
    pub attempts: usize,
    /// The wait before the second attempt; it doubles with each further one, and a random part of
    /// up to its own length is added. Default: 1 s.
    #[serde(with = "crate::span")]
    pub backoff_min: Duration,
    /// The longest wait between attempts. Default: 1 minute.
    #[serde(with = "crate::span")]
    pub backoff_max: Duration,
    /// The longest that a run may take on one engine, with all its attempts. There is always one,
    /// since a run without an end would keep the others waiting for ever. Default: 10 minutes.
    #[serde(with = "crate::span")]
    pub deadline: Duration,
    /// How long a run that has ended stays in the log: 1 minute or more, and no less than it may wait
    /// (`jitter` and `misfire_grace`) unless it is run `on_every_engine`. Default: 24 hours.
    #[serde(with = "crate::span")]
    pub log_kept_for: Duration,
    /// The most runs in the log, 10 to 1,000. L2 keeps more while earlier ones may still wait. Default:
    /// 1,000.
    pub log_runs_max: usize,
}

/// What becomes of what came due while nobody looked.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// One run is made, for the newest of it.
    #[default]
    Once,
    /// It is missed.
    Skip,
}

/// A shorter lease would be lost to a busy store.
const LEASE_MIN: Duration = Duration::from_secs(3);
const LEASE_MAX: Duration = Duration::from_hours(1);

impl Default for JobPolicy {
    fn default() -> Self {
        Self {
            triggers: Vec::new(),
            jitter: Duration::ZERO,
            coalesce: true,
            max_instances: 1,
            misfire_grace: Duration::from_secs(60),
            catch_up: CatchUp::default(),
            on_every_engine: false,
            lease: Duration::from_secs(30),
            attempts: 3,
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_mins(1),
            deadline: Duration::from_mins(10),
            log_kept_for: Duration::from_hours(24),
            log_runs_max: 1_000,
        }
    }
}

impl JobPolicy {
    /// Says what cannot work in this policy of `job`.
    ///
    /// # Errors
    ///
    /// Names the first setting that is wrong, what is wrong with it, and what would be right.
    pub fn check(&self, job: &str) -> Result<(), ConfigError> {
        self.check_fields().map_err(|error| error.within(job))
    }

    fn check_fields(&self) -> Result<(), ConfigError> {
        for (field, span) in [("backoff_min", self.backoff_min), ("deadline", self.deadline)] {
            if span.is_zero() {
                return Err(ConfigError::new(field, "is zero", "use a span such as `30s`"));
            }
        }
        if self.misfire_grace < Duration::from_secs(1) {
            let problem = format!("is {:?}", self.misfire_grace);
            return Err(ConfigError::new("misfire_grace", problem, "use `1s` or more"));
        }
        if self.log_kept_for < Duration::from_mins(1) {
            let problem = format!("is {:?}", self.log_kept_for);
            return Err(ConfigError::new("log_kept_for", problem, "use `1m` or more"));
        }
        let waits = self.jitter.saturating_add(self.misfire_grace);
        if !self.on_every_engine && self.log_kept_for < waits {
            let problem = format!("is shorter than `jitter` and `misfire_grace` ({waits:?})");
            return Err(ConfigError::new("log_kept_for", problem, "use a longer span"));
        }
        if !(LEASE_MIN..=LEASE_MAX).contains(&self.lease) {
            let problem = format!("is {:?}", self.lease);
            return Err(ConfigError::new("lease", problem, "use `3s` to `1h`"));
        }
        if self.backoff_max < self.backoff_min {
            let problem = format!("is shorter than `backoff_min` ({:?})", self.backoff_min);
            return Err(ConfigError::new("backoff_max", problem, "use a longer span"));
        }
        for (field, count, least, most) in [
            ("triggers", self.triggers.len(), 0, 100),
            ("max_instances", self.max_instances, 1, 100),
            ("attempts", self.attempts, 1, 1_000_000),
            ("log_runs_max", self.log_runs_max, 10, 1_000),
        ] {
            if !(least..=most).contains(&count) {
                let remedy = format!("use {least} to {most}");
                return Err(ConfigError::new(field, format!("is {count}"), remedy));
            }
        }
        Ok(())
    }

    /// How long L2 keeps a run that is under way, after it was last heard of: others need time to take
    /// it over when its lease has run out.
    pub(super) fn kept_under_way(&self) -> Duration {
        self.log_kept_for.max(self.lease * 3)
    }

    /// What was due before this does not wait any more.
    pub(super) fn may_wait_since(&self, at: Timestamp) -> Timestamp {
        let waits = self.jitter.saturating_add(self.misfire_grace);
        at.checked_sub(waits).unwrap_or(Timestamp::MIN)
    }

    /// The waits between the attempts of one run.
    pub(super) fn waits(&self, seed: u64) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.backoff_min)
            .with_max_delay(self.backoff_max)
            .with_max_times(self.attempts - 1)
            .with_factor(2.0)
            .with_jitter()
            .with_jitter_seed(seed)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field and how to spoil it.
    type Case = (&'static str, fn(&mut JobPolicy));

    #[test]
    fn what_cannot_work_is_named() {
        assert_eq!(JobPolicy::default().check("nightly"), Ok(()));
        let cases: [Case; 9] = [
            ("misfire_grace", |p| p.misfire_grace = Duration::ZERO),
            ("log_kept_for", |p| p.misfire_grace = Duration::from_hours(25)),
            ("lease", |p| p.lease = Duration::from_secs(2)),
            ("backoff_max", |p| p.backoff_max = Duration::from_nanos(1)),
            ("deadline", |p| p.deadline = Duration::ZERO),
            ("max_instances", |p| p.max_instances = 0),
            ("attempts", |p| p.attempts = 0),
            ("log_runs_max", |p| p.log_runs_max = 5_000),
            ("triggers", |p| p.triggers = vec![Trigger::at_start(); 101]),
        ];
        for (field, spoil) in cases {
            let mut policy = JobPolicy::default();
            spoil(&mut policy);
            let error = policy.check("nightly").unwrap_err();
            assert_eq!(error.field(), format!("nightly.{field}"), "{error}");
        }
    }

    #[test]
    fn a_policy_is_written_as_people_write_it() {
        let text = r#"{"triggers": [{"daily_at": "02:00", "zone": "Europe/Berlin"}, {"every": "5m"}],
            "jitter": "30s", "catch_up": "skip"}"#;
        let policy: JobPolicy = serde_json::from_str(text).unwrap();
        assert_eq!(policy.jitter, Duration::from_secs(30));
        assert_eq!((policy.triggers.len(), policy.catch_up), (2, CatchUp::Skip));
        let error = serde_json::from_str::<JobPolicy>(r#"{"jiter": "30s"}"#).unwrap_err();
        assert!(error.to_string().contains("`jiter`"), "{error}");
    }
}
