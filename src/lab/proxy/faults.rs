//! What is wrong with the network at present.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::traffic::Counters;

/// One of the two ways of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// That of requests.
    ToServer,
    /// That of replies.
    ToClient,
}

/// What all connections of a proxy share.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) upstream: SocketAddr,
    pub(super) traffic: Arc<Counters>,
    faults: watch::Sender<Faults>,
    loss: Arc<Mutex<Loss>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    to_server: Lane,
    to_client: Lane,
    pub(super) is_cut: bool,
    /// How often it was cut; a connection ends when it has changed.
    pub(super) cuts: u64,
    /// How often it was healed; a mute connection ends when it has changed.
    pub(super) heals: u64,
}

/// What happens to bytes that go one way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lane {
    pub(super) delay: Duration,
    pub(super) is_blocked: bool,
    pub(super) bytes_per_second: Option<u32>,
}

/// The replies that are yet to be lost.
#[derive(Debug, Default)]
pub(super) struct Loss {
    pub(super) requests: u64,
    /// What is in the requests; all are meant if it is empty.
    pub(super) to: Vec<u8>,
}

impl Network {
    pub(super) fn new(upstream: SocketAddr) -> Self {
        let (traffic, faults, loss) = (Arc::default(), watch::Sender::default(), Arc::default());
        Self { upstream, traffic, faults, loss }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(change);
    }

    pub(super) fn faults(&self) -> watch::Receiver<Faults> {
        self.faults.subscribe()
    }

    pub(super) fn lose(&self, loss: Loss) {
        *self.loss.lock() = loss;
    }

    /// Whether the reply to this request is lost.
    pub(super) fn loses_reply_to(&self, request: &[u8]) -> bool {
        let mut loss = self.loss.lock();
        let is_meant = loss.to.is_empty() || contains(request, &loss.to);
        let is_lost = is_meant && loss.requests > 0;
        if is_lost && loss.requests < u64::MAX {
            loss.requests -= 1;
        }
        is_lost
    }
}

impl Faults {
    pub(super) fn lane(&self, way: Way) -> Lane {
        match way {
            Way::ToServer => self.to_server,
            Way::ToClient => self.to_client,
        }
    }

    pub(super) fn lane_mut(&mut self, way: Way) -> &mut Lane {
        match way {
            Way::ToServer => &mut self.to_server,
            Way::ToClient => &mut self.to_client,
        }
    }

    /// Whether packets go both ways, as they have to before there is a connection.
    pub(super) fn can_connect(&self) -> bool {
        !self.to_server.is_blocked && !self.to_client.is_blocked
    }

    pub(super) fn heal(&mut self) {
        *self = Self { cuts: self.cuts, heals: self.heals + 1, ..Self::default() };
    }
}

/// Whether `part`, which is not empty, is in `bytes`.
fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
