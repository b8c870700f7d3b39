//! A PostgreSQL database. It makes the JSON itself, so that every type it knows has one.

use std::borrow::Cow;

use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgHasArrayType, PgPoolOptions, PgRow, PgTypeInfo};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Decode, Encode, Executor as _, PgPool, Postgres, Row as _,
    SqlSafeStr as _, Type, query,
};

use super::keys::integer;
use super::{DocumentLoader, Query, ROWS_MAX, SourceError, sql};
use crate::error::{ConfigError, LoadError};
use crate::key::Key;
use crate::service::document::Array;
use crate::service::settings::load::{KeyKind, ManyLoad, SqlLoad};
use crate::service::settings::source::PostgresSource;
use crate::sql::SqlLoader;

/// A pool that connects when it is needed.
pub(super) fn open(name: &str, settings: &PostgresSource) -> Result<PgPool, SourceError> {
    let field = |field| format!("sources.{name}.postgres.{field}");
    let url = settings.url.reveal().map_err(|error| SourceError::secret(field("url"), error))?;
    let is_ours = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    // What is wrong with it is not repeated: it may contain a password.
    let connect: Option<PgConnectOptions> = url.parse().ok().filter(|_| is_ours);
    let mut connect = connect.ok_or_else(|| {
        let remedy = "use one such as `postgres://user@host:5432/database`";
        ConfigError::new(field("url"), "is not that of a PostgreSQL database", remedy)
    })?;
    if let Some(password) = &settings.password {
        let password = password.reveal();
        let wrong = |error| SourceError::secret(field("password"), error);
        connect = connect.password(&password.map_err(wrong)?);
    }
    if connect.get_application_name().is_none() {
        connect = connect.application_name("forewarm");
    }
    let timeout = settings.statement_timeout.as_millis().to_string();
    let read_only = if settings.read_only { "on" } else { "off" };
    Ok(PgPoolOptions::new()
        .max_connections(settings.connections_max)
        .acquire_timeout(settings.wait_timeout)
        .after_connect(move |connection, _| {
            let settle = query(SETTLE).bind(timeout.clone()).bind(read_only);
            Box::pin(async move { connection.execute(settle).await.map(drop) })
        })
        .connect_lazy_with(connect.disable_statement_logging()))
}

/// Not as options of the connection, which poolers refuse.
const SETTLE: &str = "
    select
        set_config('statement_timeout', $1, false),
        set_config('default_transaction_read_only', $2, false)";

pub(super) fn loader(pool: &PgPool, load: &SqlLoad) -> DocumentLoader {
    match load.key {
        KeyKind::Text => loader_by(pool, load, bindable),
        KeyKind::Integer => loader_by(pool, load, integer),
    }
}

fn loader_by<K>(pool: &PgPool, load: &SqlLoad, key_of: fn(&str) -> Option<K>) -> DocumentLoader
where
    K: Key + PgHasArrayType + Type<Postgres>,
    K: for<'r> Decode<'r, Postgres> + for<'q> Encode<'q, Postgres>,
{
    let sql = AssertSqlSafe(by(load.key, &documents(&load.query, load.is_scalar)));
    let mut rows = SqlLoader::<Postgres, K, (String,)>::new(pool.clone(), sql);
    if let Some(many) = &load.many {
        let sql = by(load.key, &documents_of_many(many, load.key));
        rows = rows.query_many(AssertSqlSafe(sql), KEY);
    }
    sql::documents(rows.map(|(text,)| text), load.limit, key_of)
}

/// A statement whose text tells what the key is bound as: sqlx takes statements of the same text for
/// the same, although they were prepared for another type.
fn by(key: KeyKind, sql: &str) -> String {
    match key {
        KeyKind::Text => format!("/* by text */ {sql}"),
        KeyKind::Integer => format!("/* by integer */ {sql}"),
    }
}

/// A text that PostgreSQL can have: none that it holds has a zero byte.
fn bindable(text: &str) -> Option<String> {
    (!text.contains('\0')).then(|| text.to_owned())
}

/// The rows of a query as texts of JSON.
fn documents(query: &str, is_scalar: bool) -> String {
    let query = sql::trimmed(query);
    // The line is ended, since the query may end with a comment.
    match is_scalar {
        true => format!(
            "select coalesce(to_json(forewarm_row.forewarm_value)::text, 'null')
            from ({query}\n) as forewarm_row(forewarm_value)"
        ),
        false => {
            format!("select row_to_json(forewarm_row)::text from ({query}\n) as forewarm_row")
        }
    }
}

/// The column in which the rows of many keys say which key they are of.
const KEY: &str = "forewarm_key";

fn documents_of_many(many: &ManyLoad, key: KeyKind) -> String {
    let query = sql::trimmed(&many.query);
    let column = many.key_column.replace('"', "\"\"");
    let stored_as = match key {
        KeyKind::Text => "text",
        KeyKind::Integer => "bigint",
    };
    format!(
        "select
            row_to_json(forewarm_row)::text,
            forewarm_row.\"{column}\"::{stored_as} as {KEY}
        from ({query}\n) as forewarm_row"
    )
}

/// The first column of a query as texts.
fn texts(query: &str) -> String {
    let query = sql::trimmed(query);
    format!(
        "select forewarm_row.forewarm_value::text
        from ({query}\n) as forewarm_row(forewarm_value)"
    )
}

pub(super) async fn find(
    pool: &PgPool,
    sql: &str,
    name: String,
) -> Result<Option<String>, LoadError> {
    if bindable(&name).is_none() {
        return Ok(None);
    }
    let row = query(AssertSqlSafe(texts(sql))).bind(name).fetch_optional(pool).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.flatten())
}

pub(super) async fn keys(pool: &PgPool, sql: &str) -> Result<Vec<String>, LoadError> {
    let mut keys = Vec::new();
    each_row(pool, texts(sql), |row| {
        keys.extend(row.try_get::<Option<String>, _>(0)?);
        Ok(())
    })
    .await?;
    Ok(keys)
}

pub(super) async fn collect(
    pool: &PgPool,
    sql: &str,
    is_scalar: bool,
) -> Result<String, LoadError> {
    let mut array = Array::new();
    each_row(pool, documents(sql, is_scalar), |row| {
        array.push(row.try_get(0)?);
        Ok(())
    })
    .await?;
    Ok(array.end())
}

/// Does something with each row of a query.
async fn each_row(
    pool: &PgPool,
    sql: String,
    mut take: impl FnMut(&PgRow) -> sqlx::Result<()>,
) -> Result<(), LoadError> {
    let mut rows = query(AssertSqlSafe(sql)).fetch(pool);
    let mut left = ROWS_MAX;
    while let Some(row) = rows.try_next().await? {
        left = left.checked_sub(1).ok_or_else(|| sql::too_many(ROWS_MAX))?;
        take(&row)?;
    }
    Ok(())
}

pub(super) async fn check(name: &str, pool: &PgPool, load: &SqlLoad) -> Result<(), SourceError> {
    let (one, list) = match load.key {
        KeyKind::Text => (type_of::<String>(), type_of::<Vec<String>>()),
        KeyKind::Integer => (type_of::<i64>(), type_of::<Vec<i64>>()),
    };
    for query in sql::queries(load) {
        let key = if query.field == "query" { one.clone() } else { list.clone() };
        let bound = [key, type_of::<i64>()];
        prepare(name, pool, query, load.key, &bound).await?;
    }
    let Some(many) = &load.many else { return Ok(()) };
    let sql = by(load.key, &documents_of_many(many, load.key));
    let bound = [list, type_of::<i64>()];
    match pool.prepare_with(AssertSqlSafe(sql).into_sql_str(), &bound).await {
        Ok(_) => Ok(()),
        // There is no such column.
        Err(error) if code(&error).as_deref() == Some("42703") => {
            Err(sql::no_key_column(&many.key_column))
        }
        Err(error) => Err(SourceError::query(name, "query_many", error)),
    }
}

pub(super) async fn check_query(
    name: &str,
    pool: &PgPool,
    query: Query<'_>,
) -> Result<(), SourceError> {
    prepare(name, pool, query, KeyKind::Text, &vec![type_of::<String>(); query.texts]).await
}

/// Has the server read a query, with what will be bound to it.
async fn prepare(
    name: &str,
    pool: &PgPool,
    query: Query<'_>,
    key: KeyKind,
    bound: &[PgTypeInfo],
) -> Result<(), SourceError> {
    let wrong = |error| SourceError::query(name, query.field, error);
    let bound = bound.get(..query.texts).unwrap_or(bound);
    // By itself, since what stands around it would hide what it is. What is declared counts as a
    // parameter even if it is not there, so the last one is not.
    let declared = bound.split_last().map_or(bound, |(_, others)| others);
    let itself = AssertSqlSafe(by(key, sql::trimmed(query.sql))).into_sql_str();
    match pool.prepare_with(itself, declared).await {
        Ok(statement) => sql::check_shape(query, &statement)?,
        // The last parameter is there, and may be of any type.
        Err(error) if code(&error).as_deref() == Some("42P18") => {}
        Err(error) => return Err(wrong(error)),
    }
    // As it will be asked, since not everything can be a part of another query.
    let asked = AssertSqlSafe(by(key, &documents(query.sql, query.is_scalar))).into_sql_str();
    pool.prepare_with(asked, bound).await.map_err(wrong)?;
    Ok(())
}

fn type_of<T: Type<Postgres>>() -> PgTypeInfo {
    T::type_info()
}

fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

pub(super) async fn ping(pool: &PgPool) -> Result<(), LoadError> {
    query("select 1").execute(pool).await?;
    Ok(())
}
