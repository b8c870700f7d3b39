//! The one task that writes: what waits is written together.

use std::ops::ControlFlow;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use sqlx::query;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::mpsc;

use super::connect::Open;
use super::fault::{Refusal, Report, Trouble};
use super::options::SqliteOptions;
use super::queue::{Command, Queued};
use super::readers::Readers;
use super::turn::Turn;
use crate::clock::Moment;
use crate::task::timeout_at;
use crate::tier::TierError;

/// The one that writes, and that opens the file.
#[derive(Debug)]
pub(super) struct Writer {
    options: SqliteOptions,
    state: Arc<State>,
    /// The connection, or why there is none.
    open: Result<Open, TierError>,
    /// Whether a new connection may get on better than this one.
    is_doubtful: bool,
    /// The file is not opened again before then.
    retry_at: Moment,
    report: Report,
}

/// What the writer lets the others know.
#[derive(Debug, Default)]
pub(super) struct State {
    readers: ArcSwapOption<Readers>,
    no_permits_until: AtomicU64,
}

impl State {
    /// The connections to look up by, while the file can be used.
    pub(super) fn readers(&self) -> Option<Arc<Readers>> {
        self.readers.load_full()
    }

    /// Whether a write failed a moment ago, so that reads do not wait for another one to fail.
    pub(super) fn gives_no_permits(&self, now: Moment) -> bool {
        now.as_micros() < self.no_permits_until.load(Relaxed)
    }
}

/// How many commands make up one transaction at most.
const GROUP_MAX: usize = 128;

/// How long after a failure the file is opened anew, or permits are written again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A look-up whose caller does not poll it must not hold up the rest for longer than this.
const READERS_CLOSE_WITHIN: Duration = Duration::from_secs(1);

impl Writer {
    pub(super) fn new(options: SqliteOptions, state: Arc<State>) -> Self {
        Self {
            options,
            state,
            open: Err(TierError::new(Refusal::Closed)),
            is_doubtful: false,
            retry_at: Moment::START,
            report: Report::default(),
        }
    }

    /// Does what it is told until it is closed, or nobody is left to tell it.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut batch = Vec::with_capacity(GROUP_MAX);
        while commands.recv_many(&mut batch, GROUP_MAX).await > 0 {
            if self.obey(batch.drain(..)).await.is_break() {
                break;
            }
        }
        // Those who still wait are told at once.
        commands.close();
        while commands.try_recv().is_ok() {}
        self.disconnect().await;
    }

    /// Does what it is told, in order; writes that follow one another are written together.
    async fn obey(&mut self, batch: impl Iterator<Item = Command>) -> ControlFlow<()> {
        let mut group = Vec::new();
        for command in batch {
            if let Command::Write(queued) = command {
                group.push(queued);
                continue;
            }
            self.serve(&mut group).await;
            match command {
                Command::Write(_) => {}
                Command::Connect { is_replaced, reply } => {
                    self.is_doubtful |= is_replaced;
                    // A caller that has gone is not told.
                    drop(reply.send(self.ready().await.map(drop)));
                }
                Command::Doubt(error) => {
                    self.note(&error);
                    // Those who only read must not have to wait for a write to come by.
                    self.ready().await.ok();
                }
                Command::Close => return ControlFlow::Break(()),
            }
        }
        self.serve(&mut group).await;
        ControlFlow::Continue(())
    }

    async fn serve(&mut self, group: &mut Vec<Box<dyn Queued>>) {
        // What nobody waits for any more is not begun: a late put could bring an old value back.
        group.retain(|queued| queued.is_wanted());
        if group.is_empty() {
            return;
        }
        let clock = self.options.clock.clone();
        let open = match self.ready().await {
            Ok(open) => open,
            Err(error) => return end(group.drain(..), &Err(error)),
        };
        let turn = Turn::new(&clock, open.session);
        match write(&mut open.connection, turn, group).await {
            Ok(()) => self.report.all_is_well(&self.options.path),
            Err(error) => {
                self.note(&error);
                if Trouble::of(&error).lasts() {
                    let until = clock.now().plus(RETRY_AFTER);
                    self.state.no_permits_until.store(until.as_micros(), Relaxed);
                }
            }
        }
    }

    /// The connection; a new one if there is none or it is in doubt, but not more than one attempt
    /// a second.
    async fn ready(&mut self) -> Result<&mut Open, TierError> {
        let now = self.options.clock.now();
        if (self.is_doubtful || self.open.is_err()) && now >= self.retry_at {
            self.retry_at = now.plus(RETRY_AFTER);
            self.disconnect().await;
            self.open = self.connect().await;
        }
        self.open.as_mut().map_err(|error| error.clone())
    }

    async fn connect(&mut self) -> Result<Open, TierError> {
        match Open::new(&self.options).await {
            Ok(open) => {
                self.is_doubtful = false;
                let readers = Arc::new(Readers::of(&open, &self.options));
                self.state.readers.store(Some(readers));
                Ok(open)
            }
            Err(error) => {
                let now = self.options.clock.now();
                self.report.trouble(&self.options.path, error.trouble(), &error, now);
                Err(TierError::new(error))
            }
        }
    }

    async fn disconnect(&mut self) {
        let clock = &self.options.clock;
        if let Some(readers) = self.state.readers.swap(None) {
            let deadline = clock.instant(clock.now().plus(READERS_CLOSE_WITHIN));
            timeout_at(deadline, readers.close()).await;
        }
        let none = Err(TierError::new(Refusal::Closed));
        if let Ok(open) = std::mem::replace(&mut self.open, none) {
            open.close().await;
        }
    }

    /// Notes what a statement has met.
    fn note(&mut self, error: &sqlx::Error) {
        let trouble = Trouble::of(error);
        if trouble.lasts() {
            let now = self.options.clock.now();
            self.report.trouble(&self.options.path, trouble, error, now);
        }
        self.is_doubtful |= trouble.is_of_the_connection();
    }
}

/// Writes a group, in one transaction if that succeeds, and tells the callers how it ended. Gives
/// the last thing that went wrong.
async fn write(
    db: &mut SqliteConnection,
    turn: Turn,
    group: &mut Vec<Box<dyn Queued>>,
) -> Result<(), Arc<sqlx::Error>> {
    match transact(db, turn, group).await {
        // One of them is at fault: the others must not suffer for it.
        Err(Failure::Within(_)) if group.len() > 1 => write_each(db, turn, group).await,
        Err(Failure::Within(error) | Failure::Begin(error)) => {
            end(group.drain(..), &Err(TierError::new(Arc::clone(&error))));
            Err(error)
        }
        Ok(()) => {
            end(group.drain(..), &Ok(()));
            Ok(())
        }
    }
}

/// Writes each in a transaction of its own.
async fn write_each(
    db: &mut SqliteConnection,
    turn: Turn,
    group: &mut Vec<Box<dyn Queued>>,
) -> Result<(), Arc<sqlx::Error>> {
    let mut outcome = Ok(());
    let mut waiting = group.drain(..);
    while let Some(mut queued) = waiting.next() {
        match transact(db, turn, slice::from_mut(&mut queued)).await {
            Ok(()) => queued.end(Ok(())),
            Err(Failure::Within(error)) => {
                queued.end(Err(TierError::new(Arc::clone(&error))));
                outcome = Err(error);
            }
            // The file is locked: each of the others would wait for it in turn.
            Err(Failure::Begin(error)) => {
                let failed = Err(TierError::new(Arc::clone(&error)));
                end(std::iter::once(queued).chain(waiting), &failed);
                return Err(error);
            }
        }
    }
    outcome
}

fn end(group: impl Iterator<Item = Box<dyn Queued>>, outcome: &Result<(), TierError>) {
    for queued in group {
        queued.end(outcome.clone());
    }
}

/// Where a transaction failed.
enum Failure {
    /// Before it had begun.
    Begin(Arc<sqlx::Error>),
    Within(Arc<sqlx::Error>),
}

// Transactions are begun and ended by plain statements. SQLite may roll back by itself, as when
// the disk is full; sqlx's own count of transactions would not notice, and never recover.
const BEGIN: &str = "begin immediate";
const ROLLBACK: &str = "rollback";

async fn transact(
    db: &mut SqliteConnection,
    turn: Turn,
    group: &mut [Box<dyn Queued>],
) -> Result<(), Failure> {
    let begun = query(BEGIN).execute(&mut *db).await;
    begun.map_err(|error| Failure::Begin(Arc::new(error)))?;
    if let Err(error) = write_all(db, turn, group).await {
        // If this fails, SQLite has rolled back already.
        drop(query(ROLLBACK).execute(db).await);
        return Err(Failure::Within(Arc::new(error)));
    }
    Ok(())
}

const COMMIT: &str = "commit";

async fn write_all(
    db: &mut SqliteConnection,
    turn: Turn,
    group: &mut [Box<dyn Queued>],
) -> Result<(), sqlx::Error> {
    for queued in group {
        queued.write(db, turn).await?;
    }
    query(COMMIT).execute(db).await?;
    Ok(())
}
