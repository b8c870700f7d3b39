//! What a database could not do, and whether it is worth trying again.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::io;

use sqlx::error::{DatabaseError, UnexpectedNullError};

use crate::error::LoadError;

/// Why a database could not answer, in words that hold no value: of what the driver and the server
/// say, only that is kept which cannot quote a parameter, a row or a connection string.
///
/// It is what a [`LoadError`] made of a `sqlx::Error` has as its source, so that `?` is all that a
/// loader needs:
///
/// ```
/// # use forewarm::{Forewarm, LoadError};
/// # fn declare(forewarm: &Forewarm, pool: sqlx::SqlitePool) -> Result<(), forewarm::Error> {
/// let stock = forewarm
///     .resource::<i64, i64>("stock")
///     .load_with(move |product| {
///         let pool = pool.clone();
///         async move {
///             let pieces = sqlx::query_scalar("select pieces from stock where product = ?");
///             let pieces: Option<i64> = pieces.bind(product).fetch_optional(&pool).await?;
///             Ok::<_, LoadError>(pieces)
///         }
///     })
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct SqlError {
    what: Cow<'static, str>,
    code: Option<Box<str>>,
    kind: Kind,
}

/// What an error means for those who ask again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// It may pass.
    Transient,
    /// A value that was bound, or found, is at fault: others may do.
    Data,
    /// It will not pass.
    Permanent,
}

impl SqlError {
    /// An error of ours, which trying again does not help.
    pub(super) fn permanent(what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), code: None, kind: Kind::Permanent }
    }

    fn new(what: impl Into<Cow<'static, str>>, kind: Kind) -> Self {
        Self { what: what.into(), code: None, kind }
    }

    fn of_database(error: &dyn DatabaseError) -> Self {
        let code = error.code().unwrap_or_default();
        let (kind, is_quotable) = if is_sqlstate(&code) {
            (kind_of_sqlstate(&code), !quotes_values(&code))
        } else {
            // SQLite names tables and columns in its messages, and no values.
            (kind_of_sqlite(&code), true)
        };
        let what = match is_quotable {
            true => format!("the database says: {}", error.message()).into(),
            false => "the database refuses a value".into(),
        };
        Self { what, code: Some(code.into()), kind }
    }

    pub(super) fn of(error: &sqlx::Error) -> Self {
        use sqlx::Error as E;
        let transient = |what: &'static str| Self::new(what, Kind::Transient);
        match error {
            E::Database(error) => Self::of_database(&**error),
            E::Io(error) => {
                let what = format!("no answer of the database: {}", in_words(error));
                Self::new(what, Kind::Transient)
            }
            E::Tls(_) => transient("no encrypted connection can be made"),
            E::PoolTimedOut => transient("no connection of the pool became free in time"),
            E::WorkerCrashed => transient("the worker of a connection has ended"),
            E::PoolClosed => Self::permanent("the pool is closed"),
            E::Protocol(_) => Self::permanent("the database said what nobody understands"),
            E::RowNotFound => Self::permanent("there is no such row"),
            E::TypeNotFound { type_name } => Self::permanent(format!("no type `{type_name}`")),
            E::ColumnNotFound(name) => Self::permanent(format!("the rows have no column `{name}`")),
            E::ColumnIndexOutOfBounds { index, len } => {
                Self::permanent(format!("the rows have {len} columns, and none at {index}"))
            }
            E::ColumnDecode { index, source } => {
                Self::new(format!("column {index} {}", unreadable(&**source)), Kind::Data)
            }
            E::Decode(source) => Self::new(format!("a row {}", unreadable(&**source)), Kind::Data),
            E::Encode(_) => Self::new("a value cannot be bound", Kind::Data),
            _ => Self::permanent("the database cannot be used as it is set up"),
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind == Kind::Transient
    }

    /// What the database calls the error: an SQLSTATE, or a result code of SQLite.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether a value is at fault, so that others of the same query may do.
    pub(super) fn is_of_data(&self) -> bool {
        self.kind == Kind::Data
    }
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        Self::of(&error)
    }
}

impl From<SqlError> for LoadError {
    fn from(error: SqlError) -> Self {
        if error.is_transient() { Self::transient(error) } else { Self::permanent(error) }
    }
}

/// Transient if it may pass: a lost connection, a pool without a free one, a lock, a conflict, a
/// server that starts or stops. Permanent are those of the statement, of the schema, of the login,
/// and of what cannot be decoded.
impl From<sqlx::Error> for LoadError {
    fn from(error: sqlx::Error) -> Self {
        SqlError::from(error).into()
    }
}

/// An SQLSTATE has five characters; the result codes of SQLite have at most four.
pub(super) fn is_sqlstate(code: &str) -> bool {
    code.len() == 5
}

/// By class, as listed in appendix A of PostgreSQL's manual.
fn kind_of_sqlstate(code: &str) -> Kind {
    let class = code.get(..2).unwrap_or_default();
    match (class, code) {
        // A database that was dropped.
        (_, "57P04") => Kind::Permanent,
        // A lock, an object in use, a transaction that took too long.
        (_, "55P03" | "55006" | "25P03" | "25P04") => Kind::Transient,
        // Connection, conflict, resources, the operator, the system.
        ("08" | "40" | "53" | "57" | "58", _) => Kind::Transient,
        ("22", _) => Kind::Data,
        _ => Kind::Permanent,
    }
}

/// Whether a message may quote values. Those about names, locks, rights and connections do not;
/// those about data do, and those that users write, whose classes are any others, may.
fn quotes_values(code: &str) -> bool {
    const NOT: [&str; 18] = [
        "08", "0A", "23", "25", "26", "28", "2B", "3D", "3F", "40", "42", "53", "54", "55", "57",
        "58", "F0", "XX",
    ];
    !NOT.iter().any(|class| code.starts_with(class))
}

/// By the primary result code, as listed in <https://sqlite.org/rescode.html>.
fn kind_of_sqlite(code: &str) -> Kind {
    match code.parse::<u32>().unwrap_or_default() & 0xff {
        // Aborted, busy, locked, no memory, interrupted, an error of the disk, full, cannot be
        // opened, locking protocol, the schema has changed.
        4..=7 | 9 | 10 | 13..=15 | 17 => Kind::Transient,
        // Too large, of another type.
        18 | 20 => Kind::Data,
        _ => Kind::Permanent,
    }
}

/// What an error of the system says, which the system writes; others may say anything.
fn in_words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => error.to_string(),
        None => error.kind().to_string(),
    }
}

/// Why something could not be decoded, without what it was.
fn unreadable(source: &(dyn StdError + Send + Sync + 'static)) -> String {
    // How sqlx begins to tell which types do not fit; values are not in it.
    const TYPES: &str = "mismatched types; Rust type `";
    if source.is::<UnexpectedNullError>() {
        return "is null, and the type takes none".to_owned();
    }
    let text = source.to_string();
    if text.starts_with(TYPES) { format!("has {text}") } else { "cannot be decoded".to_owned() }
}

impl Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.code {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlError")
            .field("what", &self.what)
            .field("code", &self.code)
            .field("is_transient", &self.is_transient())
            .finish()
    }
}

impl StdError for SqlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("s3cret")]
    struct Said(&'static str);

    impl DatabaseError for Said {
        fn message(&self) -> &str {
            "s3cret"
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
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
    fn what_may_pass_is_told_from_what_will_not() {
        let cases = [
            ("40001", Kind::Transient),
            ("40P01", Kind::Transient),
            ("08006", Kind::Transient),
            ("53300", Kind::Transient),
            ("57014", Kind::Transient),
            ("57P01", Kind::Transient),
            ("55P03", Kind::Transient),
            ("57P04", Kind::Permanent),
            ("22P02", Kind::Data),
            ("22021", Kind::Data),
            ("23505", Kind::Permanent),
            ("28P01", Kind::Permanent),
            ("42601", Kind::Permanent),
            ("42P01", Kind::Permanent),
            ("5", Kind::Transient),
            ("6", Kind::Transient),
            ("517", Kind::Transient),
            ("3338", Kind::Transient),
            ("14", Kind::Transient),
            ("1", Kind::Permanent),
            ("11", Kind::Permanent),
            ("26", Kind::Permanent),
            ("2067", Kind::Permanent),
            ("20", Kind::Data),
        ];
        for (code, kind) in cases {
            let error = SqlError::from(sqlx::Error::Database(Box::new(Said(code))));
            assert_eq!((error.kind, error.code()), (kind, Some(code)));
        }
        let io = io::Error::from(io::ErrorKind::ConnectionReset);
        for (error, is_transient) in [
            (sqlx::Error::Io(io), true),
            (sqlx::Error::PoolTimedOut, true),
            (sqlx::Error::WorkerCrashed, true),
            (sqlx::Error::PoolClosed, false),
            (sqlx::Error::RowNotFound, false),
            (sqlx::Error::ColumnNotFound("id".into()), false),
        ] {
            let said = error.to_string();
            assert_eq!(LoadError::from(error).is_transient(), is_transient, "{said}");
        }
    }

    #[test]
    fn what_may_quote_a_value_is_left_out() {
        let io = io::Error::other("s3cret");
        let decode =
            |text: &str| sqlx::Error::ColumnDecode { index: "1".into(), source: text.into() };
        let coded = ["22P02", "P0001", "U0001", "99999"]
            .map(|code| sqlx::Error::Database(Box::new(Said(code))));
        let others = [
            sqlx::Error::Io(io),
            sqlx::Error::Encode("s3cret".into()),
            sqlx::Error::Decode("s3cret".into()),
            sqlx::Error::Protocol("s3cret".into()),
            sqlx::Error::Configuration("s3cret".into()),
            sqlx::Error::Tls("s3cret".into()),
            decode("s3cret"),
        ];
        for error in coded.into_iter().chain(others) {
            let error = SqlError::from(error);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
        let types = "mismatched types; Rust type `i64` (as SQL type `INT8`) is not compatible";
        assert!(SqlError::from(decode(types)).to_string().contains(types));
        let quoted = SqlError::from(sqlx::Error::Database(Box::new(Said("42P01"))));
        assert!(quoted.to_string().contains("s3cret"), "names of tables are told");
    }
}
