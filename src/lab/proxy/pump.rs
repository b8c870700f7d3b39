//! One way of a connection.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::faults::{Faults, Network, Way};

/// Passes on what goes one way in a connection.
pub(super) struct Pump<'a> {
    pub(super) way: Way,
    pub(super) network: &'a Network,
    /// Set when a reply of the connection was lost; shared with the other way.
    pub(super) is_mute: &'a AtomicBool,
}

/// What was read at once, and when.
type Chunk = (Instant, Vec<u8>);

/// The most that is read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// The most chunks that wait to be delivered: up to 1 MiB.
const CHUNKS_MAX: usize = 64;

/// How many times a second a throttled way delivers something.
const PIECES_PER_SECOND: u32 = 20;

impl Pump<'_> {
    /// Passes bytes on until the sender has ended.
    pub(super) async fn run(&self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> io::Result<()> {
        let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
        let delivered = self.deliver(receiver, to);
        tokio::try_join!(take(from, sender), delivered).map(|((), ())| ())
    }

    async fn deliver(
        &self,
        mut chunks: mpsc::Receiver<Chunk>,
        mut to: WriteHalf<'_>,
    ) -> io::Result<()> {
        let mut faults = self.network.faults();
        while let Some((came, chunk)) = chunks.recv().await {
            self.passable(&mut faults, came).await;
            self.note_request(&chunk);
            let mut rest = chunk.as_slice();
            while !rest.is_empty() {
                self.passable(&mut faults, came).await;
                let (piece, later) = rest.split_at(self.pace(&mut faults, rest.len()).await);
                self.write(piece, &mut to).await?;
                rest = later;
            }
        }
        // The end goes the same way as everything before it.
        self.passable(&mut faults, Instant::now()).await;
        to.shutdown().await
    }

    /// Waits until what has come at `came` may be delivered.
    async fn passable(&self, faults: &mut watch::Receiver<Faults>, came: Instant) {
        loop {
            let lane = faults.borrow_and_update().lane(self.way);
            let due = if lane.is_blocked { None } else { Some(came + lane.delay) };
            if due.is_some_and(|due| due <= Instant::now()) {
                return;
            }
            wait(faults, due).await;
        }
    }

    /// Waits until some of `bytes` may be written, and gives how many.
    async fn pace(&self, faults: &mut watch::Receiver<Faults>, bytes: usize) -> usize {
        let Some(rate) = faults.borrow_and_update().lane(self.way).bytes_per_second else {
            return bytes;
        };
        let piece = (rate / PIECES_PER_SECOND).max(1);
        let piece = piece.min(u32::try_from(bytes).unwrap_or(u32::MAX));
        let span = Duration::from_secs_f64(f64::from(piece) / f64::from(rate));
        wait(faults, Some(Instant::now() + span)).await;
        piece as usize
    }

    /// Makes the connection mute if the reply to this is to be lost.
    fn note_request(&self, chunk: &[u8]) {
        let is_request = self.way == Way::ToServer && !self.is_mute.load(Relaxed);
        if is_request && self.network.loses_reply_to(chunk) {
            self.is_mute.store(true, Relaxed);
        }
    }

    async fn write(&self, piece: &[u8], to: &mut WriteHalf<'_>) -> io::Result<()> {
        if self.way == Way::ToClient && self.is_mute.load(Relaxed) {
            return Ok(());
        }
        to.write_all(piece).await?;
        self.network.traffic.count(self.way, piece.len());
        Ok(())
    }
}

/// Reads until the sender has ended, in whatever way: that is passed on like what it has sent.
async fn take(mut from: ReadHalf<'_>, chunks: mpsc::Sender<Chunk>) -> io::Result<()> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = from.read_buf(&mut chunk).await.unwrap_or(0);
        if read == 0 || chunks.send((Instant::now(), chunk)).await.is_err() {
            return Ok(());
        }
    }
}

/// Waits for `due`, if there is such a moment, or for a change.
async fn wait(faults: &mut watch::Receiver<Faults>, due: Option<Instant>) {
    let changed = async {
        if faults.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    match due {
        Some(due) => drop(tokio::time::timeout_at(due, changed).await),
        None => changed.await,
    }
}
