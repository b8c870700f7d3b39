//! Hearing at once that something has changed.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Client, Msg, Value};
use tokio::time::Instant;

use super::changer::channel;
use super::fault::Fault;
use super::link::Shared;
use crate::task::{sleep_until, timeout_at};

/// Listens to what others announce, on a connection of its own.
///
/// That is a hint, and nothing is lost with it: whoever polls hears everything.
#[derive(Debug)]
pub(super) struct Subscriber {
    shared: Arc<Shared>,
    /// A slot whose server is asked; any would do.
    slot: u16,
    /// What this tier announces itself.
    own: [u8; 8],
}

/// Between the beginnings of two attempts to listen.
const RETRY_AFTER: Duration = Duration::from_millis(100);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(1);

/// A connection on which nothing comes is asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_secs(5);

impl Subscriber {
    pub(super) fn new(shared: Arc<Shared>, slot: u16, tier: u64) -> Self {
        Self { shared, slot, own: tier.to_be_bytes() }
    }

    /// Listens until it is stopped.
    pub(super) async fn run(self) {
        let mut stopped = pin!(self.shared.tasks.stopped());
        let mut retry_after = RETRY_AFTER;
        let mut lost_at = Instant::now();
        loop {
            let began_at = Instant::now();
            let listening = Box::pin(self.listen(lost_at));
            tokio::select! {
                biased;
                () = &mut stopped => return,
                // That it ended is all there is to know: polls go on, and say what is wrong.
                _fault = listening => {}
            }
            lost_at = Instant::now();
            let was_short = lost_at.duration_since(began_at) < PING_EVERY;
            retry_after =
                if was_short { (retry_after * 2).min(RETRY_AFTER_MAX) } else { RETRY_AFTER };
            tokio::select! {
                biased;
                () = &mut stopped => return,
                () = sleep_until(began_at + retry_after) => {}
            }
        }
    }

    async fn listen(&self, lost_at: Instant) -> Result<(), Fault> {
        let (mut sink, mut messages) = self.subscribe(lost_at).await?;
        loop {
            // What was announced before has not been heard, and what is announced from now on will
            // be.
            let ping_at = Instant::now() + PING_EVERY;
            match timeout_at(ping_at, pin!(messages.next())).await {
                Some(Some(message)) => self.hear(&message),
                Some(None) => return Err(Fault::Silent),
                None => self.ping(&mut sink).await?,
            }
        }
    }

    async fn subscribe(&self, lost_at: Instant) -> Result<(PubSubSink, PubSubStream), Fault> {
        let timeout = self.shared.response_timeout;
        let info = self.shared.route.locate(self.slot, lost_at, timeout).await?;
        let client = Client::open(info)?;
        let connected = self.in_time(client.get_async_pubsub()).await?;
        let (mut sink, messages) = connected.split();
        self.in_time(sink.subscribe(channel(&self.shared.namespace))).await?;
        self.shared.hints.notify_one();
        Ok((sink, messages))
    }

    async fn ping(&self, sink: &mut PubSubSink) -> Result<(), Fault> {
        self.in_time(sink.ping::<Value>()).await.map(drop)
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T, Fault> {
        let deadline = Instant::now() + self.shared.response_timeout;
        Ok(timeout_at(deadline, pin!(answer)).await.ok_or(Fault::Silent)??)
    }

    /// What one has announced oneself is no news.
    fn hear(&self, message: &Msg) {
        if message.get_payload_bytes() != self.own {
            self.shared.hints.notify_one();
        }
    }
}
