//! The connections that calls are made on.
//!
//! A connection whose call was given up is closed: nobody knows what is still to come on it, and a
//! server that has stopped answering must not hold it for ever. Connections are made in the
//! background, so that those who give up early get one all the same, the next time; and again and
//! again after a failure, so that whoever asks rarely finds one as soon as the server is back.

use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::Notify;

use super::connect::{self, Memory};
use super::fault::{ConnectError, Failure, Refusal, Report, Trouble};
use super::options::PostgresOptions;
use super::turn::{Clocks, Turn};
use crate::clock::Moment;
use crate::task::{Tasks, sleep_until, timeout_at};

/// Something that the server is asked.
pub(super) trait Call: Sync {
    type Answer: Send;

    /// Whether it may be sent again if it may have been done already.
    const RESENDS: bool = true;

    /// Runs its statements.
    fn run(
        &self,
        db: &mut PgConnection,
        turn: Turn<'_>,
    ) -> impl Future<Output = Result<Self::Answer, sqlx::Error>> + Send;
}

/// The connections of a tier.
#[derive(Debug)]
pub(super) struct Connections {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: PostgresOptions,
    clocks: Clocks,
    memory: Memory,
    tasks: Tasks,
    state: Mutex<State>,
    /// There is a connection, or a place for one, or none can be made.
    turned: Notify,
    report: Mutex<Report>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<PgConnection>,
    /// Those that are idle, in use, or being made.
    open: u32,
    making: u32,
    failed: Option<Failed>,
    /// When somebody last needed one that was not there.
    missed_at: Option<Moment>,
    is_closed: bool,
}

/// Why the last connection could not be made, and when another one may be tried.
#[derive(Clone, Debug)]
struct Failed {
    error: Arc<ConnectError>,
    retry_at: Moment,
}

/// What someone who needs a connection does.
enum Step {
    Use(PgConnection),
    Make,
    Wait,
    Fail(Failure),
}

/// How many connections are made at a time.
const MAKING_MAX: u32 = 2;

/// How often a call is made: a connection that was idle may have been lost, and the one after it as
/// well.
const TRIES_MAX: u32 = 3;

/// How long after a failure another connection is tried.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// For how long connections are tried after the last call that needed one: longer than an engine
/// leaves a failing tier alone, which makes one call then and must not meet what was tried before.
const TRY_FOR: Duration = Duration::from_secs(5);

/// A server that does not answer is not waited for when the tier is closed.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

impl Connections {
    pub(super) fn new(options: PostgresOptions, tasks: Tasks) -> Self {
        let clocks = Clocks::new(options.clock.clone());
        let shared = Shared {
            options,
            clocks,
            memory: Memory::default(),
            tasks,
            state: Mutex::default(),
            turned: Notify::new(),
            report: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Makes a call; once more if it met somebody else, or if its connection was lost.
    pub(super) async fn call<C: Call>(&self, call: &C) -> Result<C::Answer, Failure> {
        let mut tries = 1;
        loop {
            let mut lease = self.take().await?;
            let Some(db) = lease.db.as_mut() else { return Err(Refusal::Closed.into()) };
            let error = match call.run(db, self.turn()).await {
                Ok(answer) => {
                    lease.give_back();
                    self.shared.all_is_well();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let trouble = Trouble::of(&error);
            self.shared.meet(lease, trouble, &error);
            // Who has waited for a row in vain has waited long enough.
            let may_help = trouble == Trouble::Conflict && !has_state(&error, "55P03")
                || trouble.is_of_the_connection() && (trouble.is_definite() || C::RESENDS);
            if tries == TRIES_MAX || !may_help {
                return Err(error.into());
            }
            tries += 1;
        }
    }

    pub(super) fn turn(&self) -> Turn<'_> {
        let Shared { options, clocks, .. } = &*self.shared;
        Turn { schema: &options.schema, clocks, ahead: clocks.ahead() }
    }

    /// Has a connection made, and waits until that has succeeded or failed.
    pub(super) async fn warm_up(&self) {
        if let Ok(lease) = self.take().await {
            lease.give_back();
        }
    }

    /// A connection that is none of these: on the runtime of the caller, and for the caller alone.
    pub(super) async fn apart(&self) -> Result<PgConnection, Failure> {
        let Shared { options, clocks, memory, state, .. } = &*self.shared;
        if state.lock().is_closed {
            return Err(Refusal::Closed.into());
        }
        let deadline = clocks.ours().instant(clocks.ours().now().plus(options.connect_timeout));
        let made = timeout_at(deadline, pin!(connect::connect(options, memory, clocks))).await;
        let made = made.unwrap_or(Err(ConnectError::Late));
        made.map_err(|error| Failure::Connect(Arc::new(error)))
    }

    async fn take(&self) -> Result<Lease, Failure> {
        let Shared { options, clocks, state, turned, .. } = &*self.shared;
        let clock = clocks.ours();
        let deadline = clock.instant(clock.now().plus(options.wait_timeout));
        loop {
            let mut news = pin!(turned.notified());
            // From here on no news is missed.
            news.as_mut().enable();
            let step = state.lock().step(options.connections, clock.now());
            match step {
                Step::Use(db) => return Ok(Lease::new(db, &self.shared)),
                Step::Make => self.make(),
                Step::Wait => {}
                Step::Fail(failure) => return Err(failure),
            }
            timeout_at(deadline, news).await.ok_or(Refusal::Crowded)?;
        }
    }

    fn make(&self) {
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(async move { shared.make().await });
    }

    /// Ends all connections, now or when their calls have ended.
    pub(super) async fn close(&self) {
        let idle = {
            let mut state = self.shared.state.lock();
            state.is_closed = true;
            std::mem::take(&mut state.idle)
        };
        self.shared.turned.notify_waiters();
        let clock = self.shared.clocks.ours();
        let deadline = clock.instant(clock.now().plus(CLOSE_WITHIN));
        for db in idle {
            timeout_at(deadline, pin!(db.close())).await;
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        // Nobody will need what is still being made.
        self.shared.state.lock().is_closed = true;
    }
}

fn has_state(error: &sqlx::Error, state: &str) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.as_deref() == Some(state)
}

impl State {
    fn step(&mut self, connections: u32, now: Moment) -> Step {
        if self.is_closed {
            return Step::Fail(Refusal::Closed.into());
        }
        if let Some(db) = self.idle.pop() {
            return Step::Use(db);
        }
        self.missed_at = Some(now);
        if let Some(failed) = self.failed.as_ref().filter(|failed| now < failed.retry_at) {
            // While others go on, one of them will be free.
            let nobody_goes_on = self.open == 0;
            let failure = || Step::Fail(Failure::Connect(Arc::clone(&failed.error)));
            return if nobody_goes_on { failure() } else { Step::Wait };
        }
        if self.open >= connections || self.making >= MAKING_MAX {
            return Step::Wait;
        }
        self.begin_making();
        Step::Make
    }

    /// Whether another connection is made, now that one could not be, though nobody asks for it at
    /// the moment.
    fn tries_again(&mut self, now: Moment) -> bool {
        let is_missed = self.missed_at.is_some_and(|missed_at| now.since(missed_at) < TRY_FOR);
        // While there is one, or one is being made, others see to it.
        let tries = is_missed && self.open == 0 && !self.is_closed;
        if tries {
            self.begin_making();
        }
        tries
    }

    fn begin_making(&mut self) {
        self.open += 1;
        self.making += 1;
    }
}

impl Shared {
    /// Makes a connection; if that fails, again for as long as it may be needed.
    async fn make(&self) {
        let clock = self.clocks.ours();
        while let Some(retry_at) = self.make_once().await {
            sleep_until(clock.instant(retry_at)).await;
            if !self.state.lock().tries_again(clock.now()) {
                break;
            }
        }
    }

    /// Makes a connection; gives when the next one may be tried if that failed.
    async fn make_once(&self) -> Option<Moment> {
        let clock = self.clocks.ours();
        let deadline = clock.instant(clock.now().plus(self.options.connect_timeout));
        let made =
            timeout_at(deadline, pin!(self.connect())).await.unwrap_or(Err(ConnectError::Late));
        let retry_at = clock.now().plus(RETRY_AFTER);
        let failed = {
            let mut state = self.state.lock();
            state.making -= 1;
            match made {
                Ok(db) if !state.is_closed => {
                    state.idle.push(db);
                    state.failed = None;
                    None
                }
                Ok(_late) => {
                    state.open -= 1;
                    None
                }
                Err(error) => {
                    state.open -= 1;
                    let error = Arc::new(error);
                    state.failed = Some(Failed { error: Arc::clone(&error), retry_at });
                    Some(error)
                }
            }
        };
        match &failed {
            Some(error) => self.warn(error.trouble(), error),
            None => self.all_is_well(),
        }
        self.turned.notify_waiters();
        failed.map(|_error| retry_at)
    }

    /// Connects; once more if somebody ended the session meanwhile, which says nothing of the server.
    async fn connect(&self) -> Result<PgConnection, ConnectError> {
        let connect = || connect::connect(&self.options, &self.memory, &self.clocks);
        match connect().await {
            Err(ConnectError::Sql(error)) if has_state(&error, "57P01") => connect().await,
            made => made,
        }
    }

    /// Notes what a call has met.
    fn meet(&self, lease: Lease, trouble: Trouble, error: &sqlx::Error) {
        if trouble.is_of_the_connection() {
            drop(lease);
            // The others were made with the same server, and are idle: they are no better.
            let idle = {
                let mut state = self.state.lock();
                state.open -= u32::try_from(state.idle.len()).unwrap_or(state.open);
                std::mem::take(&mut state.idle)
            };
            drop(idle);
        } else {
            lease.give_back();
        }
        if trouble.lasts() {
            self.warn(trouble, error);
        }
    }

    fn warn(&self, trouble: Trouble, problem: &dyn Display) {
        let now = self.clocks.ours().now();
        self.report.lock().trouble(&self.options.server(), trouble, problem, now);
    }

    fn all_is_well(&self) {
        let mut report = self.report.lock();
        if report.is_open() {
            report.all_is_well(&self.options.server());
        }
    }
}

/// A connection in use. It is closed unless it is given back.
#[derive(Debug)]
struct Lease {
    db: Option<PgConnection>,
    shared: Arc<Shared>,
}

impl Lease {
    fn new(db: PgConnection, shared: &Arc<Shared>) -> Self {
        Self { db: Some(db), shared: Arc::clone(shared) }
    }

    /// Gives the connection back: what was asked on it has been answered.
    fn give_back(mut self) {
        let mut state = self.shared.state.lock();
        if state.is_closed {
            return;
        }
        if let Some(db) = self.db.take() {
            state.idle.push(db);
        }
        drop(state);
        self.shared.turned.notify_one();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            self.shared.state.lock().open -= 1;
            drop(db);
            self.shared.turned.notify_waiters();
        }
    }
}
