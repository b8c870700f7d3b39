//! A service to copy from: axum handlers over a repository that reads through forewarm, the reads of
//! one client belonging together, and `/metrics` for Prometheus.
//!
//! ```sh
//! cargo run --features service,tower --example axum_service
//! curl http://127.0.0.1:3000/users/1
//! ```
//!
//! Its dependencies beside forewarm: axum with `json`, serde with `rc` (so that values are written from
//! where the cache holds them), sqlx, tokio, metrics-exporter-prometheus.
//!
//! `ADDRESS` sets where it listens, `DATABASE` the file of its database.
#![expect(clippy::print_stdout, reason = "this program says where it listens")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use forewarm::{Bytes, Fences, Forewarm, Resource, ScopeLayer, SqlLoader, SqliteTier};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Clone, Debug, Deserialize, Serialize)]
struct User {
    id: i64,
    name: String,
}

/// What the handlers share.
#[derive(Clone)]
struct App {
    forewarm: Forewarm,
    users: Resource<i64, User>,
    permissions: Resource<i64, Vec<String>>,
    database: SqlitePool,
    metrics: PrometheusHandle,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let file = std::env::var_os("DATABASE").map_or_else(|| "axum_service.db".into(), PathBuf::from);
    let database = database(&file).await?;
    let app = App::new(database, file.with_extension("cache.db"), metrics).await?;

    let address = std::env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let forewarm = app.forewarm.clone();
    axum::serve(listener, router(app)).with_graceful_shutdown(interrupted()).await?;
    // What is under way ends, and what L2 has not heard of yet is delivered.
    forewarm.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

fn router(app: App) -> Router {
    // Reads of the same client belong together: what follows what is learned from them. The client
    // is whoever the header names, as a session or an account would be.
    let scopes = ScopeLayer::by_header(&app.forewarm, HeaderName::from_static("x-client"));
    Router::new()
        .route("/users/{id}", get(user).put(rename))
        .route("/users/{id}/permissions", get(permissions))
        .layer(scopes)
        .route("/metrics", get(scrape))
        .route("/health", get(health))
        .with_state(app)
}

impl App {
    async fn new(
        database: SqlitePool,
        cache: PathBuf,
        metrics: PrometheusHandle,
    ) -> Result<Self, Box<dyn Error>> {
        let tier = SqliteTier::open(cache).await?;
        let forewarm = Forewarm::builder().prefix("axum").tier(tier).build().await?;
        let user = SqlLoader::new(database.clone(), "select id, name from user where id = $1");
        let users = forewarm
            .resource("user")
            .ttl(Duration::from_secs(60))
            .capacity(Bytes::mib(64))
            .loader(user.map(|(id, name)| User { id, name }))
            .build()?;
        let names = "select name from permission where user = $1 order by name limit $2";
        let names = SqlLoader::new(database.clone(), names).map(|(name,): (String,)| name);
        let permissions = forewarm.resource("permission").loader(names.list(100)).build()?;
        forewarm.start().await?;
        Ok(Self { forewarm, users, permissions, database, metrics })
    }
}

async fn user(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<Arc<User>>, Failure> {
    app.users.get(&id).await?.map(Json).ok_or(Failure::NotFound)
}

async fn permissions(
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Json<Arc<Vec<String>>>, Failure> {
    app.permissions.get(&id).await?.map(Json).ok_or(Failure::NotFound)
}

/// Changes a name: whoever reads it after the answer gets the new one.
async fn rename(
    State(app): State<App>,
    Path(id): Path<i64>,
    Json(name): Json<String>,
) -> Result<StatusCode, Failure> {
    let mut transaction = app.database.begin().await?;
    let update = sqlx::query("update user set name = $1 where id = $2").bind(name).bind(id);
    if update.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(Failure::NotFound);
    }
    let _applied_or_queued = Fences::new().key(&app.users, &id).commit(transaction).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Counters are the engine's own until they are published.
async fn scrape(State(app): State<App>) -> String {
    app.forewarm.publish_metrics();
    app.metrics.run_upkeep();
    app.metrics.render()
}

async fn health(State(app): State<App>) -> impl IntoResponse {
    let health = app.forewarm.health().await;
    let is_up = health.state != forewarm::HealthState::Down;
    (if is_up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(health))
}

/// What a handler answers when it has no answer. What went wrong is for the log, not for clients.
enum Failure {
    NotFound,
    Internal(Box<dyn Error + Send + Sync>),
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> axum::response::Response {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND.into_response(),
            Self::Internal(error) => {
                tracing::error!(%error, "a request failed");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

async fn database(path: &std::path::Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await?;
    let tables = "
        create table if not exists user (id integer primary key, name text not null);
        create table if not exists permission (user integer not null, name text not null,
            primary key (user, name));
        insert or ignore into user values (1, 'Ada'), (2, 'Grace');
        insert or ignore into permission values (1, 'read'), (1, 'write'), (2, 'read');
    ";
    sqlx::raw_sql(tables).execute(&pool).await?;
    Ok(pool)
}

/// Ends when the process is told to stop: by Ctrl-C, or by whoever manages it.
async fn interrupted() {
    let told = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = told => {}
    }
}
