//! When a job is due: pure functions of a trigger and of instants.

use std::fmt::{self, Display};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::calendar::{Cron, TimeOfDay, Zone};
use self::written::Written;
use crate::error::ConfigError;
use crate::span;

mod calendar;
#[cfg(test)]
mod transitions;
mod written;

/// When a job is due.
///
/// In settings it is a table with one of these forms; a zone that is left out is `UTC`:
///
/// | form | due |
/// |---|---|
/// | `{ every = "5m" }` | at a fixed rate |
/// | `{ cron = "*/5 * * * *", zone = "Europe/Berlin" }` | by the five fields of cron |
/// | `{ daily_at = "02:00", zone = "Europe/Berlin" }` | every day at this time |
/// | `{ day_change_in = "Europe/Berlin" }` | when a day begins there |
/// | `{ once_at = "2026-12-31T23:00:00Z" }` | at this instant |
/// | `{ once_after = "5m" }` | this long after the job was first known |
/// | `{ at_start = true }` | at the start of the engine |
///
/// Where clocks go forward or back, Debian's rule for cron holds. What is due at a *fixed time* that
/// is skipped is due once, at the first instant after it; at one that is repeated, the first time
/// only. A cron pattern with `*` or `*/n` for its minute or hour has no fixed time: it is due
/// whenever the local time matches. Source: cron(8) of Debian, which calls the two kinds so.
///
/// ```
/// use forewarm::Trigger;
///
/// let nightly = Trigger::daily_at(2, 30, "Europe/Berlin")?;
/// // On 29 March 2026 clocks go from 02:00 to 03:00 there, which is 01:00 UTC.
/// let eve = "2026-03-28T23:00:00Z".parse().unwrap();
/// let due = nightly.next(eve, eve).unwrap();
/// assert_eq!(due.to_string(), "2026-03-29T01:00:00Z");
/// # Ok::<(), forewarm::ConfigError>(())
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Trigger(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Every(Duration),
    Cron(Box<Cron>),
    Daily(TimeOfDay, Zone),
    DayChange(Zone),
    OnceAt(Timestamp),
    OnceAfter(Duration),
    AtStart,
}

/// A rate beyond this would only burn time.
const EVERY_MIN: Duration = Duration::from_millis(1);

impl Trigger {
    /// At a fixed rate: at the instants that are whole multiples of `every` away from 1970, so that
    /// engines that were started at different times agree on them.
    ///
    /// # Errors
    ///
    /// The span is shorter than a millisecond.
    pub fn every(every: Duration) -> Result<Self, ConfigError> {
        if every < EVERY_MIN {
            let problem = format!("is {every:?}");
            return Err(ConfigError::new("every", problem, "use `1ms` or more, such as `5m`"));
        }
        Ok(Self(Kind::Every(every)))
    }

    /// By the five fields of cron: minute, hour, day of month, month, day of week.
    ///
    /// # Errors
    ///
    /// The pattern cannot be read, or no day ever matches it; or the zone is not known.
    pub fn cron(pattern: &str, zone: &str) -> Result<Self, ConfigError> {
        let cron = Cron::parse(pattern, Zone::find("zone", zone)?)?;
        Ok(Self(Kind::Cron(Box::new(cron))))
    }

    /// Every day at this time in a zone.
    ///
    /// # Errors
    ///
    /// There is no such time, or the zone is not known.
    pub fn daily_at(hour: u8, minute: u8, zone: &str) -> Result<Self, ConfigError> {
        let time = TimeOfDay::new(hour, minute)?;
        Ok(Self(Kind::Daily(time, Zone::find("zone", zone)?)))
    }

    /// At the first instant of each day of a zone.
    ///
    /// # Errors
    ///
    /// The zone is not known.
    pub fn day_change(zone: &str) -> Result<Self, ConfigError> {
        Ok(Self(Kind::DayChange(Zone::find("day_change_in", zone)?)))
    }

    /// Once, at this instant.
    #[must_use]
    pub const fn once_at(instant: Timestamp) -> Self {
        Self(Kind::OnceAt(instant))
    }

    /// Once, this long after the job was first known: by any of the engines that share an L2, or else
    /// at the start of the engine.
    #[must_use]
    pub const fn once_after(span: Duration) -> Self {
        Self(Kind::OnceAfter(span))
    }

    /// Once, at the start of the engine.
    #[must_use]
    pub const fn at_start() -> Self {
        Self(Kind::AtStart)
    }

    /// The first instant later than `after` at which it is due, for an engine that was started, or a
    /// job that was first known, at `started`. `None` if it is never due again.
    ///
    /// Give the last instant that was *due* as `after`, not the present: so a timer that rings early
    /// or late neither doubles a run nor skips one.
    #[must_use]
    pub fn next(&self, after: Timestamp, started: Timestamp) -> Option<Timestamp> {
        let once = |at: Timestamp| (at > after).then_some(at);
        match &self.0 {
            Kind::Every(every) => on_grid(after, *every, 1),
            Kind::Cron(cron) => cron.next(after),
            Kind::Daily(time, zone) => time.next(zone, after),
            Kind::DayChange(zone) => TimeOfDay::MIDNIGHT.next(zone, after),
            Kind::OnceAt(at) => once(*at),
            Kind::OnceAfter(span) => once(started.checked_add(*span).ok()?),
            Kind::AtStart => once(started),
        }
    }

    /// Whether it is due again and again.
    #[cfg(feature = "service")]
    pub(crate) const fn recurs(&self) -> bool {
        !matches!(self.0, Kind::OnceAt(_) | Kind::OnceAfter(_) | Kind::AtStart)
    }

    /// The last instant later than `after` and not later than `until` at which it is due.
    pub(crate) fn last(
        &self,
        after: Timestamp,
        until: Timestamp,
        started: Timestamp,
    ) -> Option<Timestamp> {
        if let Kind::Every(every) = &self.0 {
            return on_grid(until, *every, 0).filter(|at| *at > after);
        }
        let due = |after| self.next(after, started).filter(|at| *at <= until);
        // What was due long ago need not be counted through if it was due lately as well.
        let lately = LATELY.iter().filter_map(|span| until.checked_sub(*span).ok());
        let begin = lately.filter(|begin| *begin > after).find_map(due);
        let mut last = begin.or_else(|| due(after))?;
        while let Some(next) = due(last) {
            last = next;
        }
        Some(last)
    }

    /// Whether it counts spans of time, which steps of the wall clock do not change.
    pub(super) const fn is_of_spans(&self) -> bool {
        matches!(self.0, Kind::Every(_) | Kind::OnceAfter(_) | Kind::AtStart)
    }

    /// Whether its instant is that of one start of one engine.
    pub(crate) const fn is_of_start(&self) -> bool {
        matches!(self.0, Kind::AtStart)
    }
}

const LATELY: [SignedDuration; 3] = [
    SignedDuration::from_hours(1),
    SignedDuration::from_hours(24),
    SignedDuration::from_hours(24 * 32),
];

/// The point of the grid at or before `instant`, and `further` points on.
fn on_grid(instant: Timestamp, every: Duration, further: i128) -> Option<Timestamp> {
    let every = i128::try_from(every.as_nanos()).ok()?;
    let nth = instant.as_nanosecond().div_euclid(every) + further;
    Timestamp::from_nanosecond(nth.checked_mul(every)?).ok()
}

impl Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Every(every) => write!(f, "every {}", span::text(*every)),
            Kind::Cron(cron) => write!(f, "cron {cron}"),
            Kind::Daily(time, zone) => write!(f, "daily at {time} in {zone}"),
            Kind::DayChange(zone) => write!(f, "when a day begins in {zone}"),
            Kind::OnceAt(at) => write!(f, "once at {at}"),
            Kind::OnceAfter(span) => {
                write!(f, "once, {} after it was first known", span::text(*span))
            }
            Kind::AtStart => f.write_str("at the start"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_says_what_the_settings_said() {
        let cases = [
            (r#"{"every":"5m"}"#, "every 5m"),
            (r#"{"cron":"*/5 * * * *","zone":"Asia/Tokyo"}"#, "cron */5 * * * * in Asia/Tokyo"),
            (r#"{"daily_at":"02:05","zone":"UTC"}"#, "daily at 02:05 in UTC"),
            (r#"{"day_change_in":"Asia/Tokyo"}"#, "when a day begins in Asia/Tokyo"),
            (r#"{"once_at":"2026-01-02T03:04:05Z"}"#, "once at 2026-01-02T03:04:05Z"),
            (r#"{"once_after":"1h 30m"}"#, "once, 1h 30m after it was first known"),
            (r#"{"at_start":true}"#, "at the start"),
        ];
        for (written, said) in cases {
            let trigger: Trigger = serde_json::from_str(written).unwrap();
            assert_eq!(trigger.to_string(), said);
            let again = serde_json::to_string(&trigger).unwrap();
            assert_eq!(serde_json::from_str::<Trigger>(&again).unwrap(), trigger, "{again}");
        }
        let in_utc: Trigger = serde_json::from_str(r#"{"cron":"0 0 * * *"}"#).unwrap();
        assert_eq!(in_utc.to_string(), "cron 0 0 * * * in UTC");
    }

    #[test]
    fn what_can_never_be_due_is_refused_with_what_would_be_right() {
        let cases = [
            (r#"{"every":"0s"}"#, "`every` is 0ns: use `1ms` or more"),
            (r#"{"daily_at":"24:00"}"#, "`daily_at` is `24:00`: write hours from 00 to 23"),
            (r#"{"daily_at":"2am"}"#, "`daily_at` is `2am`: write hours from 00 to 23"),
            (r#"{"daily_at":"02:60"}"#, "`daily_at` is `02:60`"),
            (r#"{"daily_at":"02:00","zone":"Mars/Dome"}"#, "`zone` is `Mars/Dome`, which is no"),
            (r#"{"day_change_in":"CET+1"}"#, "`day_change_in` is `CET+1`, which is no"),
            (r#"{"cron":"0 0 31 2 *"}"#, "`cron` is `0 0 31 2 *`, which never comes"),
            (r#"{"cron":"61 * * * *"}"#, "`cron` is `61 * * * *`, which cannot be read"),
            (r#"{"cron":"0 */5 * * * *"}"#, "`cron` is `0 */5 * * * *`, which has 6 fields"),
            (r#"{"cron":"@daily"}"#, "`cron` is `@daily`, which has 1 fields"),
            (r#"{"cron":"5/5 * * * *"}"#, "`cron` is `5/5 * * * *`, which cannot be read"),
            (r#"{"every":"5m","at_start":true}"#, "`trigger` has 2 of"),
            (r"{}", "`trigger` has none of"),
            (r#"{"every":"5m","zone":"UTC"}"#, "`zone` is given"),
            (r#"{"at_start":false}"#, "`at_start` is false"),
            (r#"{"evry":"5m"}"#, "unknown field `evry`"),
        ];
        for (written, said) in cases {
            let error = serde_json::from_str::<Trigger>(written).unwrap_err().to_string();
            assert!(error.contains(said), "{written}: {error}");
        }
        let error = Trigger::daily_at(24, 0, "UTC").unwrap_err();
        assert_eq!(error.field(), "daily_at");
    }

    #[test]
    fn what_is_due_once_is_due_once() {
        let started: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let later = started + SignedDuration::from_mins(5);
        let before = started - SignedDuration::from_micros(1);
        let cases = [
            (Trigger::at_start(), started),
            (Trigger::once_after(Duration::from_mins(5)), later),
            (Trigger::once_at(later), later),
        ];
        for (trigger, due) in cases {
            assert_eq!(trigger.next(before, started), Some(due), "{trigger}");
            assert_eq!(trigger.next(due, started), None, "{trigger}");
        }
    }

    #[test]
    fn the_last_is_where_counting_ends() {
        let after: Timestamp = "2026-02-01T12:00:30Z".parse().unwrap();
        let triggers = [
            Trigger::every(Duration::from_secs(7)).unwrap(),
            Trigger::cron("*/5 * * * *", "UTC").unwrap(),
            Trigger::cron("30 8-10 * 2 *", "Europe/Berlin").unwrap(),
            Trigger::cron("0 3 1 1 *", "UTC").unwrap(),
            Trigger::daily_at(2, 0, "Europe/Berlin").unwrap(),
            Trigger::once_at(after + SignedDuration::from_secs(3)),
        ];
        for trigger in &triggers {
            for hours in [0, 1, 2, 23, 25, 24 * 40, 24 * 100] {
                let until = after + SignedDuration::from_hours(hours);
                let mut expected = None;
                while let Some(next) =
                    trigger.next(expected.unwrap_or(after), after).filter(|at| *at <= until)
                {
                    expected = Some(next);
                }
                assert_eq!(trigger.last(after, until, after), expected, "{trigger}, {hours} h");
            }
        }
    }
}
