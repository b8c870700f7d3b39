//! Values from queries.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::slice::from_ref;

use sqlx::{Database, Encode, FromRow, Pool, SqlSafeStr, SqlStr, Type};

use super::database::{Bound, KeyList, SqlDatabase};
use super::error::SqlError;
use super::many::Many;
use crate::error::LoadError;
use crate::key::Key;
use crate::loader::{LoadContext, Loaded, Loader};

/// A [`Loader`] that asks a database of sqlx: a query for one key and, if there is one, another for
/// many at once. Both are the user's own SQL, and whatever differs from key to key is bound.
///
/// ```
/// # use forewarm::{Forewarm, SqlLoader};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct User { id: i64, name: String }
///
/// // `#[derive(sqlx::FromRow)]` writes this.
/// impl sqlx::FromRow<'_, sqlx::sqlite::SqliteRow> for User {
///     fn from_row(row: &sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
///         use sqlx::Row as _;
///         Ok(Self { id: row.try_get("id")?, name: row.try_get("name")? })
///     }
/// }
///
/// # fn declare(forewarm: &Forewarm, pool: sqlx::SqlitePool) -> Result<(), forewarm::Error> {
/// let users = forewarm
///     .resource::<i64, User>("user")
///     .loader(
///         SqlLoader::new(pool.clone(), "select id, name from person where id = $1").query_many(
///             "select id, name from person where id in (select value from json_each($1))",
///             "id",
///         ),
///     )
///     .build()?;
///
/// // The key is the stream; how many messages are loaded is a part of what the resource is.
/// let newest = "select text from message where stream = $1 order by id desc limit $2";
/// let messages = forewarm
///     .resource::<i64, Vec<String>>("newest_messages")
///     .loader(SqlLoader::new(pool, newest).map(|(text,): (String,)| text).list(50))
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// A key without a row is absent; a list without rows is an empty list. Failures are told apart as
/// `LoadError::from(sqlx::Error)` does, and say nothing of keys and values. Rows are decoded when
/// the connection is back in the pool, and what is cached owns its data.
pub struct SqlLoader<DB: SqlDatabase, K, V> {
    pool: Pool<DB>,
    primary: Option<Pool<DB>>,
    one: SqlStr,
    bind: Box<Bind<DB, K>>,
    read: Box<Read<DB, V>>,
    /// The most rows of a list; `None` if a value is a row.
    limit: Option<i64>,
    many: Option<Many<DB, K>>,
    keys_per_call: usize,
}

/// Binds what a query needs of a key.
type Bind<DB, K> = dyn Fn(Bound<DB>, &K) -> Bound<DB> + Send + Sync;

/// Makes a value of the rows of a key; `None` if the rows say that there is no such thing.
type Read<DB, V> = dyn Fn(&[<DB as Database>::Row]) -> sqlx::Result<Option<V>> + Send + Sync;

/// The most keys in one call, if nothing else is said: one query then, and what it brings is still
/// read in milliseconds.
const KEYS_PER_CALL: usize = 500;

impl<DB, K, V> SqlLoader<DB, K, V>
where
    DB: SqlDatabase,
    K: Key,
    V: Send + Sync + 'static,
{
    /// A value is the first row of this query, to which the key is bound: `$1` (SQLite takes `?`
    /// too). No row is an answer as well: there is no such thing.
    pub fn new(pool: Pool<DB>, sql: impl SqlSafeStr) -> Self
    where
        K: for<'q> Encode<'q, DB> + Type<DB>,
        V: for<'r> FromRow<'r, DB::Row>,
    {
        Self::binding(pool, sql, |query, key| query.bind(key.clone()))
    }

    /// The same for keys that are no parameters as they stand, since they have several parts, for
    /// example: `bind` binds what the query needs of them.
    ///
    /// ```
    /// # use forewarm::{Segments, SqlLoader};
    /// # fn loader(pool: sqlx::SqlitePool) -> SqlLoader<sqlx::Sqlite, Segments, (String,)> {
    /// let sql = "select name from person where platform = $1 and account = $2";
    /// SqlLoader::binding(pool, sql, |query, key: &Segments| {
    ///     key.iter().fold(query, |query, part| query.bind(part))
    /// })
    /// # }
    /// ```
    pub fn binding(
        pool: Pool<DB>,
        sql: impl SqlSafeStr,
        bind: impl Fn(Bound<DB>, &K) -> Bound<DB> + Send + Sync + 'static,
    ) -> Self
    where
        V: for<'r> FromRow<'r, DB::Row>,
    {
        Self {
            pool,
            primary: None,
            one: sql.into_sql_str(),
            bind: Box::new(bind),
            read: Box::new(|rows| rows.first().map(V::from_row).transpose()),
            limit: None,
            many: None,
            keys_per_call: 1,
        }
    }

    /// Makes something else of each row, such as a value of a row's only column:
    /// `.map(|(name,): (String,)| name)`. Call it before [`SqlLoader::list`].
    #[must_use]
    pub fn map<W>(self, map: impl Fn(V) -> W + Send + Sync + 'static) -> SqlLoader<DB, K, W>
    where
        W: Send + Sync + 'static,
    {
        self.try_map(move |value| Ok(map(value)))
    }

    /// The same for what cannot be made of every row, or of every list.
    pub(crate) fn try_map<W>(
        self,
        map: impl Fn(V) -> sqlx::Result<W> + Send + Sync + 'static,
    ) -> SqlLoader<DB, K, W>
    where
        W: Send + Sync + 'static,
    {
        let Self { pool, primary, one, bind, read, limit, many, keys_per_call } = self;
        let read: Box<Read<DB, W>> = Box::new(move |rows| read(rows)?.map(&map).transpose());
        SqlLoader { pool, primary, one, bind, read, limit, many, keys_per_call }
    }

    /// A value is the list of all rows of the query, in their order, and the query has `limit` bound
    /// after what is bound of the key: `limit $2`. So the limit belongs to the resource: whoever
    /// reads it gets as many, and who wants another number declares another resource.
    #[must_use]
    pub fn list(self, limit: u32) -> SqlLoader<DB, K, Vec<V>> {
        let Self { pool, primary, one, bind, read, many, keys_per_call, .. } = self;
        let limit = Some(i64::from(limit));
        let read: Box<Read<DB, Vec<V>>> = Box::new(move |rows| {
            let each = rows.iter().filter_map(|row| read(from_ref(row)).transpose());
            each.collect::<sqlx::Result<_>>().map(Some)
        });
        SqlLoader { pool, primary, one, bind, read, limit, many, keys_per_call }
    }

    /// Asks for many keys by one query, to which they are bound as one parameter: in PostgreSQL an
    /// array, `where id = any($1)`; in SQLite the text of a JSON array,
    /// `where id in (select value from json_each($1))`. In the column of this name, each row says
    /// which key it is of. Default: each key is asked for by itself.
    ///
    /// In SQLite, keys are stored as integers or as text, and so serialised.
    #[must_use]
    pub fn query_many(self, sql: impl SqlSafeStr, key_column: impl Into<Cow<'static, str>>) -> Self
    where
        DB: KeyList<K>,
    {
        let many = Some(Many::new(sql.into_sql_str(), key_column.into()));
        Self { many, keys_per_call: KEYS_PER_CALL, ..self }
    }

    /// Sets the most keys that one query is asked for: [`Loader::keys_per_call`]. Default: 500, or 1
    /// without [`SqlLoader::query_many`].
    #[must_use]
    pub fn keys_per_call(mut self, keys: usize) -> Self {
        if self.many.is_some() {
            self.keys_per_call = keys.max(1);
        }
        self
    }

    /// Sets where to ask for what was changed so lately that the pool's database may not have it
    /// yet, since it is a copy: see [`Policy::replica_lag`](crate::Policy::replica_lag). Default:
    /// the pool is asked.
    #[must_use]
    pub fn primary(self, primary: Pool<DB>) -> Self {
        Self { primary: Some(primary), ..self }
    }

    /// The pool that has what a load must see.
    fn pool(&self, prefers_primary: bool) -> &Pool<DB> {
        self.primary.as_ref().filter(|_| prefers_primary).unwrap_or(&self.pool)
    }

    async fn ask_one(&self, key: &K, prefers_primary: bool) -> Result<Loaded<V>, SqlError> {
        let pool = self.pool(prefers_primary);
        let query = (self.bind)(sqlx::query(self.one.clone()), key);
        let rows = match self.limit {
            Some(limit) => DB::all(pool, DB::bind_number(query, limit)).await?,
            None => DB::first(pool, query).await?.into_iter().collect(),
        };
        Ok((self.read)(&rows)?.into())
    }

    /// The answers for many keys, in their order; `None` for those that have to be asked for by
    /// themselves.
    async fn ask_many(
        &self,
        many: &Many<DB, K>,
        keys: &[(K, LoadContext<V>)],
    ) -> Result<Vec<Option<Answer<V>>>, SqlError> {
        let prefers_primary = keys.iter().any(|(_, cx)| cx.prefers_primary());
        let asked: Vec<_> = keys.iter().map(|(key, _)| key).collect();
        let found = many.ask(self.pool(prefers_primary), &asked, self.limit).await?;
        let answer = |key| {
            let rows = match found.rows.get(key) {
                Some(rows) => rows.as_slice(),
                None if found.has_others => return None,
                None => &[],
            };
            Some((self.read)(rows).map(Into::into).map_err(Into::into))
        };
        Ok(asked.into_iter().map(answer).collect())
    }
}

type Answer<V> = Result<Loaded<V>, LoadError>;

impl<DB, K, V> Loader<K, V> for SqlLoader<DB, K, V>
where
    DB: SqlDatabase,
    K: Key,
    V: Send + Sync + 'static,
{
    async fn load(&self, key: &K, cx: &LoadContext<V>) -> Answer<V> {
        Ok(self.ask_one(key, cx.prefers_primary()).await?)
    }

    fn keys_per_call(&self) -> usize {
        self.keys_per_call
    }

    async fn load_many(&self, keys: &[(K, LoadContext<V>)]) -> Vec<Answer<V>> {
        let answers = match &self.many {
            Some(many) => match self.ask_many(many, keys).await {
                Ok(answers) => answers,
                // One key that cannot be bound must not fail the others.
                Err(error) if error.is_of_data() => Vec::new(),
                Err(error) => return keys.iter().map(|_| Err(error.clone().into())).collect(),
            },
            None => Vec::new(),
        };
        let mut answers = answers.into_iter();
        let mut results = Vec::with_capacity(keys.len());
        for (key, cx) in keys {
            results.push(match answers.next().flatten() {
                Some(answer) => answer,
                None => self.load(key, cx).await,
            });
        }
        results
    }
}

/// Without keys, values and where the pool leads.
impl<DB: SqlDatabase, K, V> fmt::Debug for SqlLoader<DB, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlLoader")
            .field("database", &DB::NAME)
            .field("sql", &self.one.as_str())
            .field("value", &type_name::<V>())
            .field("keys_per_call", &self.keys_per_call)
            .finish_non_exhaustive()
    }
}
