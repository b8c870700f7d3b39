//! What goes wrong: what may pass, what will not, and what is said of it.

use forewarm::lab::Data;
use forewarm::{Clock, SqlLoader};
use sqlx::{AssertSqlSafe, Postgres, Sqlite};

use super::*;

/// Statements that cannot work.
const WRONG: [&str; 4] = [
    "select id, name from person where",
    "select id, name from no_such_table where id = $1",
    "select id, no_such_column from person where id = $1",
    // The name is no id.
    "select name as id, name from person where id = $1",
];

#[tokio::test]
async fn what_is_wrong_with_a_query_will_not_pass() {
    let (file, pool) = (sqlite_with_tables().await, postgres_with_tables().await);
    for sql in WRONG {
        let in_sqlite: SqlLoader<Sqlite, i64, User> = SqlLoader::new(file.pool.clone(), sql);
        let in_postgres: SqlLoader<Postgres, i64, User> = SqlLoader::new(pool.clone(), sql);
        for users in [resource(in_sqlite).await, resource(in_postgres).await] {
            let error = users.get(&1).await.unwrap_err();
            assert!(!error.is_transient(), "{sql}: {}", said(&error));
        }
    }
}

#[tokio::test]
async fn the_error_names_the_table_and_no_value() {
    let pool = postgres_with_tables().await;
    let find = async |sql: &'static str| {
        let users: SqlLoader<Postgres, String, (i64,)> = SqlLoader::new(pool.clone(), sql);
        said(&resource(users).await.get("s3cret").await.unwrap_err())
    };
    let missing = find("select 1::bigint from no_such_table where name = $1").await;
    assert!(missing.contains("no_such_table") && missing.contains("42P01"), "{missing}");
    // The server would quote it.
    let cast = find("select $1::text::bigint").await;
    assert!(cast.contains("22P02"), "{cast}");
    let in_row = find("select ('\"' || $1 || '\"')::jsonb::text::date").await;
    for said in [missing, cast, in_row] {
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[tokio::test]
async fn a_pool_without_a_free_connection_is_a_failure_that_may_pass() {
    let url = shared().await.new_database().await.unwrap();
    let options = PgPoolOptions::new().max_connections(1);
    let options = options.acquire_timeout(Duration::from_millis(50));
    let pool = options.connect(&url).await.unwrap();
    sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
    let sql = "select id, name from person where id = $1";
    let users: Resource<i64, User> = resource(SqlLoader::new(pool.clone(), sql)).await;
    let taken = pool.acquire().await.unwrap();
    let error = users.get(&1).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("pool"), "{}", said(&error));
    drop(taken);
    until("the connection is free", async || users.get(&1).await.is_ok()).await;
    pool.close().await;
    let error = users.get(&2).await.unwrap_err();
    assert!(!error.is_transient(), "{}", said(&error));
}

#[tokio::test]
async fn a_file_that_is_locked_is_a_failure_that_may_pass() {
    let file = sqlite_with_tables().await;
    let path = file.directory.path().join("app.db");
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::ZERO);
    let impatient = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
    let mut writer = file.pool.begin_with("begin immediate").await.unwrap();
    sqlx::query("update person set name = 'x'").execute(&mut *writer).await.unwrap();
    // A load that writes, as one that counts would.
    let sql = "update person set name = name || '' where id = $1 returning id, name";
    let users: Resource<i64, User> = resource(SqlLoader::new(impatient, sql)).await;
    let error = users.get(&1).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("locked"), "{}", said(&error));
    writer.rollback().await.unwrap();
    assert_eq!(users.get(&1).await.unwrap().unwrap().name, "Ada");
}

/// A statement that takes longer than the server allows, and a conflict of transactions.
#[tokio::test]
async fn what_the_server_gives_up_may_pass() {
    let pool = postgres().await;
    for state in ["57014", "40001", "40P01", "53300", "55P03"] {
        let raise = AssertSqlSafe(format!(
            "do $do$ begin
                create or replace function fail(bigint) returns bigint language plpgsql as
                    $$ begin raise 's3cret' using errcode = '{state}'; end $$;
            end $do$"
        ));
        sqlx::query(raise).execute(&pool).await.unwrap();
        let sql = "select fail($1), 'x' as name";
        let users: Resource<i64, User> = resource(SqlLoader::new(pool.clone(), sql)).await;
        let error = users.get(&1).await.unwrap_err();
        assert!(error.is_transient(), "{state}: {}", said(&error));
    }
}

/// C38: a database that is killed is a failure that may pass, and what is held is served meanwhile.
#[tokio::test]
async fn while_the_database_is_dead_what_is_held_is_served() {
    let server = PostgresServer::launch(PostgresOptions::default()).await.unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_millis(500))
        .connect(&server.url())
        .await
        .unwrap();
    sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
    let clock = Clock::system();
    let engine = Forewarm::builder().clock(clock.clone()).build().await.unwrap();
    let ttl = Duration::from_mins(1);
    let policy = Policy { ttl, stale_while_revalidate: None, ..plain() };
    let sql = "select id, name from person where id = $1";
    let users: Resource<i64, User> = engine
        .memory_resource("user")
        .policy(policy)
        .loader(SqlLoader::new(pool.clone(), sql))
        .build()
        .unwrap();
    let name = async |id| users.get(&id).await.map(|user| user.unwrap().name.clone());
    assert_eq!(name(1).await.unwrap(), "Ada");
    server.kill().unwrap();
    clock.advance(ttl);
    assert_eq!(name(1).await.unwrap(), "Ada");
    assert_eq!(users.stats().load_failures, 1, "{:?}", users.stats());
    let error = users.get(&2).await.unwrap_err();
    assert!(error.is_transient(), "{}", said(&error));
    server.start(Data::Kept).await.unwrap();
    sqlx::query("update person set name = 'Lovelace'").execute(&pool).await.unwrap();
    until("the database is asked again", async || {
        clock.advance(Duration::from_secs(1));
        name(1).await.is_ok_and(|name| name == "Lovelace")
    })
    .await;
}
