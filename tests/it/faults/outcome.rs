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
    /// How much later than they should tasks ran, all in all, because the machine was busy: it has
    /// been taken off where time is judged.
    pub(super) late: Duration,
}

impl Outcome {
    pub(super) fn is_good(&self) -> bool {
        self.is_right() && self.is_in_time()
    }

    /// Whether nothing is wrong but that it took too long.
    pub(super) fn is_only_late(&self) -> bool {
        self.is_right() && !self.is_in_time()
    }

    fn is_right(&self) -> bool {
        let Seen { stale, errors, loads_at_once, .. } = &*self.seen;
        let is_right = stale.load(Relaxed) == 0 && errors.load(Relaxed) == 0 && self.panics == 0;
        is_right && loads_at_once.load(Relaxed) <= CONCURRENCY
    }

    fn is_in_time(&self) -> bool {
        let is_in_time = self.slowest() <= DEADLINE + READ_SLACK;
        let recovers = self.recovery.is_some_and(|after| after <= RECOVERY_MAX.max(WINDOW));
        is_in_time && recovers && self.seen.overdue.load(Relaxed) == 0
    }

    /// A row of the table; spans are in milliseconds.
    pub(super) fn row(&self) -> String {
        let Cell { kind, fault, load } = self.cell;
        let seen = &self.seen;
        let cell = format!("{kind:?} {fault:?} {load:?}");
        let mut row = format!("{cell:<32}");
        for count in [&seen.gets, &seen.applied, &seen.queued, &seen.stale, &seen.errors] {
            write!(row, "{:>9}", count.load(Relaxed)).unwrap();
        }
        let (slowest, loads) = (self.slowest().as_millis(), seen.loads_at_once.load(Relaxed));
        let late = self.late.as_millis();
        let back =
            self.recovery.map_or_else(|| "never".into(), |took| took.as_millis().to_string());
        let mark = match self.is_good() {
            true => String::new(),
            false => format!("  <- wrong {:?}", seen.notes.lock()),
        };
        write!(row, "{:>9}{slowest:>9}{loads:>9}{back:>9}{late:>9}{mark}", self.panics).unwrap();
        row
    }

    fn slowest(&self) -> Duration {
        Duration::from_micros(self.seen.slowest_micros.load(Relaxed))
    }
}

/// What the columns of [`Outcome::row`] are.
pub(super) fn head() -> String {
    let cell = "cell";
    let rest = [
        "gets", "applied", "queued", "stale", "errors", "panics", "slowest", "loads", "back",
        "late",
    ];
    format!("{cell:<32}{}", rest.map(|name| format!("{name:>9}")).concat())
}
