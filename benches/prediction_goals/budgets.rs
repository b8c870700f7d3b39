//! How many misses go for how many loads, with a ttl and room for everything.

use crate::line::Bound::AtLeast;
use crate::line::{Goal, Line};
use crate::plan::Plan;
use crate::replays::Results;
use crate::setting::Setting;
use crate::traces::{NASA, SDSC};

/// Ttl in seconds, loads more than on demand alone, and the share of the misses that is to go.
const GOALS: [(u32, f64, Goal); 4] = [
    (300, 0.10, Goal::new("misses removed at <= +10 % loads", AtLeast(0.38), AtLeast(0.45))),
    (300, 0.25, Goal::new("misses removed at <= +25 % loads", AtLeast(0.48), AtLeast(0.55))),
    (60, 0.25, Goal::new("misses removed at <= +25 % loads", AtLeast(0.45), AtLeast(0.55))),
    (3_600, 0.25, Goal::new("misses removed at <= +25 % loads", AtLeast(0.45), AtLeast(0.52))),
];

pub(crate) fn plan(plan: &mut Plan) {
    cases().for_each(|(setting, ..)| plan.sweep(setting));
}

pub(crate) fn lines(results: &Results) -> Vec<Line> {
    let line = |(setting, more, goal): (Setting, f64, Goal)| {
        let removed = || {
            let front = results.rows(&setting)?.front()?;
            Ok(front.removed_at(front.demand().loads * (1.0 + more)))
        };
        goal.line(setting.label(), removed())
    };
    cases().map(line).collect()
}

fn cases() -> impl Iterator<Item = (Setting, f64, Goal)> {
    GOALS.into_iter().flat_map(|(ttl, more, goal)| {
        [NASA, SDSC].map(|trace| (Setting::with_ttl(trace, ttl), more, goal))
    })
}
