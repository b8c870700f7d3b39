//! How the entries of a resource live: one policy per resource, checked before anything starts.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

pub use self::capacity::{Bytes, Capacity, ParseCapacityError};
pub use self::preload::{Classic, PreloadMode, PreloadPolicy};
pub use self::source::SourcePolicy;

mod capacity;
mod preload;
mod source;

/// How the entries of a resource live, and what may be asked of its source.
///
/// Every knob has a default; start from [`Policy::default`] and change what differs:
///
/// ```
/// use std::time::Duration;
/// use forewarm::{Bytes, Policy};
///
/// let policy = Policy {
///     ttl: Duration::from_secs(60),
///     stale_if_error: Some(Duration::from_secs(3600)),
///     capacity: Bytes::mib(16).into(),
///     ..Policy::default()
/// };
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Policy {
    /// The most that the resource keeps in memory. Default: 64 MiB.
    pub capacity: Capacity,
    /// How long a value is fresh, from the moment its load began. Default: 2 hours.
    #[serde(with = "crate::span")]
    pub ttl: Duration,
    /// How long "the source has no such thing" is fresh; `None` never keeps it. Default: 30 s,
    /// since a thing that is created should be seen soon.
    #[serde(with = "crate::span::optional")]
    pub absent_ttl: Option<Duration>,
    /// The random part of every ttl and refresh point, as a share of it, 0 to 0.5; it only
    /// shortens. Default: 0.1, so that entries written together do not expire together.
    pub jitter: f64,
    /// How long after its ttl a value is still served while a load renews it (RFC 5861); `None`
    /// makes the reader wait. Default: 30 s.
    #[serde(with = "crate::span::optional")]
    pub stale_while_revalidate: Option<Duration>,
    /// How long after its ttl a value is still served when the load that should renew it failed
    /// (RFC 5861); `None` gives the error. Default: 1 hour.
    #[serde(with = "crate::span::optional")]
    pub stale_if_error: Option<Duration>,
    /// The zone, such as `Europe/Berlin`, at whose midnight every entry ends, whatever its ttl;
    /// `None` for values that do not belong to a day. Default: `None`.
    pub ends_at_midnight: Option<String>,
    /// Renews entries at this age, if they are read often enough; at most half the ttl, so that
    /// one failed load leaves no gap. `None` renews them just before they expire. Default: `None`.
    #[serde(with = "crate::span::optional")]
    pub refresh_every: Option<Duration>,
    /// Lets a read renew an entry that is still fresh. Default: `None`, since preloading does it
    /// without waiting for a read.
    pub early_refresh: Option<EarlyRefresh>,
    /// The least time between two loads that renew the same key. Default: 1 s.
    #[serde(with = "crate::span::optional")]
    pub refresh_spacing: Option<Duration>,
    /// How long before it expires an entry is renewed; `None` measures how long loads take.
    /// Default: `None`.
    #[serde(with = "crate::span::optional")]
    pub lead: Option<Duration>,
    /// Where values may be stored. Default: both tiers.
    pub store: Store,
    /// What values found in an embedded L2 are worth after a restart. Default:
    /// [`TrustOnRestart::StaleOnly`], since invalidations may have been missed.
    pub trust_on_restart: TrustOnRestart,
    /// What is done while L2 cannot be reached for longer than its coherence window, and the source
    /// cannot be asked either. Default: [`Partition::Bounded`].
    pub partition: Partition,
    /// For how long the source may answer from a copy that has not got a change yet. For so long
    /// after an invalidation [`LoadContext::prefers_primary`](crate::LoadContext::prefers_primary)
    /// says so to the loader: of the key, or of all keys where a group of them was invalidated, or
    /// where it is not known what was. For so long, L2 takes no value of a key that was
    /// invalidated by itself; after an invalidation of a group, an engine that has not heard of it
    /// yet may bring L2 what a copy had before. `None` for a source that answers with what was
    /// committed. Default: `None`.
    #[serde(with = "crate::span::optional")]
    pub replica_lag: Option<Duration>,
    /// The version of the value's type. Change it when the type changes in a way that old bytes
    /// cannot be read as: stored values of another version are then misses. Default: 0.
    pub schema: u32,
    /// The longest text of a key that is kept, in bytes, 1 to 1024. Longer keys are loaded and not
    /// kept. Default: 512.
    pub key_bytes_max: usize,
    /// The largest value that is kept, in bytes of its encoding or of its weight. Larger ones are
    /// loaded and not kept. Default: 1 MiB.
    pub value_bytes_max: usize,
    /// The time in which a read loses half its weight in scores. Default: 15 minutes.
    #[serde(with = "crate::span")]
    pub half_life: Duration,
    /// The keys whose reads are remembered although they are not in memory. Default: 65,536, which
    /// takes 2 MiB.
    pub tracked_keys: usize,
    /// The share of the capacity that the hot segment has, 0.05 to 1; the rest is moka's. Default:
    /// 0.9, since shares of 0.75 to 0.95 measured best over twelve traces.
    pub hot_share: f64,
    /// The share of the capacity that preloaded entries may keep from others until they are read, 0
    /// to 0.5. It is part of the hot segment's; what they leave of it, others use. Default: 0.1, which
    /// measured better than 0.05 and cost less than 0.2 over twelve traces.
    pub staging_share: f64,
    /// What is loaded before anybody asks.
    pub preload: PreloadPolicy,
    /// What may be asked of the source.
    pub source: SourcePolicy,
}

/// When a read renews an entry that is still fresh, behind the reader's back.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EarlyRefresh {
    /// After this share of the ttl, more than 0 and less than 1.
    After(f64),
    /// At random, the likelier the nearer the expiry: if `-scale * ln(u)` reaches the time left,
    /// for a fresh random `u` in (0, 1]. Source: Vattani, Chierichetti and Lowenstein, "Optimal
    /// probabilistic cache stampede prevention", VLDB 2015, with `scale` for the product of their
    /// `beta` and the time that a load takes.
    XFetch {
        /// How far ahead of the expiry renewals spread.
        #[serde(with = "crate::span")]
        scale: Duration,
    },
}

/// Where the values of a resource may be stored.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// Nowhere: a read is always a load, though callers still share it.
    #[serde(alias = "none")]
    Nowhere,
    /// In this process only. If there is an L2, it is told which keys are invalidated, so that the
    /// memory of other processes hears of it; no value gets there.
    #[serde(alias = "l1")]
    Memory,
    /// In this process and in L2.
    #[serde(alias = "l1+l2")]
    #[default]
    Both,
}

/// What is done with a value of which it is not known whether another engine has invalidated it,
/// since L2 has not answered for longer than the coherence window.
///
/// It is loaded anew, in any case; this is about a source that cannot be asked.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Partition {
    /// It is served if too many loads are under way for another
    /// ([`Error::Overloaded`](crate::Error::Overloaded)), and
    /// [`Read::is_verified`](crate::Read::is_verified) is false then. If the load fails, its error
    /// is given.
    #[default]
    Bounded,
    /// It is never served.
    Strict,
}

/// What values found in an embedded L2 are worth after a restart.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustOnRestart {
    /// Nothing: they are misses.
    Never,
    /// They are served as stale while a load renews them.
    #[default]
    StaleOnly,
    /// They are as good as their ttl says.
    WithinTtl,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            capacity: Bytes::mib(64).into(),
            ttl: Duration::from_hours(2),
            absent_ttl: Some(Duration::from_secs(30)),
            jitter: 0.1,
            stale_while_revalidate: Some(Duration::from_secs(30)),
            stale_if_error: Some(Duration::from_hours(1)),
            ends_at_midnight: None,
            refresh_every: None,
            early_refresh: None,
            refresh_spacing: Some(Duration::from_secs(1)),
            lead: None,
            store: Store::default(),
            trust_on_restart: TrustOnRestart::default(),
            partition: Partition::default(),
            replica_lag: None,
            schema: 0,
            key_bytes_max: 512,
            value_bytes_max: 1 << 20,
            half_life: Duration::from_mins(15),
            tracked_keys: 1 << 16,
            hot_share: 0.9,
            staging_share: 0.1,
            preload: PreloadPolicy::default(),
            source: SourcePolicy::default(),
        }
    }
}

impl Policy {
    /// Says what cannot work in this policy of `resource`.
    ///
    /// # Errors
    ///
    /// Names the first setting that is wrong, what is wrong with it, and what would be right.
    pub fn check(&self, resource: &str) -> Result<(), ConfigError> {
        let checks = Checks { resource };
        self.check_spans(&checks)?;
        checks.share("jitter", self.jitter, 0.0, 0.5)?;
        checks.share("hot_share", self.hot_share, 0.05, 1.0)?;
        checks.share("staging_share", self.staging_share, 0.0, 0.5)?;
        checks.at_least_one("capacity", self.capacity.amount())?;
        checks.range("key_bytes_max", self.key_bytes_max, 1, 1024)?;
        checks.range("value_bytes_max", self.value_bytes_max, 1, 1 << 30)?;
        checks.range("tracked_keys", self.tracked_keys, 1, 1 << 28)?;
        self.time_zone(resource)?;
        self.preload.check(&checks)?;
        self.source.check(&checks)
    }

    fn check_spans(&self, checks: &Checks<'_>) -> Result<(), ConfigError> {
        checks.positive("ttl", self.ttl)?;
        checks.positive("half_life", self.half_life)?;
        for (field, span) in [
            ("absent_ttl", self.absent_ttl),
            ("stale_while_revalidate", self.stale_while_revalidate),
            ("stale_if_error", self.stale_if_error),
            ("refresh_every", self.refresh_every),
            ("refresh_spacing", self.refresh_spacing),
        ] {
            span.map_or(Ok(()), |span| checks.positive(field, span))?;
        }
        if let Some(every) = self.refresh_every
            && self.ttl < every.saturating_mul(2)
        {
            let (ttl, twice) = (self.ttl, every.saturating_mul(2));
            let problem = format!("is {ttl:?}, less than twice `refresh_every` ({every:?})");
            return Err(checks.error("ttl", problem, format!("use {twice:?} or more")));
        }
        for (field, span) in [("lead", self.lead), ("refresh_spacing", self.refresh_spacing)] {
            if span.is_some_and(|span| span >= self.ttl) {
                let problem = format!("is not shorter than `ttl` ({:?})", self.ttl);
                return Err(checks.error(field, problem, "use a shorter span".into()));
            }
        }
        match self.early_refresh {
            Some(EarlyRefresh::After(share)) if !(share > 0.0 && share < 1.0) => {
                let problem = format!("is after {share} of the ttl");
                let remedy = "use a share between 0 and 1, both excluded".into();
                Err(checks.error("early_refresh", problem, remedy))
            }
            Some(EarlyRefresh::XFetch { scale }) => checks.positive("early_refresh.scale", scale),
            Some(EarlyRefresh::After(_)) | None => Ok(()),
        }
    }

    /// The zone in which entries end at midnight.
    pub(crate) fn time_zone(&self, resource: &str) -> Result<Option<TimeZone>, ConfigError> {
        let Some(name) = &self.ends_at_midnight else { return Ok(None) };
        TimeZone::get(name).map(Some).map_err(|error| {
            let problem = format!("is `{name}`, which is no known zone ({error})");
            let remedy = "use a name of the IANA time zone database, such as `Europe/Berlin`";
            Checks { resource }.error("ends_at_midnight", problem, remedy.into())
        })
    }

    /// The span for which an entry is kept at all, counted from the end of its ttl.
    pub(crate) fn kept_after_ttl(&self) -> Duration {
        let revalidate = self.stale_while_revalidate.unwrap_or_default();
        revalidate.max(self.stale_if_error.unwrap_or_default())
    }
}

/// Checks that name the setting, as `resource.field`.
pub(crate) struct Checks<'a> {
    resource: &'a str,
}

impl Checks<'_> {
    pub(crate) fn error(&self, field: &str, problem: String, remedy: String) -> ConfigError {
        ConfigError::new(format!("{}.{field}", self.resource), problem, remedy)
    }

    pub(crate) fn positive(&self, field: &str, span: Duration) -> Result<(), ConfigError> {
        if span.is_zero() {
            return Err(self.error(field, "is zero".into(), "use a span such as `30s`".into()));
        }
        Ok(())
    }

    pub(crate) fn share(
        &self,
        field: &str,
        share: f64,
        least: f64,
        most: f64,
    ) -> Result<(), ConfigError> {
        if (least..=most).contains(&share) {
            return Ok(());
        }
        Err(self.error(field, format!("is {share}"), format!("use {least} to {most}")))
    }

    pub(crate) fn range(
        &self,
        field: &str,
        count: usize,
        least: usize,
        most: usize,
    ) -> Result<(), ConfigError> {
        if (least..=most).contains(&count) {
            return Ok(());
        }
        Err(self.error(field, format!("is {count}"), format!("use {least} to {most}")))
    }

    fn at_least_one(&self, field: &str, amount: u64) -> Result<(), ConfigError> {
        if amount == 0 {
            return Err(self.error(field, "is zero".into(), "use `64 MiB` or the like".into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Policy);

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_default_policy_works() {
        assert_eq!(Policy::default().check("user"), Ok(()));
    }

    #[test]
    fn what_cannot_work_is_refused_and_named() {
        let cases: [(&str, Spoil); 23] = [
            ("ttl", |p| p.ttl = Duration::ZERO),
            ("ttl", |p| (p.ttl, p.refresh_every) = (59 * SECOND, Some(30 * SECOND))),
            ("absent_ttl", |p| p.absent_ttl = Some(Duration::ZERO)),
            ("stale_while_revalidate", |p| p.stale_while_revalidate = Some(Duration::ZERO)),
            ("stale_if_error", |p| p.stale_if_error = Some(Duration::ZERO)),
            ("jitter", |p| p.jitter = 0.6),
            ("jitter", |p| p.jitter = f64::NAN),
            ("lead", |p| p.lead = Some(p.ttl)),
            ("refresh_spacing", |p| p.refresh_spacing = Some(p.ttl)),
            ("early_refresh", |p| p.early_refresh = Some(EarlyRefresh::After(1.0))),
            ("ends_at_midnight", |p| p.ends_at_midnight = Some("Mars/Olympus".into())),
            ("hot_share", |p| p.hot_share = 0.0),
            ("staging_share", |p| p.staging_share = 0.9),
            ("capacity", |p| p.capacity = Bytes::mib(0).into()),
            ("key_bytes_max", |p| p.key_bytes_max = 0),
            ("value_bytes_max", |p| p.value_bytes_max = 0),
            ("preload.threshold", |p| p.preload.threshold = 0.0),
            ("preload.loads_per_second", |p| p.preload.loads_per_second = -1.0),
            ("preload.warmed_per_second", |p| p.preload.warmed_per_second = 0.0),
            ("source.deadline", |p| p.source.deadline = Duration::ZERO),
            ("source.concurrency", |p| p.source.concurrency = 0),
            ("source.attempts", |p| p.source.attempts = 0),
            ("source.backoff_max", |p| p.source.backoff_max = Duration::from_nanos(1)),
        ];
        for (field, spoil) in cases {
            let mut policy = Policy::default();
            spoil(&mut policy);
            let error = policy.check("user").unwrap_err();
            assert_eq!(error.field(), format!("user.{field}"), "{error}");
        }
    }

    #[test]
    fn twice_the_interval_is_enough() {
        let policy =
            Policy { ttl: 60 * SECOND, refresh_every: Some(30 * SECOND), ..Policy::default() };
        assert_eq!(policy.check("topics"), Ok(()));
    }

    #[test]
    fn a_policy_is_written_as_people_write_it() {
        let text = r#"{"ttl": "10m", "refresh_every": "5m", "capacity": "16 MiB",
            "source": {"deadline": "2s"}, "preload": {"threshold": 0.4}}"#;
        let policy: Policy = serde_json::from_str(text).unwrap();
        assert_eq!(policy.ttl, 600 * SECOND);
        assert_eq!(policy.refresh_every, Some(300 * SECOND));
        assert_eq!(policy.capacity, Bytes::mib(16).into());
        assert_eq!(policy.source.deadline, 2 * SECOND);
        let again = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&again).unwrap(), policy);
    }

    #[test]
    fn a_misspelt_setting_is_refused_and_named() {
        let error = serde_json::from_str::<Policy>(r#"{"tll": "10m"}"#).unwrap_err();
        assert!(error.to_string().contains("`tll`"), "{error}");
    }
}
