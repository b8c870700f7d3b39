//! Other rules that renew what may be read again.

use crate::line::Bound::{AtLeast, AtMost};
use crate::line::{Goal, Line};
use crate::plan::Plan;
use crate::replays::Results;
use crate::setting::Setting;
use crate::traces::{NASA, SDSC, Scope};

/// Ratio of the shares of the misses that go, at equal loads.
const XFETCH: Goal = Goal::new("times what XFetch removes", AtLeast(2.0), AtLeast(3.0));
const ON_ACCESS: Goal =
    Goal::new("times what refresh-on-access removes", AtLeast(2.0), AtLeast(3.0));
const CLASSIC: Goal =
    Goal::new("share of system 3's extra loads at its miss ratio", AtMost(0.5), AtMost(1.0 / 3.0));

const XFETCHES: [&str; 8] = [
    "xfetch=0.001",
    "xfetch=0.003",
    "xfetch=0.01",
    "xfetch=0.03",
    "xfetch=0.1",
    "xfetch=0.2",
    "xfetch=0.4",
    "xfetch=0.8",
];

const ON_ACCESSES: [&str; 8] = [
    "refresh-after=0.3",
    "refresh-after=0.4",
    "refresh-after=0.5",
    "refresh-after=0.6",
    "refresh-after=0.7",
    "refresh-after=0.8",
    "refresh-after=0.9",
    "refresh-after=0.95",
];

/// The share of the misses from which a reduction counts: the ratio of two figures that are hardly
/// more than nothing says nothing.
const NOTICEABLE: f64 = 0.01;

pub(crate) fn plan(plan: &mut Plan, scope: Scope) {
    for setting in scope.with_ttls() {
        plan.sweep(setting);
        plan.want(setting, &XFETCHES);
        plan.want(setting, &ON_ACCESSES);
    }
    for setting in against_classic() {
        plan.sweep(setting);
        plan.want(setting, &["classic"]);
    }
}

pub(crate) fn lines(results: &Results, scope: Scope) -> Vec<Line> {
    let mut lines = Vec::new();
    for (goal, policy) in [(ON_ACCESS, "refresh-after"), (XFETCH, "xfetch")] {
        let settings = scope.with_ttls().into_iter();
        let detail =
            |setting: Setting| goal.detail(setting.label(), least_ratio(results, setting, policy));
        let details: Vec<_> = settings.map(detail).collect();
        lines.push(goal.worst(&details));
        lines.extend(details);
    }
    let line = |setting: Setting| CLASSIC.line(setting.label(), share(results, setting));
    lines.extend(against_classic().into_iter().map(line));
    lines
}

fn against_classic() -> Vec<Setting> {
    [NASA, SDSC]
        .iter()
        .flat_map(|trace| [60, 300].map(|ttl| Setting::with_ttl(trace, ttl)))
        .collect()
}

/// The ratio at that point of the rival's sweep where it is least.
fn least_ratio(results: &Results, setting: Setting, rival: &'static str) -> Result<f64, String> {
    let rows = results.rows(&setting)?;
    let front = rows.front()?;
    let ratios = rows.all(rival).filter_map(|row| {
        let removed = 1.0 - row.misses / front.demand().misses;
        (removed >= NOTICEABLE).then(|| front.removed_at(row.loads) / removed)
    });
    ratios.min_by(f64::total_cmp).ok_or_else(|| "it removes less than 1 %".to_owned())
}

/// What the engine pays for the miss ratio of the older rule, as a share of what that pays;
/// infinite if no threshold gets there.
fn share(results: &Results, setting: Setting) -> Result<f64, String> {
    let rows = results.rows(&setting)?;
    let (front, classic) = (rows.front()?, rows.one("classic")?);
    let extra = |loads: f64| loads - front.demand().loads;
    Ok(extra(front.loads_for(classic.misses)) / extra(classic.loads))
}
