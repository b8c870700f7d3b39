//! Whether a probability is one: what was predicted beside what came true.

use crate::line::Bound::AtMost;
use crate::line::{Goal, Line};
use crate::plan::{DEFAULT, Plan};
use crate::replays::{Results, Row};
use crate::setting::Setting;
use crate::traces::Scope;

const PRECISION: Goal =
    Goal::new("precision of preloads short of the threshold", AtMost(0.05), AtMost(0.03));
const CALIBRATION: Goal = Goal::new("calibration error", AtMost(0.05), AtMost(0.03));

/// Preloads per request from which a setting counts.
const NOTICEABLE: f64 = 0.01;

pub(crate) fn plan(plan: &mut Plan, scope: Scope) {
    settings(scope).into_iter().for_each(|setting| plan.want(setting, &["forewarm"]));
}

pub(crate) fn lines(results: &Results, scope: Scope) -> Vec<Line> {
    let short = |row: &Row| Some(f64::from(DEFAULT) / 1e3 - row.precision?);
    let mut lines = all(results, scope, PRECISION, short);
    lines.extend(all(results, scope, CALIBRATION, |row| row.calibration_error));
    lines
}

fn settings(scope: Scope) -> Vec<Setting> {
    [scope.with_ttls(), scope.with_sizes()].concat()
}

/// A goal over all settings in which enough is preloaded.
fn all(
    results: &Results,
    scope: Scope,
    goal: Goal,
    figure: impl Fn(&Row) -> Option<f64>,
) -> Vec<Line> {
    let settings = settings(scope).into_iter();
    let details = settings.filter_map(|setting| {
        let row = match results.rows(&setting).and_then(|rows| rows.one("forewarm")) {
            Ok(row) => row,
            Err(why) => return Some(goal.detail(setting.label(), Err(why))),
        };
        let counts = row.preloads > NOTICEABLE * row.requests;
        counts.then(|| {
            let value = figure(row).ok_or_else(|| "nothing was scored".to_owned());
            goal.detail(setting.label(), value)
        })
    });
    let details: Vec<_> = details.collect();
    [goal.worst(&details)].into_iter().chain(details).collect()
}
