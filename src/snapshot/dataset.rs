//! What a snapshot holds, and how it is renewed.

use std::error::Error as _;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, oneshot};

use super::SnapshotStatus;
use super::checks::Checks;
use crate::clock::{Clock, Moment};
use crate::entry::Freshness;
use crate::error::Error;
use crate::resource::{Read, ReadOptions, Resource};
use crate::schedule::{Job, JobContext, JobError, RunReason, Trigger};
use crate::sync::Mutex;
use crate::task::Tasks;

/// The one key of the resource behind a snapshot.
pub(super) const WHOLE: &str = "all";

/// What a snapshot holds, and how it is renewed.
pub(super) struct Dataset<T: Send + Sync + 'static> {
    pub(super) held: Arc<Held<T>>,
    pub(super) resource: Resource<String, T>,
    pub(super) checks: Arc<Checks<T>>,
    pub(super) job: OnceLock<Job>,
    pub(super) clock: Clock,
    pub(super) tasks: Arc<Tasks>,
    pub(super) rounds: Rounds,
    pub(super) trouble: Mutex<Trouble>,
}

/// The dataset that readers see.
pub(super) struct Held<T> {
    present: ArcSwapOption<Version<T>>,
    /// Told when the first one comes.
    came: Notify,
    /// Held while the present one is compared with one that may replace it.
    turn: Mutex<()>,
}

struct Version<T> {
    value: Arc<T>,
    /// When its load began.
    loaded: Moment,
    loaded_at: Timestamp,
}

/// The renewals that somebody has asked for, one at a time.
#[derive(Default)]
pub(super) struct Rounds {
    turn: tokio::sync::Mutex<()>,
    ended: AtomicU64,
}

/// What went wrong since the last renewal that did not fail.
#[derive(Default)]
pub(super) struct Trouble {
    last_error: Option<String>,
    failures: u64,
}

impl Trouble {
    fn note(&mut self, error: &Error) {
        self.failures += 1;
        // That the source is left alone tells less than why.
        if self.last_error.is_none() || !matches!(error, Error::BreakerOpen { .. }) {
            let causes = std::iter::successors(error.source(), |error| (*error).source());
            let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
            self.last_error = Some(text);
        }
    }
}

impl<T> Held<T> {
    pub(super) fn nothing() -> Self {
        Self { present: ArcSwapOption::empty(), came: Notify::new(), turn: Mutex::new(()) }
    }

    pub(super) fn value(&self) -> Option<Arc<T>> {
        self.present.load().as_ref().map(|version| Arc::clone(&version.value))
    }

    /// Takes this version, unless a newer one is held: readers never go back in time.
    fn take(&self, version: Version<T>) {
        let _turn = self.turn.lock();
        if self.present.load().as_ref().is_none_or(|held| held.loaded <= version.loaded) {
            self.present.store(Some(Arc::new(version)));
            self.came.notify_waiters();
        }
    }
}

impl<T: Send + Sync + 'static> Dataset<T> {
    pub(super) fn name(&self) -> &str {
        self.resource.name()
    }

    pub(super) fn value(&self) -> Option<Arc<T>> {
        self.held.value()
    }

    pub(super) async fn loaded(&self) -> Arc<T> {
        loop {
            let mut came = std::pin::pin!(self.held.came.notified());
            // From here on nothing is missed.
            came.as_mut().enable();
            if let Some(value) = self.value() {
                return value;
            }
            came.await;
        }
    }

    /// What the job does, at the start and when it is due.
    pub(super) async fn run(
        &self,
        context: &JobContext,
        triggers: &[Trigger],
    ) -> Result<(), JobError> {
        let is_first = self.value().is_none();
        if is_first {
            // Whatever L2 has is better than nothing, while the source is asked for the new one.
            self.read(ReadOptions::new()).await?;
        }
        if context.reason() == RunReason::Manual && !is_first {
            let _delivery = self.resource.expire(WHOLE).await;
        }
        let scheduled = context.scheduled();
        let since = if is_first { last_due(triggers, scheduled) } else { Some(scheduled) };
        self.renew(since).await?;
        Ok(())
    }

    /// Renews it for somebody who asks; its own task, so that one who goes away ends nothing.
    pub(super) async fn refresh(self: &Arc<Self>, is_checked: bool) -> Result<Arc<T>, Error> {
        let (told, answer) = oneshot::channel();
        let dataset = Arc::clone(self);
        self.tasks.spawn(async move {
            let _who_asked_may_be_gone = told.send(dataset.round(is_checked).await);
        });
        answer.await.unwrap_or(Err(Error::ShutDown))
    }

    async fn round(&self, is_checked: bool) -> Result<Arc<T>, Error> {
        let ended_before = self.rounds.ended.load(SeqCst);
        let _turn = self.rounds.turn.lock().await;
        let is_done = self.rounds.ended.load(SeqCst) > ended_before;
        if let Some(value) = self.value().filter(|_| is_done && is_checked) {
            return Ok(value);
        }
        if !is_checked {
            self.checks.skip_once();
        }
        let _delivery = self.resource.expire(WHOLE).await;
        let renewed = self.renew(None).await;
        if renewed.is_ok() {
            self.rounds.ended.fetch_add(1, SeqCst);
        }
        renewed
    }

    /// Takes the dataset from wherever it is fresh, and was loaded since an instant.
    async fn renew(&self, since: Option<Timestamp>) -> Result<Arc<T>, Error> {
        let options = ReadOptions::new().fresh_only();
        let age = since.map(|since| self.clock.wall().duration_since(since));
        let options = match age {
            Some(age) => options.max_age(age.max(SignedDuration::ZERO).unsigned_abs()),
            None => options,
        };
        self.read(options).await
    }

    async fn read(&self, options: ReadOptions) -> Result<Arc<T>, Error> {
        let read = match self.resource.read(WHOLE, &options).await {
            Ok(read) => read,
            Err(error) => {
                self.trouble.lock().note(&error);
                return Err(error);
            }
        };
        let Read { value: Some(value), age, freshness, .. } = read else {
            // Its loader never says that there is no such thing.
            return Err(Error::ShutDown);
        };
        let loaded_at = self.clock.steady_wall().checked_sub(age).unwrap_or_default();
        let loaded = self.clock.now().minus(age);
        self.held.take(Version { value: Arc::clone(&value), loaded, loaded_at });
        if freshness == Freshness::Fresh {
            *self.trouble.lock() = Trouble::default();
        }
        Ok(value)
    }

    pub(super) fn status(&self) -> SnapshotStatus {
        let held = self.held.present.load_full();
        let now = self.clock.now();
        let trouble = self.trouble.lock();
        SnapshotStatus {
            name: self.name().to_owned(),
            last_updated_at: held.as_ref().map(|held| held.loaded_at),
            age: held.as_ref().map(|held| now.since(held.loaded)),
            next_refresh_at: self.job.get().and_then(|job| job.status().next_run),
            last_error: trouble.last_error.clone(),
            consecutive_failures: trouble.failures,
        }
    }

    /// Looks at L2 again, if what memory held of it was voided; gives whether all is well.
    pub(super) async fn heed(&self) -> bool {
        let is_fresh = |read: Read<T>| read.freshness == Freshness::Fresh;
        let is_voided = || !self.resource.peek(WHOLE).is_some_and(is_fresh);
        // What the job has not loaded yet, it will.
        self.value().is_none() || !is_voided() || self.renew(None).await.is_ok()
    }
}

/// The last instant before `until` at which one of these was due, in a bit more than a year.
fn last_due(triggers: &[Trigger], until: Timestamp) -> Option<Timestamp> {
    const LONG: Duration = Duration::from_hours(24 * 400);
    let long_ago = until.checked_sub(LONG).ok()?;
    let of_calendars = triggers.iter().filter(|trigger| !trigger.is_of_start());
    of_calendars.filter_map(|trigger| trigger.last(long_ago, until, until)).max()
}
