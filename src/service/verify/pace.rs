//! So many in a second.

use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How many reads and changes there are to be in a second; where none is said, as many as there are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Rates {
    pub(super) reads: Option<f64>,
    pub(super) changes: Option<f64>,
}

/// Says when to go on, so that there are so many in a second.
///
/// Each has an instant of its own, so that those who were kept from it make up for it later, but
/// never faster than [`CATCH_UP`] times the rate: else they would take the processor from others,
/// who are behind as well.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Mutex<Next>,
}

#[derive(Debug)]
struct Next {
    due: Instant,
    not_before: Instant,
}

/// How much faster than the rate those go who are late.
const CATCH_UP: f64 = 1.5;

impl Rates {
    /// The part of one of `nodes`.
    pub(super) fn shared_by(self, nodes: u32) -> Self {
        let share = |rate: f64| rate / f64::from(nodes);
        Self { reads: self.reads.map(share), changes: self.changes.map(share) }
    }
}

impl Pace {
    pub(super) fn new(per_second: f64) -> Self {
        let now = Instant::now();
        let interval = Duration::from_secs_f64(1.0 / per_second);
        Self { interval, next: Mutex::new(Next { due: now, not_before: now }) }
    }

    /// Waits until it is the turn of one who has done `count` since his last one.
    pub(super) async fn wait_after(&self, count: u32) {
        tokio::time::sleep_until(self.turn_after(count, Instant::now())).await;
    }

    fn turn_after(&self, count: u32, now: Instant) -> Instant {
        let next = &mut *self.next.lock();
        let turn = next.due.max(next.not_before);
        let interval = self.interval * count;
        next.due += interval;
        next.not_before = turn.max(now) + interval.div_f64(CATCH_UP);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many turns there are until `until`, for one who takes no time at all.
    fn turns(pace: &Pace, now: &mut Instant, until: Instant) -> u32 {
        let mut turns = 0;
        while *now < until {
            *now = pace.turn_after(1, *now).max(*now);
            turns += 1;
        }
        turns
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_were_kept_from_it_make_up_for_it_without_a_rush() {
        let pace = Pace::new(1_000.0);
        let (second, mut now) = (Duration::from_secs(1), Instant::now());
        let start = now;
        let is_near = |count: u32, expected: u32| count.abs_diff(expected) <= 2;
        let before = turns(&pace, &mut now, start + second);
        assert!(is_near(before, 1_000), "{before}");
        // Nobody comes for two seconds.
        now += 2 * second;
        let after: Vec<_> = (4..10).map(|at| turns(&pace, &mut now, start + at * second)).collect();
        let expected = [1_500, 1_500, 1_500, 1_500, 1_000, 1_000];
        assert!(after.iter().zip(expected).all(|(turns, due)| is_near(*turns, due)), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_has_done_much_at_once_waits_longer() {
        let (pace, now) = (Pace::new(10.0), Instant::now());
        let turns = [1, 5, 0, 1].map(|count| (pace.turn_after(count, now) - now).as_millis());
        assert_eq!(turns, [0, 100, 600, 600]);
    }
}
