//! Whole datasets.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::Settings;
use super::source::SourceSettings;
use crate::error::ConfigError;
use crate::schedule::Trigger;

/// A dataset of several collections that belong together.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
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

/// A collection: the rows of a query.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct CollectionSettings {
    /// The query.
    pub(crate) query: String,
    /// Takes the values of the only column instead of rows. Default: false.
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
        if let SourceSettings::Http(_) = settings.source(&field("source"), &self.source)? {
            let problem = format!("names `{}`, which is no database", self.source);
            return Err(ConfigError::new(field("source"), problem, "name one with SQL"));
        }
        if self.collections.is_empty() {
            let remedy = "declare one, such as `collections.items = { query = \"select ..\" }`";
            return Err(ConfigError::new(field("collections"), "are none", remedy));
        }
        if let Some(taken) = STATUS_FIELDS.iter().find(|name| self.collections.contains_key(**name)) {
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
