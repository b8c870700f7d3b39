//! The engines that share L2, as they name themselves there.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::Serialize;

use super::L2;
use crate::tier::{HotSum, Node};

/// An engine that shares L2.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NodeSeen {
    /// What it is called in L2 for as long as it runs.
    pub node: Node,
    /// Whether it is the one that was asked.
    pub is_self: bool,
    /// The time since it last named itself, as far as the clocks of the two agree.
    pub seen_ago: Duration,
}

impl L2 {
    /// Names this engine among those that share L2, for `keep_for`, and gives all that have named
    /// themselves, this one first; alone if L2 does not answer, which leaves [`L2::nodes_met`] as it is.
    ///
    /// An engine is noted as keys that are hot are: as a key of no resource, with the time of day for
    /// its score. So every tier that shares those knows the engines.
    pub(crate) async fn meet_nodes(&self, prefix: &str, keep_for: Duration) -> Vec<NodeSeen> {
        let wall = self.clock.wall();
        #[expect(clippy::cast_precision_loss, reason = "a double holds every millisecond")]
        let now = wall.as_millisecond() as f64;
        let name = self.node.to_string();
        let answer = self.merge_hot(prefix, &[(&name, now)], keep_for).await;
        let is_told = answer.is_some();
        let others = answer.into_iter().flatten().filter_map(|HotSum { key, score }| {
            let node = Node(u64::from_str_radix(&key, 16).ok()?);
            let seen_ago = Duration::try_from_secs_f64((now - score) / 1e3).unwrap_or_default();
            Some(NodeSeen { node, is_self: false, seen_ago })
        });
        let own = NodeSeen { node: self.node, is_self: true, seen_ago: Duration::ZERO };
        let all: Vec<_> = std::iter::once(own).chain(others).collect();
        if is_told {
            self.nodes_met.store(all.len(), Relaxed);
        }
        all
    }

    /// How many engines shared L2 when it last said so, with this one.
    pub(crate) fn nodes_met(&self) -> usize {
        self.nodes_met.load(Relaxed)
    }

    /// Takes the name of this engine back.
    pub(crate) async fn leave_nodes(&self, prefix: &str) {
        if self.is_up() {
            self.merge_hot(prefix, &[], Duration::ZERO).await;
        }
    }
}
