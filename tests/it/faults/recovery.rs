//! Finding out when everything is well again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use forewarm::ReadFrom;
use tokio::time::{Instant, sleep, timeout};

use super::node::Node;

/// The next of the keys that only this uses, and never twice.
static NEXT_KEY: AtomicU32 = AtomicU32::new(1_000_000);

/// Nothing is waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until invalidations are applied on every node, and what one has loaded is given to the
/// next by L2. Gives how long that took.
pub(super) async fn recovered(nodes: &[Arc<Node>]) -> Option<Duration> {
    let began = Instant::now();
    let all = async {
        for (which, node) in nodes.iter().enumerate() {
            let next = &nodes[(which + 1) % nodes.len()];
            while !is_well(node, next).await {
                sleep(Duration::from_millis(5)).await;
            }
        }
    };
    timeout(PATIENCE, all).await.ok().map(|()| began.elapsed())
}

async fn is_well(node: &Node, next: &Node) -> bool {
    let key = NEXT_KEY.fetch_add(1, Relaxed);
    node.applies(key).await
        && node.read(key).await == Some(ReadFrom::Source)
        && next.read(key).await == Some(ReadFrom::L2)
}
