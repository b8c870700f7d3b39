//! How long it is from one time that something is due to the next.

use jiff::{SignedDuration, Timestamp};

use super::trigger::Trigger;

#[cfg(feature = "service")]
pub(crate) use self::usual::usual_gap;

#[cfg(feature = "service")]
mod usual;

/// As many instants are looked at one by one: a week of what is due once on working days.
const INSTANTS: usize = 8;
/// So far is looked ahead for nights and weekends at which what is due more often is not, in steps.
const AHEAD: SignedDuration = SignedDuration::from_hours(8 * 24);
const STEP: SignedDuration = SignedDuration::from_hours(1);
/// The most instants within a step that are looked at.
const WITHIN_STEP: usize = 4_000;

/// The longest time between two of the next times that these are due, taken together; `None` if they are
/// due once at most.
pub(super) fn longest_gap(triggers: &[Trigger], now: Timestamp) -> Option<SignedDuration> {
    let next = |after| next_of(triggers, after, now);
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

/// When one of these is due next.
fn next_of(triggers: &[Trigger], after: Timestamp, started: Timestamp) -> Option<Timestamp> {
    triggers.iter().filter_map(|trigger| trigger.next(after, started)).min()
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
}
