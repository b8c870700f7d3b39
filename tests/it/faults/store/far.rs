//! A Redis server in a network namespace of its own, with a cable to it for each node.
//!
//! A cable whose far end is down is a true black hole: nothing is refused or reset, the kernel sends
//! again ever more seldom, and when the end is up the same connections go on.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use forewarm::{RedisOptions, RedisTier};
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::faults::fault::Fault;
use crate::faults::oracle::NODES;

/// Makes the network and runs the server; whatever becomes of us, the end of its input has it remove
/// both.
const SCRIPT: &str = include_str!("far.sh");

const PORT: u16 = 6379;

/// Tells the networks of a process from one another.
static COUNT: AtomicU32 = AtomicU32::new(0);

pub(in crate::faults) struct FarRedis {
    shell: Mutex<Shell>,
    network: u8,
    _home: TempDir,
}

struct Shell {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// Whether such a network can be made here, or why not.
pub(in crate::faults) fn is_possible() -> Result<(), String> {
    FarRedis::new().map(drop)
}

impl FarRedis {
    fn new() -> Result<Self, String> {
        let nth = COUNT.fetch_add(1, Relaxed);
        let name = format!("fw{}x{nth}", std::process::id());
        // Of 198.18.0.0/15, which is for tests of networks and of nobody else.
        let network = u8::try_from((std::process::id() + nth) % 256).unwrap();
        let home = tempfile::tempdir().unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT, "far", &name, &format!("198.18.{network}")]);
        shell.args([NODES.to_string(), PORT.to_string()]).current_dir(home.path());
        shell.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = shell.spawn().map_err(|error| error.to_string())?;
        let orders = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut shell = Shell { process, orders, answers };
        match shell.answer().as_str() {
            "ready" => Ok(Self { shell: Mutex::new(shell), network, _home: home }),
            why => Err(why.to_owned()),
        }
    }

    pub(super) async fn launch() -> Self {
        let far = Self::new().unwrap();
        let client = redis::Client::open(far.url(0)).unwrap();
        let answers = async || {
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd("PING").query_async::<String>(&mut connection).await
        };
        let waited = async {
            while answers().await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_mins(1), waited).await.unwrap();
        far
    }

    pub(super) async fn open(&self, node: usize) -> RedisTier {
        RedisOptions::new(self.url(node)).open().await.unwrap()
    }

    pub(super) fn begin(&self, fault: Fault) {
        self.set(fault, "down");
    }

    pub(super) fn end(&self, fault: Fault) {
        self.set(fault, "up");
    }

    fn set(&self, fault: Fault, state: &str) {
        let cut = if fault == Fault::Split { 1 } else { NODES };
        for node in 0..cut {
            assert_eq!(self.shell.lock().order(&format!("{state} {node}")), "done");
        }
    }

    fn url(&self, node: usize) -> String {
        let host = u8::try_from(4 * node + 2).unwrap();
        let address = IpAddr::V4(Ipv4Addr::new(198, 18, self.network, host));
        format!("redis://{}", SocketAddr::new(address, PORT))
    }
}

impl Shell {
    fn order(&mut self, order: &str) -> String {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.orders.take());
        drop(self.process.wait());
    }
}
