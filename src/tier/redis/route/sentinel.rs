//! Asking sentinels who is the master.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{ConnectionInfo, RedisError, cmd};

use super::super::fault::Fault;
use super::{addresses, connect, moved};

/// The sentinels that watch over a service.
#[derive(Debug)]
pub(in crate::tier::redis) struct Sentinel {
    service: String,
    watchers: Vec<Watcher>,
    /// How the master is connected to, but for its address.
    server: ConnectionInfo,
}

/// One sentinel, and the connection to it if there is one.
#[derive(Debug)]
struct Watcher {
    info: ConnectionInfo,
    connection: Mutex<Option<MultiplexedConnection>>,
}

/// Host and port.
type Address = (String, u16);

impl Sentinel {
    pub(super) fn new(
        service: String,
        sentinels: Vec<ConnectionInfo>,
        server: ConnectionInfo,
    ) -> Self {
        let watcher = |info| Watcher { info, connection: Mutex::default() };
        Self { service, watchers: sentinels.into_iter().map(watcher).collect(), server }
    }

    pub(super) fn describe(&self) -> String {
        let sentinels = addresses(self.watchers.iter().map(|watcher| &watcher.info));
        format!("{} by {sentinels}", self.service)
    }

    /// The master: the server that more than half of the sentinels name.
    ///
    /// There is one such at a time at most. So whoever finds that a server still is the one knows
    /// that until it asked, nobody else can have taken another.
    pub(super) async fn locate(&self, timeout: Duration) -> Result<ConnectionInfo, Fault> {
        let asked = self.watchers.iter().map(|watcher| watcher.ask(&self.service, timeout));
        let mut answers: FuturesUnordered<_> = asked.collect();
        let mut votes: HashMap<Address, usize> = HashMap::new();
        let mut last_fault = Fault::NoMaster;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(Some(master)) => {
                    let count = votes.entry(master.clone()).or_default();
                    *count += 1;
                    if *count * 2 > self.watchers.len() {
                        return Ok(moved(&self.server, master.0, master.1));
                    }
                }
                Ok(None) => {}
                Err(fault) => last_fault = fault,
            }
        }
        Err(last_fault)
    }
}

impl Watcher {
    /// Whom this one takes for the master.
    async fn ask(&self, service: &str, timeout: Duration) -> Result<Option<Address>, Fault> {
        let known = self.connection.lock().clone();
        let mut connection = match known {
            Some(connection) => connection,
            None => connect(&self.info, timeout).await?,
        };
        let mut command = cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
        let answer: Result<_, RedisError> = command.query_async(&mut connection).await;
        // After a failure the next one makes another.
        *self.connection.lock() = answer.is_ok().then_some(connection);
        Ok(answer?)
    }
}
