//! What it costs where there is nothing to predict.

use crate::line::Bound::AtMost;
use crate::line::{Goal, Line};
use crate::plan::Plan;
use crate::replays::Results;
use crate::setting::Setting;
use crate::traces::Scope;

const MISSES: Goal =
    Goal::new("no harm: misses over the better of LRU and moka", AtMost(0.005), AtMost(0.001));
const LOADS: Goal =
    Goal::new("no harm: loads over the better of LRU and moka", AtMost(0.02), AtMost(0.01));

pub(crate) fn plan(plan: &mut Plan, scope: Scope) {
    for setting in scope.unpredictable() {
        plan.want(setting, &["forewarm", "lru", "moka"]);
    }
}

pub(crate) fn lines(results: &Results, scope: Scope) -> Vec<Line> {
    let mut lines = Vec::new();
    for goal in [MISSES, LOADS] {
        let settings = scope.unpredictable().into_iter();
        let detail = |setting: Setting| goal.detail(setting.label(), more(results, setting, goal));
        let details: Vec<_> = settings.map(detail).collect();
        lines.push(goal.worst(&details));
        lines.extend(details);
    }
    lines
}

/// How much more there is than with the better of the two plain caches, whose misses are their
/// loads.
fn more(results: &Results, setting: Setting, goal: Goal) -> Result<f64, String> {
    let rows = results.rows(&setting)?;
    let (forewarm, lru, moka) = (rows.one("forewarm")?, rows.one("lru")?, rows.one("moka")?);
    let ours = if goal.name == MISSES.name { forewarm.misses } else { forewarm.loads };
    Ok(ours / lru.misses.min(moka.misses) - 1.0)
}
