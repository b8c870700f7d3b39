//! How a resource asks its source.

use serde::Deserialize;

use crate::error::ConfigError;

/// How a resource asks its source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Load {
    /// By a query.
    Sql(SqlLoad),
    /// By a request.
    Http(HttpLoad),
}

/// How a database is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SqlLoad {
    /// The query for one key, which is `$1`.
    pub(crate) query: String,
    /// The query for many keys at once.
    pub(crate) many: Option<ManyLoad>,
    /// What the key is bound as.
    pub(crate) key: KeyKind,
    /// If the document is a list of all rows, the most of them, which is `$2`. Else it is the first
    /// row.
    pub(crate) limit: Option<u32>,
    /// A row is the value of its only column, and no object.
    pub(crate) is_scalar: bool,
}

/// A query for many keys at once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ManyLoad {
    /// The query; the keys are `$1`: an array for PostgreSQL, the text of a JSON array for SQLite.
    pub(crate) query: String,
    /// The column in which a row says which key it is of.
    pub(crate) key_column: String,
}

/// How a server is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HttpLoad {
    /// The path, with `{id}` where the key belongs.
    pub(crate) path: String,
}

/// What a key is bound as.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyKind {
    /// As text. In PostgreSQL a column of another type needs a cast, such as `$1::uuid`.
    #[default]
    Text,
    /// As an integer of 64 bits. Nothing is found under a key that is none.
    Integer,
}

/// The kinds of sources, as far as they are asked differently.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SourceKind {
    /// A database.
    Sql,
    /// A server that speaks HTTP.
    Http,
}

/// The settings that say how a resource asks its source, whichever it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LoadParts<'a> {
    pub(crate) query: Option<&'a str>,
    pub(crate) query_many: Option<&'a str>,
    pub(crate) key_column: Option<&'a str>,
    pub(crate) key: Option<KeyKind>,
    pub(crate) limit: Option<u32>,
    pub(crate) scalar: Option<bool>,
    pub(crate) path: Option<&'a str>,
}

/// The most rows of a list: it is one document.
const LIMIT_MAX: u32 = 100_000;

impl Load {
    /// Reads the settings for a source of this kind.
    ///
    /// # Errors
    ///
    /// One is missing, or does not go with the kind of source or with another one. The error names
    /// it as the resource does: put it within the resource.
    pub(crate) fn of(parts: &LoadParts<'_>, kind: SourceKind) -> Result<Self, ConfigError> {
        match kind {
            SourceKind::Sql => SqlLoad::of(parts).map(Self::Sql),
            SourceKind::Http => HttpLoad::of(parts).map(Self::Http),
        }
    }
}

impl SqlLoad {
    fn of(parts: &LoadParts<'_>) -> Result<Self, ConfigError> {
        refuse([("path", parts.path.is_some())], "goes with HTTP, and the source is a database")?;
        let query = parts.query.filter(|query| !query.trim().is_empty()).ok_or_else(|| {
            let remedy = "write the query for one key, which is `$1`";
            ConfigError::new("query", "is missing", remedy)
        })?;
        let is_scalar = parts.scalar.unwrap_or_default();
        let many = match (parts.query_many, parts.key_column) {
            (Some(query), Some(column)) => {
                let (query, key_column) = (query.to_owned(), column.to_owned());
                Some(ManyLoad { query, key_column })
            }
            (None, None) => None,
            (Some(_), None) => {
                let remedy = "name the column of `query_many` in which a row says its key";
                return Err(ConfigError::new("key_column", "is missing", remedy));
            }
            (None, Some(_)) => {
                let problem = "is of no use without `query_many`";
                return Err(ConfigError::new("key_column", problem, "leave it out"));
            }
        };
        if many.is_some() && is_scalar {
            let problem = "does not go with `query_many`, whose rows say their keys too";
            return Err(ConfigError::new("scalar", problem, "leave one of them out"));
        }
        if let Some(limit) = parts.limit.filter(|limit| !(1..=LIMIT_MAX).contains(limit)) {
            let problem = format!("is {limit}");
            return Err(ConfigError::new("limit", problem, format!("use 1 to {LIMIT_MAX}")));
        }
        let key = parts.key.unwrap_or_default();
        Ok(Self { query: query.to_owned(), many, key, limit: parts.limit, is_scalar })
    }
}

/// Where the key belongs in a path.
pub(crate) const ID: &str = "{id}";

impl HttpLoad {
    fn of(parts: &LoadParts<'_>) -> Result<Self, ConfigError> {
        let of_sql = [
            ("query", parts.query.is_some()),
            ("query_many", parts.query_many.is_some()),
            ("key_column", parts.key_column.is_some()),
            ("key", parts.key.is_some()),
            ("limit", parts.limit.is_some()),
            ("scalar", parts.scalar.is_some()),
        ];
        refuse(of_sql, "goes with a database, and the source speaks HTTP")?;
        let wrong = |problem| {
            let remedy = "write a path such as `/quote/{id}` or `/quote?symbol={id}`";
            ConfigError::new("path", problem, remedy)
        };
        let path = parts.path.ok_or_else(|| wrong("is missing"))?;
        if !path.starts_with('/') {
            return Err(wrong("does not begin with `/`"));
        }
        if !path.contains(ID) {
            return Err(wrong("has no `{id}`, so that all keys would have the same document"));
        }
        if path.replace(ID, "").contains(['{', '}', '#']) {
            return Err(wrong("has braces or a `#` that belong to no `{id}`"));
        }
        Ok(Self { path: path.to_owned() })
    }
}

fn refuse<const N: usize>(given: [(&str, bool); N], problem: &str) -> Result<(), ConfigError> {
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((field, _)) => Err(ConfigError::new(field, problem, "leave it out")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_source_has_settings_of_its_own() {
        let sql = LoadParts { query: Some("select $1"), ..LoadParts::default() };
        let http = LoadParts { path: Some("/quote/{id}"), ..LoadParts::default() };
        assert!(matches!(Load::of(&sql, SourceKind::Sql), Ok(Load::Sql(_))));
        assert!(matches!(Load::of(&http, SourceKind::Http), Ok(Load::Http(_))));
        let both = (Some("select $1"), Some("id"));
        let many = LoadParts { query_many: both.0, key_column: both.1, ..sql };
        assert!(Load::of(&many, SourceKind::Sql).is_ok());
        let cases = [
            ("path", SourceKind::Sql, LoadParts { path: http.path, ..sql }),
            ("query", SourceKind::Sql, LoadParts::default()),
            ("query", SourceKind::Sql, LoadParts { query: Some(" \n"), ..sql }),
            ("key_column", SourceKind::Sql, LoadParts { key_column: None, ..many }),
            ("key_column", SourceKind::Sql, LoadParts { query_many: None, ..many }),
            ("scalar", SourceKind::Sql, LoadParts { scalar: Some(true), ..many }),
            ("limit", SourceKind::Sql, LoadParts { limit: Some(0), ..sql }),
            ("limit", SourceKind::Sql, LoadParts { limit: Some(u32::MAX), ..sql }),
            ("query", SourceKind::Http, LoadParts { query: sql.query, ..http }),
            ("query_many", SourceKind::Http, LoadParts { query_many: sql.query, ..http }),
            ("key_column", SourceKind::Http, LoadParts { key_column: Some("id"), ..http }),
            ("key", SourceKind::Http, LoadParts { key: Some(KeyKind::Integer), ..http }),
            ("limit", SourceKind::Http, LoadParts { limit: Some(5), ..http }),
            ("scalar", SourceKind::Http, LoadParts { scalar: Some(false), ..http }),
            ("path", SourceKind::Http, LoadParts::default()),
            ("path", SourceKind::Http, LoadParts { path: Some("quote/{id}"), ..http }),
            ("path", SourceKind::Http, LoadParts { path: Some("//evil.example/"), ..http }),
            ("path", SourceKind::Http, LoadParts { path: Some("/{id}/{/team}"), ..http }),
            ("path", SourceKind::Http, LoadParts { path: Some("/{id}#top"), ..http }),
        ];
        for (field, kind, parts) in cases {
            let error = Load::of(&parts, kind).unwrap_err();
            assert_eq!(error.field(), field, "{error}: {parts:?}");
        }
    }
}
