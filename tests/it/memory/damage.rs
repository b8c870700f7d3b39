//! A file that cannot be read costs the memory, and nothing else.

use std::fs::{self, File};

use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::*;
use crate::foresight::source::text;

/// Starts an engine on whatever is in the file; gives whether it was read.
async fn is_read(home: &Home) -> bool {
    let forewarm = home.engine().await;
    let source = Source::new();
    let items = start(&forewarm, one_by_one(), &source).await;
    forewarm.ready().await;
    assert_eq!(text(&items, 77).await, "v1");
    let mut counts = Counts::of(&forewarm);
    let counts = ["restored", "refused"].map(|outcome| counts.get("reads", outcome));
    assert_eq!(counts.iter().sum::<u64>(), 1);
    counts == [1, 0]
}

/// The bytes of a file that an engine has written.
async fn bytes() -> Vec<u8> {
    let home = Home::new();
    let forewarm = home.engine().await;
    let items = start(&forewarm, one_by_one(), &Source::new()).await;
    for _ in 0..3 {
        read_all(&items, &[(1, 1), (2, 1), (3, 2), (4, 1)]).await;
        crate::foresight::source::others_run().await;
    }
    end(&forewarm).await;
    fs::read(home.file()).unwrap()
}

/// The same bytes with a checksum that fits.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some((sealed, checksum)) = bytes.split_last_chunk_mut() {
        *checksum = xxh3_64(sealed).to_le_bytes();
    }
    bytes
}

#[tokio::test(start_paused = true)]
async fn what_is_not_whole_or_not_ours_is_refused() {
    let (home, whole) = (Home::new(), bytes().await);
    fs::write(home.file(), &whole).unwrap();
    assert!(is_read(&home).await);
    let with = |at: usize, byte: u8| {
        let mut changed = whole.clone();
        changed[at] ^= byte;
        changed
    };
    let long = [&whole[..], b"x"].concat();
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("a text", b"[package]\nname = \"forewarm\"\n".to_vec()),
        ("the magic", whole[..8].to_vec()),
        ("a header", whole[..9].to_vec()),
        ("half of it", whole[..whole.len() / 2].to_vec()),
        ("all but a byte", whole[..whole.len() - 1].to_vec()),
        ("a byte more", long.clone()),
        ("a byte more, sealed", sealed(long)),
        ("another format", sealed(with(8, 3))),
        ("another bit", with(whole.len() / 2, 1)),
    ] {
        fs::write(home.file(), bytes).unwrap();
        assert!(!is_read(&home).await, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_file_or_too_large_is_refused() {
    let home = Home::new();
    File::create(home.file()).unwrap().set_len((256 << 20) + 1).unwrap();
    assert!(!is_read(&home).await);
    fs::remove_file(home.file()).unwrap();
    fs::create_dir(home.file()).unwrap();
    assert!(!is_read(&home).await);
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_another_prefix_is_refused() {
    let home = Home::new();
    remember(&home, &[(1, 3)]).await;
    let forewarm = home.builder().prefix("other").build().await.unwrap();
    let source = Source::new();
    let _items = start(&forewarm, one_by_one(), &source).await;
    assert!(forewarm.is_ready());
    assert_eq!((asked(&source), Counts::of(&forewarm).get("reads", "refused")), (vec![], 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_memory_of_this_engine_is_never_replaced() {
    let ours = bytes().await;
    let with = |at: usize, byte: u8| {
        let mut changed = ours.clone();
        changed[at] ^= byte;
        sealed(changed)
    };
    for (what, bytes) in [
        ("a text", b"[package]\nname = \"forewarm\"\n".to_vec()),
        ("a later format", with(8, 3)),
        ("another prefix", with(10, 1)),
    ] {
        let home = Home::new();
        fs::write(home.file(), &bytes).unwrap();
        let forewarm = home.engine().await;
        let _items = start(&forewarm, one_by_one(), &Source::new()).await;
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert!(end(&forewarm).await);
        let mut counts = Counts::of(&forewarm);
        assert_eq!(fs::read(home.file()).unwrap(), bytes, "{what}");
        assert_eq!(["foreign", "written"].map(|it| counts.get("writes", it)), [2, 0], "{what}");
        assert_eq!(fs::read_dir(home.0.path()).unwrap().count(), 1, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_somebody_puts_there_later_is_not_replaced_either() {
    let home = Home::new();
    remember(&home, &[(1, 3)]).await;
    let forewarm = home.engine().await;
    let _items = start(&forewarm, one_by_one(), &Source::new()).await;
    fs::write(home.file(), "theirs").unwrap();
    assert!(end(&forewarm).await);
    assert_eq!(fs::read(home.file()).unwrap(), b"theirs");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_was_not_started_replaces_nothing() {
    let home = Home::new();
    remember(&home, &[(1, 3)]).await;
    let written = fs::read(home.file()).unwrap();
    assert!(end(&home.engine().await).await);
    assert_eq!(fs::read(home.file()).unwrap(), written);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is between a right header and a right checksum, an engine starts, and writes a file
    /// that can be read.
    #[test]
    fn no_contents_stop_an_engine(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (home, mut bytes) = (Home::new(), bytes().await);
            // With another prefix, it would be the file of another engine.
            let begin = 10 + config().prefix.len();
            for (at, byte) in changes {
                let length = bytes.len() - begin;
                bytes[begin + at.index(length)] ^= byte;
            }
            fs::write(home.file(), sealed(bytes)).unwrap();
            let _ = is_read(&home).await;
            let forewarm = home.engine().await;
            let _items = start(&forewarm, one_by_one(), &Source::new()).await;
            end(&forewarm).await;
            assert!(is_read(&home).await);
        });
    }
}
