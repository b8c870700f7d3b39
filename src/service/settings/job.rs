//! Work at set times.

use std::time::Duration;

use serde::Deserialize;

use super::Settings;
use super::source::SourceSettings;
use crate::error::ConfigError;
use crate::schedule::{JobPolicy, Trigger, usual_gap};
use crate::span;
use crate::sql::StoredAs;

/// A job: when it is due, and one thing that it does.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct JobSettings {
    /// When it is due. Default: only when it is told to run.
    #[serde(default)]
    pub(crate) triggers: Vec<Trigger>,
    /// How it runs.
    #[serde(default)]
    pub(crate) policy: JobPolicy,
    /// Renews these keys.
    pub(crate) renew: Option<RenewSettings>,
    /// Renews the keys that are read most.
    pub(crate) renew_hot: Option<RenewHotSettings>,
    /// Loads keys that will be wanted.
    pub(crate) warm: Option<WarmSettings>,
    /// Removes old rows of a table.
    pub(crate) retention: Option<RetentionSettings>,
    /// Looks after the health of everything, if true.
    #[serde(default)]
    pub(crate) check_health: bool,
}

/// Renews these keys.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct RenewSettings {
    /// Of this resource.
    pub(crate) resource: String,
    /// The keys.
    pub(crate) keys: Vec<String>,
}

/// Renews the keys that are read most.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct RenewHotSettings {
    /// Of this resource.
    pub(crate) resource: String,
    /// So many at most.
    pub(crate) count: usize,
}

/// Loads keys that will be wanted.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct WarmSettings {
    /// Of this resource.
    pub(crate) resource: String,
    /// These keys; `{date}` and `{tomorrow}` stand for the day of the run and the next, in UTC.
    #[serde(default)]
    pub(crate) keys: Vec<String>,
    /// The source of `query`. Default: that of the resource.
    pub(crate) source: Option<String>,
    /// Those that the first column of this query gives.
    pub(crate) query: Option<String>,
}

/// Removes old rows of a table.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct RetentionSettings {
    /// In this source.
    pub(crate) source: String,
    /// The table.
    pub(crate) table: String,
    /// Its column with the time.
    pub(crate) column: String,
    /// Rows older than this go.
    #[serde(with = "crate::span")]
    pub(crate) older_than: Duration,
    /// How the column holds a time. Default: as a timestamp.
    #[serde(default)]
    pub(crate) stored_as: StoredAs,
}

const FORMS: &str = "give one of `renew`, `renew_hot`, `warm`, `retention`, `check_health = true`";

impl JobSettings {
    pub(super) fn check(&self, name: &str, settings: &Settings) -> Result<(), ConfigError> {
        let path = format!("jobs.{name}");
        if settings.snapshots.contains_key(name) {
            let remedy = "give one of them another name, since a snapshot is renewed by a job";
            return Err(ConfigError::new(path, "has the name of a snapshot", remedy));
        }
        if !self.policy.triggers.is_empty() {
            let remedy = format!("give them as `{path}.triggers`");
            return Err(ConfigError::new(format!("{path}.policy.triggers"), "are given", remedy));
        }
        let forms = [
            self.renew.is_some(),
            self.renew_hot.is_some(),
            self.warm.is_some(),
            self.retention.is_some(),
            self.check_health,
        ];
        match forms.into_iter().filter(|is_given| *is_given).count() {
            1 => {}
            0 => return Err(ConfigError::new(path, "has nothing to do", FORMS)),
            several => {
                return Err(ConfigError::new(path, format!("has {several} things to do"), FORMS));
            }
        }
        self.effective_policy().check(&format!("{path}.policy"))?;
        self.check_form(settings).map_err(|error| error.within(&path))
    }

    fn check_form(&self, settings: &Settings) -> Result<(), ConfigError> {
        if let Some(renew) = &self.renew {
            settings.check_resource("renew.resource", &renew.resource)?;
            if renew.keys.is_empty() {
                return Err(ConfigError::new("renew.keys", "are none", "name some"));
            }
            self.check_interval(&renew.resource, settings)?;
        }
        if let Some(renew) = &self.renew_hot {
            settings.check_resource("renew_hot.resource", &renew.resource)?;
            if !(1..=1_000_000).contains(&renew.count) {
                let problem = format!("is {}", renew.count);
                return Err(ConfigError::new("renew_hot.count", problem, "use 1 to 1000000"));
            }
            self.check_interval(&renew.resource, settings)?;
        }
        if let Some(warm) = &self.warm {
            warm.check(settings)?;
        }
        if let Some(retention) = &self.retention {
            retention.check(settings)?;
        }
        Ok(())
    }

    /// Refuses to renew so seldom that values expire before they are renewed, in each interval.
    fn check_interval(&self, resource: &str, settings: &Settings) -> Result<(), ConfigError> {
        let ttl = settings.resources.get(resource).map(|found| found.policy.ttl);
        let Some((ttl, gap)) = ttl.zip(usual_gap(&self.triggers)) else { return Ok(()) };
        if gap < ttl {
            return Ok(());
        }
        let (gap, ttl) = (span::text(gap), span::text(ttl));
        let problem = format!("are due every {gap}, and values of `{resource}` live for {ttl}");
        let remedy =
            format!("renew them more often, or set a longer `resources.{resource}.policy.ttl`");
        Err(ConfigError::new("triggers", problem, remedy))
    }

    /// The policy, with the triggers.
    pub(crate) fn effective_policy(&self) -> JobPolicy {
        let policy = self.policy.clone();
        let on_every_engine = policy.on_every_engine || self.check_health;
        JobPolicy { triggers: self.triggers.clone(), on_every_engine, ..policy }
    }
}

impl WarmSettings {
    fn check(&self, settings: &Settings) -> Result<(), ConfigError> {
        settings.check_resource("warm.resource", &self.resource)?;
        if self.keys.is_empty() == self.query.is_none() {
            let remedy = "give either `keys` or `query`";
            return Err(ConfigError::new("warm.keys", "or `warm.query` is wanted", remedy));
        }
        if let Some(source) = &self.source {
            let _known = settings.source("warm.source", source)?;
        }
        let source = self.source_of(settings);
        if self.query.is_some() && matches!(source, Some(SourceSettings::Http(_))) {
            let remedy = "set `warm.source` to a database";
            return Err(ConfigError::new("warm.query", "is asked of a source without SQL", remedy));
        }
        Ok(())
    }

    /// Where its query is asked.
    pub(crate) fn source_name<'a>(&'a self, settings: &'a Settings) -> Option<&'a str> {
        let of_resource =
            || settings.resources.get(&self.resource).map(|found| found.source.as_str());
        self.source.as_deref().or_else(of_resource)
    }

    fn source_of<'a>(&'a self, settings: &'a Settings) -> Option<&'a SourceSettings> {
        settings.sources.get(self.source_name(settings)?)
    }
}

impl RetentionSettings {
    fn check(&self, settings: &Settings) -> Result<(), ConfigError> {
        match settings.source("retention.source", &self.source)? {
            SourceSettings::Http(_) => {
                let problem = format!("names `{}`, which is no database", self.source);
                Err(ConfigError::new("retention.source", problem, "name one with SQL"))
            }
            SourceSettings::Sqlite(sqlite) if sqlite.read_only => {
                let problem = format!("names `{}`, which is read only", self.source);
                let remedy = format!("set `sources.{}.sqlite.read_only = false`", self.source);
                Err(ConfigError::new("retention.source", problem, remedy))
            }
            // PostgreSQL is told so at each connection, and refuses what would change something.
            SourceSettings::Postgres(postgres) if postgres.read_only => {
                let problem = format!("names `{}`, which is read only", self.source);
                let remedy = format!("set `sources.{}.postgres.read_only = false`", self.source);
                Err(ConfigError::new("retention.source", problem, remedy))
            }
            SourceSettings::Sqlite(_) | SourceSettings::Postgres(_)
                if self.older_than.is_zero() =>
            {
                Err(ConfigError::new(
                    "retention.older_than",
                    "is zero",
                    "use a span such as `2160h`",
                ))
            }
            SourceSettings::Sqlite(_) | SourceSettings::Postgres(_) => Ok(()),
        }
    }
}
