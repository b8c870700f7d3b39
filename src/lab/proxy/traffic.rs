//! What a proxy has passed on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::watch;

use super::faults::Way;

/// What a proxy has passed on since it was started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Traffic {
    /// Connections that were accepted.
    pub connections: u64,
    /// Those of them that are open.
    pub open: u64,
    /// Bytes that the server was given.
    pub bytes_to_server: u64,
    /// Bytes that clients were given.
    pub bytes_to_client: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    connections: AtomicU64,
    open: watch::Sender<u64>,
    bytes_to_server: AtomicU64,
    bytes_to_client: AtomicU64,
}

/// An open connection, which counts as long as it is kept.
#[derive(Debug)]
pub(super) struct Open(Arc<Counters>);

impl Counters {
    pub(super) fn now(&self) -> Traffic {
        Traffic {
            connections: self.connections.load(Relaxed),
            open: *self.open.borrow(),
            bytes_to_server: self.bytes_to_server.load(Relaxed),
            bytes_to_client: self.bytes_to_client.load(Relaxed),
        }
    }

    pub(super) fn count(&self, way: Way, bytes: usize) {
        let counter = match way {
            Way::ToServer => &self.bytes_to_server,
            Way::ToClient => &self.bytes_to_client,
        };
        counter.fetch_add(bytes as u64, Relaxed);
    }

    /// Waits until no connection is open.
    pub(super) async fn none_open(&self) {
        // The sender is here.
        drop(self.open.subscribe().wait_for(|open| *open == 0).await);
    }
}

impl Open {
    pub(super) fn new(counters: &Arc<Counters>) -> Self {
        counters.connections.fetch_add(1, Relaxed);
        counters.open.send_modify(|open| *open += 1);
        Self(Arc::clone(counters))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}
