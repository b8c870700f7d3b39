//! What may happen to a real file, and what its readers notice: nothing but the time of a load.

use std::fs;
use std::path::Path;
use std::time::Duration;

use forewarm::{Delivery, ReadFrom, TrustOnRestart};
use sqlx::sqlite::SqliteLockingMode;
use sqlx::{ConnectOptions as _, Connection as _, query};
use tokio::task::yield_now;

use super::faulty::Op;
use super::log::Log;
use super::world::{MINUTE, Run, SECOND, Setup, World};
use crate::waiting::until;

const IDS: std::ops::RangeInclusive<u32> = 1..=200;

/// An engine that notices at once when the file is another one.
fn watchful() -> Setup {
    let mut setup = Setup::trusting(TrustOnRestart::WithinTtl);
    setup.config.l2.sweep_every = Duration::from_millis(1);
    patient(setup)
}

/// An engine that leaves L2 alone for longer than a test takes.
fn patient(mut setup: Setup) -> Setup {
    setup.config.l2.breaker_open_for = MINUTE;
    setup
}

/// Changes all users. Their values are large, so that the file is larger than what connections
/// keep of it in memory.
fn all_become(world: &World, word: &str) {
    for id in IDS {
        world.source.set(id, &text(id, word));
    }
}

fn text(id: u32, word: &str) -> String {
    format!("{word} {id} {}", "x".repeat(20_000))
}

/// Reads all users, which are not in memory; all must be answered as the source would.
async fn read_all(run: &Run, word: &str) {
    let ids: Vec<u32> = IDS.collect();
    for (id, user) in ids.iter().zip(run.users.get_many(&ids).await) {
        assert_eq!(*user.unwrap().unwrap(), text(*id, word));
    }
    run.forewarm.settled().await;
}

async fn read_again_and_again(run: &Run) {
    for _ in 0..4 {
        run.forget().await;
        read_all(run, "new").await;
    }
}

/// The fault is over: L2 is used again by itself, after the pauses of breaker and tier.
async fn is_used_again(world: &World, run: &Run) {
    for _ in 0..100 {
        world.clock.advance(MINUTE);
        run.forget().await;
        read_all(run, "new").await;
        let hits = run.users.stats().l2_hits;
        run.forget().await;
        read_all(run, "new").await;
        if run.users.stats().l2_hits == hits + 200 {
            return;
        }
        yield_now().await;
    }
    panic!("L2 is not used again");
}

/// While nothing can be had from the file: all reads are answered, L2 is left alone after a few
/// failures, and that is said once.
async fn goes_on_without(world: &World, run: &Run, log: &Log, name: &str) {
    all_become(world, "new");
    read_again_and_again(run).await;
    assert_eq!(run.read(1).await.from, ReadFrom::L1, "{name}");
    let begun = run.tier.calls(Op::Begin);
    read_again_and_again(run).await;
    assert_eq!(run.tier.calls(Op::Begin), begun, "{name}: L2 is left alone");
    let failures = run.counted_of("l2_failures");
    assert!(failures.iter().map(|(_, count)| count).sum::<u64>() >= 3, "{name}: {failures:?}");
    assert!(!run.is_l2_up(), "{name}");
    assert_eq!(run.users.invalidate(&1).await, Delivery::Queued, "{name}");
    assert_eq!(log.count(&["WARN", "left alone"]), 1, "{name}");
    // The one that writes may be at something else when it is told.
    let warnings = || log.count(&["WARN", "SQLite tier cannot be used"]);
    until("it is said", async || warnings() > 0).await;
    assert_eq!(warnings(), 1, "{name}");
}

/// What is in the file is from before, and has changed since.
async fn invalidate_all(run: &Run) {
    for id in IDS {
        assert_eq!(run.users.invalidate(&id).await, Delivery::Queued);
    }
}

async fn checkpoint(world: &World) {
    let mut other = world.other().await;
    query("pragma wal_checkpoint(truncate)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
}

fn damage(path: &Path) -> Vec<u8> {
    let sound = fs::read(path).unwrap();
    let mut damaged = sound.clone();
    damaged[4096..].fill(0xaa);
    fs::write(path, damaged).unwrap();
    sound
}

/// C22: a damaged file costs nothing but loads, until it is mended.
#[tokio::test]
async fn reads_go_on_while_the_file_is_damaged() {
    let log = Log::new();
    let world = World::new();
    all_become(&world, "old");
    let run = world.run(patient(Setup::trusting(TrustOnRestart::WithinTtl))).await;
    read_all(&run, "old").await;
    checkpoint(&world).await;
    let sound = damage(&world.path());
    goes_on_without(&world, &run, &log, "damaged").await;
    // What was stored meanwhile could not be; what was invalidated is still queued.
    fs::write(world.file("copy.db"), sound).unwrap();
    for name in ["cache.db-wal", "cache.db-shm"] {
        fs::remove_file(world.file(name)).ok();
    }
    fs::rename(world.file("copy.db"), world.path()).unwrap();
    invalidate_all(&run).await;
    is_used_again(&world, &run).await;
}

/// C22: a file that is no database is left as it is, and reads go on without.
#[tokio::test]
async fn reads_go_on_while_the_file_is_no_database() {
    let log = Log::new();
    let world = World::new();
    all_become(&world, "old");
    let nonsense = "This is no database.\n".repeat(1_000);
    fs::write(world.path(), &nonsense).unwrap();
    let run = world.run(watchful()).await;
    goes_on_without(&world, &run, &log, "no database").await;
    assert_eq!(fs::read_to_string(world.path()).unwrap(), nonsense);
    fs::remove_file(world.path()).unwrap();
    is_used_again(&world, &run).await;
}

/// C22: a file that another process keeps for itself is used when it is free.
#[tokio::test]
async fn reads_go_on_while_the_file_is_locked() {
    let log = Log::new();
    let world = World::new();
    all_become(&world, "old");
    let exclusive = world.other_options().locking_mode(SqliteLockingMode::Exclusive);
    let mut other = exclusive.connect().await.unwrap();
    query("create table application (id integer)").execute(&mut other).await.unwrap();
    let run = world.run_over(watchful(), world.hasty_options()).await;
    goes_on_without(&world, &run, &log, "locked").await;
    other.close().await.unwrap();
    is_used_again(&world, &run).await;
}

/// C22: a directory that is gone is noticed, and its file is used again when it is back.
#[tokio::test]
async fn reads_go_on_while_the_directory_is_gone() {
    let log = Log::new();
    let world = World::new();
    all_become(&world, "old");
    fs::create_dir(world.file("data")).unwrap();
    let path = world.file("data/cache.db");
    let options = forewarm::SqliteOptions::new(path).clock(world.clock.clone());
    let run = world.run_over(watchful(), options).await;
    read_all(&run, "old").await;
    fs::rename(world.file("data"), world.file("aside")).unwrap();
    until("it is noticed", async || !run.is_l2_up()).await;
    goes_on_without(&world, &run, &log, "gone").await;
    fs::rename(world.file("aside"), world.file("data")).unwrap();
    invalidate_all(&run).await;
    is_used_again(&world, &run).await;
}

/// C22: while another connection writes, what is stored is still served, and nothing is stored.
#[tokio::test]
async fn hits_are_hits_while_another_connection_holds_the_lock() {
    let log = Log::new();
    let world = World::new();
    let run = world.run_over(Setup::new(), world.hasty_options()).await;
    run.load(1).await;
    let mut other = world.other().await;
    query("begin exclusive").execute(&mut other).await.unwrap();
    run.counted();
    for id in 2..=4 {
        run.forget().await;
        assert_eq!(run.read(1).await.from, ReadFrom::L2);
        assert_eq!(run.read(id).await.from, ReadFrom::Source);
    }
    run.forewarm.settled().await;
    assert_eq!(run.counted_of("l2_failures"), [("permit".to_owned(), 3)]);
    assert_eq!(run.users.invalidate(&1).await, Delivery::Queued);
    world.source.set(1, "new");
    let read = run.read(1).await;
    assert_eq!((read.from, read.value.unwrap().as_str()), (ReadFrom::Source, "new"));
    assert_eq!(log.count(&["WARN", "SQLite tier cannot be used"]), 1);
    assert_eq!(run.users.stats().errors, 0);

    query("rollback").execute(&mut other).await.unwrap();
    run.recover(&world.clock).await;
    assert_eq!(world.rows().await, 0);
    world.clock.advance(SECOND);
    for from in [ReadFrom::Source, ReadFrom::L2] {
        run.forget().await;
        assert_eq!(run.read(2).await.from, from);
    }
}

/// The version that a writer must know, in the header: of one that is unknown, SQLite only reads.
/// So the file is read-only for root too.
fn set_write_version(path: &Path, version: u8) {
    use std::os::unix::fs::FileExt as _;

    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[version], 18).unwrap();
}

/// C22: a file that can only be read is read, and what cannot be written is counted.
#[tokio::test]
async fn a_file_that_can_only_be_read_is_read() {
    let log = Log::new();
    let mut world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    world.end(run, SECOND).await;
    set_write_version(&world.path(), 3);

    let run = world.run(Setup::trusting(TrustOnRestart::WithinTtl)).await;
    for id in 2..=4 {
        run.forget().await;
        assert_eq!(run.read(1).await.from, ReadFrom::L2);
        assert_eq!(run.read(id).await.from, ReadFrom::Source);
    }
    let failures = run.counted_of("l2_failures");
    assert!(failures.contains(&("permit".to_owned(), 3)), "{failures:?}");
    world.source.set(1, "new");
    assert_eq!(run.users.invalidate(&1).await, Delivery::Queued);
    run.forget().await;
    assert_eq!(run.get(1).await.unwrap(), "new", "the old row is not seen");
    assert_eq!(log.count(&["WARN", "SQLite tier cannot be used"]), 1);

    set_write_version(&world.path(), 2);
    run.recover(&world.clock).await;
    assert_eq!(world.rows().await, 0);
    world.clock.advance(SECOND);
    run.load(2).await;
    run.forget().await;
    assert!(run.get(2).await.is_some());
}

/// C22: a full file is read, does not grow, and has room again when a sweep has made some.
#[tokio::test]
async fn a_full_file_is_read_and_has_room_again() {
    let log = Log::new();
    let world = World::new();
    all_become(&world, "old");
    let max_bytes = 1 << 20;
    let options = world.options().max_bytes(max_bytes);
    let run = world.run_over(Setup::new(), options).await;
    for round in 0..3 {
        for id in IDS {
            assert!(run.get(id).await.is_some(), "{round}");
            run.forewarm.settled().await;
            world.clock.advance(SECOND / 10);
        }
        run.forget().await;
    }
    assert_eq!(run.users.stats().errors, 0);
    assert!(fs::metadata(world.path()).unwrap().len() <= max_bytes);
    let failures = run.counted_of("l2_failures");
    assert!(failures.iter().any(|(_, count)| *count > 0), "{failures:?}");
    assert!(log.count(&["WARN", "SQLite tier cannot be used", "max_bytes"]) >= 1);
    let rows = world.rows().await;
    assert!((20..60).contains(&rows), "{rows} rows");

    world.clock.advance(SECOND);
    assert!(run.forewarm.shutdown(MINUTE).await);
    let options = world.options().max_bytes(max_bytes);
    let run = world.run_over(watchful(), options).await;
    // It has nothing to evict if the last write that found no room has made enough.
    until("it is swept", async || run.tier.swept().last().is_some_and(|swept| !swept.has_more))
        .await;
    run.load(200).await;
    run.forget().await;
    assert_eq!(run.read(200).await.from, ReadFrom::L2);
}

/// C17: a file that took the name of the open one is used instead, and its rows are void.
#[tokio::test]
async fn a_file_that_took_the_name_is_used_instead() {
    let world = World::new();
    let other_path = world.file("other.db");
    let other = forewarm::SqliteOptions::new(&other_path).clock(world.clock.clone());
    let run = world.run_over(watchful(), other).await;
    run.load(1).await;
    assert!(run.forewarm.shutdown(MINUTE).await);

    let run = world.run(watchful()).await;
    run.load(2).await;
    for name in ["cache.db-wal", "cache.db-shm"] {
        fs::remove_file(world.file(name)).ok();
    }
    fs::rename(&other_path, world.path()).unwrap();
    world.clock.advance(SECOND);
    run.has_followed().await;
    for from in [ReadFrom::Source, ReadFrom::L2] {
        run.forget().await;
        assert_eq!([run.read(1).await.from, run.read(2).await.from], [from, from]);
    }
}

/// C22: a file that is deleted while it is open is made anew.
#[tokio::test]
async fn a_file_that_is_deleted_is_made_anew() {
    let world = World::new();
    let run = world.run(watchful()).await;
    run.load(1).await;
    for name in ["cache.db", "cache.db-wal", "cache.db-shm"] {
        fs::remove_file(world.file(name)).unwrap();
    }
    world.clock.advance(SECOND);
    run.has_followed().await;
    run.forget().await;
    assert_eq!(run.read(1).await.from, ReadFrom::Source);
    run.forget().await;
    assert_eq!(run.read(1).await.from, ReadFrom::L2);
    assert_eq!(world.rows().await, 1);
}
