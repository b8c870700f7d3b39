//! A process that is killed loses what came since the file was last written, and nothing else.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::waiting::until;

/// Names the file that [`a_process_that_remembers`] is to use.
const FILE: &str = "FOREWARM_TEST_MEMORY";

/// Another process: it reads a key until the file was written, reads another, says so, and goes on
/// until it is killed.
#[tokio::test]
async fn a_process_that_remembers() {
    let Ok(path) = std::env::var(FILE) else { return };
    let terms = MemoryConfig {
        file: Some(path.clone().into()),
        flush_every: Duration::from_secs(1),
        ..MemoryConfig::default()
    };
    let config = Config { memory: terms, ..config() };
    let forewarm = Forewarm::builder().config(config).build().await.unwrap();
    let items = start(&forewarm, one_by_one(), &Source::new()).await;
    items.get(&1).await.unwrap();
    until("the file is written", async || {
        items.get(&1).await.unwrap();
        Path::new(&path).exists()
    })
    .await;
    items.get(&2).await.unwrap();
    writeln!(std::io::stdout(), "it was written").unwrap();
    // It hears nothing until its parent has gone, so that it does not stay behind.
    let mut nothing = Vec::new();
    std::io::stdin().read_to_end(&mut nothing).unwrap();
}

fn launch(path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "memory::kill::a_process_that_remembers", "--nocapture"]);
    let command = command.env(FILE, path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("it was written")));
    child
}

#[tokio::test]
async fn a_process_that_is_killed_is_remembered_as_of_its_last_write() {
    let home = Home::new();
    let mut child = launch(&home.file());
    child.kill().unwrap();
    child.wait().unwrap();
    let (forewarm, source) = (home.engine().await, Source::new());
    let _items = start(&forewarm, one_by_one(), &source).await;
    let ready = forewarm.ready().await;
    // The second was read after it, and may or may not be there.
    assert!((1..=2).contains(&ready.wanted), "{ready:?}");
    assert_eq!(asked(&source)[0], 1);
    // Nor does the lock of the dead stand in the way.
    end(&forewarm).await;
    assert_eq!(Counts::of(&forewarm).get("writes", "written"), 1);
}
