//! Leaves a failing source alone for a while.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;

use crate::clock::Moment;
use crate::sync::Mutex;

/// Leaves a failing source alone for a while, then lets one call try it.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: Mutex<State>,
    /// Whether it is closed, and the last call was answered. Written under the lock, and asked
    /// without it: nearly always it is so, and there is nothing to change.
    is_calm: AtomicBool,
    failures_max: u32,
    open_for: Duration,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Moment,
    },
    /// One call is trying; if nothing is heard of it until then, another one may.
    HalfOpen {
        until: Moment,
    },
}

/// Whether a source is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It is asked.
    Closed,
    /// It is asked by one call, which decides.
    HalfOpen,
    /// It is left alone.
    Open,
}

impl Breaker {
    /// Opens for `open_for` after `failures_max` failures in a row.
    pub(crate) fn new(failures_max: u32, open_for: Duration) -> Self {
        let (state, is_calm) = (Mutex::new(State::CALM), AtomicBool::new(true));
        Self { state, is_calm, failures_max, open_for }
    }

    /// Asks for one call.
    ///
    /// # Errors
    ///
    /// How long to wait, if the source is left alone.
    pub(crate) fn admit(&self, now: Moment) -> Result<(), Duration> {
        let mut state = self.state.lock();
        state.check(now)?;
        if !matches!(*state, State::Closed { .. }) {
            *state = State::HalfOpen { until: now.plus(self.open_for) };
        }
        Ok(())
    }

    /// Whether a call would be admitted; it is not asked for yet.
    ///
    /// # Errors
    ///
    /// As [`Breaker::admit`].
    pub(crate) fn check(&self, now: Moment) -> Result<(), Duration> {
        self.state.lock().check(now)
    }

    /// Whether every call is admitted, as long as none fails.
    pub(crate) fn is_calm(&self) -> bool {
        self.is_calm.load(Relaxed)
    }

    /// A call was answered; gives whether that ended a time of failures.
    pub(crate) fn succeeded(&self) -> bool {
        if self.is_calm() {
            return false;
        }
        let mut state = self.state.lock();
        let was_open = !matches!(*state, State::Closed { .. });
        *state = State::CALM;
        self.is_calm.store(true, Relaxed);
        was_open
    }

    /// A call was not answered; gives whether the source is left alone from now on, and was not
    /// before.
    pub(crate) fn failed(&self, now: Moment) -> bool {
        let mut state = self.state.lock();
        self.is_calm.store(false, Relaxed);
        let failures = match *state {
            State::Closed { failures } => failures + 1,
            // Calls that were under way when it opened change nothing.
            State::Open { until } if now < until => return false,
            State::Open { .. } | State::HalfOpen { .. } => {
                *state = State::Open { until: now.plus(self.open_for) };
                return false;
            }
        };
        let opens = failures >= self.failures_max;
        *state = if opens {
            State::Open { until: now.plus(self.open_for) }
        } else {
            State::Closed { failures }
        };
        opens
    }

    /// Whether the source is asked at `now`.
    pub(crate) fn state(&self, now: Moment) -> BreakerState {
        match *self.state.lock() {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if now < until => BreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

impl State {
    const CALM: Self = Self::Closed { failures: 0 };

    fn check(&self, now: Moment) -> Result<(), Duration> {
        match *self {
            Self::Open { until } | Self::HalfOpen { until } if now < until => Err(until.since(now)),
            Self::Closed { .. } | Self::Open { .. } | Self::HalfOpen { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(secs: u64) -> Moment {
        Moment::START.plus(Duration::from_secs(secs))
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_only_then() {
        let breaker = Breaker::new(3, SECOND);
        assert!(!breaker.failed(at(0)));
        assert!(!breaker.failed(at(0)));
        breaker.succeeded();
        assert!(!breaker.failed(at(0)));
        assert!(!breaker.failed(at(0)));
        assert_eq!(breaker.state(at(0)), BreakerState::Closed);
        assert!(breaker.failed(at(0)));
        assert_eq!(breaker.admit(at(0)), Err(SECOND));
    }

    #[test]
    fn one_call_tries_again_and_decides() {
        let breaker = Breaker::new(1, SECOND);
        breaker.failed(at(0));
        assert_eq!(breaker.admit(at(1)), Ok(()));
        assert_eq!(breaker.admit(at(1)), Err(SECOND));
        assert_eq!(breaker.state(at(1)), BreakerState::HalfOpen);
        breaker.failed(at(1));
        assert_eq!(breaker.state(at(1)), BreakerState::Open);
        assert_eq!(breaker.admit(at(2)), Ok(()));
        assert!(breaker.succeeded());
        assert_eq!(breaker.admit(at(2)), Ok(()));
        assert_eq!(breaker.state(at(2)), BreakerState::Closed);
    }

    #[test]
    fn a_trial_that_is_never_heard_of_again_does_not_close_the_way() {
        let breaker = Breaker::new(1, SECOND);
        breaker.failed(at(0));
        assert_eq!(breaker.admit(at(1)), Ok(()));
        assert_eq!(breaker.admit(at(2)), Ok(()));
    }

    #[test]
    fn late_failures_do_not_extend_the_wait() {
        let breaker = Breaker::new(1, 3 * SECOND);
        breaker.failed(at(0));
        breaker.failed(at(2));
        assert_eq!(breaker.admit(at(3)), Ok(()));
    }
}
