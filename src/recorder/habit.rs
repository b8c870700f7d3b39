//! What outlives the process of the reads of a key.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Recorder;
use crate::clock::Moment;
use crate::score::{Past, Recent, half_life_micros};

/// What outlives the process of the reads of a key, as of the moment at which it was noted.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Habit {
    pub(crate) score: f32,
    /// The reads of late, by which places are judged.
    pub(crate) recent: f32,
    /// NaN until there were two reads.
    pub(crate) gap_secs: f32,
    /// The time since the last read.
    pub(crate) quiet_secs: f32,
}

/// More reads than anything has: what says more was not written by us.
const READS_MAX: f32 = 1e12;

impl Recorder {
    /// What is to be remembered of a key with this past.
    #[expect(clippy::cast_possible_truncation, reason = "figures, whose last digits do not matter")]
    pub(crate) fn habit(&self, past: &Past, now: Moment) -> Habit {
        let recent = past.recent.reads_at(self.turn.load(Relaxed));
        let quiet_secs = now.since(past.last).as_secs_f32();
        Habit { score: self.score(past, now) as f32, recent, gap_secs: past.gap_secs, quiet_secs }
    }

    /// The past of a key whose habit was noted by a process that ended `away` before `now`.
    ///
    /// In the score that time counts. In the gap between reads it does not, nor for the worth of a
    /// place: nobody could read meanwhile, which says nothing of how often they do.
    pub(crate) fn past_of(&self, habit: &Habit, away: Duration, now: Moment) -> Past {
        let reads = |figure: f32| if figure.is_nan() { 0.0 } else { figure.clamp(0.0, READS_MAX) };
        let faded = f64::from(reads(habit.score)) * self.time.left_after(half_life_micros(away));
        let quiet = Duration::try_from_secs_f32(habit.quiet_secs).unwrap_or_default();
        let gap_secs = if habit.gap_secs > 0.0 { habit.gap_secs } else { f32::NAN };
        let turn = self.turn.load(Relaxed);
        Past {
            score: faded * self.time.weight(now.as_micros()),
            recent: Recent { reads: reads(habit.recent), turn },
            // Entries know no moment before the clock was made.
            last: now.minus(quiet).max(Moment::START),
            gap_secs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_habit_is_the_same_in_another_process_but_for_the_time_between() {
        let (before, after) = (Recorder::new(HOUR), Recorder::new(HOUR));
        let mut past = Past::NONE;
        for minute in 0..8 {
            let now = Moment::START.plus(Duration::from_mins(minute));
            past = before.with_read(past, now);
        }
        let saved_at = Moment::START.plus(Duration::from_mins(8));
        let habit = before.habit(&past, saved_at);
        assert!((habit.quiet_secs - 60.0).abs() < 1e-3, "{habit:?}");
        let later = Moment::START.plus(Duration::from_mins(3));
        let restored = after.past_of(&habit, 2 * HOUR, later);
        let scores = (before.score(&past, saved_at), after.score(&restored, later));
        assert!((scores.0 / scores.1 - 4.0).abs() < 1e-3, "{scores:?}");
        let passed = later.since(restored.last);
        assert!(passed.abs_diff(Duration::from_mins(1)) < Duration::from_millis(1), "{passed:?}");
        assert!((restored.gap_secs - past.gap_secs).abs() < 1e-6);
        assert!((restored.recent.reads - past.recent.reads).abs() < 1e-6);
    }

    #[test]
    fn a_habit_that_nobody_has_is_none() {
        let recorder = Recorder::new(HOUR);
        for wrong in [f32::NAN, -1.0, f32::NEG_INFINITY] {
            let habit = Habit { score: wrong, recent: wrong, gap_secs: wrong, quiet_secs: wrong };
            let past = recorder.past_of(&habit, HOUR, Moment::START);
            assert!(past.score.abs() < 1e-9 && past.gap_secs.is_nan() && past.recent.reads <= 0.0);
        }
        let habit = Habit { score: f32::INFINITY, recent: 1.0, gap_secs: 1.0, quiet_secs: 1e30 };
        assert!(recorder.past_of(&habit, Duration::ZERO, Moment::START).score.is_finite());
    }
}
