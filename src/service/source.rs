//! Where documents come from: databases, and servers that speak HTTP.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::{PgPool, SqlitePool};

use super::document::Document;
use super::settings::load::{Load, SourceKind};
use super::settings::source::SourceSettings;
use crate::error::LoadError;
use crate::loader::{AnyLoader, LoadContext, Loaded, Loader};

pub(crate) use self::error::SourceError;
use self::http::Site;
use self::keys::Translated;

mod error;
mod http;
mod keys;
mod postgres;
mod sql;
mod sqlite;

/// A source that is open: cheap to clone. Connections are made when they are needed, so that a
/// source that cannot be reached keeps nobody from opening it.
#[derive(Clone)]
pub(crate) struct Source {
    name: Arc<str>,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Sqlite(sqlite::File),
    Postgres(PgPool),
    Http(Arc<Site>),
}

/// The most rows that are read at once for a list of keys or for a collection; more are an error.
const ROWS_MAX: usize = 1_000_000;

impl Source {
    /// Opens a source, within a runtime of Tokio.
    ///
    /// # Errors
    ///
    /// A setting that cannot work, or a secret that is not where it should be. A source that cannot
    /// be reached is none.
    pub(crate) fn open(name: &str, settings: &SourceSettings) -> Result<Self, SourceError> {
        settings.check(&format!("sources.{name}"))?;
        let place = match settings {
            SourceSettings::Sqlite(settings) => Place::Sqlite(sqlite::File::open(name, settings)?),
            SourceSettings::Postgres(settings) => Place::Postgres(postgres::open(name, settings)?),
            SourceSettings::Http(settings) => Place::Http(Arc::new(Site::open(name, settings)?)),
        };
        Ok(Self { name: name.into(), place })
    }

    /// How it is asked.
    pub(crate) fn kind(&self) -> SourceKind {
        match self.place {
            Place::Sqlite(_) | Place::Postgres(_) => SourceKind::Sql,
            Place::Http(_) => SourceKind::Http,
        }
    }

    /// The loader of a resource.
    ///
    /// # Errors
    ///
    /// It is asked in a way that is not that of this source.
    pub(crate) fn loader(&self, load: &Load) -> Result<DocumentLoader, SourceError> {
        match (&self.place, load) {
            (Place::Sqlite(file), Load::Sql(load)) => Ok(file.loader(load)),
            (Place::Postgres(pool), Load::Sql(load)) => Ok(postgres::loader(pool, load)),
            (Place::Http(site), Load::Http(load)) => Ok(DocumentLoader::new(site.loader(load))),
            _ => Err(SourceError::kind(&self.name)),
        }
    }

    /// What finds the key that a name leads to: the first column of the first row of a query, to
    /// which the name is bound as text; `None` if there is no row, or null. A source that speaks
    /// HTTP cannot be asked so.
    pub(crate) fn find(
        &self,
        query: &str,
    ) -> impl Fn(String) -> BoxFuture<'static, Result<Option<String>, LoadError>> + Send + Sync + use<>
    {
        let (place, query) = (self.place.clone(), Arc::<str>::from(query));
        move |name| {
            let (place, query) = (place.clone(), Arc::clone(&query));
            Box::pin(async move {
                match place {
                    Place::Sqlite(file) => file.find(&query, name).await,
                    Place::Postgres(pool) => postgres::find(&pool, &query, name).await,
                    Place::Http(_) => Err(no_queries()),
                }
            })
        }
    }

    /// The keys that a query lists in its first column, without nulls.
    ///
    /// # Errors
    ///
    /// The source cannot answer, answers with more than a million rows, or takes no queries.
    pub(crate) async fn keys(&self, query: &str) -> Result<Vec<String>, LoadError> {
        match &self.place {
            Place::Sqlite(file) => file.keys(query).await,
            Place::Postgres(pool) => postgres::keys(pool, query).await,
            Place::Http(_) => Err(no_queries()),
        }
    }

    /// All rows of a query, as the text of an array of objects, or of the values of the only column. A
    /// source that speaks HTTP is asked for what is at a path, which is what it is.
    ///
    /// # Errors
    ///
    /// The source cannot answer, or answers with more than a million rows.
    pub(crate) async fn collect(&self, query: &str, is_scalar: bool) -> Result<String, LoadError> {
        match &self.place {
            Place::Sqlite(file) => file.collect(query, is_scalar).await,
            Place::Postgres(pool) => postgres::collect(pool, query, is_scalar).await,
            Place::Http(site) => site.collect(query).await,
        }
    }

    /// Says whether the source takes what a loader would ask, without asking it.
    ///
    /// # Errors
    ///
    /// It does not, or cannot be reached: [`SourceError::is_transient`]. The error names the setting
    /// as the resource does: put it within the resource.
    pub(crate) async fn check(&self, load: &Load) -> Result<(), SourceError> {
        match (&self.place, load) {
            (Place::Sqlite(file), Load::Sql(load)) => file.check(&self.name, load).await,
            (Place::Postgres(pool), Load::Sql(load)) => {
                postgres::check(&self.name, pool, load).await
            }
            (Place::Http(site), Load::Http(load)) => Ok(site.check("path", &load.path)?),
            _ => Err(SourceError::kind(&self.name)),
        }
    }

    /// The same for a query of an alias, of a list of keys or of a collection, to which so many
    /// texts are bound.
    pub(crate) async fn check_query(&self, query: Query<'_>) -> Result<(), SourceError> {
        match &self.place {
            Place::Sqlite(file) => file.check_query(&self.name, query).await,
            Place::Postgres(pool) => postgres::check_query(&self.name, pool, query).await,
            Place::Http(site) if query.texts == 0 => Ok(site.check(query.field, query.sql)?),
            Place::Http(_) => Err(SourceError::kind(&self.name)),
        }
    }

    /// Says whether it answers.
    ///
    /// # Errors
    ///
    /// It does not.
    pub(crate) async fn ping(&self) -> Result<(), LoadError> {
        match &self.place {
            Place::Sqlite(file) => file.ping().await,
            Place::Postgres(pool) => postgres::ping(pool).await,
            Place::Http(site) => site.ping().await,
        }
    }

    /// Its connections, if it is an SQLite database.
    pub(crate) fn sqlite(&self) -> Option<&SqlitePool> {
        match &self.place {
            Place::Sqlite(file) => Some(file.pool()),
            Place::Postgres(_) | Place::Http(_) => None,
        }
    }

    /// Its connections, if it is a PostgreSQL database.
    pub(crate) const fn postgres(&self) -> Option<&PgPool> {
        match &self.place {
            Place::Postgres(pool) => Some(pool),
            Place::Sqlite(_) | Place::Http(_) => None,
        }
    }

    /// Closes its connections; who asks it from then on gets an error.
    pub(crate) async fn close(&self) {
        match &self.place {
            Place::Sqlite(file) => file.close().await,
            Place::Postgres(pool) => pool.close().await,
            // Its connections are closed with the last that uses them.
            Place::Http(_) => {}
        }
    }
}

/// A query that is no loader's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    /// The setting that it stands in, such as `aliases.email.query`.
    pub(crate) field: &'a str,
    /// The query itself.
    pub(crate) sql: &'a str,
    /// How many texts are bound to it.
    pub(crate) texts: usize,
    /// Whether it must have just one column.
    pub(crate) is_scalar: bool,
}

fn no_queries() -> LoadError {
    LoadError::permanent("a source that speaks HTTP takes no queries")
}

/// Without where it leads.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

/// The loader of a resource of documents, whatever its source is.
pub(crate) struct DocumentLoader(Box<dyn AnyLoader<String, Document>>);

impl DocumentLoader {
    fn new(loader: impl Loader<String, Document>) -> Self {
        Self(Box::new(loader))
    }
}

impl Loader<String, Document> for DocumentLoader {
    async fn load(
        &self,
        key: &String,
        cx: &LoadContext<Document>,
    ) -> Result<Loaded<Document>, LoadError> {
        self.0.load(key, cx).await
    }

    fn keys_per_call(&self) -> usize {
        self.0.keys_per_call()
    }

    async fn load_many(
        &self,
        keys: &[(String, LoadContext<Document>)],
    ) -> Vec<Result<Loaded<Document>, LoadError>> {
        self.0.load_many(keys).await
    }
}

impl fmt::Debug for DocumentLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentLoader").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
