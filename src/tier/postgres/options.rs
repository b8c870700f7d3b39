//! How a PostgreSQL tier is set up.

use std::fmt;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use super::PostgresTier;
use super::schema::Schema;
use crate::clock::Clock;
use crate::error::ConfigError;

/// How a PostgreSQL tier is set up. The defaults suit most.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) connect: PgConnectOptions,
    pub(super) schema: Schema,
    pub(super) connections: u32,
    pub(super) connect_timeout: Duration,
    pub(super) wait_timeout: Duration,
    pub(super) statement_timeout: Duration,
    pub(super) max_bytes: u64,
    pub(super) notifies: bool,
    pub(super) clock: Clock,
    /// As it was given.
    schema_name: String,
}

const CONNECTIONS_MAX: u32 = 256;

/// The longest that a statement may take: the log is cut on the assumption that none is older than
/// a minute.
const STATEMENT_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// The least that `max_bytes` may be.
const BYTES_MIN: u64 = 128 * 1024;

impl PostgresOptions {
    /// The defaults, for the database at `url`, such as `postgres://user:password@host/database`.
    ///
    /// `sslmode=verify-full` in it has the certificate of the server checked; `sslrootcert` says by
    /// which authority. What is missing is taken from the environment, as `psql` does.
    ///
    /// # Errors
    ///
    /// It is not the URL of a PostgreSQL database.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let is_ours = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        // What is wrong with it is not repeated: it may contain a password.
        let connect = url.parse().ok().filter(|_connect| is_ours);
        connect.map(Self::of).ok_or_else(|| {
            let remedy = "use one such as `postgres://user@host:5432/database`";
            ConfigError::new("url", "is not that of a PostgreSQL database", remedy)
        })
    }

    /// The defaults, for connections that are made like this.
    #[must_use]
    pub fn of(connect: PgConnectOptions) -> Self {
        let connect = connect.disable_statement_logging();
        let is_named = connect.get_application_name().is_some();
        Self {
            connect: if is_named { connect } else { connect.application_name("forewarm") },
            schema: Schema::default(),
            connections: 8,
            connect_timeout: Duration::from_secs(2),
            wait_timeout: Duration::from_secs(1),
            statement_timeout: Duration::from_secs(2),
            max_bytes: 1024 * 1024 * 1024,
            notifies: true,
            clock: Clock::system(),
            schema_name: Schema::default().name().to_owned(),
        }
    }

    /// The schema that the tables are in; it is created if it is missing. Default: `forewarm`.
    ///
    /// Engines share what they store if they have the same schema and the same prefix.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema_name = schema.into();
        self
    }

    /// The most connections at a time, 1 to 256; one more listens. Default: 8.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// How long it may take to make a connection. Default: 2 s.
    #[must_use]
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// How long a call waits for a connection if all are in use. Default: 1 s. The engine waits
    /// less.
    #[must_use]
    pub fn wait_timeout(mut self, wait_timeout: Duration) -> Self {
        self.wait_timeout = wait_timeout;
        self
    }

    /// How long the server works on a statement before it gives it up; at most 30 s. Default: 2 s.
    #[must_use]
    pub fn statement_timeout(mut self, statement_timeout: Duration) -> Self {
        self.statement_timeout = statement_timeout;
        self
    }

    /// The bytes that values and their keys may come to, in all engines that share the schema; at
    /// least 128 KiB. Default: 1 GiB.
    ///
    /// From 90 % of it on, what would be kept for the shortest time is removed. The room on disk is
    /// larger, since rows that are gone take up theirs until the server has tidied up.
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Whether changes are followed by a `NOTIFY`, so that others hear of them in milliseconds
    /// rather than at their next poll. Default: true.
    ///
    /// Transactions that notify are committed one after the other, in all databases of the server.
    /// Those of the tier take no time then; but if many transactions a second call
    /// [`PostgresTier::invalidate_in`], and each is committed to a slow disk, that is a limit.
    #[must_use]
    pub fn notify(mut self, notifies: bool) -> Self {
        self.notifies = notifies;
        self
    }

    /// The clock that deadlines follow: for tests. How far it is moved ahead by
    /// [`Clock::advance`] is added to the server's clock. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Begins to use the database, and creates the tables if they are missing.
    ///
    /// # Errors
    ///
    /// A setting that cannot work. A server that cannot be reached is none: see [`PostgresTier`].
    pub async fn open(self) -> Result<PostgresTier, ConfigError> {
        PostgresTier::start(self.check()?).await
    }

    /// What the server is called in logs.
    pub(super) fn server(&self) -> String {
        let database = self.connect.get_database().unwrap_or_default();
        format!("{}:{}/{database}", self.connect.get_host(), self.connect.get_port())
    }

    /// Says what cannot work.
    fn check(mut self) -> Result<Self, ConfigError> {
        self.schema = Schema::new(&self.schema_name).map_err(|problem| {
            ConfigError::new("schema", problem, "use a name such as `forewarm`")
        })?;
        if !(1..=CONNECTIONS_MAX).contains(&self.connections) {
            return Err(ConfigError::new("connections", "is out of range", "use 1 to 256"));
        }
        for (field, span) in [
            ("connect_timeout", self.connect_timeout),
            ("wait_timeout", self.wait_timeout),
            ("statement_timeout", self.statement_timeout),
        ] {
            if span < Duration::from_millis(1) {
                return Err(ConfigError::new(field, "is less than 1 ms", "use more"));
            }
        }
        if self.statement_timeout > STATEMENT_TIMEOUT_MAX {
            return Err(ConfigError::new("statement_timeout", "is longer than 30 s", "use less"));
        }
        if self.max_bytes < BYTES_MIN {
            return Err(ConfigError::new("max_bytes", "is less than 128 KiB", "use more"));
        }
        Ok(self)
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("server", &self.server())
            .field("schema", &self.schema_name)
            .field("connections", &self.connections)
            .field("connect_timeout", &self.connect_timeout)
            .field("wait_timeout", &self.wait_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("max_bytes", &self.max_bytes)
            .field("notify", &self.notifies)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_and_named() {
        let options = PostgresOptions::new("postgres://me@localhost/app").unwrap();
        assert!(options.clone().check().is_ok());
        let cases: [(&str, PostgresOptions); 7] = [
            ("schema", options.clone().schema("pg_own")),
            ("connections", options.clone().connections(0)),
            ("connections", options.clone().connections(257)),
            ("connect_timeout", options.clone().connect_timeout(Duration::ZERO)),
            ("wait_timeout", options.clone().wait_timeout(Duration::ZERO)),
            ("statement_timeout", options.clone().statement_timeout(Duration::from_mins(1))),
            ("max_bytes", options.max_bytes(0)),
        ];
        for (field, options) in cases {
            assert_eq!(options.check().unwrap_err().field(), field);
        }
    }

    #[test]
    fn no_password_is_shown() {
        let options = PostgresOptions::new("postgres://me:hunter2@localhost/app").unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
        for url in ["postgres://me:hunter2@localhost:port/app", "mysql://me:hunter2@localhost/app"]
        {
            let error = PostgresOptions::new(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
