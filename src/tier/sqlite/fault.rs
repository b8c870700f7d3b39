//! What is wrong with the file, what to do about it, and how often that is said.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::MigrateError;

use super::writer::RETRY_AFTER;
use crate::clock::Moment;
use crate::error::ConfigError;

/// Why a call is refused without the file being asked.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the SQLite tier has been closed")]
    Closed,
    #[error("too many writes are waiting for the SQLite file")]
    Crowded,
    #[error("the SQLite file could not be written a moment ago")]
    Paused,
}

/// Why the file could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Path(#[from] ConfigError),
    #[error("the file cannot be created: {0}")]
    Create(#[source] io::Error),
    #[error("another file took the name while it was being opened")]
    Replaced,
    #[error("others are opening the file, or still use the one that had its name before")]
    Occupied,
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error("the tables cannot be brought up to date: {0}")]
    Migrate(#[from] MigrateError),
}

impl OpenError {
    /// After how long it is worth while to open the file anew.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            // Others are about to let go.
            Self::Occupied | Self::Replaced => Duration::from_millis(20),
            _ => RETRY_AFTER,
        }
    }

    pub(super) fn trouble(&self) -> Trouble {
        match self {
            Self::Path(_) | Self::Create(_) | Self::Replaced => Trouble::Unreachable,
            Self::Occupied => Trouble::Occupied,
            Self::Sql(error)
            | Self::Migrate(MigrateError::Execute(error))
            | Self::Migrate(MigrateError::ExecuteMigration(error, _)) => Trouble::of(error),
            Self::Migrate(_) => Trouble::Schema,
        }
    }
}

/// What is wrong, in terms of what to do about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// Another connection holds the lock.
    Busy,
    /// There is no more room, on the disk or within `max_bytes`.
    Full,
    ReadOnly,
    Damaged,
    NotADatabase,
    /// Others use another file under its name.
    Occupied,
    /// It cannot be opened or created.
    Unreachable,
    Device,
    /// The tables are not ours, or of a later version.
    Schema,
    /// The statement is at fault, and not the file.
    Statement,
    Unknown,
}

impl Trouble {
    /// What an error says of the file, by the primary result code of SQLite.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) {
            return Self::Statement;
        }
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let code = code.and_then(|code| code.parse::<u32>().ok()).unwrap_or_default();
        match code & 0xff {
            5 | 6 => Self::Busy,
            13 => Self::Full,
            8 => Self::ReadOnly,
            11 => Self::Damaged,
            26 => Self::NotADatabase,
            14 => Self::Unreachable,
            10 | 15 => Self::Device,
            1 | 17 => Self::Schema,
            7 | 9 | 18..=20 => Self::Statement,
            _ => Self::Unknown,
        }
    }

    /// Whether the next write is likely to fail as well.
    pub(super) fn lasts(self) -> bool {
        self != Self::Statement
    }

    /// Whether a new connection may get on better than this one.
    pub(super) fn is_of_the_connection(self) -> bool {
        !matches!(self, Self::Busy | Self::Full | Self::Statement)
    }

    /// What the operator can do.
    fn remedy(self) -> &'static str {
        match self {
            Self::Busy => "end what keeps the file locked, or raise `busy_timeout`",
            Self::Full => "make room on the disk, or raise `max_bytes`",
            Self::ReadOnly => "make the file, those beside it, and their directory writable",
            Self::Damaged => "move the file away, or bring back a copy of it",
            Self::NotADatabase => "move the file away, or give another path",
            Self::Occupied => "end what still uses the file that was there before",
            Self::Unreachable => "see that the directory is there and may be written",
            Self::Device => "look at the disk and its file system",
            Self::Schema => "give the tier a file of its own, or run the newer version",
            Self::Statement => "store smaller values, or raise the limits of memory",
            Self::Unknown => "see what the problem says",
        }
    }
}

/// Tells the operator that the file cannot be used, and when it can again.
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
        path: &Path,
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
            path = %path.display(),
            %problem,
            remedy = trouble.remedy(),
            "the SQLite tier cannot be used as it should: reads go on without it",
        );
    }

    pub(super) fn all_is_well(&mut self, path: &Path) {
        if std::mem::take(&mut self.is_open) {
            tracing::info!(path = %path.display(), "the SQLite tier can be used again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::error::Error as StdError;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("code {0}")]
    struct Code(u32);

    impl sqlx::error::DatabaseError for Code {
        fn message(&self) -> &str {
            "a result code of SQLite"
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.to_string().into())
        }

        fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    #[test]
    fn a_result_code_says_what_to_do() {
        // Result code, trouble, whether it lasts, whether a new connection may help.
        let cases = [
            (5, Trouble::Busy, true, false),
            (517, Trouble::Busy, true, false),
            (13, Trouble::Full, true, false),
            (1032, Trouble::ReadOnly, true, true),
            (267, Trouble::Damaged, true, true),
            (26, Trouble::NotADatabase, true, true),
            (14, Trouble::Unreachable, true, true),
            (1802, Trouble::Device, true, true),
            (1, Trouble::Schema, true, true),
            (18, Trouble::Statement, false, false),
            (2067, Trouble::Statement, false, false),
            (4, Trouble::Unknown, true, true),
        ];
        for (code, trouble, lasts, is_of_the_connection) in cases {
            let error = sqlx::Error::Database(Box::new(Code(code)));
            assert_eq!(Trouble::of(&error), trouble, "{code}");
            assert_eq!(trouble.lasts(), lasts, "{code}");
            assert_eq!(trouble.is_of_the_connection(), is_of_the_connection, "{code}");
        }
        assert_eq!(Trouble::of(&sqlx::Error::WorkerCrashed), Trouble::Unknown);
    }
}
