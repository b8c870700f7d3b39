//! SQLite.

use serde::Serialize;
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Decode, Pool, Row as _, Sqlite, Type, TypeInfo as _};

use super::database::{Bound, KeyList, SqlDatabase};
use super::error::SqlError;
use super::retention::StoredAs;

impl SqlDatabase for Sqlite {
    async fn first(pool: &Pool<Self>, query: Bound<Self>) -> sqlx::Result<Option<SqliteRow>> {
        query.fetch_optional(pool).await
    }

    async fn all(pool: &Pool<Self>, query: Bound<Self>) -> sqlx::Result<Vec<SqliteRow>> {
        query.fetch_all(pool).await
    }

    fn bind_number(query: Bound<Self>, number: i64) -> Bound<Self> {
        query.bind(number)
    }

    /// A column is named with its table, since SQLite takes an unknown name in quotes for a text.
    /// Whatever is of another type than it should be is left alone: in SQLite every number is less
    /// than every text.
    fn remove_sql(table: &str, column: &str, stored_as: StoredAs) -> String {
        let (types, before) = in_sqlite(stored_as);
        format!(
            "delete from {table} as aged
            where typeof(aged.{column}) in ({types}) and aged.{column} < {before}
                and aged.rowid in (
                    select found.rowid from {table} as found
                    where typeof(found.{column}) in ({types}) and found.{column} < {before}
                    limit $2
                )"
        )
    }

    async fn execute(pool: &Pool<Self>, query: Bound<Self>) -> sqlx::Result<u64> {
        Ok(query.execute(pool).await?.rows_affected())
    }

    async fn check_times(
        pool: &Pool<Self>,
        table: &str,
        column: &str,
        stored_as: StoredAs,
    ) -> sqlx::Result<Option<SqlError>> {
        let sql = format!(
            "select typeof(aged.{column}) from {table} as aged
            where aged.{column} is not null limit 1"
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql));
        let found: Option<String> = query.fetch_optional(pool).await?;
        let (types, _) = in_sqlite(stored_as);
        let wrong = found.filter(|found| !types.contains(found.as_str()));
        Ok(wrong.map(|found| {
            SqlError::permanent(format!("column {column} holds {found}, and not {stored_as:?}"))
        }))
    }
}

/// The types that a column may hold, and the cut-off as one of them.
fn in_sqlite(stored_as: StoredAs) -> (&'static str, &'static str) {
    const NUMBERS: &str = "'integer', 'real'";
    match stored_as {
        StoredAs::Timestamp => {
            ("'text'", "strftime('%Y-%m-%d %H:%M:%f', $1 / 1000000.0, 'unixepoch')")
        }
        StoredAs::UnixSeconds => (NUMBERS, "$1 / 1000000.0"),
        StoredAs::UnixMillis => (NUMBERS, "$1 / 1000.0"),
        StoredAs::UnixMicros => (NUMBERS, "$1"),
    }
}

impl<K> KeyList<K> for Sqlite
where
    K: for<'r> Decode<'r, Self> + Serialize + Type<Self>,
{
    fn bind_list(query: Bound<Self>, keys: &[&K]) -> Result<Bound<Self>, SqlError> {
        let stored = K::type_info();
        let stored = stored.name();
        let written = keys.iter().map(|key| match (stored, serde_json::to_value(key)) {
            ("TEXT", Ok(value @ Value::String(_))) | ("BOOLEAN", Ok(value @ Value::Bool(_))) => {
                Ok(value)
            }
            ("INTEGER", Ok(value)) if value.is_i64() => Ok(value),
            // What is written otherwise than it is stored would not be found.
            _ => Err(SqlError::permanent(format!(
                "keys that are stored as {stored} do not fit into JSON: leave out `query_many`"
            ))),
        });
        let list: Value = written.collect::<Result<Vec<_>, _>>()?.into();
        Ok(query.bind(list.to_string()))
    }
    fn key_of(row: &SqliteRow, column: &str) -> sqlx::Result<K> {
        row.try_get(column)
    }
}
