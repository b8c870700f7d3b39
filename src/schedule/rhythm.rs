//! How often a job should succeed, and since when it has not: for alerts.

use jiff::{SignedDuration, Timestamp};

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

/// As many instants are looked at one by one: a week of what is due once on working days.
const INSTANTS: usize = 8;
/// So far is looked ahead for nights and weekends at which what is due more often is not, in steps.
const AHEAD: SignedDuration = SignedDuration::from_hours(8 * 24);
const STEP: SignedDuration = SignedDuration::from_hours(1);
/// The most instants within a step that are looked at.
const WITHIN_STEP: usize = 4_000;

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

fn longest_gap(triggers: &[Trigger], now: Timestamp) -> Option<SignedDuration> {
    let next = |after| triggers.iter().filter_map(|trigger| trigger.next(after, now)).min();
    let (mut at, mut longest) = (None, None);
    for _ in 0..INSTANTS {
        let next = next(at.unwrap_or(now))?;
        if let Some(before) = at.replace(next) {
            longest = longest.max(Some(next.duration_since(before)));
        }
    }
    longest.max(gap_ahead(next, now))
}

/// The longest gap of the days to come, or one that is shorter by a step at most: the one in which a look
/// every step of the way has found the longest wait.
fn gap_ahead(
    next: impl Fn(Timestamp) -> Option<Timestamp>,
    now: Timestamp,
) -> Option<SignedDuration> {
    let steps = (1..).map_while(|nth| now.checked_add(STEP.checked_mul(nth)?).ok());
    let looks = steps.take_while(|look| look.duration_since(now) <= AHEAD);
    let waits = looks.filter_map(|look| Some((next(look)?.duration_since(look), look)));
    let (wait, look) = waits.max()?;
    // From the last instant before that look.
    let mut last = look.checked_sub(STEP).ok()?;
    for _ in 0..WITHIN_STEP {
        match next(last).filter(|next| *next <= look) {
            Some(next) => last = next,
            None => break,
        }
    }
    // Where the gap begins before the step does, what was looked for one by one is no shorter.
    let begins_here = last > look.checked_sub(STEP).ok()?;
    Some(if begins_here { wait + look.duration_since(last) } else { wait })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(triggers: &[Trigger]) -> Option<SignedDuration> {
        // A Wednesday.
        longest_gap(triggers, "2026-07-01T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn the_longest_gap_counts_and_what_ends_has_none() {
        let hours = |hours| Some(SignedDuration::from_hours(hours));
        let cron = |pattern| Trigger::cron(pattern, "UTC").unwrap();
        assert_eq!(gap(&[cron("0 2 * * *")]), hours(24));
        assert_eq!(gap(&[cron("0 2 * * 1-5")]), hours(72));
        assert_eq!(gap(&[cron("0 2 * * 1")]), hours(7 * 24));
        // Nights and weekends, whenever it is looked at: Friday at 17:55 to Monday at 9:00.
        let office = SignedDuration::from_mins(63 * 60 + 5);
        assert_eq!(gap(&[cron("*/5 9-17 * * 1-5")]), Some(office));
        // The more frequent one is not hidden by the other.
        assert_eq!(gap(&[cron("0 2 * * 1"), cron("0 * * * *")]), hours(1));
        assert_eq!(gap(&[Trigger::at_start()]), None);
        assert_eq!(gap(&[Trigger::once_at("2026-08-01T00:00:00Z".parse().unwrap())]), None);
        assert_eq!(gap(&[]), None);
    }

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
