//! What a clean-up of 1,000,000 rows does to others who write at the same time: SQLite in WAL mode,
//! and PostgreSQL. It prints the waits of a writer who inserts a row every few milliseconds, before
//! and during the clean-up, and fails if the clean-up does not remove exactly what is old.
//!
//! ```sh
//! cargo bench --features service --bench retention
//! ```
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::time::Duration;

use forewarm::lab::{PostgresOptions, PostgresServer};
use forewarm::{Removed, Retention, StoredAs};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use tokio::time::{Instant, sleep};

/// The rows that are old, those that are young, and how long the writer is watched before.
#[derive(Clone, Copy)]
struct Size {
    old: i64,
    young: i64,
    alone: Duration,
}

const FULL: Size = Size { old: 1_000_000, young: 100_000, alone: Duration::from_secs(5) };
/// To see that it works: `-- --test`.
const SMALL: Size = Size { old: 2_000, young: 200, alone: Duration::from_millis(100) };

/// The pause of the writer.
const WRITE_EVERY: Duration = Duration::from_millis(3);

/// The target for the 99th percentile of the waits.
const WAIT_MAX: Duration = Duration::from_millis(50);

const SCHEMA: &str = "
    create table api_log (id bigint primary key, created_at bigint not null, path text not null);
    create index api_log_created_at on api_log (created_at);
";
const INSERT: &str = "insert into api_log values ($1, $2, '/written/meanwhile')";
const COUNT: &str = "select count(*) from api_log where created_at < 2000000000";

/// Inserts rows, each in a transaction of its own, until the end; gives how long each took.
async fn write<F: Future<Output = ()>>(
    insert: impl Fn(i64) -> F,
    first: i64,
    end: impl Future<Output = ()>,
) -> Vec<Duration> {
    let mut waits = Vec::new();
    let mut end = std::pin::pin!(end);
    for id in first.. {
        let begin = Instant::now();
        insert(id).await;
        waits.push(begin.elapsed());
        tokio::select! {
            biased;
            () = &mut end => break,
            () = sleep(WRITE_EVERY) => {}
        }
    }
    waits
}

fn report(name: &str, mut waits: Vec<Duration>) -> Duration {
    waits.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "there are thousands of waits"
        )]
        let place = (waits.len() as f64 * share) as usize;
        waits.get(place.min(waits.len() - 1)).copied().unwrap_or_default()
    };
    let [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1.0].map(at);
    let count = waits.len();
    println!("{name:<34}{count:>7}{p50:>11.2?}{p99:>11.2?}{p999:>11.2?}{max:>11.2?}");
    p99
}

/// Cleans up while somebody writes; gives what was removed, and the 99th percentile of the waits.
async fn measure<F, R>(
    name: &str,
    size: Size,
    insert: impl Fn(i64) -> F,
    clean_up: R,
) -> (Removed, Duration)
where
    F: Future<Output = ()>,
    R: Future<Output = Removed>,
{
    let first = size.old + size.young + 1;
    let alone = write(&insert, first, sleep(size.alone)).await;
    let (begin, (done, is_done)) = (Instant::now(), tokio::sync::oneshot::channel());
    let first = first + i64::try_from(alone.len()).unwrap();
    let during = write(&insert, first, async { is_done.await.unwrap() });
    let clean_up = async {
        let removed = clean_up.await;
        done.send(()).unwrap();
        (removed, begin.elapsed())
    };
    let (during, (removed, took)) = tokio::join!(during, clean_up);
    report(&format!("{name}, before"), alone);
    let p99 = report(&format!("{name}, during"), during);
    println!("{name}: {} rows in {took:.1?}\n", removed.rows);
    (removed, p99)
}

fn check(size: Size, (removed, p99): (Removed, Duration), left: i64) {
    let old = u64::try_from(size.old).unwrap();
    assert_eq!((removed.rows, removed.is_complete), (old, true));
    assert_eq!(left, 0, "all that was old is gone");
    assert!(p99 <= WAIT_MAX, "the 99th percentile of the waits is {p99:?}");
}

async fn in_sqlite(size: Size) {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("app.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool: SqlitePool =
        SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
    sqlx::raw_sql(SCHEMA).execute(&pool).await.unwrap();
    let rows =
        "with recursive n (id) as (select 1 union all select id + 1 from n where id < $1 + $2)
        insert into api_log select id, case when id <= $1 then id else 4000000000 end,
            '/api/v1/things/' || id from n";
    sqlx::query(rows).bind(size.old).bind(size.young).execute(&pool).await.unwrap();
    let insert = async |id: i64| {
        sqlx::query(INSERT).bind(id).bind(4_000_000_000_i64).execute(&pool).await.unwrap();
    };
    let measured = measure("SQLite", size, insert, run(retention(&pool))).await;
    check(size, measured, sqlx::query_scalar(COUNT).fetch_one(&pool).await.unwrap());
}

async fn in_postgres(size: Size) {
    let server = PostgresServer::launch(PostgresOptions::default()).await.unwrap();
    let pool: PgPool =
        PgPoolOptions::new().max_connections(4).connect(&server.url()).await.unwrap();
    sqlx::raw_sql(SCHEMA).execute(&pool).await.unwrap();
    let rows = "insert into api_log select id, case when id <= $1 then id else 4000000000 end,
            '/api/v1/things/' || id from generate_series(1, $1 + $2) as id";
    sqlx::query(rows).bind(size.old).bind(size.young).execute(&pool).await.unwrap();
    sqlx::query("analyze api_log").execute(&pool).await.unwrap();
    let insert = async |id: i64| {
        sqlx::query(INSERT).bind(id).bind(4_000_000_000_i64).execute(&pool).await.unwrap();
    };
    let measured = measure("PostgreSQL", size, insert, run(retention(&pool))).await;
    check(size, measured, sqlx::query_scalar(COUNT).fetch_one(&pool).await.unwrap());
}

/// With its defaults.
fn retention<DB: forewarm::SqlDatabase>(pool: &sqlx::Pool<DB>) -> Retention<DB> {
    let day = Duration::from_hours(24);
    let retention = Retention::new(pool.clone(), "api_log", "created_at", day).unwrap();
    retention.stored_as(StoredAs::UnixSeconds)
}

async fn run<DB: forewarm::SqlDatabase>(retention: Retention<DB>) -> Removed {
    retention.run().await.unwrap()
}

fn main() {
    let size = if std::env::args().any(|argument| argument == "--test") { SMALL } else { FULL };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let columns = ["writes", "p50", "p99", "p99.9", "max"];
    let [writes, p50, p99, p999, max] = columns;
    println!("{:<34}{writes:>7}{p50:>11}{p99:>11}{p999:>11}{max:>11}", "waits of a writer");
    runtime.block_on(async {
        in_sqlite(size).await;
        in_postgres(size).await;
    });
}
