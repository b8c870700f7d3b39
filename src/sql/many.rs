//! Many keys by one query.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use sqlx::{Database, Pool, SqlStr};

use super::database::{Bound, KeyList, SqlDatabase};
use super::error::SqlError;
use crate::key::Key;

/// The query for many keys.
pub(super) struct Many<DB: SqlDatabase, K> {
    sql: SqlStr,
    key_column: Cow<'static, str>,
    bind: BindList<DB, K>,
    key_of: KeyOf<DB, K>,
}

type BindList<DB, K> = fn(Bound<DB>, &[&K]) -> Result<Bound<DB>, SqlError>;
type KeyOf<DB, K> = fn(&<DB as Database>::Row, &str) -> sqlx::Result<K>;

/// What was found of many keys.
pub(super) struct Found<DB: SqlDatabase, K> {
    /// The rows by the keys that they say they are of, in the order of the query.
    pub(super) rows: HashMap<K, Vec<DB::Row>>,
    /// Whether there were rows of keys that nobody asked for: then the database takes keys to be the
    /// same that differ here, as with a collation that ignores case, and a key that was not found may
    /// be one of those.
    pub(super) has_others: bool,
}

impl<DB: SqlDatabase, K: Key> Many<DB, K> {
    pub(super) fn new(sql: SqlStr, key_column: Cow<'static, str>) -> Self
    where
        DB: KeyList<K>,
    {
        Self { sql, key_column, bind: DB::bind_list, key_of: DB::key_of }
    }

    pub(super) async fn ask(
        &self,
        pool: &Pool<DB>,
        keys: &[&K],
        limit: Option<i64>,
    ) -> Result<Found<DB, K>, SqlError> {
        let mut query = (self.bind)(sqlx::query(self.sql.clone()), keys)?;
        if let Some(limit) = limit {
            query = DB::bind_number(query, limit);
        }
        let mut rows: HashMap<K, Vec<DB::Row>> = HashMap::new();
        for row in DB::all(pool, query).await? {
            rows.entry((self.key_of)(&row, &self.key_column)?).or_default().push(row);
        }
        let asked = keys.iter().filter(|key| rows.contains_key(**key)).count();
        // A key that is asked for twice counts twice here, so fewer than there are would be wrong.
        let has_others = rows.len() > asked || Self::may_be_alike(keys, &rows);
        Ok(Found { rows, has_others })
    }

    /// Whether a key without rows differs from one with rows only as texts do that some databases
    /// take to be the same: then its rows may have come under the name of the other.
    fn may_be_alike(keys: &[&K], rows: &HashMap<K, Vec<DB::Row>>) -> bool {
        let folded = |key: &K| key.to_string().trim_end().to_lowercase();
        let missing = keys.iter().filter(|key| !rows.contains_key(**key));
        let mut missing = missing.map(|key| folded(key)).peekable();
        if missing.peek().is_none() {
            return false;
        }
        let found: HashSet<_> = rows.keys().map(folded).collect();
        missing.any(|key| found.contains(&key))
    }
}
