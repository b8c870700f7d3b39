//! An SQLite file.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use forewarm::{SqliteOptions, SqliteTier};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, query};
use tempfile::{TempDir, tempdir, tempdir_in};

use super::Disturbance;
use crate::faults::fault::Fault;

/// A file in a folder, beside which are those that may take its place.
pub(super) struct FileStore {
    home: TempDir,
}

/// The most that the file may grow to.
const MAX_BYTES: u64 = 8 << 20;

/// How long it is waited for whoever writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The version that a writer must know, in the header: of one that is unknown, SQLite only reads.
const WRITE_VERSION_AT: u64 = 18;

impl FileStore {
    pub(super) fn new() -> Self {
        // In memory, where there is such a place: a busy disk would be one more fault.
        let memory = Path::new("/dev/shm");
        let home = if memory.is_dir() { tempdir_in(memory) } else { tempdir() };
        let store = Self { home: home.unwrap() };
        fs::create_dir(store.folder("l2")).unwrap();
        store
    }

    pub(super) async fn open(&self) -> SqliteTier {
        SqliteOptions::new(self.path()).max_bytes(MAX_BYTES).open().await.unwrap()
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn path(&self) -> PathBuf {
        self.folder("l2").join("l2.sqlite")
    }

    pub(super) async fn copy(&self) {
        let folder = self.folder("copy");
        fs::create_dir(&folder).unwrap();
        let copy = folder.join("l2.sqlite");
        let mut other = self.other().await;
        query("vacuum into ?1").bind(copy.to_str().unwrap()).execute(&mut other).await.unwrap();
        other.close().await.unwrap();
    }

    pub(super) async fn begin(&self, fault: Fault) -> Disturbance {
        match fault {
            Fault::Locked => {
                let mut other = self.other().await;
                query("begin immediate").execute(&mut other).await.unwrap();
                return Disturbance::Lock(other);
            }
            Fault::Full => {
                let mut other = self.other().await;
                let fill = "create table filler as select zeroblob(?1) as filler";
                let bytes = i64::try_from(MAX_BYTES).unwrap();
                query(fill).bind(bytes).execute(&mut other).await.unwrap();
                other.close().await.unwrap();
            }
            Fault::Replaced => {
                fs::create_dir(self.folder("copy")).unwrap();
                self.replace();
            }
            Fault::SetBack => self.replace(),
            Fault::ReadOnly => {
                set_write_version(&self.folder("copy").join("l2.sqlite"), 3);
                self.replace();
            }
            Fault::WalRemoved => fs::remove_file(self.folder("l2").join("l2.sqlite-wal")).unwrap(),
            _ => {}
        }
        Disturbance::Nothing
    }

    pub(super) async fn end(&self, fault: Fault, disturbance: Disturbance) {
        if let Disturbance::Lock(mut other) = disturbance {
            query("rollback").execute(&mut other).await.unwrap();
            other.close().await.unwrap();
        }
        match fault {
            Fault::Full => {
                let mut other = self.other().await;
                query("drop table filler").execute(&mut other).await.unwrap();
                other.close().await.unwrap();
            }
            Fault::ReadOnly => set_write_version(&self.path(), 1),
            _ => {}
        }
    }

    /// Puts the copy in the place of the file, with all that SQLite has put beside it. In one
    /// step, or the file that is there would meet what belongs to the other.
    fn replace(&self) {
        fs::rename(self.folder("l2"), self.folder("gone")).unwrap();
        fs::rename(self.folder("copy"), self.folder("l2")).unwrap();
    }

    async fn other(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path());
        options.busy_timeout(BUSY_TIMEOUT).connect().await.unwrap()
    }
}

fn set_write_version(path: &Path, version: u8) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[version], WRITE_VERSION_AT).unwrap();
}
