//! PostgreSQL.

use sqlx::postgres::{PgHasArrayType, PgRow};
use sqlx::{Decode, Encode, Pool, Postgres, Row as _, Type};

use super::database::{Bound, KeyList, SqlDatabase};
use super::error::SqlError;
use super::retention::StoredAs;

impl SqlDatabase for Postgres {
    async fn first(pool: &Pool<Self>, query: Bound<Self>) -> sqlx::Result<Option<PgRow>> {
        query.fetch_optional(pool).await
    }

    async fn all(pool: &Pool<Self>, query: Bound<Self>) -> sqlx::Result<Vec<PgRow>> {
        query.fetch_all(pool).await
    }

    fn bind_number(query: Bound<Self>, number: i64) -> Bound<Self> {
        query.bind(number)
    }

    /// An array of places is read one by one. Rows that somebody else has locked are left for the
    /// next run, so that nobody waits for anybody. Places are those of one partition, so the age is
    /// asked for again.
    fn remove_sql(table: &str, column: &str, stored_as: StoredAs) -> String {
        let before = match stored_as {
            StoredAs::Timestamp => "timestamptz 'epoch' + $1::bigint * interval '1 microsecond'",
            StoredAs::UnixSeconds => "$1::bigint / 1000000",
            StoredAs::UnixMillis => "$1::bigint / 1000",
            StoredAs::UnixMicros => "$1::bigint",
        };
        format!(
            "delete from {table} as aged
            where aged.{column} < {before} and aged.ctid = any(array(
                select found.ctid from {table} as found
                where found.{column} < {before}
                limit $2
                for update skip locked
            ))"
        )
    }

    async fn execute(pool: &Pool<Self>, query: Bound<Self>) -> sqlx::Result<u64> {
        Ok(query.execute(pool).await?.rows_affected())
    }

    /// Its columns have types.
    async fn check_times(
        _pool: &Pool<Self>,
        _table: &str,
        _column: &str,
        _stored_as: StoredAs,
    ) -> sqlx::Result<Option<SqlError>> {
        Ok(None)
    }
}

impl<K> KeyList<K> for Postgres
where
    K: Clone + PgHasArrayType + Type<Self>,
    K: for<'r> Decode<'r, Self> + for<'q> Encode<'q, Self>,
{
    fn bind_list(query: Bound<Self>, keys: &[&K]) -> Result<Bound<Self>, SqlError> {
        let keys: Vec<K> = keys.iter().copied().cloned().collect();
        Ok(query.bind(keys))
    }
    fn key_of(row: &PgRow, column: &str) -> sqlx::Result<K> {
        row.try_get(column)
    }
}
