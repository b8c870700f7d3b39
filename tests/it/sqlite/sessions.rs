//! Several who use one file, and what becomes of them when another file takes its name.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use forewarm::{
    Ask, Begun, Cursor, Filled, Permit, Polled, Selector, SqliteTier, Stored, Tier as _, Want,
};

use super::{HOUR, Home, SECOND, begin, checkpoint, fill, put, put_all, value};
use crate::tier_contract::{NODE, any_run};
use crate::waiting::{until, until_some};

async fn stored(tier: &SqliteTier, key: &str) -> Stored {
    match begin(tier, key, 0).await {
        Begun::Hit(stored) => stored,
        other => panic!("{key}: {other:?}"),
    }
}

/// Names the file that [`a_process_that_uses_a_file`] is to use.
const FILE: &str = "FOREWARM_TEST_FILE";

/// Another process: it stores a value, says so, and goes on until it is killed.
#[tokio::test]
async fn a_process_that_uses_a_file() {
    let Ok(path) = std::env::var(FILE) else { return };
    let tier = SqliteTier::open(path).await.unwrap();
    put(&tier, "p:user:1", b"Ada").await;
    writeln!(std::io::stdout(), "it is stored").unwrap();
    // It hears nothing until its parent has gone, so that it does not stay behind.
    let mut nothing = Vec::new();
    std::io::stdin().read_to_end(&mut nothing).unwrap();
    tier.close().await;
}

fn start(path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "sqlite::sessions::a_process_that_uses_a_file", "--nocapture"]);
    let command = command.env(FILE, path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("it is stored")));
    child
}

#[tokio::test]
async fn what_a_living_process_has_stored_is_trusted_and_what_a_killed_one_has_is_not() {
    let home = Home::new();
    let mut child = start(&home.path());
    let tier = SqliteTier::open(home.path()).await.unwrap();
    assert!(!stored(&tier, "p:user:1").await.is_restored);
    let since = tier.poll(&Cursor::default()).await.unwrap().cursor;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!stored(&tier, "p:user:1").await.is_restored, "this one goes on");
    let mut child = start(&home.path());
    let polled = tier.poll(&since).await.unwrap();
    assert_eq!((polled.is_gap, polled.changes.len()), (false, 1));
    tier.close().await;
    child.kill().unwrap();
    child.wait().unwrap();
    let tier = SqliteTier::open(home.path()).await.unwrap();
    assert!(stored(&tier, "p:user:1").await.is_restored);
    assert!(tier.poll(&since).await.unwrap().is_gap);
}

#[tokio::test]
async fn a_load_from_before_a_gap_is_void() {
    let home = Home::new();
    let tier = home.open().await;
    assert_eq!(begin(&tier, "p:user:1", 1).await, Begun::Permit);
    let neighbour = home.open().await;
    tier.close().await;
    assert_eq!(begin(&neighbour, "p:user:1", 2).await, Begun::Busy, "there is no gap");
    neighbour.close().await;
    let tier = home.open().await;
    assert_eq!(tier.fill(&[fill("p:user:1", 1, b"old")]).await.unwrap(), [Filled::Refused]);
    assert_eq!(begin(&tier, "p:user:1", 3).await, Begun::Permit);
}

/// The tables as they were a while ago, under another name.
async fn copied(home: &Home) -> std::path::PathBuf {
    checkpoint(home).await;
    fs::copy(home.path(), home.file("copy.db")).unwrap();
    home.file("copy.db")
}

/// What a poll says as soon as the file can be used again.
async fn polled(home: &Home, tier: &SqliteTier, since: &Cursor) -> Polled {
    until_some("a poll is answered", async || {
        home.clock.advance(SECOND);
        tier.poll(since).await.ok()
    })
    .await
}

#[tokio::test]
async fn nothing_of_a_file_that_was_replaced_is_served() {
    let home = Home::new();
    let other = home.file("other.db");
    let tier = forewarm::SqliteOptions::new(&other).clock(home.clock.clone()).open().await.unwrap();
    put(&tier, "p:user:2", b"other").await;
    tier.close().await;

    let tiers = [home.open().await, home.open().await];
    for key in ["p:user:1", "p:user:2"] {
        put(&tiers[0], key, b"first").await;
    }
    let since = tiers[0].poll(&Cursor::default()).await.unwrap().cursor;
    fs::rename(&other, home.path()).unwrap();
    for tier in tiers.iter().chain(&tiers) {
        // As long as anybody uses the first file, nobody uses the other.
        let asks =
            ["p:user:1", "p:user:2"].map(|key| Ask { key, permit: Permit(1), want: Want::Copy });
        if let Ok(begun) = tier.begin(&asks, HOUR).await {
            assert_eq!(begun, [Begun::Miss, Begun::Miss]);
        }
    }
    for tier in &tiers {
        assert!(polled(&home, tier, &since).await.is_gap);
        assert_eq!(begin(tier, "p:user:2", 1).await, Begun::Permit);
    }
    put(&tiers[0], "p:user:3", b"new").await;
    assert!(!stored(&tiers[1], "p:user:3").await.is_restored);
}

#[tokio::test]
async fn what_an_older_copy_brings_back_is_not_served() {
    let home = Home::new();
    let tier = home.open().await;
    put(&tier, "p:user:1", b"old").await;
    assert_eq!(begin(&tier, "p:user:2", 1).await, Begun::Permit);
    let copy = copied(&home).await;
    let since = tier.poll(&Cursor::default()).await.unwrap().cursor;
    let selectors = [Selector::Key("p:user:1"), Selector::Key("p:user:2")];
    tier.invalidate(NODE, &selectors.map(Into::into)).await.unwrap();
    fs::rename(copy, home.path()).unwrap();

    assert_eq!(tier.fill(&[fill("p:user:2", 1, b"old")]).await.unwrap(), [Filled::Refused]);
    let filled = tier.put(NODE, &[fill("p:user:3", 0, b"new")], &since).await.unwrap();
    assert_eq!(filled, [Filled::Refused]);
    assert_eq!(value(&tier, "p:user:1").await, None);
    assert!(polled(&home, &tier, &since).await.is_gap);
    // Nor by one who comes later, and does not know of the other file.
    assert_eq!(value(&home.open().await, "p:user:1").await, None);
}

#[tokio::test]
async fn a_file_that_comes_back_has_missed_what_came_meanwhile() {
    let home = Home::new();
    let tier = home.open().await;
    put(&tier, "p:user:1", b"old").await;
    checkpoint(&home).await;
    fs::rename(home.path(), home.file("aside.db")).unwrap();
    tier.invalidate(NODE, &[Selector::Key("p:user:1").into()]).await.unwrap();
    put(&tier, "p:user:2", b"new").await;
    fs::rename(home.file("aside.db"), home.path()).unwrap();
    assert_eq!(value(&tier, "p:user:1").await, None);
    put(&tier, "p:user:2", b"newer").await;
    assert_eq!(value(&tier, "p:user:2").await.unwrap(), b"newer");
}

#[tokio::test]
async fn a_file_that_was_removed_is_noticed_by_every_call() {
    for call in ["begin", "fill", "put", "invalidate", "expire", "poll", "sweep", "size", "take"] {
        let home = Home::new();
        let tier = home.open().await;
        put(&tier, "p:user:1", b"old").await;
        assert_eq!(begin(&tier, "p:user:2", 1).await, Begun::Permit);
        let since = tier.poll(&Cursor::default()).await.unwrap().cursor;
        fs::remove_file(home.path()).unwrap();
        let (key, fills) = (Selector::Key("p:user:3"), [fill("p:user:2", 1, b"old")]);
        match call {
            "begin" => assert_eq!(value(&tier, "p:user:1").await, None),
            "fill" => assert_eq!(tier.fill(&fills).await.unwrap(), [Filled::Refused]),
            "put" => {
                assert_eq!(tier.put(NODE, &fills, &since).await.unwrap(), [Filled::Refused]);
            }
            "invalidate" => tier.invalidate(NODE, &[key.into()]).await.unwrap(),
            "expire" => tier.expire(NODE, &["p:user:3"]).await.unwrap(),
            "poll" => assert!(tier.poll(&since).await.unwrap().is_gap),
            "sweep" => drop(tier.sweep(1).await.unwrap()),
            "size" => assert_eq!(tier.size().await.unwrap().entries, 0),
            _ => drop(tier.take_run(&any_run(HOUR)).await.unwrap()),
        }
        assert!(home.path().exists(), "after {call}");
        assert_eq!(value(&tier, "p:user:1").await, None, "after {call}");
        assert!(tier.poll(&since).await.unwrap().is_gap, "after {call}");
        put_all(&tier, &[fill("p:user:1", 0, b"new")]).await.unwrap();
        assert_eq!(value(&tier, "p:user:1").await.unwrap(), b"new");
    }
}

#[tokio::test]
async fn a_session_outlives_a_connection_that_was_lost() {
    let home = Home::new();
    let tier = home.open().await;
    put(&tier, "p:user:1", b"Ada").await;
    checkpoint(&home).await;
    let since = tier.poll(&Cursor::default()).await.unwrap().cursor;
    let sound = fs::read(home.path()).unwrap();
    let mut damaged = sound.clone();
    damaged[4096..].fill(0xaa);
    fs::write(home.path(), &damaged).unwrap();
    let asks = [Ask { key: "p:user:1", permit: Permit(1), want: Want::Value }];
    let mut failures = 0;
    until("it has failed three times", async || {
        failures += u32::from(tier.begin(&asks, HOUR).await.is_err());
        home.clock.advance(SECOND);
        failures >= 3
    })
    .await;
    fs::write(home.path(), &sound).unwrap();
    assert!(!polled(&home, &tier, &since).await.is_gap);
    assert!(!stored(&tier, "p:user:1").await.is_restored);
}
