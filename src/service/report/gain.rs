//! What a policy brings, and what it costs.

use crate::replay::Row;

use super::figures::float;

/// Misses removed and loads added, as shares of those on demand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gain {
    pub(super) removed: f64,
    pub(super) extra: f64,
}

impl Gain {
    pub(super) fn of(row: &Row, demand: &Row) -> Self {
        let change = |of: u64, base: u64| {
            if base == 0 { 0.0 } else { float(of) / float(base) - 1.0 }
        };
        Self {
            // Not negated, so that nothing removed is not less than nothing.
            removed: 0.0 - change(row.misses, demand.misses),
            extra: change(row.loads, demand.loads),
        }
    }
}

/// The share of misses that a sweep removes for at most `budget` more loads: on the lines from
/// doing nothing through what was tried, in the order of loads.
pub(super) fn within(budget: f64, sweep: &[Gain]) -> f64 {
    let mut tried = sweep.to_vec();
    tried.push(Gain { removed: 0.0, extra: 0.0 });
    tried.sort_by(|a, b| a.extra.total_cmp(&b.extra));
    let affordable = tried.iter().filter(|gain| gain.extra <= budget).map(|gain| gain.removed);
    let crossing = tried.windows(2).filter_map(|pair| match pair {
        [a, b] if a.extra <= budget && budget < b.extra => {
            let share = (budget - a.extra) / (b.extra - a.extra);
            Some(a.removed + share * (b.removed - a.removed))
        }
        _ => None,
    });
    affordable.chain(crossing).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_what_was_tried_the_gain_is_interpolated() {
        let sweep = [(0.4, 0.6), (0.2, 0.4), (-0.02, 0.1), (0.8, 0.5)]
            .map(|(extra, removed)| Gain { removed, extra });
        let cases = [(0.0, 0.1), (0.1, 0.2), (0.2, 0.4), (0.3, 0.5), (0.4, 0.6), (9.0, 0.6)];
        for (budget, removed) in cases {
            let found = within(budget, &sweep);
            assert!((found - removed).abs() < 1e-9, "{budget}: {found}");
        }
        for nothing in [&[][..], &[Gain { removed: -0.5, extra: 0.0 }]] {
            assert!(within(0.1, nothing).abs() < 1e-9, "{nothing:?}");
        }
    }
}
