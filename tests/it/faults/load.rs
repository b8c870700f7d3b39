//! What the engines do meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::node::Node;
use super::oracle::KEYS;

/// What the engines do meanwhile.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Load {
    /// Reads, and some invalidations.
    Demand,
    /// Values that do not stay fresh for long, and loads ahead of all of them.
    Preload,
    /// Many invalidations, of everything in every way.
    Storm,
}

/// How it goes on in one task.
#[derive(Clone, Copy)]
enum Part {
    Read,
    Invalidate,
    Preload,
}

impl Load {
    pub(super) const ALL: [Self; 3] = [Self::Demand, Self::Preload, Self::Storm];

    /// How long values are fresh.
    pub(super) fn ttl(self) -> Duration {
        if self == Self::Preload { Duration::from_millis(700) } else { Duration::from_mins(1) }
    }

    /// What each node does at a time, and how long each of it pauses in between.
    fn parts(self) -> &'static [(Part, Duration)] {
        const MILLI: Duration = Duration::from_millis(1);
        const OFTEN: Duration = Duration::from_millis(10);
        const RARELY: Duration = Duration::from_millis(15);
        match self {
            Self::Demand => &[(Part::Read, MILLI), (Part::Read, MILLI), (Part::Invalidate, RARELY)],
            Self::Preload => {
                &[(Part::Read, MILLI), (Part::Preload, MILLI), (Part::Invalidate, RARELY)]
            }
            Self::Storm => {
                &[(Part::Read, MILLI), (Part::Invalidate, OFTEN), (Part::Invalidate, OFTEN)]
            }
        }
    }

    /// Begins it on all nodes; it goes on until it is stopped.
    pub(super) fn begin(self, nodes: &[Arc<Node>], stop: &CancellationToken) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for (which, node) in nodes.iter().enumerate() {
            for (nth, (part, pause)) in self.parts().iter().enumerate() {
                let random = fastrand::Rng::with_seed(which as u64 * 100 + nth as u64);
                let (node, stop) = (Arc::clone(node), stop.clone());
                tasks.spawn(part.go_on(node, random, *pause, stop));
            }
        }
        tasks
    }
}

impl Part {
    async fn go_on(
        self,
        node: Arc<Node>,
        mut random: fastrand::Rng,
        pause: Duration,
        stop: CancellationToken,
    ) {
        while !stop.is_cancelled() {
            let key = random.u32(..KEYS);
            match self {
                Self::Read => node.get(key).await,
                Self::Invalidate => node.invalidate(key, random.u32(..64)).await,
                Self::Preload => node.preload(key).await,
            }
            tokio::time::sleep(pause).await;
        }
    }
}
