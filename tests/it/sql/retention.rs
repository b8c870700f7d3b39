//! Clean-up by age.

use forewarm::{Clock, Retention, RunOutcome, SqlDatabase, StoredAs};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Pool, Postgres, Sqlite, query, query_scalar};

use super::*;

const HOUR: Duration = Duration::from_hours(1);

/// When it is now.
fn clock() -> Clock {
    Clock::starting_at(now())
}

fn now() -> Timestamp {
    "2026-07-01T12:00:00Z".parse().unwrap()
}

/// How far the rows of the table are from an hour ago, in minutes: five are older.
const MINUTES: [i32; 10] = [-100_000, -1_000, -60, -10, -1, 1, 2, 10, 59, 60];

fn times() -> impl Iterator<Item = Timestamp> {
    MINUTES.into_iter().map(|minutes| {
        now() - SignedDuration::from_hours(1) + SignedDuration::from_mins(minutes.into())
    })
}

fn of<DB: SqlDatabase>(pool: &Pool<DB>, table: &str, stored_as: StoredAs) -> Retention<DB> {
    let retention = Retention::new(pool.clone(), table, "at", HOUR).unwrap();
    retention.stored_as(stored_as).clock(clock()).pause(Duration::ZERO)
}

/// How SQLite holds a time.
fn in_sqlite(stored_as: StoredAs, at: Timestamp) -> String {
    match stored_as {
        StoredAs::UnixSeconds => at.as_second().to_string(),
        StoredAs::UnixMillis => at.as_millisecond().to_string(),
        StoredAs::UnixMicros => at.as_microsecond().to_string(),
        _ => format!("'{}'", at.strftime("%Y-%m-%d %H:%M:%S")),
    }
}

const FORMS: [StoredAs; 4] =
    [StoredAs::Timestamp, StoredAs::UnixSeconds, StoredAs::UnixMillis, StoredAs::UnixMicros];

async fn count<DB>(pool: &Pool<DB>, table: &str) -> i64
where
    DB: SqlDatabase,
    for<'c> &'c Pool<DB>: sqlx::Executor<'c, Database = DB>,
    DB::Arguments: sqlx::IntoArguments<DB>,
    (i64,): for<'r> FromRow<'r, DB::Row>,
{
    let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
    query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn what_is_older_goes_and_what_is_younger_stays_in_sqlite() {
    for stored_as in FORMS {
        let file = SqliteFile::new();
        query("create table log (at, text text)").execute(&file.pool).await.unwrap();
        for at in times() {
            let value = in_sqlite(stored_as, at);
            let insert = sqlx::AssertSqlSafe(format!("insert into log values ({value}, '')"));
            query(insert).execute(&file.pool).await.unwrap();
        }
        query("insert into log values (null, '')").execute(&file.pool).await.unwrap();
        for batch in [2, 5, 500] {
            let retention = of(&file.pool, "log", stored_as).batch_rows(batch);
            let removed = in_time(retention.run()).await.unwrap();
            let expected = if batch == 2 { 5 } else { 0 };
            assert_eq!((removed.rows, removed.is_complete), (expected, true), "{stored_as:?}");
            assert_eq!(count(&file.pool, "log").await, 6);
        }
    }
}

#[tokio::test]
async fn what_is_older_goes_and_what_is_younger_stays_in_postgres() {
    let pool = postgres().await;
    for (kind, stored_as) in [
        ("timestamptz", StoredAs::Timestamp),
        ("timestamp", StoredAs::Timestamp),
        ("bigint", StoredAs::UnixSeconds),
        ("integer", StoredAs::UnixSeconds),
        ("bigint", StoredAs::UnixMillis),
        ("double precision", StoredAs::UnixMillis),
        ("numeric", StoredAs::UnixMicros),
    ] {
        query("drop table if exists log").execute(&pool).await.unwrap();
        let table = format!("create table log (at {kind}, text text)");
        query(sqlx::AssertSqlSafe(table)).execute(&pool).await.unwrap();
        for at in times() {
            let value = match stored_as {
                StoredAs::Timestamp => format!("'{at}'"),
                _ => in_sqlite(stored_as, at),
            };
            let insert = sqlx::AssertSqlSafe(format!("insert into log values ({value}, '')"));
            query(insert).execute(&pool).await.unwrap();
        }
        query("insert into log values (null, '')").execute(&pool).await.unwrap();
        let retention = of(&pool, "public.log", stored_as).batch_rows(2);
        let removed = in_time(retention.run()).await.unwrap();
        assert_eq!((removed.rows, removed.is_complete), (5, true), "{kind} {stored_as:?}");
        assert_eq!(count(&pool, "log").await, 6);
    }
}

#[tokio::test]
async fn names_that_are_none_are_refused() {
    let file = SqliteFile::new();
    for name in ["log; drop table log", "log\" where 1=1 --", "", "a b", "log\0", "ä", "9log"] {
        for (table, column) in [(name, "at"), ("log", name), ("main.log", name)] {
            let error = Retention::new(file.pool.clone(), table, column, HOUR).unwrap_err();
            assert!(error.field().starts_with("retention."), "{error}");
        }
    }
    assert!(Retention::new(file.pool, "log", "at", Duration::MAX).is_err());
}

/// Words of SQL are names as any others.
#[tokio::test]
async fn names_are_quoted() {
    let file = SqliteFile::new();
    let table = r#"create table "select" ("where" integer); insert into "select" values (1)"#;
    sqlx::raw_sql(table).execute(&file.pool).await.unwrap();
    let retention = Retention::new(file.pool.clone(), "select", "where", HOUR).unwrap();
    let removed = retention.stored_as(StoredAs::UnixSeconds).run().await.unwrap();
    assert_eq!(removed.rows, 1);
}

/// SQLite takes a quoted name that it does not know for a text, and any number for less than any
/// text.
#[tokio::test]
async fn a_column_that_is_not_there_or_of_another_kind_removes_nothing() {
    let file = SqliteFile::new();
    let rows = "create table log (at, text text);
        insert into log values (1, ''), (2, ''), (null, '')";
    sqlx::raw_sql(rows).execute(&file.pool).await.unwrap();
    let misspelt = Retention::new(file.pool.clone(), "log", "att", HOUR).unwrap();
    let numbers = of(&file.pool, "log", StoredAs::Timestamp);
    let missing = of(&file.pool, "no_such_table", StoredAs::Timestamp);
    for retention in [misspelt, numbers, missing] {
        let error = retention.run().await.unwrap_err();
        assert!(error.rows() == 0 && !error.is_transient(), "{error:?}");
    }
    // Where only some are of another kind, those stay.
    query("insert into log values ('2020-01-01', '')").execute(&file.pool).await.unwrap();
    let removed = of(&file.pool, "log", StoredAs::UnixSeconds).run().await.unwrap();
    assert_eq!((removed.rows, count(&file.pool, "log").await), (2, 2));
    let pool = postgres().await;
    query("create table log (at bigint)").execute(&pool).await.unwrap();
    query("insert into log values (1)").execute(&pool).await.unwrap();
    assert!(of(&pool, "log", StoredAs::Timestamp).run().await.is_err());
    assert_eq!(count(&pool, "log").await, 1);
}

async fn many_rows_in_sqlite(rows: u32) -> SqliteFile {
    let file = SqliteFile::new();
    let insert = "create table log (id integer primary key, at integer not null);
        create index log_at on log (at);";
    sqlx::raw_sql(insert).execute(&file.pool).await.unwrap();
    let insert = "with recursive n (id) as (select 1 union all select id + 1 from n where id < $1)
        insert into log select id, id from n";
    query(insert).bind(rows).execute(&file.pool).await.unwrap();
    file
}

#[tokio::test]
async fn it_is_cancelled_between_batches_and_counts_what_it_did() {
    let file = many_rows_in_sqlite(1_000).await;
    let retention = of(&file.pool, "log", StoredAs::UnixSeconds).batch_rows(100);
    let removed = retention.run_until(std::future::ready(())).await.unwrap();
    assert_eq!((removed.rows, removed.is_complete), (0, false));
    // Cancelled while it rests after the first batch.
    let resting = retention.clone().pause(Duration::from_hours(1));
    let pool = file.pool.clone();
    let first_is_done = async move {
        until("a batch is done", async || count(&pool, "log").await < 1_000).await;
    };
    let removed = in_time(resting.run_until(first_is_done)).await.unwrap();
    assert_eq!((removed.rows, removed.is_complete), (100, false));
    let removed = in_time(retention.run()).await.unwrap();
    assert_eq!((removed.rows, removed.is_complete), (900, true));
}

#[tokio::test]
async fn what_fails_in_the_middle_tells_what_was_removed() {
    let file = many_rows_in_sqlite(1_000).await;
    let trigger = "create trigger keep before delete on log when old.id = 450
        begin select raise(abort, 'kept'); end";
    sqlx::raw_sql(trigger).execute(&file.pool).await.unwrap();
    let retention = of(&file.pool, "log", StoredAs::UnixSeconds).batch_rows(100);
    let error = in_time(retention.run()).await.unwrap_err();
    assert_eq!((error.rows(), count(&file.pool, "log").await), (400, 600));
    assert_eq!(error.to_string(), r#"the clean-up of "log" ended after 400 rows"#);
}

#[tokio::test]
async fn it_is_the_work_of_a_job() {
    let file = many_rows_in_sqlite(1_000).await;
    let retention = of(&file.pool, "log", StoredAs::UnixSeconds).batch_rows(300);
    let engine = engine().await;
    let job = engine
        .job("clean_up")
        .run_with(move |context| {
            let retention = retention.clone();
            async move {
                retention.run_until(context.cancelled()).await?;
                Ok(())
            }
        })
        .build()
        .unwrap();
    engine.start().await.unwrap();
    job.trigger().unwrap();
    until("the run has ended", async || {
        job.runs(1).await.first().is_some_and(|run| run.outcome == Some(RunOutcome::Succeeded))
    })
    .await;
    assert_eq!(count(&file.pool, "log").await, 0);
}

/// Nobody waits for a row that somebody holds, and the next run finds it.
#[tokio::test]
async fn rows_that_somebody_holds_are_left_for_the_next_run() {
    let pool = postgres().await;
    let table = "create table log (id bigint primary key, at bigint not null)";
    query(table).execute(&pool).await.unwrap();
    let rows = "insert into log select id, id from generate_series(1, 1000) as id";
    query(rows).execute(&pool).await.unwrap();
    let mut holder = pool.begin().await.unwrap();
    query("update log set at = at where id = 500").execute(&mut *holder).await.unwrap();
    let retention = of(&pool, "log", StoredAs::UnixSeconds).batch_rows(100);
    let removed = in_time(retention.run()).await.unwrap();
    assert_eq!(removed.rows, 999);
    holder.rollback().await.unwrap();
    let removed = in_time(retention.run()).await.unwrap();
    assert_eq!(removed.rows, 1);
}

/// Each partition counts its places by itself.
#[tokio::test]
async fn a_table_in_partitions_keeps_what_is_young() {
    let pool = postgres().await;
    let table = "create table log (id bigint not null, at bigint not null) partition by hash (id);
        create table log_0 partition of log for values with (modulus 3, remainder 0);
        create table log_1 partition of log for values with (modulus 3, remainder 1);
        create table log_2 partition of log for values with (modulus 3, remainder 2);
        insert into log select id, case when id % 2 = 0 then id else 9000000000 end
            from generate_series(1, 1000) as id";
    sqlx::raw_sql(table).execute(&pool).await.unwrap();
    let retention = of(&pool, "log", StoredAs::UnixSeconds).batch_rows(100);
    let removed = in_time(retention.run()).await.unwrap();
    assert_eq!((removed.rows, count(&pool, "log").await), (500, 500));
}

#[tokio::test]
async fn debug_does_not_say_where_the_database_is() {
    let pool: Pool<Postgres> = postgres_at("postgres://ada:s3cret@127.0.0.1:1/s3cret", 1);
    let retention = of(&pool, "log", StoredAs::UnixSeconds);
    let error = tokio::time::timeout(IN_TIME, retention.run()).await.unwrap().unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(!format!("{retention:?} {error:?} {error}").contains("s3cret"));
    let _other: Option<Retention<Sqlite>> = None;
}
