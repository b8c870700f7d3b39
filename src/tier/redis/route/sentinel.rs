//! Asking sentinels who is the master.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::{ConnectionInfo, cmd};

use super::super::fault::Fault;
use super::{addresses, connect, moved};

/// The sentinels that watch over a service.
#[derive(Debug)]
pub(in crate::tier::redis) struct Sentinel {
    service: String,
    sentinels: Vec<ConnectionInfo>,
    /// How the master is connected to, but for its address.
    server: ConnectionInfo,
}

impl Sentinel {
    pub(super) fn new(
        service: String,
        sentinels: Vec<ConnectionInfo>,
        server: ConnectionInfo,
    ) -> Self {
        Self { service, sentinels, server }
    }

    pub(super) fn describe(&self) -> String {
        format!("{} by {}", self.service, addresses(&self.sentinels))
    }

    /// The master, which is asked for anew each time.
    ///
    /// One sentinel may have been cut off, and name a master that is none any more. So the one that
    /// more than half of them name is taken, or that most of those name that answer.
    pub(super) async fn locate(&self, timeout: Duration) -> Result<ConnectionInfo, Fault> {
        let mut answers: FuturesUnordered<_> =
            self.sentinels.iter().map(|sentinel| self.ask(sentinel, timeout)).collect();
        let mut votes: HashMap<(String, u16), usize> = HashMap::new();
        let mut last_fault = Fault::NoMaster;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(Some(master)) => {
                    let count = votes.entry(master.clone()).or_default();
                    *count += 1;
                    if *count * 2 > self.sentinels.len() {
                        return Ok(moved(&self.server, master.0, master.1));
                    }
                }
                Ok(None) => {}
                Err(fault) => last_fault = fault,
            }
        }
        let named_most = votes.into_iter().max_by_key(|(_, count)| *count);
        let ((host, port), _) = named_most.ok_or(last_fault)?;
        Ok(moved(&self.server, host, port))
    }

    async fn ask(
        &self,
        sentinel: &ConnectionInfo,
        timeout: Duration,
    ) -> Result<Option<(String, u16)>, Fault> {
        let mut connection = connect(sentinel, timeout).await?;
        let mut command = cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        Ok(command.query_async(&mut connection).await?)
    }
}
