//! Clients that ask at a pace of their own.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::server::{KEYS, WRONG};

/// What came of the requests of all clients.
#[derive(Default)]
pub(super) struct Counts {
    /// Written as a whole.
    pub(super) sent: AtomicU64,
    /// Of those, with a whole answer of 200.
    pub(super) answered: AtomicU64,
    /// Of those, without.
    pub(super) lost: AtomicU64,
    /// Of those sent, over a connection that was new.
    pub(super) over_new: AtomicU64,
    /// Not sent, since nobody listened any more.
    pub(super) refused: AtomicU64,
}

/// Clients at work, until nobody listens any more.
pub(super) struct Clients {
    pub(super) began: Instant,
    tasks: JoinSet<()>,
}

/// Those that keep their connections.
const KEEPING: u64 = 64;
/// Those that use a new one each time, and what share of the requests they send.
const RENEWING: u64 = 16;
const RENEWED_OF: u64 = 20;

impl Clients {
    pub(super) fn start(address: &str, rate: u64, counts: &Arc<Counts>) -> Self {
        let renewed = rate / RENEWED_OF;
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for (clients, rate, keeps) in [(KEEPING, rate - renewed, true), (RENEWING, renewed, false)]
        {
            let every = Duration::from_secs_f64(clients as f64 / rate as f64);
            for nth in 0..clients {
                // They do not ask all at once.
                let begins =
                    began + every * u32::try_from(nth).unwrap() / u32::try_from(clients).unwrap();
                let client = Client {
                    address: address.to_owned(),
                    keeps,
                    pace: Pace { begins, every, nth: 0 },
                    counts: Arc::clone(counts),
                };
                tasks.spawn(client.ask());
            }
        }
        Self { began, tasks }
    }

    /// Waits until nobody listens any more.
    pub(super) async fn join(self) {
        self.tasks.join_all().await;
    }
}

/// When requests are due: a client that is held up makes up for it.
struct Pace {
    begins: Instant,
    every: Duration,
    nth: u32,
}

impl Pace {
    async fn next(&mut self) {
        sleep_until(self.begins + self.every * self.nth).await;
        self.nth += 1;
    }
}

struct Client {
    address: String,
    keeps: bool,
    pace: Pace,
    counts: Arc<Counts>,
}

/// What became of a request.
enum Answer {
    /// It is whole; the connection goes on, or not.
    Whole {
        goes_on: bool,
    },
    Lost,
}

impl Client {
    async fn ask(mut self) {
        let close = if self.keeps { "" } else { "connection: close\r\n" };
        loop {
            self.pace.next().await;
            let Ok(mut stream) = TcpStream::connect(&self.address).await else {
                self.counts.refused.fetch_add(1, Relaxed);
                return;
            };
            stream.set_nodelay(true).unwrap();
            let mut is_new = true;
            loop {
                let key = u64::from(self.pace.nth) % (KEYS - WRONG) + 1;
                let host = &self.address;
                let request = format!("GET /v1/user/{key} HTTP/1.1\r\nhost: {host}\r\n{close}\r\n");
                if stream.write_all(request.as_bytes()).await.is_err() {
                    // Whoever got through was to be heard.
                    self.counts.lost.fetch_add(u64::from(is_new), Relaxed);
                    break;
                }
                self.counts.sent.fetch_add(1, Relaxed);
                self.counts.over_new.fetch_add(u64::from(is_new), Relaxed);
                is_new = false;
                match read_answer(&mut stream).await {
                    Answer::Whole { goes_on } => {
                        self.counts.answered.fetch_add(1, Relaxed);
                        if !goes_on {
                            break;
                        }
                    }
                    Answer::Lost => {
                        self.counts.lost.fetch_add(1, Relaxed);
                        break;
                    }
                }
                self.pace.next().await;
            }
        }
    }
}

async fn read_answer(stream: &mut TcpStream) -> Answer {
    let (mut answer, mut length) = ([0; 4096], 0);
    loop {
        match stream.read(&mut answer[length..]).await {
            Ok(read @ 1..) => length += read,
            _ => return Answer::Lost,
        }
        let Ok(text) = std::str::from_utf8(&answer[..length]) else { return Answer::Lost };
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let expected = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let Some(expected) = expected.and_then(|length| length.parse::<usize>().ok()) else {
            return Answer::Lost;
        };
        if body.len() >= expected {
            let goes_on = !head.contains("\r\nconnection: close");
            let is_ok = head.starts_with("HTTP/1.1 200");
            return if is_ok { Answer::Whole { goes_on } } else { Answer::Lost };
        }
    }
}
