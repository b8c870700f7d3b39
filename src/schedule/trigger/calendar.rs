//! What a calendar decides: local times, where clocks go forward and back.

use std::fmt::{self, Display};

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{DateTime, Time, date};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan as _};

use crate::error::ConfigError;

/// A zone by its name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    pub(super) fn find(field: &str, name: &str) -> Result<Self, ConfigError> {
        let zone = TimeZone::get(name).map_err(|error| {
            let problem = format!("is `{name}`, which is no known zone ({error})");
            let remedy = "use a name of the IANA time zone database, such as `Europe/Berlin`";
            ConfigError::new(field, problem, remedy)
        })?;
        Ok(Self { name: name.to_owned(), zone })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The instant of a fixed local time: the first of those where clocks repeat it, the first one
    /// after it where they skip it. Later times never give earlier instants.
    fn instant(&self, local: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset: before }
            | AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
            AmbiguousOffset::Gap { after, .. } => {
                // By the clock that is already ahead, the skipped time was just before.
                let just_before = after.to_timestamp(local).ok()?;
                Some(self.zone.following(just_before).next()?.timestamp())
            }
        }
    }

    /// The first instant after `after` of those that belong to the fixed local times that `next`
    /// counts up.
    fn next_fixed(
        &self,
        after: Timestamp,
        next: impl Fn(DateTime) -> Option<DateTime>,
    ) -> Option<Timestamp> {
        // All local times up to this one belong to instants up to `after`; where clocks repeat, so
        // do some later ones.
        let mut local = self.zone.to_datetime(after);
        loop {
            local = next(local)?;
            let instant = self.instant(local)?;
            if instant > after {
                return Some(instant);
            }
        }
    }
}

impl Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// An hour and a minute of every day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TimeOfDay(Time);

impl TimeOfDay {
    pub(super) const MIDNIGHT: Self = Self(Time::midnight());

    pub(super) fn new(hour: u8, minute: u8) -> Result<Self, ConfigError> {
        let part = |number| i8::try_from(number).ok();
        let time = part(hour).zip(part(minute));
        let time = time.and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok());
        time.map(Self).ok_or_else(|| Self::wrong(&format!("{hour:02}:{minute:02}")))
    }

    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let parts = text.split_once(':').filter(|(_, minute)| minute.len() == 2);
        let numbers = parts.and_then(|(hour, minute)| hour.parse().ok().zip(minute.parse().ok()));
        let (hour, minute) = numbers.ok_or_else(|| Self::wrong(text))?;
        Self::new(hour, minute)
    }

    fn wrong(text: &str) -> ConfigError {
        let remedy = "write hours from 00 to 23 and minutes from 00 to 59, such as `02:00`";
        ConfigError::new("daily_at", format!("is `{text}`"), remedy)
    }

    pub(super) fn next(self, zone: &Zone, after: Timestamp) -> Option<Timestamp> {
        zone.next_fixed(after, |local| {
            let today = local.date().to_datetime(self.0);
            if today > local { Some(today) } else { today.checked_add(1.day()).ok() }
        })
    }
}

impl Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

/// A pattern of cron in a zone. Some day matches it.
#[derive(Clone, Debug)]
pub(super) struct Cron {
    text: String,
    cron: croner::Cron,
    zone: Zone,
    /// Whether its minute and hour are numbers; otherwise the local time decides alone.
    is_fixed: bool,
}

impl Cron {
    pub(super) fn parse(text: &str, zone: Zone) -> Result<Self, ConfigError> {
        let wrong = |problem: String, remedy: &str| {
            Err(ConfigError::new("cron", format!("is `{text}`, which {problem}"), remedy))
        };
        let fields: Vec<_> = text.split_whitespace().collect();
        let [minute, hour, ..] = fields[..] else {
            return wrong(format!("has {} fields", fields.len()), FIVE_FIELDS);
        };
        if fields.len() != 5 {
            return wrong(format!("has {} fields", fields.len()), FIVE_FIELDS);
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed);
        let cron = match parser.build().parse(text) {
            Ok(cron) => cron,
            Err(error) => return wrong(format!("cannot be read ({error})"), FIELDS),
        };
        let is_fixed = !minute.contains('*') && !hour.contains('*');
        let cron = Self { text: fields.join(" "), cron, zone, is_fixed };
        // The search goes on for thousands of years, so what it does not find never comes.
        if cron.next_local(date(2000, 1, 1).at(0, 0, 0, 0), true).is_none() {
            return wrong("never comes".to_owned(), "use a day of month that its months have");
        }
        Ok(cron)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) const fn zone(&self) -> &Zone {
        &self.zone
    }

    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        if self.is_fixed {
            self.zone.next_fixed(after, |local| self.next_local(local, false))
        } else {
            self.next_matching(after)
        }
    }

    /// The first instant after `after` whose local time matches.
    fn next_matching(&self, after: Timestamp) -> Option<Timestamp> {
        let (mut from, mut is_inclusive) = (after, false);
        loop {
            let offset = self.zone.zone.to_offset(from);
            let change = self.zone.zone.following(from).next();
            let local = self.next_local(offset.to_datetime(from), is_inclusive)?;
            let instant = offset.to_timestamp(local).ok()?;
            match change {
                // The clock will have changed by then.
                Some(change) if instant >= change.timestamp() => {
                    (from, is_inclusive) = (change.timestamp(), true);
                }
                _ => return Some(instant),
            }
        }
    }

    /// The first local time that matches, as if clocks never changed.
    fn next_local(&self, from: DateTime, is_inclusive: bool) -> Option<DateTime> {
        let from = from.to_zoned(TimeZone::UTC).ok()?;
        let found = self.cron.find_next_occurrence(&from, is_inclusive).ok()?;
        Some(found.datetime())
    }
}

const FIVE_FIELDS: &str =
    "write five: minute, hour, day of month, month and day of week, such as `*/5 * * * *`";
const FIELDS: &str = "write minute 0-59, hour 0-23, day of month 1-31, month 1-12 and day of week \
    0-7, each as `*`, `*/5`, `1-5`, `1-59/2` or `1,3`";

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.zone) == (&other.text, &other.zone)
    }
}

impl Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.text, self.zone)
    }
}
