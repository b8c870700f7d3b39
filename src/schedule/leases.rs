//! The leases of runs that are shared: renewed in time, whatever the application does.

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::log::RunOutcome;
use crate::clock::{Clock, Moment};
use crate::coherence::L2;
use crate::sync::Mutex;
use crate::task::{self, Tasks};
use crate::tier::{EndRun, Permit, RenewRun};

/// The leases of an engine. While there are any, a thread of their own renews them: an application
/// that blocks all its threads would else lose its runs to others, and go on with them.
pub(super) struct Leases {
    clock: Clock,
    tasks: Arc<Tasks>,
    l2: Arc<L2>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    held: Vec<Arc<Held>>,
    /// Those of runs that were broken off, or whose end has not been heard, to be told at shutdown.
    broken_off: Vec<Arc<Held>>,
    /// Whether somebody renews them, or is about to.
    is_renewing: bool,
}

/// What a lease is for.
pub(super) struct Held {
    pub(super) job: Arc<str>,
    pub(super) instant: String,
    pub(super) permit: Permit,
    pub(super) lease_for: Duration,
    /// How long L2 keeps it after it was renewed.
    pub(super) keep_for: Duration,
    /// How the run has ended.
    pub(super) ended: OnceLock<Ended>,
    /// The attempts that have begun, those of other engines included.
    pub(super) attempts: AtomicU32,
    /// When it runs out, at the earliest.
    until: AtomicU64,
    /// When it is to be renewed.
    renew_at: AtomicU64,
    lost: CancellationToken,
}

/// How a run has ended, as L2 is told.
pub(super) struct Ended {
    pub(super) outcome: RunOutcome,
    pub(super) error: Option<String>,
    pub(super) at: Timestamp,
    pub(super) took: Duration,
    pub(super) keep_for: Duration,
}

impl Held {
    /// A lease that was asked for at a moment, and then given.
    pub(super) fn new(
        (job, instant, permit): (Arc<str>, String, Permit),
        attempts: u32,
        asked_at: Moment,
        (lease_for, keep_for): (Duration, Duration),
    ) -> Self {
        let held = Self {
            job,
            instant,
            permit,
            lease_for,
            keep_for,
            ended: OnceLock::new(),
            attempts: AtomicU32::new(attempts),
            until: AtomicU64::new(0),
            renew_at: AtomicU64::new(0),
            lost: CancellationToken::new(),
        };
        held.renewed(asked_at);
        held
    }

    /// What L2 is told when the run is over here; it is given back if it has not ended.
    pub(super) fn end(&self, at: Timestamp) -> EndRun<'_> {
        let ended = self.ended.get();
        EndRun {
            job: &self.job,
            instant: &self.instant,
            permit: self.permit,
            outcome: ended.map(|ended| ended.outcome.label()),
            attempts: self.attempts.load(Relaxed),
            error: ended.and_then(|ended| ended.error.as_deref()),
            at: ended.map_or(at, |ended| ended.at),
            took: ended.map_or(Duration::ZERO, |ended| ended.took),
            keep_for: ended.map_or(KEEP_LEFT_FOR, |ended| ended.keep_for),
        }
    }

    /// It was asked for anew at a moment, and given.
    fn renewed(&self, asked_at: Moment) {
        self.until.store(asked_at.plus(self.lease_for).to_bits(), Relaxed);
        self.renew_at.store(asked_at.plus(self.lease_for / RENEWALS).to_bits(), Relaxed);
    }

    fn until(&self) -> Moment {
        Moment::from_bits(self.until.load(Relaxed))
    }

    fn renew_at(&self) -> Moment {
        Moment::from_bits(self.renew_at.load(Relaxed))
    }
}

/// How long a run that was given back waits for another engine at least.
const KEEP_LEFT_FOR: Duration = Duration::from_hours(24);

/// How often a lease is renewed in its time, and how often another try is made after a failure.
const RENEWALS: u32 = 3;
const TRIES: u32 = 12;

/// A call that takes longer than this is given up, so that there is time for another: a tenth of the
/// lease, but no less than a new connection may take.
const CALL_MIN: Duration = Duration::from_millis(750);

/// Leases that are due a little later are renewed together with those that are due.
const TOGETHER: Duration = Duration::from_millis(500);

impl Leases {
    pub(super) fn new(clock: Clock, tasks: Arc<Tasks>, l2: Arc<L2>) -> Self {
        Self { clock, tasks, l2, state: Mutex::new(State::default()), wake: Notify::new() }
    }

    /// Renews a lease until it is dropped.
    pub(super) fn hold(self: &Arc<Self>, held: Held) -> Lease {
        let held = Arc::new(held);
        let starts = {
            let mut state = self.state.lock();
            state.held.push(Arc::clone(&held));
            !std::mem::replace(&mut state.is_renewing, true)
        };
        if starts {
            let renewing = Renewing { leases: Arc::clone(self), is_over: false };
            let follows = self.clock.is_of_one_runtime();
            self.tasks.spawn_apart(THREAD, follows, renewing.run());
        } else {
            self.wake.notify_one();
        }
        Lease { held, leases: Arc::clone(self), is_over: false }
    }

    /// Whether a run is under way here.
    pub(super) fn holds(&self, job: &str, instant: &str) -> bool {
        let state = self.state.lock();
        state.held.iter().any(|held| &*held.job == job && held.instant == instant)
    }

    /// The leases of runs that were broken off.
    pub(super) fn take_broken_off(&self) -> Vec<Arc<Held>> {
        std::mem::take(&mut self.state.lock().broken_off)
    }

    /// Lets the thread see that there is nothing left for it.
    pub(super) fn end(&self) {
        self.wake.notify_one();
    }

    /// When to look again; `None` if there is nothing to look after. Whoever comes next starts
    /// another thread.
    fn next(&self) -> Option<Moment> {
        let mut state = self.state.lock();
        let next = state.held.iter().map(|held| held.renew_at().min(held.until())).min();
        state.is_renewing = next.is_some();
        next
    }

    async fn renew_due(&self) {
        let now = self.clock.now();
        let mut due = self.state.lock().held.clone();
        // What has been broken off must not keep others waiting.
        due.retain(|held| {
            let lasts = held.until() > now && !held.lost.is_cancelled();
            lasts && held.renew_at() <= now.plus(TOGETHER)
        });
        let renewal = |held: &Arc<Held>| (Arc::clone(held), held.attempts.load(Relaxed));
        let due: Vec<_> = due.iter().map(renewal).collect();
        let runs: Vec<_> = due.iter().map(|(held, attempts)| run(held, *attempts)).collect();
        if let Some(shortest) = runs.iter().map(|run| run.lease_for).min() {
            let timeout = (shortest / 10).max(CALL_MIN);
            let renewed = self.l2.renew_runs(&runs, timeout).await;
            for (nth, (held, _)) in due.iter().enumerate() {
                match renewed.as_ref().and_then(|renewed| renewed.get(nth)) {
                    Some(true) => held.renewed(now),
                    Some(false) => held.lost.cancel(),
                    None => {
                        let again = self.clock.now().plus(held.lease_for / TRIES);
                        held.renew_at.store(again.to_bits(), Relaxed);
                    }
                }
            }
        }
        self.lose_late();
    }

    /// Tells those whose lease could not be renewed in time.
    fn lose_late(&self) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.held.retain(|held| {
            if held.until() <= now {
                held.lost.cancel();
            }
            !held.lost.is_cancelled()
        });
    }
}

fn run(held: &Held, attempts: u32) -> RenewRun<'_> {
    RenewRun {
        job: &held.job,
        instant: &held.instant,
        permit: held.permit,
        attempts,
        lease_for: held.lease_for,
        keep_for: held.keep_for,
    }
}

const THREAD: &str = "forewarm-leases";

/// Before leases are renewed again by somebody else than who did it before.
const RESTART_AFTER: Duration = Duration::from_millis(250);

/// Whoever renews leases.
struct Renewing {
    leases: Arc<Leases>,
    /// Whether there is nothing left to renew.
    is_over: bool,
}

impl Renewing {
    async fn run(mut self) {
        let leases = Arc::clone(&self.leases);
        while let Some(next) = leases.next() {
            tokio::select! {
                () = leases.wake.notified() => {}
                () = task::sleep_until(leases.clock.instant(next)) => {}
            }
            leases.renew_due().await;
        }
        self.is_over = true;
    }
}

impl Drop for Renewing {
    /// Goes on in the runtime of the application if the thread could not be started, or has panicked.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        tracing::error!("nobody renews leases any more; it is tried again, on another thread");
        let leases = Arc::clone(&self.leases);
        let follows = true;
        self.leases.tasks.spawn_apart(THREAD, follows, async move {
            let again = leases.clock.now().plus(RESTART_AFTER);
            task::sleep_until(leases.clock.instant(again)).await;
            Self { leases, is_over: false }.run().await;
        });
    }
}

/// A lease that is renewed while this is there.
pub(super) struct Lease {
    pub(super) held: Arc<Held>,
    leases: Arc<Leases>,
    is_over: bool,
}

impl Lease {
    /// Ends when the run may be somebody else's. It looks at the time itself as well: whoever has
    /// been held up may know sooner than is told.
    pub(super) fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let (held, clock) = (Arc::clone(&self.held), self.leases.clock.clone());
        async move {
            while held.until() > clock.now() {
                tokio::select! {
                    () = held.lost.cancelled() => return,
                    () = task::sleep_until(clock.instant(held.until())) => {}
                }
            }
            // Nor may it be renewed any more.
            held.lost.cancel();
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.held.lost.is_cancelled() || self.held.until() <= self.leases.clock.now()
    }

    /// L2 has been told how the run ended, or need not be.
    pub(super) fn end(mut self) {
        self.is_over = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let is_broken_off = !self.is_over && !self.is_lost();
        let mut state = self.leases.state.lock();
        state.held.retain(|held| !Arc::ptr_eq(held, &self.held));
        if is_broken_off {
            state.broken_off.push(Arc::clone(&self.held));
        }
        drop(state);
        if self.leases.tasks.is_stopping() {
            self.leases.end();
        }
    }
}
