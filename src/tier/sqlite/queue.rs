//! What waits for the writer.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

use super::fault::Refusal;
use super::turn::Turn;
use crate::tier::TierError;

/// The way to the writer. When the last one is dropped, the writer ends.
#[derive(Debug)]
pub(super) struct Queue(mpsc::Sender<Command>);

/// More writes than this do not wait: a store that is so far behind is no help.
const COMMANDS_MAX: usize = 1024;

impl Queue {
    pub(super) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        (Self(sender), commands)
    }

    /// Has something written. Once it has begun it runs to its end, whatever becomes of the caller.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Answer, TierError> {
        let (waiting, answer) = Waiting::new(write);
        self.send(Command::Write(Box::new(waiting)))?;
        answer.await.map_err(|_gone| TierError::new(Refusal::Closed))?
    }

    /// Has the writer connect, if it has no connection to the file that now has the name.
    pub(super) async fn connect(&self) -> Result<(), TierError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Connect(reply))?;
        answer.await.map_err(|_gone| TierError::new(Refusal::Closed))?
    }

    /// Tells the writer what a look-up has met.
    pub(super) fn doubt(&self, error: Arc<sqlx::Error>) {
        // If there is no room for it, the next look-up will say it again.
        drop(self.send(Command::Doubt(error)));
    }

    /// Whether the writer has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Ends the writer, after what waits already.
    pub(super) async fn close(&self) {
        // If it cannot be sent, the writer is ending already.
        drop(self.0.send(Command::Close).await);
        self.0.closed().await;
    }

    fn send(&self, command: Command) -> Result<(), TierError> {
        self.0.try_send(command).map_err(|refused| match refused {
            TrySendError::Full(_) => TierError::new(Refusal::Crowded),
            TrySendError::Closed(_) => TierError::new(Refusal::Closed),
        })
    }
}

/// What the writer is to do.
pub(super) enum Command {
    Write(Box<dyn Queued>),
    /// Connect, if there is no connection or it is to another file.
    Connect(oneshot::Sender<Result<(), TierError>>),
    /// Know that a look-up has met this.
    Doubt(Arc<sqlx::Error>),
    Close,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write(_) => "Write",
            Self::Connect(_) => "Connect",
            Self::Doubt(_) => "Doubt",
            Self::Close => "Close",
        })
    }
}

/// Something that is written as a part of a transaction.
pub(super) trait Write: Send + Sync + 'static {
    /// What its caller is told.
    type Answer: Send + 'static;

    /// Runs its statements; once more if another part of the transaction failed.
    fn write(
        &self,
        db: &mut SqliteConnection,
        turn: Turn,
    ) -> impl Future<Output = Result<Self::Answer, sqlx::Error>> + Send;
}

/// A [`Waiting`] of a type that is no longer known.
pub(super) trait Queued: Send {
    /// Whether its caller still waits.
    fn is_wanted(&self) -> bool;

    fn write<'a>(
        &'a mut self,
        db: &'a mut SqliteConnection,
        turn: Turn,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>>;

    /// Tells its caller how it ended.
    fn end(self: Box<Self>, outcome: Result<(), TierError>);
}

/// A [`Write`] and its caller.
pub(super) struct Waiting<W: Write> {
    write: W,
    answer: Option<W::Answer>,
    reply: oneshot::Sender<Outcome<W>>,
}

type Outcome<W> = Result<<W as Write>::Answer, TierError>;

impl<W: Write> Waiting<W> {
    pub(super) fn new(write: W) -> (Self, oneshot::Receiver<Outcome<W>>) {
        let (reply, outcome) = oneshot::channel();
        (Self { write, answer: None, reply }, outcome)
    }
}

impl<W: Write> Queued for Waiting<W> {
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn write<'a>(
        &'a mut self,
        db: &'a mut SqliteConnection,
        turn: Turn,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            self.answer = Some(self.write.write(db, turn).await?);
            Ok(())
        })
    }

    fn end(self: Box<Self>, outcome: Result<(), TierError>) {
        let answer = match (outcome, self.answer) {
            (Ok(()), Some(answer)) => Ok(answer),
            (Ok(()), None) => Err(TierError::new(Refusal::Closed)),
            (Err(error), _) => Err(error),
        };
        // A caller that has gone is not told.
        drop(self.reply.send(answer));
    }
}
