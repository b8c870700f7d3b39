//! Whole datasets.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::Settings;
use super::load::SourceKind;
use crate::error::ConfigError;
use crate::schedule::Trigger;

/// A dataset of several collections that belong together.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct SnapshotSettings {
    /// The source that is asked.
    pub(crate) source: String,
    /// Its collections, by the names that they have in answers.
    pub(crate) collections: BTreeMap<String, CollectionSettings>,
    /// When it is renewed. Default: at the start only.
    #[serde(default)]
    pub(crate) triggers: Vec<Trigger>,
    /// Delays each renewal by a random span up to this. Default: none.
    #[serde(default, with = "crate::span")]
    pub(crate) jitter: Duration,
    /// Refuses a dataset that has lost more than this share of its rows. Default: 0.5; 1 refuses only
    /// one that has lost all of them.
    #[serde(default = "half")]
    pub(crate) refuse_shrinking: f64,
}

/// A collection: the rows of a query, or what is at a path.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct CollectionSettings {
    /// SQL: the query.
    pub(crate) query: Option<String>,
    /// HTTP: the path.
    pub(crate) path: Option<String>,
    /// SQL: takes the values of the only column instead of rows. Default: false.
    #[serde(default)]
    pub(crate) scalar: bool,
}

const fn half() -> f64 {
    0.5
}

/// What an answer has besides the collections.
pub(crate) const STATUS_FIELDS: [&str; 2] = ["last_updated_at", "next_refresh_at"];

impl SnapshotSettings {
    pub(super) fn check(&self, name: &str, settings: &Settings) -> Result<(), ConfigError> {
        let field = |field: &str| format!("snapshots.{name}.{field}");
        if settings.resources.contains_key(name) {
            let remedy = "give one of them another name";
            return Err(ConfigError::new(
                format!("snapshots.{name}"),
                "has the name of a resource",
                remedy,
            ));
        }
        let kind = settings.source(&field("source"), &self.source)?.kind();
        for (collection, terms) in &self.collections {
            terms
                .asked(kind)
                .map_err(|error| error.within(&field(&format!("collections.{collection}"))))?;
        }
        if self.collections.is_empty() {
            let remedy = "declare one, such as `collections.items = { query = \"select ..\" }`";
            return Err(ConfigError::new(field("collections"), "are none", remedy));
        }
        if let Some(taken) = STATUS_FIELDS.iter().find(|name| self.collections.contains_key(**name))
        {
            let remedy = "use another name, since answers have a field of that name";
            return Err(ConfigError::new(field("collections"), format!("have `{taken}`"), remedy));
        }
        if !(0.0..=1.0).contains(&self.refuse_shrinking) {
            let problem = format!("is {}", self.refuse_shrinking);
            return Err(ConfigError::new(field("refuse_shrinking"), problem, "use 0 to 1"));
        }
        Ok(())
    }
}

impl CollectionSettings {
    /// What its source is asked.
    ///
    /// # Errors
    ///
    /// It does not go with the source.
    pub(crate) fn asked(&self, kind: SourceKind) -> Result<&str, ConfigError> {
        match (kind, &self.query, &self.path) {
            (SourceKind::Sql, Some(asked), None) => Ok(asked),
            (SourceKind::Http, None, Some(asked)) if !self.scalar => Ok(asked),
            (SourceKind::Http, None, Some(_)) => Err(ConfigError::new(
                "scalar",
                "goes with SQL, and the source speaks HTTP",
                "leave it out",
            )),
            (SourceKind::Sql, ..) => {
                let remedy = "give `query` alone, since the source is a database";
                Err(ConfigError::new("query", "is missing, or not alone", remedy))
            }
            (SourceKind::Http, ..) => {
                let remedy = "give `path` alone, since the source speaks HTTP";
                Err(ConfigError::new("path", "is missing, or not alone", remedy))
            }
        }
    }
}
