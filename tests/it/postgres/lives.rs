//! A server that has lost what it acknowledged begins another life.

use std::path::Path;
use std::process::Command;

use forewarm::lab::Data;
use forewarm::{RunTaken, TakeRun};

use super::*;

const KEY: &str = "p:user:1";

async fn launch() -> (PostgresServer, Home) {
    let server = PostgresServer::launch(Server::default()).await.unwrap();
    let home = Home::at(server.url());
    (server, home)
}

fn incarnation(cursor: &Cursor) -> u64 {
    cursor.0[0].incarnation
}

/// What the next poll that is answered says.
async fn next_poll(tier: &PostgresTier, since: &Cursor) -> Polled {
    let mut polled = None;
    until("a poll is answered", async || {
        polled = tier.poll(since).await.ok();
        polled.is_some()
    })
    .await;
    polled.unwrap()
}

/// Ends a server in order, so that it has written everything.
async fn stop(home: &Home, server: &PostgresServer) {
    signal("-INT", &server.pid().unwrap().to_string());
    until("the server has stopped", async || PgConnection::connect(&home.url).await.is_err()).await;
    let pid_file = server.directory().join("data/postmaster.pid");
    until("the server has ended", async || !pid_file.exists()).await;
    // Whoever keeps it has to know.
    drop(server.kill());
}

fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", "-T"]).args([from, to]).status().unwrap();
    assert!(copied.success());
}

#[tokio::test]
async fn a_server_that_crashed_begins_another_life() {
    let (server, home) = launch().await;
    let tier = home.tier().await;
    load(&tier, KEY, b"old").await;
    let loading = loading(&tier, "p:user:2").await;
    let since = caught_up(&tier).await;
    let mut taken = 0;
    for data in [Data::Kept, Data::Lost] {
        let run = TakeRun { permit: Permit(fastrand::u64(..)), ..any_run(600 * MINUTE) };
        taken += usize::from(tier.take_run(&run).await.unwrap() != RunTaken::Theirs);
        server.kill().unwrap();
        server.start(data).await.unwrap();
        let polled = next_poll(&tier, &since).await;
        assert!(polled.is_gap, "{data:?}");
        assert_ne!(incarnation(&polled.cursor), incarnation(&since));
        assert_eq!(value(&tier, KEY).await, None);
        assert_eq!(fill_in(&tier, "p:user:2", loading, b"old").await, Filled::Refused);
        // A stranger's put is a stranger's put.
        let put = [fill(KEY, Permit(0), b"old")];
        assert_eq!(tier.put(NODE, &put, &since).await.unwrap(), [Filled::Refused]);
        load(&tier, KEY, b"new").await;
        let mut since = caught_up(&tier).await;
        invalidate(&tier, Selector::Key(KEY)).await;
        assert_eq!(news(&tier, &mut since).await.len(), 1);
        load(&tier, KEY, b"new").await;
    }
    // What was taken outlives a crash.
    assert_eq!(taken, 1);
}

/// The server goes on when one of its sessions dies, with the time of its start as it was.
#[tokio::test]
async fn a_session_that_dies_takes_the_life_of_the_tables_with_it() {
    let (_server, home) = launch().await;
    let tier = home.tier().await;
    load(&tier, KEY, b"old").await;
    let since = caught_up(&tier).await;
    let mut other = home.other().await;
    let pid: i32 = query_scalar("select pg_backend_pid()").fetch_one(&mut other).await.unwrap();
    signal("-KILL", &pid.to_string());
    until("the tables are empty", async || tier.poll(&since).await.is_ok_and(|p| p.is_gap)).await;
    assert_eq!(value(&tier, KEY).await, None);
    load(&tier, KEY, b"new").await;
}

#[tokio::test]
async fn a_server_that_was_stopped_in_order_goes_on_with_the_same_life() {
    let (server, home) = launch().await;
    let tier = home.tier().await;
    load(&tier, KEY, b"Ada").await;
    let since = caught_up(&tier).await;
    invalidate(&tier, Selector::Key("p:user:2")).await;
    stop(&home, &server).await;
    server.start(Data::Kept).await.unwrap();
    let polled = next_poll(&tier, &since).await;
    assert!(!polled.is_gap && polled.changes.len() == 1, "{polled:?}");
    assert_eq!(value(&tier, KEY).await.unwrap(), b"Ada");
}

/// A copy that was made while the server was stopped has nothing in it that tells of its age. Those
/// who have used the server since remember.
#[tokio::test]
async fn data_that_have_gone_back_are_recognised_by_those_who_were_there() {
    let (server, home) = launch().await;
    let (tier, neighbour) = (home.tier().await, home.tier().await);
    load(&tier, KEY, b"old").await;
    stop(&home, &server).await;
    let (data, kept) = (server.directory().join("data"), server.directory().join("kept"));
    copy(&data, &kept);
    server.start(Data::Kept).await.unwrap();
    until("it is there again", async || value_or_nothing(&tier, KEY).await.is_some()).await;
    invalidate(&tier, Selector::Key(KEY)).await;
    let since = caught_up(&tier).await;
    stop(&home, &server).await;
    std::fs::remove_dir_all(&data).unwrap();
    copy(&kept, &data);
    server.start(Data::Kept).await.unwrap();
    // This one has not heard of what is lost, and does not know.
    until("the neighbour is back", async || neighbour.size().await.is_ok()).await;
    let polled = next_poll(&tier, &since).await;
    assert!(polled.is_gap);
    assert_eq!(value(&tier, KEY).await, None);
    assert_eq!(value(&neighbour, KEY).await, None);
    // It does not go on for ever.
    let again = poll(&neighbour, &polled.cursor).await;
    assert!(!again.is_gap);
}

async fn value_or_nothing(tier: &PostgresTier, key: &str) -> Option<Vec<u8>> {
    let begun = tier.begin(&[asking(key, Want::Copy)], MINUTE).await.ok()?;
    match begun.into_iter().next() {
        Some(Begun::Hit(stored)) => Some(stored.value),
        _ => None,
    }
}

/// As after a dump that was read in elsewhere.
#[tokio::test]
async fn tables_that_were_made_elsewhere_begin_another_life_here() {
    let server = shared().await;
    let (here, there) =
        (server.new_database().await.unwrap(), server.new_database().await.unwrap());
    let home = Home::at(here);
    let tier = home.tier().await;
    load(&tier, KEY, b"old").await;
    let since = caught_up(&tier).await;
    tier.close().await;
    let name = |url: &str| url.rsplit('/').next().unwrap().to_owned();
    let (from, to) = (name(&home.url), name(&there));
    let mut db = PgConnection::connect(&server.url()).await.unwrap();
    query(AssertSqlSafe(format!("drop database {to}"))).execute(&mut db).await.unwrap();
    until("nobody uses the database", async || {
        let sql = AssertSqlSafe(format!("create database {to} template {from}"));
        query(sql).execute(&mut db).await.is_ok()
    })
    .await;
    let moved = Home { url: there, schema: home.schema.clone(), clock: home.clock.clone() };
    assert_eq!(moved.count("entry").await, 1);
    let tier = moved.tier().await;
    assert_eq!(value(&tier, KEY).await, None);
    assert!(poll(&tier, &since).await.is_gap);
}

#[tokio::test]
async fn a_life_that_is_not_noted_any_more_has_ended() {
    let home = Home::shared().await;
    let tier = home.tier().await;
    load(&tier, KEY, b"old").await;
    let since = caught_up(&tier).await;
    query(home.sql("truncate forewarm.meta")).execute(&mut home.other().await).await.unwrap();
    assert!(poll(&tier, &since).await.is_gap);
    assert_eq!(value(&tier, KEY).await, None);
    let put = [fill(KEY, Permit(0), b"old")];
    assert_eq!(tier.put(NODE, &put, &since).await.unwrap(), [Filled::Refused]);
}

#[tokio::test]
async fn tables_that_were_dropped_are_made_anew() {
    let home = Home::shared().await;
    let tier = home.tier().await;
    load(&tier, KEY, b"old").await;
    let since = caught_up(&tier).await;
    let schema = home.schema.replace('"', "\"\"");
    let drop = AssertSqlSafe(format!("drop schema \"{schema}\" cascade"));
    query(drop).execute(&mut home.other().await).await.unwrap();
    assert!(poll(&tier, &since).await.is_gap);
    load(&tier, KEY, b"new").await;
    assert_eq!(value(&tier, KEY).await.unwrap(), b"new");
}
