//! Noticing that another process has changed something.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::time::Instant;

use super::file::FileId;
use super::options::SqliteOptions;
use super::writer::State;
use crate::task::sleep_until;

/// Looks at the files from time to time.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    options: &'a SqliteOptions,
    state: &'a State,
    /// SQLite's own log, to which everything is written first.
    beside: PathBuf,
}

/// What can be seen of a file without opening it.
type Sight = Option<(u64, Option<SystemTime>)>;

/// How often the database is asked although nothing is to be seen: the system may be late to say
/// that a file was written.
const ASK_EVERY: u32 = 16;

impl<'a> Watch<'a> {
    pub(super) fn new(options: &'a SqliteOptions, state: &'a State) -> Self {
        let mut beside = options.path.as_os_str().to_owned();
        beside.push("-wal");
        Self { options, state, beside: beside.into() }
    }

    /// Waits until the log does not end where the last poll found its end.
    pub(super) async fn changed(&self) {
        let (mut seen, mut is_new) = (None, true);
        for looks in 1_u32.. {
            sleep_until(Instant::now() + self.options.watch_every).await;
            let sight = sight(&self.beside);
            // The time of a file is told in steps: a second look is due after each change.
            let was_new = std::mem::replace(&mut is_new, sight != seen);
            seen = sight;
            if (is_new || was_new || looks % ASK_EVERY == 0) && self.has_grown().await {
                return;
            }
        }
    }

    async fn has_grown(&self) -> bool {
        // While the file cannot be read, it is the polls that find out when it can.
        let Some(readers) = self.state.readers() else { return false };
        if !readers.are_of(FileId::of(&self.options.path)) {
            return true;
        }
        readers.position().await.is_ok_and(|end| self.state.heard() != Some(end))
    }
}

fn sight(path: &Path) -> Sight {
    let there = fs::metadata(path).ok()?;
    Some((there.len(), there.modified().ok()))
}
