//! Finding out when everything is well again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::machine::Stopwatch;
use super::node::Node;

/// The next of the keys that only this uses, and never twice.
static NEXT_KEY: AtomicU32 = AtomicU32::new(1_000_000);

/// Nothing is waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until, on every node, an invalidation is applied and a read is answered by L2. Gives how
/// long that took.
pub(super) async fn recovered(nodes: &[Arc<Node>]) -> Option<Duration> {
    let watch = Stopwatch::start();
    let each = nodes.iter().enumerate().map(|(which, node)| {
        let other = &nodes[(which + 1) % nodes.len()];
        is_well(node, other)
    });
    timeout(PATIENCE, join_all(each)).await.ok().map(|_| watch.took())
}

async fn is_well(node: &Node, other: &Node) {
    let (mut is_applied, hits) = (false, node.l2_hits());
    while !is_applied || node.l2_hits() == hits {
        let key = NEXT_KEY.fetch_add(1, Relaxed);
        is_applied |= node.applies(key).await;
        // What the other one has loaded, this one finds.
        other.get(key).await;
        node.get(key).await;
        sleep(Duration::from_millis(5)).await;
    }
}
