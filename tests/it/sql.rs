//! Data access over sqlx, on a real SQLite and a real PostgreSQL.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use forewarm::lab::{PostgresOptions, PostgresServer};
use forewarm::{
    Forewarm, Key, LoadContext, LoadError, Loaded, Loader, Policy, PreloadMode, PreloadPolicy,
    Resource, SourcePolicy,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow};
use sqlx::{FromRow, PgPool, Row as _, SqlitePool};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::waiting::{IN_TIME, until};

mod bundles;
mod commits;
mod faults;
mod loaders;
mod retention;

/// The server that all share who neither stop nor disturb it.
async fn shared() -> &'static PostgresServer {
    static SERVER: OnceCell<PostgresServer> = OnceCell::const_new();
    let launch = async || PostgresServer::launch(PostgresOptions::default()).await.unwrap();
    SERVER.get_or_init(launch).await
}

/// A database of its own on the shared server.
async fn postgres() -> PgPool {
    postgres_at(&shared().await.new_database().await.unwrap(), 4)
}

fn postgres_at(url: &str, connections: u32) -> PgPool {
    let options: PgConnectOptions = url.parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(connections);
    pool.acquire_timeout(Duration::from_secs(5)).connect_lazy_with(options)
}

/// A file of its own.
struct SqliteFile {
    pool: SqlitePool,
    directory: TempDir,
}

impl SqliteFile {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(directory.path().join("app.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_lazy_with(options);
        Self { pool, directory }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct User {
    id: i64,
    name: String,
}

impl FromRow<'_, SqliteRow> for User {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self { id: row.try_get("id")?, name: row.try_get("name")? })
    }
}

impl FromRow<'_, PgRow> for User {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self { id: row.try_get("id")?, name: row.try_get("name")? })
    }
}

/// What an application has, the same in both databases.
const TABLES: &str = "
    create table person (id bigint primary key, name text not null);
    create table message (id bigint primary key, stream bigint not null, text text not null);
    insert into person values (1, 'Ada'), (2, 'Grace'), (3, 'Edsger');
";

async fn sqlite_with_tables() -> SqliteFile {
    let file = SqliteFile::new();
    sqlx::raw_sql(TABLES).execute(&file.pool).await.unwrap();
    file
}

async fn postgres_with_tables() -> PgPool {
    let pool = postgres().await;
    sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
    pool
}

/// Counts the calls of a loader, each of which is one query.
struct Counted<L> {
    loader: L,
    calls: Arc<AtomicUsize>,
}

impl<L> Counted<L> {
    fn new(loader: L) -> (Self, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        (Self { loader, calls: Arc::clone(&calls) }, calls)
    }
}

impl<K: Key, V: Send + Sync + 'static, L: Loader<K, V>> Loader<K, V> for Counted<L> {
    async fn load(&self, key: &K, cx: &LoadContext<V>) -> Result<Loaded<V>, LoadError> {
        self.calls.fetch_add(1, SeqCst);
        self.loader.load(key, cx).await
    }

    fn keys_per_call(&self) -> usize {
        self.loader.keys_per_call()
    }

    async fn load_many(&self, keys: &[(K, LoadContext<V>)]) -> Vec<Result<Loaded<V>, LoadError>> {
        self.calls.fetch_add(1, SeqCst);
        self.loader.load_many(keys).await
    }
}

/// A policy under which nothing is loaded but for those who ask, and once.
fn plain() -> Policy {
    Policy {
        preload: PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() },
        source: SourcePolicy { attempts: 1, ..SourcePolicy::default() },
        ..Policy::default()
    }
}

async fn engine() -> Forewarm {
    Forewarm::builder().build().await.unwrap()
}

/// A resource in memory over a loader, on an engine of its own.
async fn resource<K: Key, V: Send + Sync + 'static>(loader: impl Loader<K, V>) -> Resource<K, V> {
    let engine = engine().await;
    let resource = engine.memory_resource("thing").policy(plain()).loader(loader).build();
    let resource = resource.unwrap();
    engine.start().await.unwrap();
    resource
}

/// An error and its causes, as somebody would print them in every way.
fn said(error: &forewarm::Error) -> String {
    let mut said = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said += &format!(" {error} {error:?}");
        cause = error.source();
    }
    said
}

async fn in_time<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(IN_TIME, work).await.expect("it should have ended by now")
}
