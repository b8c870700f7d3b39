//! A network between a client and a server, which can be disturbed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use self::faults::{Faults, Loss, Network};
use super::{LabError, port};
use crate::task::Tasks;

pub use self::faults::Way;
pub use self::traffic::Traffic;

mod connection;
mod entrance;
mod faults;
mod pump;
mod traffic;

/// Passes TCP connections on to a server, and disturbs them as it is told to.
///
/// It does what a network can do and no more: within a connection no bytes are missing, changed or
/// out of order. What is held back is delivered when the network heals, and from a connection that
/// has lost a reply nothing more ever comes.
///
/// The kernel accepts connections for it even while nothing gets through; they reach the server
/// when something does. All connections and tasks end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: Network,
    /// Whether new connections are accepted.
    is_listening: watch::Receiver<bool>,
    tasks: Arc<Tasks>,
}

impl Proxy {
    /// Starts a proxy of `upstream` on a loopback port of its own, which passes everything on.
    ///
    /// # Errors
    ///
    /// No port is free; or there is no runtime.
    pub async fn start(upstream: SocketAddr) -> Result<Self, LabError> {
        let address = port::free()?;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| LabError::io("listening", source))?;
        let tasks = Tasks::of_this_runtime().ok_or(LabError::State("there is no runtime"))?;
        let (tasks, network) = (Arc::new(tasks), Network::new(upstream));
        let is_listening = entrance::open(listener, address, &network, &tasks);
        Ok(Self { address, network, is_listening, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Delivers what goes that way, from now on, so much later than it comes. What is on its way
    /// is delayed too.
    pub fn delay(&self, way: Way, delay: Duration) {
        self.network.change(|faults| faults.lane_mut(way).delay = delay);
    }

    /// Delivers nothing that goes that way, and keeps the connections: up to a mebibyte of each
    /// waits here, and more than that with whoever sends it. What waits is delivered after
    /// [`Proxy::heal`].
    pub fn block(&self, way: Way) {
        self.network.change(|faults| faults.lane_mut(way).is_blocked = true);
    }

    /// Blocks both ways: a partition.
    pub fn block_both(&self) {
        self.block(Way::ToServer);
        self.block(Way::ToClient);
    }

    /// Delivers what goes that way at no more than so many bytes a second in each connection; at
    /// least one.
    pub fn throttle(&self, way: Way, bytes_per_second: u32) {
        let rate = Some(bytes_per_second.max(1));
        self.network.change(|faults| faults.lane_mut(way).bytes_per_second = rate);
    }

    /// Passes the next `requests` on and loses the replies to them; `u64::MAX` for all until
    /// [`Proxy::heal`].
    ///
    /// A connection that has lost a reply gets none any more, since the ones behind it cannot
    /// arrive either; what else is sent in it is passed on, and not counted. So `requests` is the
    /// number of connections that fall silent.
    pub fn lose_replies(&self, requests: u64) {
        self.network.lose(Loss { requests, to: Vec::new() });
    }

    /// As [`Proxy::lose_replies`], but only of requests with these bytes in them. They have to
    /// arrive in one packet, as those of a short request do.
    pub fn lose_replies_to(&self, request: impl Into<Vec<u8>>, requests: u64) {
        self.network.lose(Loss { requests, to: request.into() });
    }

    /// Resets all connections, and refuses new ones until [`Proxy::heal`]. Returns when this is so.
    pub async fn cut(&self) {
        self.network.change(|faults| {
            faults.is_cut = true;
            faults.cuts += 1;
        });
        self.listening(false).await;
        self.network.traffic.none_open().await;
    }

    /// Resets all connections, and goes on accepting new ones.
    pub async fn reset(&self) {
        self.cut().await;
        self.network.change(|faults| faults.is_cut = false);
        self.listening(true).await;
    }

    /// Ends all disturbances: from now on everything passes, in the same connections. Those that
    /// have lost a reply are reset. Returns when new connections are accepted.
    pub async fn heal(&self) {
        self.network.lose(Loss::default());
        self.network.change(Faults::heal);
        self.listening(true).await;
    }

    /// What has passed so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.network.traffic.now()
    }

    async fn listening(&self, is_so: bool) {
        // The other side ends only with the proxy.
        drop(self.is_listening.clone().wait_for(|is_listening| *is_listening == is_so).await);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}
