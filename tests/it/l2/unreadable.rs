//! Rows that are not what they should be.

use forewarm::{ReadFrom, TrustOnRestart};

use super::log::Log;
use super::world::{SECOND, Setup, World};

type Spoil = fn(Vec<u8>) -> Vec<u8>;

/// What may have become of a row.
const SPOILT: [(&str, Spoil); 12] = [
    ("emptied", |_| Vec::new()),
    ("random", |_| (0..64_u32).map(|nth| (nth.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect()),
    ("long", |_| vec![0xff; 100_000]),
    ("truncated", |row| row[..row.len() - 1].to_vec()),
    ("header only", |row| row[..24].to_vec()),
    ("too long", |row| [row, vec![0]].concat()),
    ("another format", |row| changed(row, 2, 0xff)),
    ("another kind", |row| changed(row, 3, 0x01)),
    ("another schema", |row| changed(row, 4, 0x01)),
    ("another key", |row| changed(row, 8, 0x80)),
    ("a changed value", |row| changed(row, 25, 0x01)),
    ("a changed checksum", |row| {
        let last = row.len() - 1;
        changed(row, last, 0x10)
    }),
];

fn changed(mut row: Vec<u8>, place: usize, bits: u8) -> Vec<u8> {
    row[place] ^= bits;
    row
}

/// C23: a row that cannot be read is a miss and a count, and the load puts a readable one in its
/// place.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_a_miss_and_is_replaced() {
    let log = Log::new();
    let world = World::new();
    let run = world.run(Setup::new()).await;
    for (name, spoil) in SPOILT {
        run.load(1).await;
        world.set_row(1, &spoil(world.envelope(1).await)).await;
        run.forewarm.clear();
        run.counted();
        let read = run.read(1).await;
        assert_eq!(
            (read.from, read.value.unwrap().as_str()),
            (ReadFrom::Source, "user 1"),
            "{name}"
        );
        assert_eq!(run.counted_of("l2_failures"), [("decode".to_owned(), 1)], "{name}");
        run.forget().await;
        let read = run.read(1).await;
        assert_eq!((read.from, read.value.unwrap().as_str()), (ReadFrom::L2, "user 1"), "{name}");
    }
    assert_eq!(log.count(&["ERROR", "cannot be read"]), 1, "{}", log.text());
    assert!(!log.text().contains("user 1"));
}

/// C23: the row of another key is not taken for this one's.
#[tokio::test]
async fn the_row_of_another_key_is_a_miss() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    run.load(2).await;
    world.set_row(1, &world.envelope(2).await).await;
    run.forewarm.clear();
    assert_eq!(run.get(1).await.unwrap(), "user 1");
    run.forewarm.settled().await;
    assert_eq!(world.row(1).await.unwrap().unwrap(), "user 1");
}

/// C23: a row of another version of the type is a miss, not an error.
#[tokio::test]
async fn a_row_of_another_version_is_a_miss() {
    let mut world = World::new();
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    world.end(run, SECOND).await;
    let mut setup = Setup::trusting(TrustOnRestart::WithinTtl);
    setup.policy.schema = 1;
    for (from, loads) in [(ReadFrom::Source, 2), (ReadFrom::L2, 2)] {
        let run = world.run(setup.clone()).await;
        let read = run.read(1).await;
        assert_eq!((read.from, read.value.unwrap().as_str()), (from, "user 1"));
        run.forewarm.settled().await;
        assert_eq!(world.source.loads(), loads);
        world.end(run, SECOND).await;
    }
}

/// C23: a row that is larger than the policy allows is a miss.
#[tokio::test]
async fn a_row_that_is_too_large_is_a_miss() {
    let mut world = World::new();
    world.source.set(1, &"x".repeat(1_000));
    let run = world.run(Setup::new()).await;
    run.load(1).await;
    world.end(run, SECOND).await;
    world.source.set(1, "short");
    let mut setup = Setup::trusting(TrustOnRestart::WithinTtl);
    setup.policy.value_bytes_max = 100;
    let run = world.run(setup).await;
    assert_eq!(run.get(1).await.unwrap(), "short");
    run.forewarm.settled().await;
    assert_eq!(world.row(1).await.unwrap().unwrap(), "short");
}

/// C39: one row of a batch that cannot be read is one load, and the others are hits.
#[tokio::test]
async fn one_row_that_cannot_be_read_does_not_spoil_a_batch() {
    let world = World::new();
    let run = world.run(Setup::new()).await;
    let ids: Vec<u32> = (1..=30).collect();
    assert!(run.users.get_many(&ids).await.iter().all(Result::is_ok));
    run.forget().await;
    world.set_row(7, b"nonsense").await;
    let users = run.users.get_many(&ids).await;
    for (id, user) in ids.iter().zip(users) {
        assert_eq!(*user.unwrap().unwrap(), format!("user {id}"));
    }
    assert_eq!(world.source.calls()[1..], [vec![7]]);
    assert_eq!(run.users.stats().l2_hits, 29);
}
