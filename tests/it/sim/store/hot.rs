//! Which keys engines have said to be hot.

use std::collections::BTreeMap;

use forewarm::{HotSum, Node};
use tokio::time::Instant;

/// What each engine has noted of each resource, and until when.
#[derive(Clone, Default)]
pub(super) struct Hot(BTreeMap<(String, u64), Noted>);

/// Keys with their scores, and until when they are heeded.
type Noted = (Instant, Vec<(String, f64)>);

/// More keys are not given.
const SUMS_MAX: usize = 1_000;

impl Hot {
    pub(super) fn merge(
        &mut self,
        by: Node,
        resource: String,
        hot: Vec<(String, f64)>,
        until: Instant,
    ) -> Vec<HotSum> {
        let now = Instant::now();
        self.0.retain(|_, (until, _)| now < *until);
        let mut sums = BTreeMap::<_, f64>::new();
        let others = self.0.iter().filter(|((of, node), _)| *of == resource && *node != by.0);
        for (key, score) in others.flat_map(|(_, (_, hot))| hot) {
            *sums.entry(key.clone()).or_default() += score;
        }
        let mut sums: Vec<_> = sums.into_iter().map(|(key, score)| HotSum { key, score }).collect();
        sums.sort_by(|one, other| other.score.total_cmp(&one.score));
        sums.truncate(SUMS_MAX);
        self.0.insert((resource, by.0), (until, hot));
        sums
    }
}
