//! How an SQLite tier is set up.

use std::path::PathBuf;
use std::time::Duration;

use super::{SqliteTier, file};
use crate::clock::Clock;
use crate::error::ConfigError;

/// How an SQLite tier is set up. The defaults suit most.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(super) path: PathBuf,
    pub(super) max_bytes: u64,
    pub(super) busy_timeout: Duration,
    pub(super) readers: u32,
    pub(super) watch_every: Duration,
    pub(super) clock: Clock,
}

/// The least that `max_bytes` may be: room for the tables themselves, and a little more.
const BYTES_MIN: u64 = 128 * 1024;

/// Each reader is a thread and a few open files.
const READERS_MAX: u32 = 64;

/// The longest that a call may be made to wait for another process.
const BUSY_TIMEOUT_MAX: Duration = Duration::from_mins(1);

const WATCH_EVERY_MIN: Duration = Duration::from_millis(1);
const WATCH_EVERY_MAX: Duration = Duration::from_mins(1);

impl SqliteOptions {
    /// The defaults, for the file at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_bytes: 1024 * 1024 * 1024,
            busy_timeout: Duration::from_millis(50),
            readers: 4,
            watch_every: Duration::from_millis(10),
            clock: Clock::system(),
        }
    }

    /// The bytes that the file may grow to, the tables of others in it included. Default: 1 GiB.
    ///
    /// From 90 % of it on, what would be kept for the shortest time is removed. At least 128 KiB.
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// How long a statement waits while another process writes to the file. Default: 50 ms.
    ///
    /// Then it fails, and the engine goes on without it. At most 1 minute.
    #[must_use]
    pub fn busy_timeout(mut self, busy_timeout: Duration) -> Self {
        self.busy_timeout = busy_timeout;
        self
    }

    /// How many look-ups may run at a time, each on a connection and a thread of its own; 1 to 64.
    /// Default: 4.
    #[must_use]
    pub fn readers(mut self, readers: u32) -> Self {
        self.readers = readers;
        self
    }

    /// How often to look whether another process has changed something; 1 ms to 1 minute. Default:
    /// 10 ms. A look costs some microseconds.
    #[must_use]
    pub fn watch_every(mut self, watch_every: Duration) -> Self {
        self.watch_every = watch_every;
        self
    }

    /// The clock that ages follow: for tests. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the file, and creates it if it is missing.
    ///
    /// # Errors
    ///
    /// A setting that cannot work. A file that cannot be used is none: see [`SqliteTier`].
    pub async fn open(self) -> Result<SqliteTier, ConfigError> {
        let options = self.check()?;
        SqliteTier::start(options).await
    }

    /// Says what cannot work, and gives the path in full: from here on it names the same file
    /// wherever the process goes, and cannot be taken for one of SQLite's special names.
    fn check(self) -> Result<Self, ConfigError> {
        file::check(&self.path)?;
        if self.max_bytes < BYTES_MIN {
            return Err(ConfigError::new("max_bytes", "is less than 128 KiB", "use more"));
        }
        if self.busy_timeout > BUSY_TIMEOUT_MAX {
            return Err(ConfigError::new("busy_timeout", "is longer than 1 minute", "use less"));
        }
        if !(1..=READERS_MAX).contains(&self.readers) {
            return Err(ConfigError::new("readers", "is out of range", "use 1 to 64"));
        }
        if !(WATCH_EVERY_MIN..=WATCH_EVERY_MAX).contains(&self.watch_every) {
            return Err(ConfigError::new("watch_every", "is out of range", "use 1 ms to 1 minute"));
        }
        let path = std::path::absolute(&self.path).map_err(|error| {
            let problem = format!("cannot be made absolute ({error})");
            ConfigError::new("path", problem, "give an absolute path")
        })?;
        Ok(Self { path, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_and_named() {
        let home = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(home.path().join("cache.db"));
        assert!(options.clone().check().is_ok());
        let cases: [(&str, SqliteOptions); 7] = [
            ("path", SqliteOptions { path: PathBuf::new(), ..options.clone() }),
            ("max_bytes", options.clone().max_bytes(0)),
            ("busy_timeout", options.clone().busy_timeout(Duration::MAX)),
            ("readers", options.clone().readers(0)),
            ("readers", options.clone().readers(65)),
            ("watch_every", options.clone().watch_every(Duration::ZERO)),
            ("watch_every", options.watch_every(Duration::MAX)),
        ];
        for (field, options) in cases {
            assert_eq!(options.check().unwrap_err().field(), field);
        }
    }

    #[test]
    fn a_name_that_sqlite_gives_a_meaning_to_is_a_file_like_any_other() {
        for name in [":memory:", "file:cache.db?mode=memory"] {
            let options = SqliteOptions::new(name).check().unwrap();
            assert_eq!(options.path.file_name().unwrap(), name);
            assert!(options.path.is_absolute());
        }
    }
}
