//! What is cached.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::load::{KeyKind, Load, LoadParts};
use super::source::SourceSettings;
use super::{Problems, Settings, names};
use crate::error::ConfigError;
use crate::policy::{Policy, Store};
use crate::service::document::Template;

/// A resource: one kind of thing, and the query or path that one of them comes from.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct ResourceSettings {
    /// The source that is asked.
    pub(crate) source: String,
    /// SQL: the query for one key, which is `$1`.
    pub(crate) query: Option<String>,
    /// SQL: the query for many keys, which are `$1`.
    pub(crate) query_many: Option<String>,
    /// SQL: the column of `query_many` that says which key a row is of.
    pub(crate) key_column: Option<String>,
    /// SQL: what the key is for the database. Default: a text.
    pub(crate) key: Option<KeyKind>,
    /// SQL: makes the value a list of so many rows at most, bound as `$2`.
    pub(crate) limit: Option<u32>,
    /// SQL: makes a row the value of its only column. Default: false.
    pub(crate) scalar: Option<bool>,
    /// HTTP: the path and query, with `{id}` for the key.
    pub(crate) path: Option<String>,
    /// Where values may be stored: `nowhere`, `memory` or `both`. Default: what `policy.store` says.
    pub(crate) store: Option<Store>,
    /// How entries live, and what may be asked of the source.
    #[serde(default)]
    pub(crate) policy: Policy,
    /// Other names of its values.
    #[serde(default)]
    pub(crate) aliases: BTreeMap<String, AliasSettings>,
    /// What is wanted with its values.
    #[serde(default)]
    pub(crate) related: Vec<RelatedSettings>,
    /// By what its values can be invalidated together: templates such as `team:{/team_id}`.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    /// How many elements of an array are kept, by JSON pointer; `""` is the whole document.
    #[serde(default)]
    pub(crate) trim: BTreeMap<String, usize>,
    /// What is loaded at the start.
    #[serde(default)]
    pub(crate) seed: SeedSettings,
}

/// Another name of a value.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct AliasSettings {
    /// Where it stands in the document: a JSON pointer such as `/email`.
    pub(crate) field: String,
    /// SQL: finds the key that a name leads to; the name is `$1`.
    pub(crate) query: String,
    /// What names that mean the same have in common. Default: a name means only itself.
    #[serde(default)]
    pub(crate) normalize: Normalize,
}

/// What names that mean the same have in common.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Normalize {
    /// Nothing.
    #[default]
    None,
    /// They are trimmed and in small letters.
    Lowercase,
}

/// What is wanted with a value.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct RelatedSettings {
    /// The resource.
    pub(crate) resource: String,
    /// The key: a template such as `{id}` or `{/team_id}`.
    pub(crate) key: String,
}

/// What is loaded at the start.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct SeedSettings {
    /// These keys.
    pub(crate) keys: Vec<String>,
    /// Those that the first column of this query gives.
    pub(crate) query: Option<String>,
}

impl ResourceSettings {
    /// What cannot work.
    pub(super) fn problems(&self, name: &str, settings: &Settings) -> Problems {
        let path = format!("resources.{name}");
        let mut problems = Problems::default();
        problems.note(self.load(name, settings).map(drop));
        problems.note(self.effective_policy().check(&format!("{path}.policy")));
        problems.all(names::problems(&format!("{path}.aliases"), &self.aliases));
        for (alias, declared) in &self.aliases {
            let path = format!("{path}.aliases.{alias}");
            problems.note(check_pointer(&format!("{path}.field"), &declared.field));
            problems.note(self.check_sql(&format!("{path}.query"), settings));
        }
        for (nth, related) in self.related.iter().enumerate() {
            let path = format!("{path}.related[{nth}]");
            problems.note(settings.check_resource(&format!("{path}.resource"), &related.resource));
            problems.note(check_template(&format!("{path}.key"), &related.key));
        }
        for (nth, tag) in self.tags.iter().enumerate() {
            problems.note(check_template(&format!("{path}.tags[{nth}]"), tag));
        }
        for pointer in self.trim.keys() {
            problems.note(check_pointer(&format!("{path}.trim.{pointer}"), pointer));
        }
        if self.seed.query.is_some() {
            problems.note(self.check_sql(&format!("{path}.seed.query"), settings));
        }
        problems
    }

    /// How its source is asked.
    ///
    /// # Errors
    ///
    /// There is no such source, or what is said does not go with it.
    pub(crate) fn load(&self, name: &str, settings: &Settings) -> Result<Load, ConfigError> {
        let path = format!("resources.{name}");
        let source = settings.source(&format!("{path}.source"), &self.source)?;
        let said = LoadParts {
            query: self.query.as_deref(),
            query_many: self.query_many.as_deref(),
            key_column: self.key_column.as_deref(),
            key: self.key,
            limit: self.limit,
            scalar: self.scalar,
            path: self.path.as_deref(),
        };
        Load::of(&said, source.kind()).map_err(|error| error.within(&path))
    }

    /// The policy, with `store` as it is said here.
    pub(crate) fn effective_policy(&self) -> Policy {
        let store = self.store.unwrap_or(self.policy.store);
        Policy { store, ..self.policy.clone() }
    }

    fn check_sql(&self, field: &str, settings: &Settings) -> Result<(), ConfigError> {
        match settings.sources.get(&self.source) {
            Some(SourceSettings::Http(_)) => {
                let problem = format!("is a query, and `{}` is no database", self.source);
                Err(ConfigError::new(field, problem, "leave it out"))
            }
            // One that is missing is told of elsewhere.
            Some(SourceSettings::Sqlite(_) | SourceSettings::Postgres(_)) | None => Ok(()),
        }
    }
}

/// Refuses what is no JSON pointer (RFC 6901).
fn check_pointer(field: &str, pointer: &str) -> Result<(), ConfigError> {
    if pointer.is_empty() || pointer.starts_with('/') {
        return Ok(());
    }
    let problem = format!("is `{}`, which is no JSON pointer", pointer.escape_debug());
    Err(ConfigError::new(field, problem, "begin it with `/`, such as `/email`"))
}

fn check_template(field: &str, text: &str) -> Result<(), ConfigError> {
    Template::parse(text).map(drop).map_err(|error| {
        let problem = format!("is `{}`: {error}", text.escape_debug());
        ConfigError::new(field, problem, "use a template such as `{id}` or `team:{/team_id}`")
    })
}
