//! The one task that writes: what waits is written together.

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::connect::Open;
use super::fault::{OpenError, Refusal, Report, Trouble};
use super::file::FileId;
use super::group;
use super::hold::Hold;
use super::options::SqliteOptions;
use super::queue::{Command, Queued, Waiting};
use super::readers::Readers;
use super::sweep::Sweep;
use super::turn::Turn;
use crate::clock::Moment;
use crate::task::timeout_at;
use crate::tier::{Cursor, Mark, TierError};

/// The one that writes, and that opens the file.
#[derive(Debug)]
pub(super) struct Writer {
    options: SqliteOptions,
    state: Arc<State>,
    /// Keeps the session of the file going, also while there is no connection to it.
    hold: Option<Hold>,
    /// The file that was used last, and that could be written, if it was not the first.
    used: Option<FileId>,
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
    heard: Mutex<Option<Mark>>,
}

impl State {
    /// The connections to look up by, while the file can be used.
    pub(super) fn readers(&self) -> Option<Arc<Readers>> {
        self.readers.load_full()
    }

    /// Where the last poll left its caller.
    pub(super) fn heard(&self) -> Option<Mark> {
        *self.heard.lock()
    }

    pub(super) fn hear(&self, cursor: &Cursor) {
        *self.heard.lock() = cursor.0.first().copied();
    }

    /// Whether a write failed a moment ago, so that reads do not wait for another one to fail.
    pub(super) fn gives_no_permits(&self, now: Moment) -> bool {
        now.as_micros() < self.no_permits_until.load(Relaxed)
    }
}

/// How many commands make up one transaction at most.
const GROUP_MAX: usize = 128;

/// How long after a failure the file is opened anew, or permits are written again: shorter than an
/// engine leaves a failing tier alone, which makes one call then.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(400);

/// How many rows are removed when there is no more room.
const ROWS_FOR_ROOM: u32 = 1000;

/// A look-up whose caller does not poll it must not hold up the rest for longer than this.
const READERS_CLOSE_WITHIN: Duration = Duration::from_secs(1);

impl Writer {
    pub(super) fn new(options: SqliteOptions, state: Arc<State>) -> Self {
        Self {
            options,
            state,
            hold: None,
            used: None,
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
        self.disconnect().await;
        self.hold = None;
        // Those who still wait, and those who wait for the end, are told when `commands` is dropped.
    }

    /// Does what it is told, in order; writes that follow one another are written together.
    async fn obey(&mut self, batch: impl Iterator<Item = Command>) -> ControlFlow<()> {
        let mut waiting = Vec::new();
        for command in batch {
            if let Command::Write(queued) = command {
                waiting.push(queued);
                continue;
            }
            self.serve(&mut waiting).await;
            match command {
                Command::Write(_) => {}
                Command::Connect(reply) => {
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
        self.serve(&mut waiting).await;
        ControlFlow::Continue(())
    }

    async fn serve(&mut self, waiting: &mut Vec<Box<dyn Queued>>) {
        // What nobody waits for any more is not begun: a late put could bring an old value back.
        waiting.retain(|queued| queued.is_wanted());
        if waiting.is_empty() {
            return;
        }
        let (clock, max_bytes) = (self.options.clock.clone(), self.options.max_bytes);
        let turn = Turn::new(&self.options);
        let open = match self.ready().await {
            Ok(open) => open,
            Err(error) => return group::end(waiting.drain(..), &Err(error)),
        };
        let Err(error) = group::write(&mut open.connection, turn, waiting).await else {
            return self.report.all_is_well(&self.options.path);
        };
        let trouble = Trouble::of(&error);
        if trouble == Trouble::Full {
            make_room(open, turn, max_bytes).await;
        }
        self.note(&error);
        if trouble.lasts() {
            let until = clock.now().plus(RETRY_AFTER);
            self.state.no_permits_until.store(until.as_micros(), Relaxed);
        }
    }

    /// The connection; a new one if there is none or it is in doubt, but not more than one attempt
    /// in [`RETRY_AFTER`]. If another file has taken the name, there is one attempt at once.
    async fn ready(&mut self) -> Result<&mut Open, TierError> {
        let now = self.options.clock.now();
        let file = FileId::of(&self.options.path);
        if self.open.as_ref().is_ok_and(|open| Some(open.file) != file) {
            self.disconnect().await;
            self.retry_at = now;
        }
        if (self.is_doubtful || self.open.is_err()) && now >= self.retry_at {
            self.retry_at = now.plus(RETRY_AFTER);
            self.disconnect().await;
            self.open = match self.connect().await {
                Ok(open) => Ok(open),
                Err(error) => {
                    self.retry_at = now.plus(error.retry_after());
                    self.report.trouble(&self.options.path, error.trouble(), &error, now);
                    Err(TierError::new(error))
                }
            };
        }
        self.open.as_mut().map_err(|error| error.clone())
    }

    async fn connect(&mut self) -> Result<Open, OpenError> {
        let open = Open::new(&self.options, &mut self.hold, self.used).await?;
        let mut readers = Readers::open(&open, &self.options).await?;
        if !open.is_of_no_session || self.used.is_none() {
            self.used = Some(open.file);
        } else if self.used != Some(open.file) {
            // What this tier has invalidated in the other file may be in this one as it was, and
            // cannot be removed.
            readers.give_nothing();
        }
        self.is_doubtful = false;
        self.state.readers.store(Some(Arc::new(readers)));
        Ok(open)
    }

    async fn disconnect(&mut self) {
        let clock = &self.options.clock;
        if let Some(readers) = self.state.readers.swap(None) {
            let deadline = clock.instant(clock.now().plus(READERS_CLOSE_WITHIN));
            timeout_at(deadline, pin!(readers.close())).await;
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

/// Removes what ends soonest: until the next sweep, others could not even be told what is
/// invalidated.
async fn make_room(open: &mut Open, turn: Turn, max_bytes: u64) {
    let (sweep, _nobody_asks) = Waiting::new(Sweep::new(ROWS_FOR_ROOM, max_bytes));
    // If it fails, so does the next write, which says why.
    group::write(&mut open.connection, turn, &mut vec![Box::new(sweep)]).await.ok();
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
    use sqlx::{ConnectOptions as _, query, query_scalar};
    use tokio::sync::oneshot::error::RecvError;

    use super::super::queue::Write;
    use super::*;

    /// Raises the number of jobs, and tells it.
    struct Count;

    impl Write for Count {
        type Answer = i64;

        async fn write(&self, db: &mut SqliteConnection, _: Turn) -> Result<i64, sqlx::Error> {
            let sql = "insert into forewarm_job select count(*), 0, 0, 0 from forewarm_job";
            query(sql).execute(&mut *db).await?;
            query_scalar("select count(*) from forewarm_job").fetch_one(db).await
        }
    }

    /// Breaks a rule of its table.
    struct Wrong;

    impl Write for Wrong {
        type Answer = ();

        async fn write(&self, db: &mut SqliteConnection, _: Turn) -> Result<(), sqlx::Error> {
            query("insert into forewarm_job values (null, 0, 0, 0)").execute(db).await?;
            Ok(())
        }
    }

    fn writer(path: &Path) -> Writer {
        let options = SqliteOptions::new(path).busy_timeout(Duration::ZERO);
        Writer::new(options, Arc::default())
    }

    async fn write(writer: &mut Writer, write: impl Write) {
        let (waiting, answer) = Waiting::new(write);
        let command = Command::Write(Box::new(waiting));
        assert!(writer.obey(std::iter::once(command)).await.is_continue());
        drop(answer.await.unwrap());
    }

    #[tokio::test]
    async fn permits_pause_when_the_file_is_at_fault_and_not_when_a_statement_is() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cache.db");
        let mut writer = writer(&path);
        let now = writer.options.clock.now();
        write(&mut writer, Wrong).await;
        assert!(!writer.state.gives_no_permits(now));
        let mut other = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        query("begin immediate").execute(&mut other).await.unwrap();
        write(&mut writer, Count).await;
        assert!(writer.state.gives_no_permits(now));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_written() {
        let home = tempfile::tempdir().unwrap();
        let mut writer = writer(&home.path().join("cache.db"));
        let (first, first_answer) = Waiting::new(Count);
        let (gone, answer) = Waiting::new(Count);
        drop(answer);
        let (last, last_answer) = Waiting::new(Count);
        let batch = [first, gone, last].map(|waiting| Command::Write(Box::new(waiting)));
        assert!(writer.obey(batch.into_iter()).await.is_continue());
        assert_eq!(first_answer.await.unwrap().unwrap(), 1);
        assert_eq!(last_answer.await.unwrap().unwrap(), 2);
    }

    #[tokio::test]
    async fn what_comes_before_the_end_is_written_and_what_comes_after_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let mut writer = writer(&home.path().join("cache.db"));
        let (before, before_answer) = Waiting::new(Count);
        let (after, after_answer) = Waiting::new(Count);
        let batch =
            vec![Command::Write(Box::new(before)), Command::Close, Command::Write(Box::new(after))];
        assert!(writer.obey(batch.into_iter()).await.is_break());
        assert_eq!(before_answer.await.unwrap().unwrap(), 1);
        assert!(matches!(after_answer.await, Err(RecvError { .. })));
    }
}
