//! Declaring a snapshot.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::Snapshot;
use super::checks::{Check, Checked, Checks, Load, shrinks_little};
use super::dataset::{Dataset, Held, Rounds, Trouble, WHOLE};
use crate::background::{self, Next};
use crate::engine::Engine;
use crate::error::{ConfigError, Error, LoadError};
use crate::policy::{
    Capacity, Policy, PreloadMode, PreloadPolicy, SourcePolicy, Store, TrustOnRestart,
};
use crate::resource::ResourceBuilder;
use crate::schedule::{JobBuilder, JobError, JobPolicy, Trigger};
use crate::sync::Mutex;
use crate::tier::Codec;

/// Declares a snapshot: its source, when it is renewed, and what a new dataset must be.
///
/// Made by [`Forewarm::snapshot`](crate::Forewarm::snapshot).
#[must_use = "a snapshot exists once it is built"]
pub struct SnapshotBuilder<T: Send + Sync + 'static> {
    engine: Arc<Engine>,
    name: String,
    codec: Option<Codec<T>>,
    /// When it is renewed.
    job: JobBuilder,
    jitter: Duration,
    retry_max: Duration,
    source: SourcePolicy,
    value_bytes_max: usize,
    schema: u32,
    checks: Vec<Box<Check<T>>>,
    load: Option<Box<Load<T>>>,
    wrong: Option<ConfigError>,
}

/// A dataset has no ttl: it is good until it is renewed.
const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 10);

impl<T: Send + Sync + 'static> SnapshotBuilder<T> {
    pub(crate) fn new(engine: Arc<Engine>, name: &str, codec: Option<Codec<T>>) -> Self {
        Self {
            job: JobBuilder::new(Arc::clone(&engine.jobs), name),
            engine,
            name: name.to_owned(),
            codec,
            jitter: Duration::ZERO,
            retry_max: Duration::from_mins(5),
            source: SourcePolicy::default(),
            value_bytes_max: 64 << 20,
            schema: 0,
            checks: Vec::new(),
            load: None,
            wrong: None,
        }
    }

    /// Renews it whenever this trigger says so, as well as when the others do. Without any it is
    /// loaded at the start only, and by [`Snapshot::refresh`].
    pub fn on(self, trigger: Trigger) -> Self {
        Self { job: self.job.on(trigger), ..self }
    }

    /// Renews it at a fixed rate: [`Trigger::every`].
    pub fn every(self, every: Duration) -> Self {
        Self { job: self.job.every(every), ..self }
    }

    /// Renews it by the five fields of cron: [`Trigger::cron`].
    pub fn cron(self, pattern: &str, zone: &str) -> Self {
        Self { job: self.job.cron(pattern, zone), ..self }
    }

    /// Renews it every day at this time in a zone: [`Trigger::daily_at`].
    pub fn daily_at(self, hour: u8, minute: u8, zone: &str) -> Self {
        Self { job: self.job.daily_at(hour, minute, zone), ..self }
    }

    /// Delays each renewal by a random span up to this, so that engines do not all begin at the same
    /// moment. Default: none.
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// Sets the longest wait until a renewal that failed is tried again, which begins with a second
    /// and doubles. Default: 5 minutes.
    pub fn retry_max(self, retry_max: Duration) -> Self {
        Self { retry_max, ..self }
    }

    /// Sets what may be asked of the source: deadline, attempts, breaker. Default:
    /// [`SourcePolicy::default`].
    pub fn source(self, source: SourcePolicy) -> Self {
        Self { source, ..self }
    }

    /// Sets the largest encoding that L2 keeps. Default: 64 MiB.
    pub fn value_bytes_max(self, value_bytes_max: usize) -> Self {
        Self { value_bytes_max, ..self }
    }

    /// Sets the version of the type: see [`Policy::schema`]. Default: 0.
    pub fn schema(self, schema: u32) -> Self {
        Self { schema, ..self }
    }

    /// Lets a new dataset replace the held one, if there is one, only if this finds nothing wrong
    /// with it; what it says is wrong is the error of the renewal, and shown by
    /// [`Snapshot::status`].
    pub fn check(
        mut self,
        check: impl Fn(&T, Option<&T>) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push(Box::new(check));
        self
    }

    /// Refuses a new dataset that has lost more than this share of its parts, 0 to 1, or all of
    /// them: a source that answers with half of it, or with nothing, has more likely failed. See
    /// [`Snapshot::refresh_unchecked`] for when it has not.
    pub fn refuse_shrinking(
        mut self,
        share: f64,
        count: impl Fn(&T) -> usize + Send + Sync + 'static,
    ) -> Self {
        if !(0.0..=1.0).contains(&share) {
            let error = ConfigError::new("refuse_shrinking", format!("is {share}"), "use 0 to 1");
            self.wrong.get_or_insert(error);
        }
        self.check(shrinks_little(share, count))
    }

    /// Sets an async closure that loads the whole dataset: `.load_with(|| async move { .. })`.
    pub fn load_with<F, Fut>(self, load: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, LoadError>> + Send + 'static,
    {
        Self { load: Some(Box::new(move || Box::pin(load()))), ..self }
    }

    /// Declares the snapshot.
    ///
    /// # Errors
    ///
    /// A setting or a trigger cannot work, the name is taken or is none, there is no loader, or the
    /// engine has been started: the error names the setting.
    pub fn build(self) -> Result<Snapshot<T>, Error> {
        let wrong = |error: ConfigError| error.within(&self.name);
        self.wrong.clone().map_or(Ok(()), Err).map_err(wrong)?;
        let triggers = self.job.checked_policy().map_err(wrong)?.triggers.clone();
        let Some(load) = self.load else {
            let field = format!("{}.load_with", self.name);
            return Err(
                ConfigError::new(field, "is missing", "give it a closure that loads").into()
            );
        };
        let (engine, name) = (self.engine, self.name);
        // The rest is for asking the source, should the other engine have gone.
        let busy_wait = self.source.deadline / 2;
        let policy = policy(self.source, self.value_bytes_max, self.schema);
        let job_policy = job_policy(&triggers, self.jitter, self.retry_max);
        // Before anything is registered, so that one that is wrong leaves nothing behind.
        policy.check(&name)?;
        job_policy.check(&name)?;
        let (held, checks) = (Arc::new(Held::nothing()), Arc::new(Checks::new(self.checks)));
        let loader = Checked { load, checks: Arc::clone(&checks), held: Arc::clone(&held) };
        let heard = Arc::new(Notify::new());
        let resource = ResourceBuilder::new(Arc::clone(&engine), &name, self.codec)
            .policy(policy)
            .loader(loader)
            // It counts for how ready the engine is.
            .seed([WHOLE.to_owned()])
            // A dataset may take long, and one engine is enough to ask for it.
            .busy_wait(busy_wait)
            .told(Arc::clone(&heard))
            .build()?;
        let dataset = Arc::new(Dataset {
            held,
            resource,
            checks,
            job: OnceLock::new(),
            clock: engine.clock.clone(),
            tasks: Arc::clone(&engine.tasks),
            rounds: Rounds::default(),
            heard: Arc::clone(&heard),
            trouble: Mutex::new(Trouble::default()),
        });
        renew_when_due(self.job.policy(job_policy), &dataset, triggers)?;
        renew_when_told(&engine, &dataset, heard, self.retry_max);
        Ok(Snapshot { dataset })
    }
}

fn policy(source: SourcePolicy, value_bytes_max: usize, schema: u32) -> Policy {
    Policy {
        // There is one entry, and it must not be refused for its weight.
        capacity: Capacity::Entries(64),
        ttl: FOR_EVER,
        absent_ttl: None,
        jitter: 0.0,
        stale_while_revalidate: Some(FOR_EVER),
        stale_if_error: Some(FOR_EVER),
        refresh_spacing: None,
        store: Store::Both,
        trust_on_restart: TrustOnRestart::WithinTtl,
        schema,
        value_bytes_max,
        tracked_keys: 64,
        preload: PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() },
        source,
        ..Policy::default()
    }
}

/// Tried until it succeeds, so that one bad hour does not cost what is renewed daily a day.
fn job_policy(triggers: &[Trigger], jitter: Duration, retry_max: Duration) -> JobPolicy {
    const DAY: Duration = Duration::from_hours(24);
    let mut triggers = triggers.to_vec();
    triggers.push(Trigger::at_start());
    JobPolicy {
        triggers,
        jitter,
        misfire_grace: DAY,
        on_every_engine: true,
        attempts: 1_000_000,
        backoff_min: Duration::from_secs(1).min(retry_max),
        backoff_max: retry_max,
        deadline: FOR_EVER,
        ..JobPolicy::default()
    }
}

fn renew_when_due<T: Send + Sync + 'static>(
    job: JobBuilder,
    dataset: &Arc<Dataset<T>>,
    triggers: Vec<Trigger>,
) -> Result<(), Error> {
    // Held weakly: a snapshot that nobody can read need not be renewed.
    let (weak, triggers) = (Arc::downgrade(dataset), Arc::new(triggers));
    let job = job.run_with(move |context| {
        let (weak, triggers) = (Weak::clone(&weak), Arc::clone(&triggers));
        async move {
            let Some(dataset) = weak.upgrade() else { return Ok::<(), JobError>(()) };
            dataset.run(&context, &triggers).await
        }
    });
    let _first = dataset.job.set(job.build()?);
    Ok(())
}

fn renew_when_told<T: Send + Sync + 'static>(
    engine: &Engine,
    dataset: &Arc<Dataset<T>>,
    heard: Arc<Notify>,
    retry_after: Duration,
) {
    let weak = Arc::downgrade(dataset);
    background::repeat(&engine.tasks, engine.clock.clone(), heard, move || {
        let weak = Weak::clone(&weak);
        async move {
            match weak.upgrade() {
                None => Next::Never,
                Some(dataset) if dataset.heed().await => Next::Woken,
                Some(_) => Next::After(retry_after),
            }
        }
    });
}

impl<T: Send + Sync + 'static> fmt::Debug for SnapshotBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotBuilder")
            .field("name", &self.name)
            .field("job", &self.job)
            .finish_non_exhaustive()
    }
}
