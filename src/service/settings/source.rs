//! Where documents come from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, header};
use serde::Deserialize;

use super::l2::{check_password, check_url};
use super::load::SourceKind;
use super::secret::Secret;
use crate::error::ConfigError;
use crate::policy::{Bytes, Capacity};

/// A source: a database, or a server that speaks HTTP.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SourceSettings {
    /// An SQLite database in a file.
    Sqlite(SqliteSource),
    /// A PostgreSQL database.
    Postgres(PostgresSource),
    /// A server that answers with JSON.
    Http(HttpSource),
}

/// An SQLite database in a file.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct SqliteSource {
    /// The file. It need not be there yet when the service starts.
    pub(crate) path: PathBuf,
    /// Whether nothing can be changed through it. Default: true, since queries of a source only
    /// read.
    #[serde(default = "yes")]
    pub(crate) read_only: bool,
    /// The most queries at a time, each on a connection and a thread of its own; 1 to 64. Default: 4.
    #[serde(default = "four")]
    pub(crate) connections_max: u32,
    /// How long a query waits for a connection. Default: 2 s.
    #[serde(default = "two_seconds", with = "crate::span")]
    pub(crate) wait_timeout: Duration,
    /// How long a query waits while somebody else writes to the file. Default: 1 s.
    #[serde(default = "one_second", with = "crate::span")]
    pub(crate) busy_timeout: Duration,
}

/// A PostgreSQL database.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct PostgresSource {
    /// Where it is, such as `postgres://reader@host:5432/database`. `sslmode=verify-full` in it has
    /// the certificate of the server checked.
    pub(crate) url: Secret,
    /// The password, if it is not in the URL.
    #[serde(default)]
    pub(crate) password: Option<Secret>,
    /// Whether the server is told to refuse changes. Default: true, since queries of a source only
    /// read.
    #[serde(default = "yes")]
    pub(crate) read_only: bool,
    /// The most connections at a time, 1 to 256. Default: 8.
    #[serde(default = "eight")]
    pub(crate) connections_max: u32,
    /// How long a query waits for a connection, a new one included. Default: 2 s.
    #[serde(default = "two_seconds", with = "crate::span")]
    pub(crate) wait_timeout: Duration,
    /// How long the server works on a query before it gives it up. Default: 10 s.
    #[serde(default = "ten_seconds", with = "crate::span")]
    pub(crate) statement_timeout: Duration,
}

/// A server that answers with JSON.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct HttpSource {
    /// What the paths of resources are put behind, such as `https://api.example.com/v2`.
    pub(crate) url: String,
    /// What is sent with each request. Default: nothing.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Secret>,
    /// How long it may take to connect. Default: 2 s.
    #[serde(default = "two_seconds", with = "crate::span")]
    pub(crate) connect_timeout: Duration,
    /// How long a request may take in all, its answer included. Default: 10 s.
    #[serde(default = "ten_seconds", with = "crate::span")]
    pub(crate) timeout: Duration,
    /// The largest answer that is read, in bytes, 1 B to 64 MiB. Default: 1 MiB.
    #[serde(default = "one_mib")]
    pub(crate) body_bytes_max: Capacity,
}

const CONNECTIONS_MAX_SQLITE: u32 = 64;
const CONNECTIONS_MAX_POSTGRES: u32 = 256;
const BODY_BYTES_MAX: u64 = 64 << 20;

impl SourceSettings {
    /// How it is asked.
    pub(crate) const fn kind(&self) -> SourceKind {
        match self {
            Self::Sqlite(_) | Self::Postgres(_) => SourceKind::Sql,
            Self::Http(_) => SourceKind::Http,
        }
    }

    /// Says what cannot work in these settings, which stand at `path`.
    ///
    /// # Errors
    ///
    /// Names the first setting that is wrong, what is wrong with it, and what would be right.
    pub(crate) fn check(&self, path: &str) -> Result<(), ConfigError> {
        let (kind, checked) = match self {
            Self::Sqlite(source) => ("sqlite", source.check()),
            Self::Postgres(source) => ("postgres", source.check()),
            Self::Http(source) => ("http", source.check()),
        };
        checked.map_err(|error| error.within(&format!("{path}.{kind}")))
    }

    /// Its secrets, by their settings within it.
    pub(super) fn secrets(&self) -> Vec<(String, &Secret)> {
        match self {
            Self::Sqlite(_) => Vec::new(),
            Self::Postgres(PostgresSource { url, password, .. }) => {
                let password =
                    password.iter().map(|password| ("postgres.password".to_owned(), password));
                std::iter::once(("postgres.url".to_owned(), url)).chain(password).collect()
            }
            Self::Http(http) => {
                let header = |(name, value)| (format!("http.headers.{name}"), value);
                http.headers.iter().map(header).collect()
            }
        }
    }
}

impl SqliteSource {
    fn check(&self) -> Result<(), ConfigError> {
        let path = self.path.to_str().unwrap_or_default();
        if path.is_empty() || path.contains('\0') {
            let remedy = "give the path of a file, such as `shop.db`";
            return Err(ConfigError::new("path", "names no file", remedy));
        }
        connections(self.connections_max, CONNECTIONS_MAX_SQLITE)?;
        positive("wait_timeout", self.wait_timeout)?;
        positive("busy_timeout", self.busy_timeout)
    }
}

impl PostgresSource {
    fn check(&self) -> Result<(), ConfigError> {
        check_url("url", &self.url)?;
        check_password("password", self.password.as_ref())?;
        connections(self.connections_max, CONNECTIONS_MAX_POSTGRES)?;
        positive("wait_timeout", self.wait_timeout)?;
        positive("statement_timeout", self.statement_timeout)
    }
}

/// Headers that hold no secret, so that they may stand in the settings.
const OPEN_HEADERS: [HeaderName; 5] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CACHE_CONTROL,
    header::FROM,
    header::USER_AGENT,
];

impl HttpSource {
    fn check(&self) -> Result<(), ConfigError> {
        positive("connect_timeout", self.connect_timeout)?;
        positive("timeout", self.timeout)?;
        for (name, value) in &self.headers {
            let problem = match HeaderName::try_from(name) {
                Err(_) => "is no name of a header",
                // Conditional requests say this.
                Ok(header::IF_NONE_MATCH) => "is said by the service itself",
                Ok(known) if value.written().is_some() && !OPEN_HEADERS.contains(&known) => {
                    let remedy = "use `{ env = \"NAME\" }` or `{ file = \"path\" }`";
                    let field = format!("headers.{name}");
                    return Err(ConfigError::new(field, "stands in the settings", remedy));
                }
                Ok(_) => continue,
            };
            let remedy = "use a name such as `authorization`";
            return Err(ConfigError::new(format!("headers.{name}"), problem, remedy));
        }
        self.body_bytes_max().map(drop)
    }

    /// The largest answer that is read, in bytes.
    ///
    /// # Errors
    ///
    /// It is none.
    pub(crate) fn body_bytes_max(&self) -> Result<usize, ConfigError> {
        let bytes = match self.body_bytes_max {
            Capacity::Bytes(bytes) if (1..=BODY_BYTES_MAX).contains(&bytes.get()) => bytes.get(),
            other => {
                let problem = format!("is {other}");
                return Err(ConfigError::new("body_bytes_max", problem, "use 1 B to 64 MiB"));
            }
        };
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

fn connections(count: u32, most: u32) -> Result<(), ConfigError> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    let (problem, remedy) = (format!("is {count}"), format!("use 1 to {most}"));
    Err(ConfigError::new("connections_max", problem, remedy))
}

/// Databases count in whole milliseconds.
fn positive(field: &str, span: Duration) -> Result<(), ConfigError> {
    if span < Duration::from_millis(1) {
        return Err(ConfigError::new(field, "is less than 1 ms", "use a span such as `2s`"));
    }
    Ok(())
}

const fn yes() -> bool {
    true
}

const fn four() -> u32 {
    4
}

const fn eight() -> u32 {
    8
}

const fn one_second() -> Duration {
    Duration::from_secs(1)
}

const fn two_seconds() -> Duration {
    Duration::from_secs(2)
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

const fn one_mib() -> Capacity {
    Capacity::Bytes(Bytes::mib(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SourceSettings, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn settings_that_say_the_least_work() {
        for text in [
            "[sqlite]\npath = 'shop.db'",
            "[postgres]\nurl = { env = 'CRM_URL' }",
            "[http]\nurl = 'https://quotes.example.com'",
        ] {
            assert_eq!(read(text).unwrap().check("sources.it"), Ok(()), "{text}");
        }
        let SourceSettings::Sqlite(sqlite) = read("sqlite = { path = 'shop.db' }").unwrap() else {
            panic!("it is SQLite");
        };
        assert!(sqlite.read_only);
    }

    #[test]
    fn what_cannot_work_is_refused_and_named() {
        let http = "http = { url = 'http://x', ";
        let cases = [
            ("sqlite.path", "sqlite = { path = '' }"),
            ("sqlite.connections_max", "sqlite = { path = 'x', connections_max = 65 }"),
            ("sqlite.wait_timeout", "sqlite = { path = 'x', wait_timeout = '0s' }"),
            ("sqlite.busy_timeout", "sqlite = { path = 'x', busy_timeout = '1us' }"),
            (
                "postgres.connections_max",
                "postgres = { url = 'postgres://x/y', connections_max = 0 }",
            ),
            ("postgres.wait_timeout", "postgres = { url = 'postgres://x/y', wait_timeout = '0s' }"),
            (
                "postgres.statement_timeout",
                "postgres = { url = 'postgres://x/y', statement_timeout = '0s' }",
            ),
            ("http.connect_timeout", &format!("{http} connect_timeout = '0s' }}")),
            ("http.timeout", &format!("{http} timeout = '0s' }}")),
            ("http.headers.a b", &format!("{http} headers = {{ 'a b' = 'x' }} }}")),
            ("http.headers.If-None-Match", &format!("{http} headers.If-None-Match = 'x' }}")),
            ("http.body_bytes_max", &format!("{http} body_bytes_max = '5 entries' }}")),
            ("http.body_bytes_max", &format!("{http} body_bytes_max = '65 MiB' }}")),
        ];
        for (field, text) in cases {
            let error = read(text).unwrap().check("sources.it").unwrap_err();
            assert_eq!(error.field(), format!("sources.it.{field}"), "{error}");
        }
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        for text in [
            "[mysql]\nurl = 'x'",
            "sqlite = { path = 'x', readonly = true }",
            "postgres = { url = 'x', passwort = 'x' }",
            "http = { url = 'x', header = {} }",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn passwords_stand_elsewhere() {
        for (text, field) in [
            ("postgres = { url = 'postgres://me:s3cret@x/y' }", "url"),
            ("postgres = { url = 'postgres://me@x/y', password = 's3cret' }", "password"),
        ] {
            let error = read(text).unwrap().check("sources.crm").unwrap_err();
            assert_eq!(error.field(), format!("sources.crm.postgres.{field}"));
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let text = "postgres = { url = 'postgres://me:s3cret@x', password = 's3cret' }";
        let http = "http = { url = 'http://x', headers = { authorization = 's3cret' } }";
        for text in [text, http] {
            assert!(!format!("{:?}", read(text).unwrap()).contains("s3cret"));
        }
    }
}
