//! A PostgreSQL server.

use forewarm::lab::{Data, PostgresOptions, PostgresServer};
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpStream;

use super::{A_WHILE, IN_TIME};

async fn launch() -> (PostgresServer, PgConnection) {
    let server = PostgresServer::launch(PostgresOptions::default()).await.unwrap();
    let connection = PgConnection::connect(&server.url()).await.unwrap();
    (server, connection)
}

async fn tables(server: &PostgresServer) -> i64 {
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    let statement = "select count(*) from pg_tables where schemaname = 'public'";
    sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_server_that_was_launched_answers() {
    let (server, mut connection) = launch().await;
    let fsync: String = sqlx::query_scalar("show fsync").fetch_one(&mut connection).await.unwrap();
    assert_eq!((fsync.as_str(), tables(&server).await), ("off", 0));
    let urls = [server.new_database().await.unwrap(), server.new_database().await.unwrap()];
    assert_ne!(urls[0], urls[1]);
    for url in urls {
        PgConnection::connect(&url).await.unwrap();
    }
}

#[tokio::test]
async fn a_frozen_server_accepts_and_answers_only_when_it_is_thawed() {
    let (server, mut connection) = launch().await;
    server.freeze().unwrap();
    TcpStream::connect(server.addr()).await.unwrap();
    let mut ping = Box::pin(connection.ping());
    assert!(tokio::time::timeout(A_WHILE, &mut ping).await.is_err());
    let mut other = Box::pin(tables(&server));
    assert!(tokio::time::timeout(A_WHILE, &mut other).await.is_err());
    server.thaw().unwrap();
    tokio::time::timeout(IN_TIME, ping).await.unwrap().unwrap();
    tokio::time::timeout(IN_TIME, other).await.unwrap();
}

#[tokio::test]
async fn a_killed_server_refuses_and_a_started_one_has_its_data_or_none() {
    let (server, mut connection) = launch().await;
    sqlx::query("create table thing (id int)").execute(&mut connection).await.unwrap();
    let pid = server.pid();
    // Frozen sessions would outlive the server that is killed alone.
    server.freeze().unwrap();
    server.kill().unwrap();
    assert_eq!(server.pid(), None);
    assert!(connection.ping().await.is_err());
    assert!(TcpStream::connect(server.addr()).await.is_err());
    for (data, left) in [(Data::Kept, 1), (Data::Lost, 0)] {
        server.start(data).await.unwrap();
        assert_ne!(server.pid(), pid);
        assert_eq!(tables(&server).await, left, "{data:?}");
        server.kill().unwrap();
    }
}

#[tokio::test]
async fn what_a_server_says_when_it_cannot_start_is_told() {
    let options = PostgresOptions::default().setting("no_such_setting", "1");
    let error = PostgresServer::launch(options).await.unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn a_password_is_asked_for_also_after_the_data_were_lost() {
    let options = PostgresOptions::default().password("s3cret");
    let server = PostgresServer::launch(options).await.unwrap();
    let debug = format!("{server:?}");
    assert!(!debug.contains("s3cret"), "{debug}");
    for data in [Data::Kept, Data::Lost] {
        server.kill().unwrap();
        server.start(data).await.unwrap();
        PgConnection::connect(&server.url()).await.unwrap();
        let without = server.url().replace(":s3cret", "");
        assert!(PgConnection::connect(&without).await.is_err());
    }
}

#[tokio::test]
async fn an_encrypted_server_is_trusted_through_its_own_authority_alone() {
    let server = PostgresServer::launch(PostgresOptions::default().tls()).await.unwrap();
    let other = PostgresServer::launch(PostgresOptions::default().tls()).await.unwrap();
    for (authority, is_trusted) in [(&server, true), (&other, false)] {
        let authority = authority.authority().unwrap();
        let trusted = format!("sslmode=verify-full&sslrootcert={}", authority.display());
        let connected = PgConnection::connect(&format!("{}?{trusted}", server.url())).await;
        assert_eq!(connected.is_ok(), is_trusted);
    }
}

#[tokio::test]
async fn a_killed_server_leaves_no_shared_memory_behind() {
    let server = PostgresServer::launch(PostgresOptions::default()).await.unwrap();
    let file = std::fs::read_to_string(server.directory().join("data/postmaster.pid")).unwrap();
    let id = file.lines().nth(6).unwrap().split_whitespace().nth(1).unwrap();
    let is_there = || {
        let segments = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
        segments.lines().any(|line| line.split_whitespace().nth(1) == Some(id))
    };
    assert!(is_there());
    server.kill().unwrap();
    assert!(!is_there());
}
