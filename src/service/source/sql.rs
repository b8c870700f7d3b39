//! What all databases have in common.

use sqlx::Statement;

use super::{DocumentLoader, Query, SourceError, Translated};
use crate::error::{ConfigError, LoadError};
use crate::key::Key;
use crate::service::document::Document;
use crate::service::settings::load::SqlLoad;
use crate::sql::{SqlDatabase, SqlLoader};

/// The loader of documents that are rows, or lists of rows, over one of rows as texts of JSON.
pub(super) fn documents<DB: SqlDatabase, K: Key>(
    rows: SqlLoader<DB, K, String>,
    limit: Option<u32>,
    key_of: fn(&str) -> Option<K>,
) -> DocumentLoader {
    match limit {
        Some(limit) => {
            let lists = rows.list(limit).try_map(|rows| document(format!("[{}]", rows.join(","))));
            DocumentLoader::new(Translated::new(lists, key_of))
        }
        None => DocumentLoader::new(Translated::new(rows.try_map(document), key_of)),
    }
}

fn document(text: String) -> sqlx::Result<Document> {
    Document::of(text.into()).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// A query as part of another one: without what ends it.
pub(super) fn trimmed(query: &str) -> &str {
    query.trim_end_matches(|c: char| c.is_whitespace() || c == ';')
}

/// More rows than there may be.
pub(super) fn too_many(rows_max: usize) -> LoadError {
    LoadError::permanent(format!("the query has more than {rows_max} rows"))
}

/// The queries of a loader, and how many parameters each has.
pub(super) fn queries(load: &SqlLoad) -> impl Iterator<Item = Query<'_>> {
    let texts = if load.limit.is_some() { 2 } else { 1 };
    let one = Query { field: "query", sql: &load.query, texts, is_scalar: load.is_scalar };
    let many = load.many.as_ref().map(|many| Query {
        field: "query_many",
        sql: &many.query,
        texts,
        is_scalar: false,
    });
    [Some(one), many].into_iter().flatten()
}

/// Says whether a prepared statement is what a query is to be.
pub(super) fn check_shape(query: Query<'_>, statement: &impl Statement) -> Result<(), ConfigError> {
    let count = statement.parameters().map(|found| found.either(<[_]>::len, |count| count));
    if let Some(count) = count.filter(|count| *count != query.texts) {
        let problem = format!("has {count} parameters");
        let remedy = match query.texts {
            0 => "use none",
            1 => "use one, `$1`: the key, the keys or the name",
            _ => "use two: `$1`, the key or the keys, and `$2`, the limit",
        };
        return Err(ConfigError::new(query.field, problem, remedy));
    }
    let columns = statement.columns().len();
    if columns == 0 || (query.is_scalar && columns != 1) {
        let problem = format!("has {columns} columns");
        let remedy = if query.is_scalar { "select one" } else { "select some" };
        return Err(ConfigError::new(query.field, problem, remedy));
    }
    Ok(())
}

/// Says that there is no column in which rows say their keys.
pub(super) fn no_key_column(column: &str) -> SourceError {
    let problem = format!("is `{column}`, which `query_many` does not select");
    ConfigError::new("key_column", problem, "name one that it does").into()
}
