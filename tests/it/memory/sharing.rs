//! Two engines with one file, and when the file is written.

#[cfg(unix)]
use std::{fs::File, process::Command, sync::mpsc, thread};

use super::*;
use crate::foresight::source::{others_run, secs};

#[tokio::test(start_paused = true)]
async fn the_second_of_two_engines_starts_warm_and_writes_when_the_first_has_gone() {
    let home = Home::new();
    remember(&home, &[(1, 3)]).await;
    let (old, new) = (home.engine().await, home.engine().await);
    let items = start(&old, one_by_one(), &Source::new()).await;
    read_all(&items, &[(2, 9)]).await;
    // From its first write on it is the one that writes.
    until(&mut Counts::of(&old), "written").await;

    let source = Source::new();
    let others = start(&new, one_by_one(), &source).await;
    new.ready().await;
    assert_eq!(source.loads_of(&1) + source.loads_of(&2), 2, "{:?}", asked(&source));
    read_all(&others, &[(3, 99)]).await;
    let mut counts = Counts::of(&new);
    until(&mut counts, "taken").await;
    assert_eq!(counts.get("writes", "written"), 0);
    end(&old).await;
    drop((old, items));
    until(&mut counts, "written").await;
    end(&new).await;

    let (forewarm, source) = (home.engine().await, Source::new());
    let _items = start(&forewarm, one_by_one(), &source).await;
    forewarm.ready().await;
    assert_eq!(asked(&source)[0], 3);
}

/// Lets time pass until that has become of a write.
async fn until(counts: &mut Counts<'_>, outcome: &str) {
    for _ in 0..10 {
        if counts.get("writes", outcome) > 0 {
            return;
        }
        tokio::time::sleep(secs(15)).await;
        others_run().await;
    }
    panic!("no write was {outcome}");
}

#[tokio::test(start_paused = true)]
async fn the_file_is_written_at_the_interval_and_at_the_end() {
    let home = Home::new();
    let forewarm = home.engine_with(MemoryConfig { flush_every: secs(10), ..home.terms() }).await;
    let _items = start(&forewarm, one_by_one(), &Source::new()).await;
    tokio::time::sleep(secs(9)).await;
    assert!(!home.file().exists(), "what was read just now need not be written");
    tokio::time::sleep(secs(92)).await;
    assert_eq!(Counts::of(&forewarm).get("writes", "written"), 10);
    end(&forewarm).await;
    let mut left: Vec<_> = home.0.path().read_dir().unwrap().map(|it| it.unwrap().path()).collect();
    left.sort();
    assert_eq!(left, [home.file(), home.0.path().join("memory.lock")]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_written_is_counted_and_harms_no_read() {
    let home = Home::new();
    let file = home.0.path().join("no such folder").join("memory");
    let terms = MemoryConfig { file: Some(file), ..home.terms() };
    let forewarm = home.engine_with(terms).await;
    let items = start(&forewarm, one_by_one(), &Source::new()).await;
    assert!(forewarm.is_ready());
    for _ in 0..4 {
        tokio::time::sleep(secs(30)).await;
        read_all(&items, &[(1, 1)]).await;
    }
    assert!(Counts::of(&forewarm).get("writes", "failed") >= 3);
    assert!(end(&forewarm).await);
}

/// A pipe that nobody reads stands for the disk: to open it takes for ever.
#[cfg(unix)]
#[test]
fn a_disk_that_hangs_holds_up_neither_shutdown_nor_the_end_of_the_runtime() {
    let home = Home::new();
    let pipe = home.0.path().join("memory.lock");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (sender, ended) = mpsc::channel();
    let process = thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let forewarm = home.engine().await;
            let _items = start(&forewarm, one_by_one(), &Source::new()).await;
            // The second one finds the last write of the first under way.
            forewarm.shutdown(Duration::from_millis(10)).await;
            forewarm.shutdown(Duration::from_millis(10)).await;
        });
        drop(runtime);
        sender.send(home).unwrap();
    });
    let home = ended.recv_timeout(Duration::from_secs(60));
    // Whoever still waits for the disk goes on.
    drop(File::open(&pipe).unwrap());
    process.join().unwrap();
    assert!(home.is_ok());
}
