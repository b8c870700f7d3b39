//! A connection to a server that is known to hold what it has acknowledged.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ConnectionInfo, Value};
use tokio::time::Instant;

use super::fault::Fault;
use super::names::Names;
use super::reply;
use super::route::connect;
use super::script::{By, Call, HELLO};
use crate::clock::Clock;

/// A connection after the handshake.
pub(super) struct Open {
    connection: MultiplexedConnection,
    pub(super) address: String,
    /// Which life of the store this is.
    pub(super) life: u64,
    /// When the attempt began that led to it.
    pub(super) began_at: Instant,
    clock: Clock,
    /// How far the server's clock was ahead of ours in milliseconds, or a little less.
    server_ahead: AtomicI64,
    /// When the first command was sent after the last answer, in milliseconds after `began_at` and
    /// one more; 0 if there was none.
    asked_at: AtomicU64,
    /// Until when the server is known not to have been replaced, in the same way.
    confirmed_at: AtomicU64,
}

/// What else a handshake tells.
#[derive(Debug)]
pub(super) struct Greeting {
    /// What the server removes when its memory runs out.
    pub(super) policy: String,
}

/// What a handshake says of those who greet.
#[derive(Debug)]
pub(super) struct Visitor<'a> {
    pub(super) names: &'a Names,
    pub(super) layout: &'a str,
    pub(super) clock: &'a Clock,
    pub(super) began_at: Instant,
}

impl Open {
    /// Connects, and makes sure that what the server holds is of one life: nothing is asked before.
    pub(super) async fn new(
        info: &ConnectionInfo,
        timeout: Duration,
        visitor: Visitor<'_>,
    ) -> Result<(Self, Greeting), Fault> {
        let connection = connect(info, timeout).await?;
        let Visitor { names, layout, clock, began_at } = visitor;
        let new_life = fastrand::u64(..).to_be_bytes();
        let mut hello = Call::new(&HELLO);
        hello.key(names.meta());
        hello.key(names.log());
        hello.arg(&new_life[..]);
        hello.number(clock.ahead().as_millis());
        hello.arg(layout.as_bytes());
        let answer = run_script(&connection, &hello, &[]).await?;
        if !matches!(answer, Value::Array(_)) {
            return Err(Fault::Nameless);
        }
        let [life, used, now, policy] = reply::listed(answer)?;
        let used = reply::text(used)?;
        if used != layout {
            return Err(Fault::Layout(used));
        }
        let open = Self {
            connection,
            address: info.addr().to_string(),
            life: reply::packed(&reply::bytes(life)?)?,
            began_at,
            clock: clock.clone(),
            server_ahead: AtomicI64::new(0),
            asked_at: AtomicU64::new(0),
            confirmed_at: AtomicU64::new(1),
        };
        open.note_time(reply::number(&now)?);
        Ok((open, Greeting { policy: reply::text(policy)? }))
    }

    /// Calls a script, in the name of the life that this connection is for.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Value, Fault> {
        let shift = self.clock.ahead().as_millis().to_string();
        let sent_at = (self.clock_millis() + self.server_ahead.load(Relaxed)).to_string();
        let head = [&self.life.to_be_bytes()[..], shift.as_bytes(), sent_at.as_bytes()];
        self.note_asked();
        let answer = self.heard(run_script(&self.connection, call, &head).await)?;
        if answer == Value::Nil { Err(Fault::OtherLife) } else { Ok(answer) }
    }

    /// Sends a command that belongs to no life.
    pub(super) async fn command(&self, command: &Cmd) -> Result<Value, Fault> {
        self.note_asked();
        self.heard(Ok(command.query_async(&mut self.connection.clone()).await?))
    }

    /// Notes the server's time, in milliseconds.
    pub(super) fn note_time(&self, server_millis: i64) {
        self.server_ahead.store(server_millis - self.clock_millis(), Relaxed);
    }

    /// Whether a command has been without an answer for too long. Its caller may have gone, so that
    /// nobody else would notice.
    pub(super) fn is_silent(&self, now: Instant, patience: Duration) -> bool {
        let asked_at = self.asked_at.load(Relaxed);
        let waited = self.millis(now).saturating_sub(asked_at);
        asked_at > 0 && u128::from(waited) > patience.as_millis()
    }

    /// Whether it is long ago that the server is known not to have been replaced.
    pub(super) fn is_unconfirmed(&self, now: Instant, patience: Duration) -> bool {
        let unconfirmed = self.millis(now).saturating_sub(self.confirmed_at.load(Relaxed));
        u128::from(unconfirmed) > patience.as_millis()
    }

    /// Notes that the server has not been replaced until then.
    pub(super) fn note_confirmed(&self, at: Instant) {
        self.confirmed_at.fetch_max(self.millis(at), Relaxed);
    }

    fn note_asked(&self) {
        let now = self.millis(Instant::now());
        // If one is waiting already, it has waited longer.
        self.asked_at.compare_exchange(0, now, Relaxed, Relaxed).map(drop).ok();
    }

    /// Notes that the server has answered, if it has.
    fn heard(&self, answer: Result<Value, Fault>) -> Result<Value, Fault> {
        let is_answer = match &answer {
            Err(Fault::Redis(error)) => error.code().is_some(),
            answer => answer.is_ok(),
        };
        if is_answer {
            self.asked_at.store(0, Relaxed);
        }
        answer
    }

    fn millis(&self, now: Instant) -> u64 {
        let millis = now.duration_since(self.began_at).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn clock_millis(&self) -> i64 {
        i64::try_from(self.clock.now().as_micros() / 1000).unwrap_or(i64::MAX)
    }
}

/// Calls a script by its hash, and in full if the server does not know it.
async fn run_script(
    connection: &MultiplexedConnection,
    call: &Call<'_>,
    head: &[&[u8]],
) -> Result<Value, Fault> {
    let mut connection = connection.clone();
    match call.command(head, By::Hash).query_async(&mut connection).await {
        // It has not run, so that nothing is done twice.
        Err(error) if Fault::is_of_the_script(&error) => {
            Ok(call.command(head, By::Code).query_async(&mut connection).await?)
        }
        answer => Ok(answer?),
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("address", &self.address).finish_non_exhaustive()
    }
}
