//! What the options of a replay are written like.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::replay::Rule;
use crate::replay::synthetic::{WORKLOADS, Workload};
use crate::service::console;

/// How long a value is fresh; `None` for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ttl(pub(super) Option<Duration>);

/// How many more loads may be made; `None` for any number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(pub(super) Option<f64>);

/// How many keys fit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Room {
    Keys(u64),
    Share(f64),
    Endless,
}

impl Room {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of keys"
    )]
    pub(super) fn in_keys(self, keys: u32) -> Option<u64> {
        match self {
            Self::Keys(keys) => Some(keys),
            Self::Share(share) => Some(((f64::from(keys) * share) as u64).max(1)),
            Self::Endless => None,
        }
    }
}

/// Reads the name of a workload; the help and the error list all of them.
pub(super) fn workloads() -> impl TypedValueParser<Value = Workload> {
    let names = WORKLOADS.map(|workload| PossibleValue::new(workload.name).help(workload.about));
    PossibleValuesParser::new(names)
        .try_map(|name| Workload::named(&name).ok_or("no workload has this name"))
}

pub(super) fn parse_ttl(text: &str) -> Result<Ttl, String> {
    if text == "none" {
        return Ok(Ttl(None));
    }
    let ttl = console::parse_span(text)?;
    if ttl.is_zero() {
        Err("a ttl is not zero; `none` never expires".into())
    } else {
        Ok(Ttl(Some(ttl)))
    }
}

pub(super) fn parse_room(text: &str) -> Result<Room, String> {
    let wrong = "write a number of keys, a share like `10%`, or `none`";
    if text == "none" {
        return Ok(Room::Endless);
    }
    if let Some(percent) = text.strip_suffix('%') {
        let share = percent.parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
        return share.map(|percent| Room::Share(percent / 100.0)).ok_or_else(|| wrong.to_owned());
    }
    let keys = text.parse().ok().filter(|keys| *keys > 0);
    keys.map(Room::Keys).ok_or_else(|| wrong.to_owned())
}

pub(super) fn parse_threshold(text: &str) -> Result<f64, String> {
    let threshold = text.parse().ok().filter(|threshold| *threshold > 0.0 && *threshold <= 1.0);
    threshold.ok_or_else(|| "a threshold is more than 0 and at most 1".to_owned())
}

pub(super) fn parse_warmup(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "a share of the requests is from 0 to less than 1".to_owned())
}

pub(super) fn parse_restart(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "a restart is after more than 0 and less than 1 of the requests".to_owned())
}

/// What is said of a policy that there is not.
const POLICIES: &str = "the policies are `demand`, `forewarm`, `refresh`, `association`, \
                        `observe`, `classic`, `xfetch`, `refresh-after=SHARE`, `oracle`, `lru` and \
                        `moka`";

pub(super) fn parse_budget(text: &str) -> Result<Budget, String> {
    if text == "none" {
        return Ok(Budget(None));
    }
    let percent = text.strip_suffix('%').and_then(|number| number.parse().ok());
    let share = percent.filter(|percent: &f64| *percent > 0.0 && percent.is_finite());
    share
        .map(|percent| Budget(Some(percent / 100.0)))
        .ok_or_else(|| "write a share such as `10%`, or `none`".to_owned())
}

pub(super) fn parse_rule(text: &str) -> Result<Rule, String> {
    /// The spread of `XFetch` in ttls, if none is given.
    const SPREAD: f64 = 0.1;
    let (name, value) =
        text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    match (name, value) {
        ("demand", None) => Ok(Rule::Demand),
        ("forewarm", None) => Ok(Rule::Forewarm),
        ("refresh", None) => Ok(Rule::Refresh),
        ("association", None) => Ok(Rule::Association),
        ("observe", None) => Ok(Rule::Observe),
        ("classic", None) => Ok(Rule::Classic),
        ("lru", None) => Ok(Rule::Lru),
        ("moka", None) => Ok(Rule::Moka),
        ("xfetch", None) => Ok(Rule::XFetch(SPREAD)),
        ("oracle", None) => Ok(Rule::Oracle),
        ("xfetch", Some(spread)) => {
            let spread =
                spread.parse().ok().filter(|spread: &f64| *spread > 0.0 && spread.is_finite());
            spread.map(Rule::XFetch).ok_or_else(|| "write `xfetch=0.1` or the like".to_owned())
        }
        ("refresh-after", Some(share)) => {
            let share = share.parse().ok().filter(|share: &f64| *share > 0.0 && *share < 1.0);
            share.map(Rule::RefreshAfter).ok_or_else(|| "write `refresh-after=0.8`".to_owned())
        }
        _ => Err(POLICIES.to_owned()),
    }
}
