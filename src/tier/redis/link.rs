//! The connection to the server of one domain: made when it is needed, and anew when it is lost.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join;
use parking_lot::Mutex;
use redis::Value;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::fault::{Fault, Report};
use super::names::Names;
use super::open::{Open, Visitor};
use super::route::Route;
use super::script::Call;
use crate::clock::Clock;
use crate::task::{Tasks, timeout_at};

/// The connection to the server of one domain.
///
/// There is at most one attempt to connect at a time, and some time between two. Meanwhile calls
/// fail fast.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) names: Names,
    pub(super) shared: Arc<Shared>,
    /// Where a sweep goes on.
    pub(super) swept_to: AtomicU64,
    state: watch::Sender<State>,
    /// How many attempts have failed in a row.
    failures: AtomicU32,
}

/// What the links of a tier have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) route: Route,
    pub(super) namespace: String,
    /// How the keys are laid out, for those who would look for them elsewhere.
    pub(super) layout: String,
    pub(super) response_timeout: Duration,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    /// Whoever waits for a change.
    pub(super) hints: Notify,
    pub(super) report: Mutex<Report>,
}

#[derive(Debug)]
enum State {
    /// There has been no connection `since` then, and no attempt is made before `retry_at`.
    Down {
        fault: Fault,
        since: Instant,
        retry_at: Instant,
    },
    Connecting {
        since: Instant,
    },
    Open(Arc<Open>),
    Closed,
}

/// What a call is to do, as things stand.
enum Next {
    Use(Arc<Open>),
    Lose(Arc<Open>),
    Connect,
    WaitUntil(Instant),
    Fail(Fault),
}

/// Between the beginnings of two attempts, at first.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// Shorter than an engine leaves a failing tier alone, which makes one call then: that must not meet
/// the failure of an attempt from before.
const RETRY_AFTER_MAX: Duration = Duration::from_millis(250);

/// A call waits for an attempt as long as one takes if all is well. A server that does not answer
/// must not hold up every call until the attempt is given up.
const WAIT_MAX: Duration = Duration::from_millis(100);

impl Link {
    pub(super) fn new(names: Names, shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        let down = State::Down { fault: Fault::Connecting, since: now, retry_at: now };
        let (state, swept_to, failures) =
            (watch::Sender::new(down), AtomicU64::new(0), AtomicU32::new(0));
        Self { names, shared, swept_to, state, failures }
    }

    /// Makes an attempt to connect, if there is no connection, and waits for its end.
    pub(super) async fn attempt(self: &Arc<Self>) {
        self.connect();
        self.settled().await;
    }

    /// Waits for the end of an attempt that is under way.
    async fn settled(&self) {
        let has_ended = |state: &State| !matches!(state, State::Connecting { .. });
        // It cannot fail: the sender is here.
        self.state.subscribe().wait_for(has_ended).await.map(drop).unwrap_or_default();
    }

    /// The connection, as it is or as it is about to be.
    pub(super) async fn open(self: &Arc<Self>) -> Result<Arc<Open>, Fault> {
        loop {
            let next = self.next(&self.state.borrow());
            match next {
                Next::Use(open) => return Ok(open),
                Next::Lose(open) => self.lose(&open, &Fault::Silent),
                Next::Connect => self.connect(),
                Next::WaitUntil(instant) => {
                    // How it ended, if it did, is looked at next.
                    timeout_at(instant, pin!(self.settled())).await.unwrap_or_default();
                }
                Next::Fail(fault) => return Err(fault),
            }
        }
    }

    fn next(&self, state: &State) -> Next {
        let now = Instant::now();
        match state {
            State::Open(open) if self.is_in_doubt(open, now) => Next::Lose(Arc::clone(open)),
            State::Open(open) => Next::Use(Arc::clone(open)),
            State::Connecting { since } if now < *since + WAIT_MAX => {
                Next::WaitUntil(*since + WAIT_MAX)
            }
            State::Connecting { .. } => Next::Fail(Fault::Connecting),
            State::Down { fault, retry_at, .. } if now < *retry_at => Next::Fail(fault.clone()),
            State::Down { .. } => Next::Connect,
            State::Closed => Next::Fail(Fault::Closed),
        }
    }

    /// Whether a connection has been silent for too long, or its server may have been replaced.
    fn is_in_doubt(&self, open: &Open, now: Instant) -> bool {
        let Shared { route, response_timeout, .. } = &*self.shared;
        open.is_silent(now, *response_timeout)
            || route.needs_confirmation() && open.is_unconfirmed(now, *response_timeout)
    }

    /// Calls a script on a connection, which is given up if it is no good any more.
    pub(super) async fn call(&self, open: &Arc<Open>, call: &Call<'_>) -> Result<Value, Fault> {
        let answer = open.call(call).await;
        answer.inspect_err(|fault| self.note(open, fault))
    }

    /// Calls a script whose answer counts only if the server has not been replaced until the call
    /// began. Who is changed or told something by one that was replaced before has nothing of it:
    /// the others use another one by now.
    pub(super) async fn call_confirmed(
        &self,
        open: &Arc<Open>,
        call: &Call<'_>,
    ) -> Result<Value, Fault> {
        let began_at = Instant::now();
        let Shared { route, response_timeout, .. } = &*self.shared;
        let confirmed = route.confirm(&open.address, *response_timeout);
        let (answer, confirmed) = join(self.call(open, call), confirmed).await;
        confirmed.inspect_err(|fault| self.note(open, fault))?;
        open.note_confirmed(began_at);
        answer
    }

    /// Calls a script on the connection as it is.
    pub(super) async fn ask(self: &Arc<Self>, call: &Call<'_>) -> Result<Value, Fault> {
        self.call(&self.open().await?, call).await
    }

    /// Notes what has gone wrong on a connection.
    pub(super) fn note(&self, open: &Arc<Open>, fault: &Fault) {
        if fault.is_of_the_connection() {
            self.lose(open, fault);
        }
    }

    fn lose(&self, open: &Arc<Open>, fault: &Fault) {
        self.state.send_if_modified(|state| {
            let is_this = matches!(state, State::Open(current) if Arc::ptr_eq(current, open));
            if is_this {
                let (since, retry_at) = (Instant::now(), open.began_at + RETRY_AFTER);
                *state = State::Down { fault: fault.clone(), since, retry_at };
            }
            is_this
        });
    }

    /// Begins an attempt, unless there is a connection, or an attempt, or one was made just now.
    fn connect(self: &Arc<Self>) {
        let now = Instant::now();
        let mut lost_at = None;
        self.state.send_if_modified(|state| {
            if let State::Down { since, retry_at, .. } = state
                && *retry_at <= now
            {
                lost_at = Some(*since);
                *state = State::Connecting { since: now };
            }
            lost_at.is_some()
        });
        if let Some(lost_at) = lost_at {
            let link = Arc::clone(self);
            self.shared
                .tasks
                .spawn(async move { link.settle(link.try_open(lost_at, now).await, now) });
        }
    }

    async fn try_open(&self, lost_at: Instant, began_at: Instant) -> Result<Open, Fault> {
        let shared = &self.shared;
        let timeout = shared.response_timeout;
        let info = shared.route.locate(self.names.slot(), lost_at, timeout).await?;
        let (names, layout, clock) = (&self.names, &shared.layout, &shared.clock);
        let visitor = Visitor { names, layout, clock, began_at };
        let (open, greeting) = Open::new(&info, timeout, visitor).await?;
        shared.report.lock().eviction(&open.address, &greeting.policy);
        Ok(open)
    }

    /// Notes how an attempt has ended.
    fn settle(&self, outcome: Result<Open, Fault>, began_at: Instant) {
        let server = self.shared.route.describe();
        let new = match outcome {
            Ok(open) => {
                self.failures.store(0, Relaxed);
                self.shared.report.lock().all_is_well(&server);
                State::Open(Arc::new(open))
            }
            Err(fault) => {
                let failures = self.failures.fetch_add(1, Relaxed).min(10);
                self.shared.report.lock().fault(&server, &fault);
                let retry_after = (RETRY_AFTER * (1 << failures)).min(RETRY_AFTER_MAX);
                let retry_at = began_at + retry_after;
                State::Down { fault, since: Instant::now(), retry_at }
            }
        };
        self.state.send_if_modified(|state| {
            let is_awaited = matches!(state, State::Connecting { .. });
            if is_awaited {
                *state = new;
            }
            is_awaited
        });
        // What was told while there was no connection has not been heard.
        self.shared.hints.notify_one();
    }

    /// Ends it: no call succeeds from now on.
    pub(super) fn close(&self) {
        self.state.send_replace(State::Closed);
    }

    /// Whether there is a connection, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        matches!(*self.state.borrow(), State::Open(_))
    }
}
