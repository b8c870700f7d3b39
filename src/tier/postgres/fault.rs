//! What is wrong with the server, what to do about it, and how often that is said.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

use super::snapshot::ParseSnapshotError;
use crate::clock::Moment;

/// Why a call is refused without the server being asked.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the PostgreSQL tier has been closed")]
    Closed,
    #[error("no connection to PostgreSQL became free in time")]
    Crowded,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("no connection can be made: {0}")]
    Connect(Arc<ConnectError>),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

impl Failure {
    /// Whether a row was needed that somebody else held for too long.
    pub(super) fn is_of_a_lock(&self) -> bool {
        matches!(self, Self::Sql(error) if Trouble::of(error) == Trouble::Conflict)
    }
}

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("the server did not answer in time")]
    Late,
    #[error("the server is older than PostgreSQL 13")]
    Old,
    #[error("the database has another encoding than UTF-8")]
    Encoding,
    #[error("the tables are those of a newer version")]
    Newer,
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error("the tables cannot be brought up to date: {0}")]
    Migrate(#[from] MigrateError),
}

impl ConnectError {
    pub(super) fn trouble(&self) -> Trouble {
        match self {
            Self::Late => Trouble::Unreachable,
            Self::Old => Trouble::Version,
            Self::Encoding => Trouble::Encoding,
            Self::Sql(error)
            | Self::Migrate(MigrateError::Execute(error))
            | Self::Migrate(MigrateError::ExecuteMigration(error, _)) => Trouble::of(error),
            Self::Newer | Self::Migrate(_) => Trouble::Schema,
        }
    }
}

impl From<ParseSnapshotError> for sqlx::Error {
    fn from(error: ParseSnapshotError) -> Self {
        Self::Decode(Box::new(error))
    }
}

/// What is wrong, in terms of what to do about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// Somebody else held a row for too long, or in another order.
    Conflict,
    /// There is no way to the server, or it is stopping or starting.
    Unreachable,
    /// It does not let us in.
    Login,
    /// It has no place for another connection.
    Crowded,
    /// There is no more room on its disk, or in its memory.
    Full,
    /// It is a copy, or allows no writes.
    ReadOnly,
    /// We may not do this.
    Rights,
    /// The tables are not there, or not ours.
    Schema,
    Version,
    Encoding,
    /// The statement is at fault, and not the server.
    Statement,
}

impl Trouble {
    /// What an error says of the server, by its SQLSTATE.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(DatabaseError::code);
        match (error, code.as_deref()) {
            // No life of the tables is noted.
            (sqlx::Error::RowNotFound, _) => Self::Schema,
            (sqlx::Error::Database(_), Some(code)) => Self::of_state(code),
            (sqlx::Error::Database(_) | sqlx::Error::Decode(_), None) => Self::Statement,
            (sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }, _) => Self::Statement,
            (sqlx::Error::Encode(_), _) => Self::Statement,
            _ => Self::Unreachable,
        }
    }

    fn of_state(code: &str) -> Self {
        match code {
            "40001" | "40P01" | "55P03" => Self::Conflict,
            // Of unlogged tables, a copy that follows another server says that it cannot.
            "25006" | "0A000" => Self::ReadOnly,
            "42501" => Self::Rights,
            "53300" => Self::Crowded,
            "3D000" => Self::Login,
            "57014" => Self::Statement,
            "3F000" | "42P01" | "42703" | "42704" | "42883" | "42804" => Self::Schema,
            _ => match code.get(..2) {
                Some("08" | "57") => Self::Unreachable,
                Some("28") => Self::Login,
                Some("53" | "58") => Self::Full,
                _ => Self::Statement,
            },
        }
    }

    /// Whether a new connection may get on better than this one.
    pub(super) const fn is_of_the_connection(self) -> bool {
        matches!(self, Self::Unreachable | Self::ReadOnly | Self::Schema)
    }

    /// Whether it is certain that nothing was done.
    pub(super) const fn is_definite(self) -> bool {
        !matches!(self, Self::Unreachable)
    }

    /// Whether the operator has to know of it, where a statement met it.
    pub(super) const fn lasts(self) -> bool {
        !matches!(self, Self::Conflict | Self::Statement)
    }

    /// What the operator can do.
    const fn remedy(self) -> &'static str {
        match self {
            Self::Conflict => "see who holds rows of these tables",
            Self::Unreachable => "see that the server runs, and that nothing is in the way",
            Self::Login => "check user, password and database, and `pg_hba.conf`",
            Self::Crowded => "raise `max_connections` of the server, or lower `connections`",
            Self::Full => "make room on the server",
            Self::ReadOnly => "give the address of the primary server",
            Self::Rights => "let the user own the schema, or create it in this database",
            Self::Schema => "give the tier a schema of its own, or run the newer version",
            Self::Version => "use PostgreSQL 13 or later",
            Self::Encoding => "use a database whose encoding is UTF-8",
            Self::Statement => "see what the problem says",
        }
    }
}

/// Tells the operator that the server cannot be used, and when it can again.
#[derive(Debug, Default)]
pub(super) struct Report {
    warned_at: Option<Moment>,
    /// Whether a warning stands that has not been taken back.
    is_open: bool,
}

/// A trouble that lasts, or comes and goes, is warned of this often at most.
const WARN_EVERY: Duration = Duration::from_mins(1);

impl Report {
    pub(super) fn trouble(
        &mut self,
        server: &str,
        trouble: Trouble,
        problem: &dyn Display,
        now: Moment,
    ) {
        if self.warned_at.is_some_and(|warned_at| now.since(warned_at) < WARN_EVERY) {
            return;
        }
        self.warned_at = Some(now);
        self.is_open = true;
        tracing::warn!(
            server,
            %problem,
            remedy = trouble.remedy(),
            "the PostgreSQL tier cannot be used as it should: reads go on without it",
        );
    }

    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn all_is_well(&mut self, server: &str) {
        if std::mem::take(&mut self.is_open) {
            tracing::info!(server, "the PostgreSQL tier can be used again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_says_what_to_do() {
        // SQLSTATE, trouble, whether a new connection may help, whether the operator is told.
        let cases = [
            ("40P01", Trouble::Conflict, false, false),
            ("55P03", Trouble::Conflict, false, false),
            ("57P01", Trouble::Unreachable, true, true),
            ("57P03", Trouble::Unreachable, true, true),
            ("08006", Trouble::Unreachable, true, true),
            ("57014", Trouble::Statement, false, false),
            ("28P01", Trouble::Login, false, true),
            ("3D000", Trouble::Login, false, true),
            ("53300", Trouble::Crowded, false, true),
            ("53100", Trouble::Full, false, true),
            ("25006", Trouble::ReadOnly, true, true),
            ("42P01", Trouble::Schema, true, true),
            ("42501", Trouble::Rights, false, true),
            ("22021", Trouble::Statement, false, false),
        ];
        for (code, trouble, is_of_the_connection, lasts) in cases {
            assert_eq!(Trouble::of_state(code), trouble, "{code}");
            assert_eq!(trouble.is_of_the_connection(), is_of_the_connection, "{code}");
            assert_eq!(trouble.lasts(), lasts, "{code}");
        }
        assert_eq!(Trouble::of(&sqlx::Error::WorkerCrashed), Trouble::Unreachable);
        assert_eq!(Trouble::of(&sqlx::Error::RowNotFound), Trouble::Schema);
    }
}
