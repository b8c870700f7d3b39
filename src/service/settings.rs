//! The settings of the service: a TOML file, and the environment over it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Deserialize;

use self::auth::AuthSettings;
use self::job::JobSettings;
use self::l2::L2Settings;
use self::log::LogSettings;
use self::resource::ResourceSettings;
use self::secret::Secret;
use self::server::ServerSettings;
use self::snapshot::SnapshotSettings;
use self::source::SourceSettings;
use crate::config::Config;
use crate::error::ConfigError;

pub(crate) use self::read::{Origin, SettingsError};

pub(crate) mod auth;
pub(crate) mod job;
pub(crate) mod l2;
pub(crate) mod load;
pub(crate) mod log;
mod names;
mod read;
pub(crate) mod resource;
pub(crate) mod secret;
pub(crate) mod server;
pub(crate) mod snapshot;
pub(crate) mod source;

/// The settings of the service.
///
/// Every field has a default; what is not known is refused.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct Settings {
    /// Where and how it listens.
    pub(crate) server: ServerSettings,
    /// Who may do what.
    pub(crate) auth: AuthSettings,
    /// What it logs, and how.
    pub(crate) log: LogSettings,
    /// The engine, apart from its L2 and its resources.
    pub(crate) engine: Config,
    /// The second tier. Default: none, memory only.
    pub(crate) l2: Option<L2Settings>,
    /// Where values come from.
    pub(crate) sources: BTreeMap<String, SourceSettings>,
    /// What is cached.
    pub(crate) resources: BTreeMap<String, ResourceSettings>,
    /// Whole datasets.
    pub(crate) snapshots: BTreeMap<String, SnapshotSettings>,
    /// Work at set times.
    pub(crate) jobs: BTreeMap<String, JobSettings>,
}

/// The most sources, resources, snapshots and jobs, each: what a mistaken program may have written
/// must not take the memory of the machine.
const PARTS_MAX: usize = 1_000;

impl Settings {
    /// What cannot work, as far as that is seen without asking anybody; all of it, not only the first.
    pub(crate) fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Problems::default();
        problems.note(self.server.check(&self.auth));
        problems.note(self.auth.check());
        problems.note(self.log.check());
        problems.note(self.engine.check().map(drop).map_err(|error| error.within("engine")));
        problems.note(self.l2.as_ref().map_or(Ok(()), L2Settings::check));
        for (part, count) in [
            ("sources", self.sources.len()),
            ("resources", self.resources.len()),
            ("snapshots", self.snapshots.len()),
            ("jobs", self.jobs.len()),
        ] {
            if count > PARTS_MAX {
                let remedy = format!("declare {PARTS_MAX} at most");
                problems.note(Err(ConfigError::new(part, format!("are {count}"), remedy)));
            }
        }
        problems.all(names::problems("sources", &self.sources));
        problems.all(names::problems("resources", &self.resources));
        problems.all(names::problems("snapshots", &self.snapshots));
        problems.all(names::problems("jobs", &self.jobs));
        for (name, source) in &self.sources {
            problems.note(source.check(&format!("sources.{name}")));
        }
        for (name, resource) in &self.resources {
            problems.all(resource.problems(name, self));
        }
        for (name, snapshot) in &self.snapshots {
            let part = format!("snapshots.{name}.collections");
            problems.all(names::problems(&part, &snapshot.collections));
            problems.note(snapshot.check(name, self));
        }
        for (name, job) in &self.jobs {
            problems.note(job.check(name, self));
        }
        problems.found
    }

    /// The source that something names.
    pub(crate) fn source(&self, field: &str, name: &str) -> Result<&SourceSettings, ConfigError> {
        self.sources.get(name).ok_or_else(|| {
            let problem = format!("names `{}`, which is no source", name.escape_debug());
            ConfigError::new(field, problem, one_of("declare it, or name", &self.sources))
        })
    }

    /// Refuses what names a resource that is not declared.
    pub(crate) fn check_resource(&self, field: &str, name: &str) -> Result<(), ConfigError> {
        if self.resources.contains_key(name) {
            return Ok(());
        }
        let problem = format!("names `{}`, which is no resource", name.escape_debug());
        Err(ConfigError::new(field, problem, one_of("declare it, or name", &self.resources)))
    }

    /// Every secret, by its setting.
    pub(crate) fn secrets(&self) -> Vec<(String, &Secret)> {
        let tokens = self.auth.tokens.iter().enumerate();
        let tokens =
            tokens.map(|(nth, token)| (format!("auth.tokens[{nth}].secret"), &token.secret));
        let l2 = self.l2.iter().flat_map(L2Settings::secrets);
        let sources = self.sources.iter().flat_map(|(name, source)| {
            let within = move |(field, secret)| (format!("sources.{name}.{field}"), secret);
            source.secrets().into_iter().map(within)
        });
        tokens.chain(l2).chain(sources).collect()
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.server.listen
    }
}

/// What cannot work, so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<ConfigError>,
}

impl Problems {
    pub(crate) fn note(&mut self, checked: Result<(), ConfigError>) {
        self.found.extend(checked.err());
    }

    fn all(&mut self, problems: Self) {
        self.found.extend(problems.found);
    }
}

/// What there is to choose from.
pub(crate) fn one_of<T>(what: &str, declared: &BTreeMap<String, T>) -> String {
    const SHOWN_MAX: usize = 10;
    let names = declared.keys().take(SHOWN_MAX).map(|name| format!("`{name}`"));
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        "declare it".to_owned()
    } else {
        format!("{what} one of {}", names.join(", "))
    }
}
