//! How long it usually is from one time that something is due to the next.

use std::time::Duration;

use jiff::Timestamp;

use super::next_of;
use crate::schedule::trigger::Trigger;

/// So many instants tell what is usual, and are counted through in no time.
const LOOKED_AT: usize = 200;

/// A Monday, at midnight UTC: what is found depends on no present.
const BEGIN: i64 = 1_767_571_200;

/// How long it usually is from one time that these are due to the next, taken together: the median, so
/// that nights and weekends, where a pattern leaves them out, do not count. `None` if none of them is due again
/// and again.
pub(crate) fn usual_gap(triggers: &[Trigger]) -> Option<Duration> {
    let begin = Timestamp::from_second(BEGIN).ok()?;
    let mut due = begin;
    let recurring: Vec<_> = triggers.iter().filter(|trigger| trigger.recurs()).cloned().collect();
    let next = |after| next_of(&recurring, after, begin);
    let mut gaps = Vec::new();
    while gaps.len() < LOOKED_AT
        && let Some(next) = next(due)
    {
        gaps.push(next.duration_since(due).unsigned_abs());
        due = next;
    }
    // Up to the first one it is no gap.
    let gaps = gaps.get_mut(1..).filter(|gaps| !gaps.is_empty())?;
    let middle = gaps.len() / 2;
    Some(*gaps.select_nth_unstable(middle).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_lies_between_two_times_as_a_rule() {
        const MINUTE: Duration = Duration::from_mins(1);
        let once = |at| Trigger::once_at(Timestamp::from_second(at).unwrap());
        let every = |minutes| Trigger::every(minutes * MINUTE).unwrap();
        let cron = |pattern| Trigger::cron(pattern, "America/New_York").unwrap();
        let daily = |hour| Trigger::daily_at(hour, 0, "Europe/Berlin").unwrap();
        let cases = [
            (vec![], None),
            (vec![Trigger::at_start()], None),
            (vec![once(1_800_000_000), once(1_900_000_000)], None),
            (vec![every(5)], Some(5 * MINUTE)),
            (vec![every(5), every(60), Trigger::at_start()], Some(5 * MINUTE)),
            (vec![cron("*/5 9-17 * * 1-5")], Some(5 * MINUTE)),
            (vec![daily(3)], Some(24 * 60 * MINUTE)),
            (vec![daily(0), daily(12)], Some(12 * 60 * MINUTE)),
            (vec![cron("0 7 * * 1")], Some(7 * 24 * 60 * MINUTE)),
        ];
        for (triggers, expected) in cases {
            assert_eq!(usual_gap(&triggers), expected, "{triggers:?}");
        }
    }
}
