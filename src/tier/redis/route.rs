//! Where the server is that holds a key.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo};
use tokio::time::Instant;

use self::cluster::Cluster;
use self::sentinel::Sentinel;
use super::fault::Fault;

mod cluster;
mod sentinel;

/// The way to the servers.
#[derive(Debug)]
pub(super) enum Route {
    /// It is always the same one.
    Server(ConnectionInfo),
    Sentinel(Sentinel),
    Cluster(Cluster),
}

impl Route {
    pub(super) fn server(info: ConnectionInfo) -> Self {
        Self::Server(info)
    }

    pub(super) fn sentinel(
        service: String,
        sentinels: Vec<ConnectionInfo>,
        server: ConnectionInfo,
    ) -> Self {
        Self::Sentinel(Sentinel::new(service, sentinels, server))
    }

    pub(super) fn cluster(seeds: Vec<ConnectionInfo>) -> Self {
        Self::Cluster(Cluster::new(seeds))
    }

    /// The server that holds a slot, by what was known at `not_before` or later.
    pub(super) async fn locate(
        &self,
        slot: u16,
        not_before: Instant,
        timeout: Duration,
    ) -> Result<ConnectionInfo, Fault> {
        match self {
            Self::Server(info) => Ok(info.clone()),
            Self::Sentinel(sentinel) => sentinel.locate(timeout).await,
            Self::Cluster(cluster) => cluster.locate(slot, not_before, timeout).await,
        }
    }

    /// Whether a server may have been replaced without knowing: one that is cut off from sentinels
    /// does not hear what they decide.
    pub(super) fn needs_confirmation(&self) -> bool {
        matches!(self, Self::Sentinel(_))
    }

    /// Makes sure that a server has not been replaced until this was asked.
    pub(super) async fn confirm(&self, address: &str, timeout: Duration) -> Result<(), Fault> {
        let Self::Sentinel(sentinel) = self else { return Ok(()) };
        let master = sentinel.locate(timeout).await?;
        if master.addr().to_string() == address { Ok(()) } else { Err(Fault::Replaced) }
    }

    /// The addresses that the way begins at, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Server(info) => info.addr().to_string(),
            Self::Sentinel(sentinel) => sentinel.describe(),
            Self::Cluster(cluster) => cluster.describe(),
        }
    }
}

/// How many commands wait for their turn to be written before callers do.
const COMMANDS_WAITING: usize = 1024;

/// A new connection. It is ours alone: nothing makes it anew behind our back, or keeps answers.
pub(super) async fn connect(
    info: &ConnectionInfo,
    timeout: Duration,
) -> Result<MultiplexedConnection, Fault> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout))
        .set_pipeline_buffer_size(COMMANDS_WAITING);
    let client = Client::open(info.clone())?;
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

/// The same way of connecting, to another address.
fn moved(info: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let addr = match info.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(addr)
}

#[expect(single_use_lifetimes, reason = "an argument of this kind cannot go without one")]
fn addresses<'a>(infos: impl Iterator<Item = &'a ConnectionInfo>) -> String {
    let addresses: Vec<_> = infos.map(|info| info.addr().to_string()).collect();
    addresses.join(", ")
}
