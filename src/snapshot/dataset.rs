//! What a snapshot holds, and how it is renewed.

use std::error::Error as _;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
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
    /// Has L2 looked at again.
    pub(super) heard: Arc<Notify>,
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

/// The renewals, one at a time.
#[derive(Default)]
pub(super) struct Rounds {
    turn: tokio::sync::Mutex<()>,
    /// How many that somebody asked for have ended, and the error of the last one.
    asked_for: Mutex<(u64, Option<Error>)>,
    /// The last one failed that somebody asked for: it is to be tried again.
    is_behind: AtomicBool,
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

    pub(super) async fn loaded(&self) -> Result<Arc<T>, Error> {
        let mut stopped = pin!(self.tasks.stopped());
        loop {
            let mut came = pin!(self.held.came.notified());
            // From here on nothing is missed.
            came.as_mut().enable();
            if let Some(value) = self.value() {
                return Ok(value);
            }
            tokio::select! {
                () = came => {}
                () = &mut stopped => return Err(Error::ShutDown),
            }
        }
    }

    /// What the job does, at the start and when it is due.
    pub(super) async fn run(
        &self,
        context: &JobContext,
        triggers: &[Trigger],
    ) -> Result<(), JobError> {
        let _turn = self.rounds.turn.lock().await;
        let is_first = self.value().is_none();
        if is_first {
            // Whatever L2 has is better than nothing, while the source is asked for the new one.
            self.read(ReadOptions::new()).await?;
        }
        if context.reason() == RunReason::Manual && context.attempt() == 1 && !is_first {
            let _delivery = self.resource.expire(WHOLE).await;
        }
        // Steps of the wall clock since the run began do not make what is held younger.
        let due_for = self.clock.now().since(context.due_at());
        let max_age = if is_first {
            let last = last_due(triggers, context.scheduled());
            last.map(|last| context.scheduled().duration_since(last).unsigned_abs() + due_for)
        } else {
            Some(due_for)
        };
        self.renew(max_age).await?;
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
        let ended_before = self.rounds.asked_for.lock().0;
        let _turn = self.rounds.turn.lock().await;
        let (ended, error) = self.rounds.asked_for.lock().clone();
        if ended > ended_before && is_checked {
            // Somebody else's has been made meanwhile.
            return error.map_or_else(|| self.value().ok_or(Error::ShutDown), Err);
        }
        let unchecked = (!is_checked).then(|| self.checks.skip());
        let _delivery = self.resource.expire(WHOLE).await;
        let renewed = self.renew(None).await;
        drop(unchecked);
        *self.rounds.asked_for.lock() = (ended + 1, renewed.as_ref().err().cloned());
        if renewed.is_err() {
            self.rounds.is_behind.store(true, SeqCst);
            self.heard.notify_one();
        }
        renewed
    }

    /// Takes the dataset from wherever it is fresh, and its load began no longer ago than this.
    async fn renew(&self, max_age: Option<Duration>) -> Result<Arc<T>, Error> {
        let options = ReadOptions::new().fresh_only();
        self.read(max_age.map_or(options, |max_age| options.max_age(max_age))).await
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

    /// Looks at L2 again, if what memory held of it was voided; gives whether that need not be tried
    /// again after a while.
    pub(super) async fn heed(&self) -> bool {
        if self.rounds.is_behind.swap(false, SeqCst) {
            return false;
        }
        let _turn = self.rounds.turn.lock().await;
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
