//! Sources, each a real one.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool, raw_sql};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{Query, Source, SourceError};
use crate::lab::{PostgresOptions, PostgresServer};
use crate::service::document::Document;
use crate::service::settings::load::{KeyKind, Load, LoadParts, SourceKind};
use crate::{Forewarm, Policy, PreloadMode, PreloadPolicy, Resource, SourcePolicy};

mod hostile;
mod http;
mod postgres;
mod sqlite;

/// Long enough for whatever ends by itself, on a machine that is busy with other things.
const IN_TIME: Duration = Duration::from_secs(30);

/// Numbers that are others once they are read as floating point, and names in no order.
const NUMBERS: &str =
    r#"{"z": [1.50, 12345678901234567890.123456789, 1180591620717411303424], "a": -0, "m": 1e2}"#;

/// A database, as its owner sees it, and as the service does.
struct Database<Pool> {
    owner: Pool,
    source: Source,
    /// Where its file is, if it has one.
    _home: Option<TempDir>,
}

impl Database<SqlitePool> {
    async fn sqlite(tables: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("shop.db");
        let connect = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let owner = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(connect);
        raw_sql(AssertSqlSafe(tables)).execute(&owner).await.unwrap();
        let source = open(&format!("sqlite = {{ path = {path:?} }}"));
        Self { owner, source, _home: Some(home) }
    }
}

impl Database<PgPool> {
    async fn postgres(tables: &str) -> Self {
        let url = shared().await.new_database().await.unwrap();
        let owner = PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        raw_sql(AssertSqlSafe(tables)).execute(&owner).await.unwrap();
        let source = open(&format!("postgres = {{ url = {url:?}, connections_max = 2 }}"));
        Self { owner, source, _home: None }
    }
}

/// The server that all share who neither stop nor disturb it.
async fn shared() -> &'static PostgresServer {
    static SERVER: OnceCell<PostgresServer> = OnceCell::const_new();
    let launch = async || PostgresServer::launch(PostgresOptions::default()).await.unwrap();
    SERVER.get_or_init(launch).await
}

fn open(settings: &str) -> Source {
    Source::open("shop", &toml::from_str(settings).unwrap()).unwrap()
}

fn parts(query: &str) -> LoadParts<'_> {
    LoadParts { query: Some(query), ..LoadParts::default() }
}

fn load(parts: LoadParts<'_>) -> Load {
    let kind = if parts.path.is_some() { SourceKind::Http } else { SourceKind::Sql };
    Load::of(&parts, kind).unwrap()
}

/// A resource of a source, with which nothing is tried again.
async fn resource(source: &Source, parts: LoadParts<'_>) -> Resource<String, Document> {
    let engine = Forewarm::builder().build().await.unwrap();
    let policy = Policy {
        preload: PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() },
        source: SourcePolicy { attempts: 1, breaker_failures: 1000, ..SourcePolicy::default() },
        ..Policy::default()
    };
    let loader = source.loader(&load(parts)).unwrap();
    let builder = engine.memory_resource("thing").policy(policy).loader(loader);
    let resource = builder.build().unwrap();
    engine.start().await.unwrap();
    resource
}

async fn value(resource: &Resource<String, Document>, key: &str) -> Option<Value> {
    resource.get(key).await.unwrap().map(|document| document.value())
}

/// What is found under many keys at once, in their order.
async fn values(resource: &Resource<String, Document>, keys: &[&str]) -> Vec<Option<Value>> {
    let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
    let found = resource.get_many(&keys).await;
    let value =
        |found: Result<Option<_>, _>| found.unwrap().map(|it: std::sync::Arc<Document>| it.value());
    found.into_iter().map(value).collect()
}

/// The text of what is found under a key, by itself and among several.
async fn texts(resource: &Resource<String, Document>, key: &str) -> [String; 2] {
    let one = resource.get(key).await.unwrap().unwrap().text().to_owned();
    let _nobody_else = resource.invalidate(key).await;
    let many = resource.get_many([key, "9"]).await.remove(0).unwrap().unwrap();
    [one, many.text().to_owned()]
}

/// All rows of a query.
async fn collected(source: &Source, sql: &str, is_scalar: bool) -> Value {
    serde_json::from_str(&source.collect(sql, is_scalar).await.unwrap()).unwrap()
}

/// An error and its causes, as somebody would print them in every way.
fn said(error: &(dyn StdError + 'static)) -> String {
    let mut said = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        said += &format!(" {error} {error:?}");
        cause = error.source();
    }
    said
}

/// The setting that an error names.
fn field(error: &SourceError) -> &str {
    match error {
        SourceError::Config(error) => error.field(),
        SourceError::Secret { field, .. } | SourceError::Query { field, .. } => field,
    }
}

fn query(sql: &str, texts: usize) -> Query<'_> {
    Query { field: "aliases.email.query", sql, texts, is_scalar: false }
}

async fn in_time<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(IN_TIME, work).await.expect("it should have ended by now")
}
