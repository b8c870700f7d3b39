//! A cell of the matrix: an L2, what happens to it, and what the engines do meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::load::Load;
use super::machine::Stopwatch;
use super::node::{Node, Seen};
use super::oracle::{NODES, Oracle};
use super::outcome::Outcome;
use super::recovery::recovered;
use super::store::{Kind, Store};
use super::{WINDOW, machine};

/// A cell of the matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) kind: Kind,
    pub(super) fault: Fault,
    pub(super) load: Load,
}

/// How long what is under way at the end may take.
const END_WITHIN: Duration = Duration::from_secs(10);

impl Cell {
    /// Runs it on an L2 of its own.
    pub(super) async fn run(self) -> Outcome {
        let store = Store::launch(self.kind, self.fault).await;
        let seen = Arc::default();
        let nodes = self.nodes(&store, &seen).await;
        let panics = machine::panics();
        let watch = Stopwatch::start();
        let mut control = JoinSet::new();
        control.spawn(machine::control());
        let stop = CancellationToken::new();
        let mut load = self.load.begin(&nodes, &stop);
        assert!(recovered(&nodes).await.is_some(), "{self:?}: it did not even begin to work");
        store.remember(self.fault).await;
        assert!(recovered(&nodes).await.is_some(), "{self:?}: it does not work after the copy");

        let recovery = self.disturb(&store, &nodes).await;
        // What came late has the time to be stale.
        sleep(2 * WINDOW).await;

        stop.cancel();
        while load.join_next().await.is_some_and(|ended| ended.is_ok()) {}
        for node in &nodes {
            node.engine.shutdown(END_WITHIN).await;
        }
        control.abort_all();
        let (panics, late) = (machine::panics() - panics, watch.late());
        Outcome { cell: self, seen, panics, recovery, late }
    }

    async fn nodes(self, store: &Store, seen: &Arc<Seen>) -> Vec<Arc<Node>> {
        let oracle = Arc::new(Oracle::new(WINDOW));
        let mut nodes = Vec::new();
        for which in 0..NODES {
            nodes.push(Node::start(which, store, self.load, &oracle, seen).await);
        }
        nodes
    }

    /// Brings the fault about and ends it; gives how long everything took to be well again.
    async fn disturb(self, store: &Store, nodes: &[Arc<Node>]) -> Option<Duration> {
        let disturbance = store.begin(self.fault).await;
        store.go_on(self.fault).await;
        store.end(self.fault, disturbance).await;
        recovered(nodes).await
    }
}
