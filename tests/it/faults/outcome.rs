//! What came of a cell.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::WINDOW;
use super::cell::Cell;
use super::node::{CONCURRENCY, DEADLINE, Seen};

/// How much longer than a load may take a read may.
const READ_SLACK: Duration = Duration::from_millis(50);

/// How soon everything is to be well again after a fault.
pub(super) const RECOVERY_MAX: Duration = Duration::from_secs(2);

/// What came of a cell.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) cell: Cell,
    pub(super) seen: std::sync::Arc<Seen>,
    pub(super) panics: u64,
    /// How long after the fault the first invalidations were applied, and the first reads answered
    /// by L2, on all nodes; `None` if that did not come.
    pub(super) recovery: Option<Duration>,
}

impl Outcome {
    pub(super) fn is_good(&self) -> bool {
        let Seen { stale, errors, loads_at_once, .. } = &*self.seen;
        let is_right = stale.load(Relaxed) == 0 && errors.load(Relaxed) == 0 && self.panics == 0;
        let is_in_time = self.slowest() <= DEADLINE + READ_SLACK;
        let recovers = self.recovery.is_some_and(|after| after <= RECOVERY_MAX.max(WINDOW));
        is_right && is_in_time && recovers && loads_at_once.load(Relaxed) <= CONCURRENCY
    }

    fn slowest(&self) -> Duration {
        Duration::from_micros(self.seen.slowest_micros.load(Relaxed))
    }
}

pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut table = format!(
        "{:<38}{:>8}{:>9}{:>8}{:>7}{:>8}{:>8}{:>12}{:>6}{:>11}\n",
        "cell",
        "gets",
        "applied",
        "queued",
        "stale",
        "errors",
        "panics",
        "slowest ms",
        "loads",
        "back in ms"
    );
    for outcome in outcomes {
        let Cell { kind, fault, load } = outcome.cell;
        let seen = &outcome.seen;
        let recovery = outcome.recovery.map_or("never".into(), |took| took.as_millis().to_string());
        let mark = if outcome.is_good() { "" } else { "  <- wrong" };
        writeln!(
            table,
            "{:<38}{:>8}{:>9}{:>8}{:>7}{:>8}{:>8}{:>12}{:>6}{:>11}{mark}",
            format!("{kind:?} {fault:?} {load:?}"),
            seen.gets.load(Relaxed),
            seen.applied.load(Relaxed),
            seen.queued.load(Relaxed),
            seen.stale.load(Relaxed),
            seen.errors.load(Relaxed),
            outcome.panics,
            outcome.slowest().as_millis(),
            seen.loads_at_once.load(Relaxed),
            recovery,
        )
        .unwrap();
    }
    table
}
