//! What the databases differ in.

use std::future::Future;

use sqlx::query::Query;
use sqlx::{Database, Pool};

use super::error::SqlError;
use super::retention::StoredAs;

/// A query and what is bound to it.
pub(super) type Bound<DB> = Query<'static, DB, <DB as Database>::Arguments>;

/// A database that [`SqlLoader`](super::SqlLoader) and [`Retention`](super::Retention) work with:
/// `sqlx::Sqlite` (feature `sqlite`) and `sqlx::Postgres` (feature `postgres`).
///
/// It is not for others to implement, and gains methods.
pub trait SqlDatabase: Database {
    /// The first row of a query.
    #[doc(hidden)]
    fn first(
        pool: &Pool<Self>,
        query: Bound<Self>,
    ) -> impl Future<Output = sqlx::Result<Option<Self::Row>>> + Send;

    /// All rows of a query. The connection is free again when it has returned.
    #[doc(hidden)]
    fn all(
        pool: &Pool<Self>,
        query: Bound<Self>,
    ) -> impl Future<Output = sqlx::Result<Vec<Self::Row>>> + Send;

    /// Binds a number.
    #[doc(hidden)]
    fn bind_number(query: Bound<Self>, number: i64) -> Bound<Self>;

    /// The statement that removes at most `$2` of the rows whose time is before `$1`, in microseconds
    /// since 1970. The names are quoted.
    #[doc(hidden)]
    fn remove_sql(table: &str, column: &str, stored_as: StoredAs) -> String;

    /// Does what a statement says; gives how many rows it has changed.
    #[doc(hidden)]
    fn execute(
        pool: &Pool<Self>,
        query: Bound<Self>,
    ) -> impl Future<Output = sqlx::Result<u64>> + Send;

    /// What is wrong with a column that is to hold times, as far as one row tells.
    #[doc(hidden)]
    fn check_times(
        pool: &Pool<Self>,
        table: &str,
        column: &str,
        stored_as: StoredAs,
    ) -> impl Future<Output = sqlx::Result<Option<SqlError>>> + Send;
}

/// A database that takes many keys in one parameter: PostgreSQL as an array, for `= any($1)`; SQLite
/// as the text of a JSON array, for `in (select value from json_each($1))`.
pub trait KeyList<K>: SqlDatabase {
    /// Binds the keys.
    ///
    /// # Errors
    ///
    /// They cannot be bound so.
    #[doc(hidden)]
    fn bind_list(query: Bound<Self>, keys: &[&K]) -> Result<Bound<Self>, SqlError>;

    /// The key in a column of a row.
    ///
    /// # Errors
    ///
    /// There is none.
    #[doc(hidden)]
    fn key_of(row: &Self::Row, column: &str) -> sqlx::Result<K>;
}
