//! How often a job should succeed, and since when it has not: for alerts.

use jiff::{SignedDuration, Timestamp};

use super::gap::longest_gap;
use super::log::{Run, RunOutcome};
use super::trigger::Trigger;

/// How often a job should succeed, and since when it has not.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    /// The longest time between two of the next runs; none for what is not due again and again.
    interval: Option<SignedDuration>,
    /// When it was first known: what has never succeeded has not done so since then.
    since: Option<Timestamp>,
    /// When it last succeeded, on whichever engine, as far as that is known.
    last_success: Option<Timestamp>,
}

impl Rhythm {
    /// Follows these triggers from now on.
    pub(super) fn follow(&mut self, triggers: &[Trigger], now: Timestamp) {
        self.interval = longest_gap(triggers, now);
        self.since.get_or_insert(now);
    }

    /// It was known earlier.
    pub(super) fn known_since(&mut self, since: Timestamp) {
        self.since = Some(self.since.map_or(since, |held| held.min(since)));
    }

    /// It has succeeded.
    pub(super) fn succeeded(&mut self, at: Timestamp) {
        self.last_success = self.last_success.max(Some(at));
    }

    /// Takes over what a log knows of runs.
    pub(super) fn remember(&mut self, runs: &[Run]) {
        let succeeded = runs.iter().filter(|run| run.outcome == Some(RunOutcome::Succeeded));
        if let Some(at) = succeeded.filter_map(|run| run.ended).max() {
            self.succeeded(at);
        }
    }

    /// The longest time between two runs, in seconds.
    pub(super) fn interval_secs(&self) -> Option<f64> {
        self.interval.map(|interval| interval.as_secs_f64())
    }

    /// When it last succeeded, or was first known, in seconds since 1970; none before the start.
    pub(super) fn succeeded_secs(&self) -> Option<f64> {
        self.last_success.or(self.since).map(|at| at.as_duration().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_never_succeeded_has_not_since_it_was_first_known() {
        let [first, start, done] = [1, 2, 3].map(|secs| Timestamp::from_second(secs).unwrap());
        let mut rhythm = Rhythm::default();
        assert_eq!(rhythm.succeeded_secs(), None);
        rhythm.follow(&[], start);
        assert_eq!(rhythm.succeeded_secs(), Some(2.0));
        rhythm.known_since(first);
        rhythm.follow(&[], done);
        assert_eq!(rhythm.succeeded_secs(), Some(1.0));
        rhythm.succeeded(done);
        rhythm.succeeded(start);
        assert_eq!(rhythm.succeeded_secs(), Some(3.0));
    }
}
