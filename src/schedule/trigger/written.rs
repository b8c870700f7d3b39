//! How a trigger is written in settings.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::{Cron, TimeOfDay, Zone};
use super::{Kind, Trigger};
use crate::error::ConfigError;

/// A trigger in settings: one of the fields, and a zone where there is one.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Written {
    #[serde(with = "crate::span::optional", skip_serializing_if = "Option::is_none")]
    every: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daily_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day_change_in: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    once_at: Option<Timestamp>,
    #[serde(with = "crate::span::optional", skip_serializing_if = "Option::is_none")]
    once_after: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_start: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
}

const FORMS: &str =
    "use one of `every`, `cron`, `daily_at`, `day_change_in`, `once_at`, `once_after`, `at_start`";

impl TryFrom<Written> for Trigger {
    type Error = ConfigError;

    fn try_from(written: Written) -> Result<Self, ConfigError> {
        let Written { every, cron, daily_at, day_change_in, once_at, once_after, at_start, zone } =
            written;
        let has_zone = cron.is_some() || daily_at.is_some();
        if zone.is_some() && !has_zone {
            let remedy = "give it beside `cron` or `daily_at` only";
            return Err(ConfigError::new("zone", "is given, and nothing is due by it", remedy));
        }
        let zone = || Zone::find("zone", zone.as_deref().unwrap_or("UTC"));
        let mut triggers = [
            every.map(Self::every),
            cron.map(|text| Ok(Self(Kind::Cron(Box::new(Cron::parse(&text, zone()?)?))))),
            daily_at.map(|text| Ok(Self(Kind::Daily(TimeOfDay::parse(&text)?, zone()?)))),
            day_change_in.map(|zone| Self::day_change(&zone)),
            once_at.map(|at| Ok(Self::once_at(at))),
            once_after.map(|span| Ok(Self::once_after(span))),
            at_start.map(at_start_if),
        ]
        .into_iter()
        .flatten();
        let Some(trigger) = triggers.next() else {
            return Err(ConfigError::new("trigger", "has none of its forms", FORMS));
        };
        match triggers.count() {
            0 => trigger,
            more => {
                let problem = format!("has {} of its forms", more + 1);
                Err(ConfigError::new("trigger", problem, FORMS))
            }
        }
    }
}

fn at_start_if(wanted: bool) -> Result<Trigger, ConfigError> {
    if wanted {
        return Ok(Trigger::at_start());
    }
    Err(ConfigError::new("at_start", "is false", "leave the trigger out"))
}

impl From<Trigger> for Written {
    fn from(trigger: Trigger) -> Self {
        let none = Self::default();
        match trigger.0 {
            Kind::Every(every) => Self { every: Some(every), ..none },
            Kind::Cron(cron) => {
                let (text, zone) = (cron.text().to_owned(), cron.zone().name().to_owned());
                Self { cron: Some(text), zone: Some(zone), ..none }
            }
            Kind::Daily(time, zone) => {
                let (time, zone) = (time.to_string(), zone.name().to_owned());
                Self { daily_at: Some(time), zone: Some(zone), ..none }
            }
            Kind::DayChange(zone) => Self { day_change_in: Some(zone.name().to_owned()), ..none },
            Kind::OnceAt(at) => Self { once_at: Some(at), ..none },
            Kind::OnceAfter(span) => Self { once_after: Some(span), ..none },
            Kind::AtStart => Self { at_start: Some(true), ..none },
        }
    }
}
