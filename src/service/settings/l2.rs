//! The second tier of the service.

use std::path::PathBuf;

use serde::Deserialize;

use super::secret::Secret;
use crate::error::ConfigError;

/// The second tier. How the engine deals with it is `engine.l2`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum L2Settings {
    /// A file, for the processes of one machine.
    Sqlite(SqliteL2),
    /// A schema in a PostgreSQL database.
    Postgres(PostgresL2),
    /// Redis or Valkey.
    Redis(RedisL2),
}

/// A file, for the processes of one machine.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct SqliteL2 {
    /// The file; it is created if it is missing.
    pub(crate) path: PathBuf,
    /// The bytes that the file may grow to. Default: 1 GiB.
    pub(crate) max_bytes: Option<u64>,
}

/// A schema in a PostgreSQL database.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct PostgresL2 {
    /// Where it is: `postgres://user@host/database`.
    pub(crate) url: Secret,
    /// The schema. Default: `forewarm`.
    pub(crate) schema: Option<String>,
    /// The most bytes of values. Default: 1 GiB.
    pub(crate) max_bytes: Option<u64>,
}

/// Redis or Valkey.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct RedisL2 {
    /// One server: `redis://user@host:6379/0`.
    pub(crate) url: Option<Secret>,
    /// The first nodes of a cluster, instead.
    #[serde(default)]
    pub(crate) cluster: Vec<Secret>,
    /// What keys begin with. Default: `forewarm`.
    pub(crate) namespace: Option<String>,
    /// The user, where there is a password.
    pub(crate) user: Option<String>,
    /// The password.
    pub(crate) password: Option<Secret>,
    /// The certificates that are trusted, in PEM. Default: those of the public web.
    pub(crate) ca_file: Option<PathBuf>,
}

impl L2Settings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Sqlite(sqlite) if sqlite.path.as_os_str().is_empty() => Err(ConfigError::new(
                "l2.sqlite.path",
                "is empty",
                "use a path such as `forewarm.db`",
            )),
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(postgres) => check_url("l2.postgres.url", &postgres.url),
            Self::Redis(redis) => redis.check(),
        }
    }

    /// Its secrets, by their settings.
    pub(super) fn secrets(&self) -> Vec<(String, &Secret)> {
        match self {
            Self::Sqlite(_) => Vec::new(),
            Self::Postgres(postgres) => vec![("l2.postgres.url".to_owned(), &postgres.url)],
            Self::Redis(RedisL2 { url, cluster, password, .. }) => {
                let field = |name: &str| format!("l2.redis.{name}");
                let cluster = cluster.iter().enumerate();
                let cluster = cluster.map(|(nth, url)| (field(&format!("cluster[{nth}]")), url));
                let url = url.iter().map(|url| (field("url"), url));
                let password = password.iter().map(|password| (field("password"), password));
                url.chain(cluster).chain(password).collect()
            }
        }
    }
}

impl RedisL2 {
    fn check(&self) -> Result<(), ConfigError> {
        let remedy = "give `url` for one server, or `cluster` for the first nodes of one";
        match (&self.url, self.cluster.as_slice()) {
            (Some(url), []) => check_url("l2.redis.url", url)?,
            (None, [_, ..]) => {
                for (nth, url) in self.cluster.iter().enumerate() {
                    check_url(&format!("l2.redis.cluster[{nth}]"), url)?;
                }
            }
            (None, []) => return Err(ConfigError::new("l2.redis.url", "is missing", remedy)),
            (Some(_), [_, ..]) => {
                return Err(ConfigError::new("l2.redis.cluster", "is given beside `url`", remedy));
            }
        }
        check_password("l2.redis.password", self.password.as_ref())
    }
}

/// Refuses a URL whose password stands in the settings.
pub(crate) fn check_url(field: &str, url: &Secret) -> Result<(), ConfigError> {
    let Some(written) = url.written() else { return Ok(()) };
    let remedy =
        "put the URL into the environment or a file: `{ env = \"NAME\" }`, `{ file = \"path\" }`";
    match reqwest::Url::parse(written) {
        Ok(url)
            if url.password().is_some()
                || url.query_pairs().any(|(name, _)| name == "password") =>
        {
            Err(ConfigError::new(field, "has a password in the settings", remedy))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            let remedy = "write it like `postgres://user@host/database`";
            Err(ConfigError::new(field, format!("is no URL ({error})"), remedy))
        }
    }
}

/// Refuses a password that stands in the settings.
pub(crate) fn check_password(field: &str, password: Option<&Secret>) -> Result<(), ConfigError> {
    match password.and_then(Secret::written) {
        None => Ok(()),
        Some(_) => {
            let remedy = "use `{ env = \"NAME\" }` or `{ file = \"path\" }`";
            Err(ConfigError::new(field, "stands in the settings", remedy))
        }
    }
}

/// What a secret is, with the setting named if it cannot be had.
pub(crate) fn reveal(field: &str, secret: &Secret) -> Result<String, ConfigError> {
    secret.reveal().map_err(|error| {
        let problem = format!("cannot be had: {error}");
        ConfigError::new(field, problem, "set the variable, or write the file")
    })
}
