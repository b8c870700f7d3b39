//! Triggers where clocks go forward and back, against a reference that steps through the minutes.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use proptest::prelude::*;

use super::Trigger;

/// Zones that change by an hour, by half of one and by two, at night, at midnight and before it.
const ZONES: [&str; 9] = [
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Santiago",
    "America/Havana",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Antarctica/Troll",
];

const PATTERNS: [&str; 24] = [
    "* * * * *",
    "*/5 * * * *",
    "*/30 * * * *",
    "*/7 * * * *",
    "17 * * * *",
    "0 */2 * * *",
    "*/20 2 * * *",
    "* 0 * * *",
    "0 0 * * *",
    "0 2 * * *",
    "30 2 * * *",
    "45 2 * * *",
    "0 3 * * *",
    "59 23 * * *",
    "0 23 * * *",
    "30 1-3 * * *",
    "0,15,30,45 2,3 * * *",
    "0-59/10 0-3 * * *",
    "30 2 * * 0",
    "30 2 * * SUN",
    "0 9 * * 1",
    "0 3 1 * *",
    "30 1,2 25-31 3,10 *",
    "30 2 1,15 * 7",
];

/// The values that a field of a pattern allows.
fn values(field: &str, least: i8, most: i8) -> BTreeSet<i8> {
    let part = |part: &str| {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let number = |text: &str| text.parse::<i8>().unwrap();
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (number(first), number(last)),
            None if range == "*" => (least, most),
            None => (number(range), number(range)),
        };
        (first..=last).step_by(step.parse().unwrap()).collect::<Vec<_>>()
    };
    field.split(',').flat_map(part).collect()
}

/// A pattern as its manual tells it.
struct Reference {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: BTreeSet<i8>,
    months: BTreeSet<i8>,
    weekdays: BTreeSet<i8>,
    /// Day of month and day of week are both given: then either is enough.
    is_either_day: bool,
    is_fixed: bool,
}

impl Reference {
    fn new(pattern: &str) -> Self {
        let pattern = pattern.replace("SUN", "0");
        let fields: Vec<_> = pattern.split(' ').collect();
        let [minute, hour, day, month, weekday] = fields[..] else { panic!("{pattern}") };
        Self {
            minutes: values(minute, 0, 59),
            hours: values(hour, 0, 23),
            days: values(day, 1, 31),
            months: values(month, 1, 12),
            weekdays: values(weekday, 0, 7).into_iter().map(|day| day % 7).collect(),
            is_either_day: day != "*" && weekday != "*",
            is_fixed: !minute.contains('*') && !hour.contains('*'),
        }
    }

    fn matches(&self, local: DateTime) -> bool {
        let day = self.days.contains(&local.day());
        let weekday = self.weekdays.contains(&local.weekday().to_sunday_zero_offset());
        self.minutes.contains(&local.minute())
            && self.hours.contains(&local.hour())
            && self.months.contains(&local.month())
            && (if self.is_either_day { day || weekday } else { day && weekday })
    }

    /// The minutes at which it is due: each with a local time that matches, or, for a fixed time,
    /// at which the local clock has first reached or passed one that matches.
    fn due(&self, minutes: &[(Timestamp, DateTime)]) -> Vec<Timestamp> {
        let mut highest = minutes[0].1.checked_sub(1.minute()).unwrap();
        let mut due = Vec::new();
        for (instant, local) in minutes {
            let mut is_due = !self.is_fixed && self.matches(*local);
            while highest < *local {
                highest = highest.checked_add(1.minute()).unwrap();
                is_due |= self.is_fixed && self.matches(highest);
            }
            if is_due {
                due.push(*instant);
            }
        }
        due
    }
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// When the clocks of a zone change in 2026.
fn changes(zone: &TimeZone) -> Vec<Timestamp> {
    let year: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let end: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    zone.following(year).map(|change| change.timestamp()).take_while(|at| *at < end).collect()
}

/// The minutes of three days around an instant, with their local times.
fn minutes_around(zone: &TimeZone, instant: Timestamp) -> Vec<(Timestamp, DateTime)> {
    let minute = |nth| {
        let at = instant + SignedDuration::from_mins(nth);
        (at, zone.to_datetime(at))
    };
    (-36 * 60..36 * 60).map(minute).collect()
}

fn due(trigger: &Trigger, minutes: &[(Timestamp, DateTime)]) -> Vec<Timestamp> {
    let (first, last) = (minutes[0].0, minutes[minutes.len() - 1].0);
    let before = first - SignedDuration::from_nanos(1);
    let next = |after: &Timestamp| trigger.next(*after, before);
    std::iter::successors(next(&before), next).take_while(|at| *at <= last).collect()
}

#[test]
fn patterns_are_due_as_a_walk_through_the_minutes_says() {
    let mut cases = 0;
    for name in ZONES {
        let zone = zone(name);
        let changes = changes(&zone);
        assert_eq!(changes.len(), 2, "{name}");
        for change in changes {
            let minutes = minutes_around(&zone, change);
            for pattern in PATTERNS {
                let trigger = Trigger::cron(pattern, name).unwrap();
                let expected = Reference::new(pattern).due(&minutes);
                assert_eq!(due(&trigger, &minutes), expected, "{trigger}, around {change}");
                cases += 1;
            }
            for hour in 0..24 {
                let trigger = Trigger::daily_at(hour, 30, name).unwrap();
                let expected = Reference::new(&format!("30 {hour} * * *")).due(&minutes);
                assert_eq!(due(&trigger, &minutes), expected, "{trigger}, around {change}");
            }
            let trigger = Trigger::day_change(name).unwrap();
            let expected = Reference::new("0 0 * * *").due(&minutes);
            assert_eq!(due(&trigger, &minutes), expected, "{trigger}, around {change}");
        }
    }
    assert_eq!(cases, ZONES.len() * 2 * PATTERNS.len());
}

#[test]
fn what_is_skipped_and_what_is_repeated_is_due_once() {
    let cases = [
        // Skipped: at the first instant after it.
        ("30 2 * * *", "Europe/Berlin", "2026-03-29", "2026-03-29T01:00:00Z"),
        ("0 0 * * *", "Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z"),
        // Repeated: the first time.
        ("30 2 * * *", "Europe/Berlin", "2026-10-25", "2026-10-25T00:30:00Z"),
        ("30 1 * * *", "America/New_York", "2026-11-01", "2026-11-01T05:30:00Z"),
    ];
    for (pattern, name, day, expected) in cases {
        let trigger = Trigger::cron(pattern, name).unwrap();
        let day: jiff::civil::Date = day.parse().unwrap();
        let begin = day.to_zoned(zone(name)).unwrap().timestamp();
        let before = begin - SignedDuration::from_nanos(1);
        let first = trigger.next(before, before).unwrap();
        assert_eq!(first.to_string(), expected, "{trigger}");
        let second = trigger.next(first, before).unwrap();
        assert!(second.duration_since(first) > SignedDuration::from_hours(22), "{trigger}");
    }
}

#[test]
fn a_leap_day_and_a_day_that_a_zone_left_out_are_found() {
    let leap = Trigger::cron("*/30 3 29 2 *", "Europe/Berlin").unwrap();
    let after: Timestamp = "2024-03-01T00:00:00Z".parse().unwrap();
    assert_eq!(leap.next(after, after).unwrap().to_string(), "2028-02-29T02:00:00Z");
    // Samoa went from the end of 29 December 2011 to the beginning of 31 December.
    let change = Trigger::day_change("Pacific/Apia").unwrap();
    let after: Timestamp = "2011-12-29T12:00:00Z".parse().unwrap();
    let days: Vec<_> =
        std::iter::successors(change.next(after, after), |at| change.next(*at, after))
            .take(2)
            .map(|at| at.to_string())
            .collect();
    assert_eq!(days, ["2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"]);
}

fn triggers() -> impl Strategy<Value = Trigger> {
    let zone = proptest::sample::select(&ZONES[..]);
    let pattern = proptest::sample::select(&PATTERNS[..]);
    prop_oneof![
        (pattern, zone.clone()).prop_map(|(pattern, zone)| Trigger::cron(pattern, zone).unwrap()),
        (0..24_u8, 0..60_u8, zone.clone())
            .prop_map(|(hour, minute, zone)| Trigger::daily_at(hour, minute, zone).unwrap()),
        zone.prop_map(|zone| Trigger::day_change(zone).unwrap()),
        (1..10_000_000_u64).prop_map(|ms| Trigger::every(Duration::from_millis(ms)).unwrap()),
    ]
}

proptest! {
    /// However early or late somebody asks, what is due next is the same; so no instant is left out,
    /// and none comes twice.
    #[test]
    fn what_is_due_next_does_not_depend_on_when_one_asks(
        trigger in triggers(),
        begin_secs in 1_767_225_600..1_798_761_600_i64,
        shares in proptest::collection::vec(0.0..1.0_f64, 8),
    ) {
        let mut last = Timestamp::from_second(begin_secs).unwrap();
        for share in shares {
            let next = trigger.next(last, last).unwrap();
            prop_assert!(next > last);
            let between = last + next.duration_since(last).mul_f64(share);
            prop_assume!(between < next);
            prop_assert_eq!(trigger.next(between, last), Some(next));
            let early = next - SignedDuration::from_millis(1);
            if early >= last {
                prop_assert_eq!(trigger.next(early, last), Some(next));
            }
            prop_assert_eq!(trigger.last(last, next, last), Some(next));
            last = next;
        }
    }
}
