//! An SQLite database.

use std::path::absolute;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Decode, Encode, Executor as _, FromRow,
    SqlSafeStr as _, Sqlite, SqlitePool, Statement as _, Type, query,
};

use self::fields::{Declared, Fields};
use self::key::TextKey;
use super::keys::integer;
use super::{DocumentLoader, Query, ROWS_MAX, SourceError, sql};
use crate::error::{ConfigError, LoadError};
use crate::key::Key;
use crate::service::document::Array;
use crate::service::settings::load::{KeyKind, ManyLoad, SqlLoad};
use crate::service::settings::source::SqliteSource;
use crate::sql::{KeyList, SqlLoader};

mod fields;
mod key;

/// A database in a file, and what its columns were declared to hold.
#[derive(Clone, Debug)]
pub(super) struct File {
    pool: SqlitePool,
    declared: Arc<Declared>,
}

impl File {
    /// Its connections.
    pub(super) const fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    pub(super) fn open(name: &str, settings: &SqliteSource) -> Result<Self, SourceError> {
        // From here on it names the same file wherever the process goes, and cannot be taken for
        // one of SQLite's special names.
        let path = absolute(&settings.path).map_err(|error| {
            let problem = format!("cannot be made absolute ({})", error.kind());
            let field = format!("sources.{name}.sqlite.path");
            ConfigError::new(field, problem, "give an absolute path")
        })?;
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .read_only(settings.read_only)
            .create_if_missing(false)
            .busy_timeout(settings.busy_timeout)
            .disable_statement_logging();
        let declared = Arc::new(Declared::default());
        let noted = Arc::clone(&declared);
        let pool = SqlitePoolOptions::new()
            .max_connections(settings.connections_max)
            .acquire_timeout(settings.wait_timeout)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let noted = Arc::clone(&noted);
                Box::pin(async move { noted.note(connection).await })
            })
            .connect_lazy_with(connect);
        Ok(Self { pool, declared })
    }

    pub(super) fn loader(&self, load: &SqlLoad) -> DocumentLoader {
        match load.key {
            KeyKind::Text => self.loader_by(load, TextKey::of),
            KeyKind::Integer => self.loader_by(load, integer),
        }
    }

    fn loader_by<K>(&self, load: &SqlLoad, key_of: fn(&str) -> Option<K>) -> DocumentLoader
    where
        K: Key + Serialize + Type<Sqlite>,
        K: for<'r> Decode<'r, Sqlite> + for<'q> Encode<'q, Sqlite>,
        Sqlite: KeyList<K>,
    {
        let query = AssertSqlSafe(load.query.clone());
        let mut rows = SqlLoader::<Sqlite, K, Fields>::new(self.pool.clone(), query);
        if let Some(ManyLoad { query, key_column }) = &load.many {
            rows = rows.query_many(AssertSqlSafe(query.clone()), key_column.clone());
        }
        let (declared, is_scalar) = (Arc::clone(&self.declared), load.is_scalar);
        let rows = rows.map(move |fields| fields.text(&declared, is_scalar));
        sql::documents(rows, load.limit, key_of)
    }

    pub(super) async fn find(&self, sql: &str, name: String) -> Result<Option<String>, LoadError> {
        let query = query(AssertSqlSafe(sql)).bind(name);
        let row = query.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| Fields::from_row(&row)).transpose()?.and_then(Fields::into_text))
    }

    pub(super) async fn keys(&self, sql: &str) -> Result<Vec<String>, LoadError> {
        let mut keys = Vec::new();
        self.each_row(sql, |row| {
            keys.extend(Fields::from_row(row)?.into_text());
            Ok(())
        })
        .await?;
        Ok(keys)
    }

    pub(super) async fn collect(&self, sql: &str, is_scalar: bool) -> Result<String, LoadError> {
        let mut array = Array::new();
        self.each_row(sql, |row| {
            array.push(&Fields::from_row(row)?.text(&self.declared, is_scalar));
            Ok(())
        })
        .await?;
        Ok(array.end())
    }

    /// Does something with each row of a query.
    async fn each_row(
        &self,
        sql: &str,
        mut take: impl FnMut(&SqliteRow) -> sqlx::Result<()>,
    ) -> Result<(), LoadError> {
        let mut rows = query(AssertSqlSafe(sql)).fetch(&self.pool);
        let mut left = ROWS_MAX;
        while let Some(row) = rows.try_next().await? {
            left = left.checked_sub(1).ok_or_else(|| sql::too_many(ROWS_MAX))?;
            take(&row)?;
        }
        Ok(())
    }

    pub(super) async fn check(&self, name: &str, load: &SqlLoad) -> Result<(), SourceError> {
        for query in sql::queries(load) {
            self.check_query(name, query).await?;
        }
        let Some(ManyLoad { query, key_column }) = &load.many else { return Ok(()) };
        let wrong = |error| SourceError::query(name, "query_many", error);
        let statement = self.pool.prepare(AssertSqlSafe(query.clone()).into_sql_str()).await;
        let statement = statement.map_err(wrong)?;
        let has_it = statement.columns().iter().any(|column| column.name() == key_column);
        if has_it { Ok(()) } else { Err(sql::no_key_column(key_column)) }
    }

    pub(super) async fn check_query(
        &self,
        name: &str,
        query: Query<'_>,
    ) -> Result<(), SourceError> {
        let prepared = self.pool.prepare(AssertSqlSafe(query.sql).into_sql_str()).await;
        let statement = prepared.map_err(|error| SourceError::query(name, query.field, error))?;
        Ok(sql::check_shape(query, &statement)?)
    }

    pub(super) async fn ping(&self) -> Result<(), LoadError> {
        // The file itself is read.
        query("select 1 from sqlite_schema limit 1").fetch_optional(&self.pool).await?;
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}
