//! Who uses a file: what somebody stored is trusted while the use of the file goes on.
//!
//! The use of a file, its *session*, goes on while any process holds it. A session that begins
//! after a gap begins with nothing that is known to be right: while nobody used the file, nobody
//! was there to note what became wrong.
//!
//! Those who hold a session share the lock of a file beside the database, which the system takes
//! from a process that ends, however it ends. It is a file of its own, since to close the database
//! once more would drop SQLite's own locks of it. Whoever gets the lock alone begins a session, and
//! then leaves in that file which database the session is of: where another one has taken the name
//! meanwhile, it is not opened before everybody has let go of the first.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::fault::OpenError;
use super::file::{self, FileId};
use crate::task::sleep_until;

/// A hold on the session of a file.
#[derive(Debug)]
pub(super) struct Hold {
    file: FileId,
    /// Shared with all who hold it.
    _lock: File,
}

/// How the use of a file begins.
#[derive(Debug)]
pub(super) enum Taken {
    /// Others use the file: their session is joined.
    Joined(Hold),
    /// Nobody else does: a session is to be begun.
    First(Opening),
    /// It cannot be told, as where no file can be locked: a session is to be begun.
    Unknown,
}

/// The right to begin a session; nobody else can use the file until it has begun.
#[derive(Debug)]
pub(super) struct Opening {
    file: FileId,
    lock: File,
}

/// How long to wait until others have opened the file, or have let go of another one.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(1);

impl Hold {
    pub(super) fn is_of(&self, file: FileId) -> bool {
        self.file == file
    }

    /// Takes hold of the file, which has been found under the path.
    pub(super) async fn take(
        path: &Path,
        file: FileId,
        patience: Duration,
    ) -> Result<Taken, OpenError> {
        let deadline = Instant::now() + patience;
        loop {
            match attempt(path, file) {
                Ok(Some(taken)) => return Ok(taken),
                Ok(None) if Instant::now() >= deadline => return Err(OpenError::Occupied),
                Ok(None) => sleep_until(Instant::now() + TRY_AGAIN_AFTER).await,
                Err(_) => return Ok(Taken::Unknown),
            }
        }
    }
}

/// `None` if others are opening the file, or still use another one.
fn attempt(path: &Path, file: FileId) -> io::Result<Option<Taken>> {
    let mut lock = open(&beside(path))?;
    match lock.try_lock() {
        Ok(()) => {
            // Should this one not come to its end, the next one begins as well.
            lock.set_len(0)?;
            return Ok(Some(Taken::First(Opening { file, lock })));
        }
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    match lock.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut of = Vec::new();
    lock.read_to_end(&mut of)?;
    let is_of_the_file = of == file.to_string().as_bytes();
    Ok(is_of_the_file.then_some(Taken::Joined(Hold { file, _lock: lock })))
}

impl Opening {
    /// Lets others join the session that has begun.
    pub(super) fn end(mut self) -> Result<Hold, OpenError> {
        self.lock.seek(SeekFrom::Start(0)).map_err(OpenError::Create)?;
        write!(self.lock, "{}", self.file).map_err(OpenError::Create)?;
        // What becomes of a lock that is asked for while another one is held is up to the system.
        self.lock.unlock().map_err(OpenError::Create)?;
        match self.lock.try_lock_shared() {
            Ok(()) => Ok(Hold { file: self.file, _lock: self.lock }),
            // Somebody else was faster, and begins another session.
            Err(TryLockError::WouldBlock) => Err(OpenError::Occupied),
            Err(TryLockError::Error(error)) => Err(OpenError::Create(error)),
        }
    }
}

/// The file whose lock is shared.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-forewarm");
    PathBuf::from(name)
}

fn open(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("it is no regular file"));
    }
    file::create(path)?;
    OpenOptions::new().read(true).write(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: [&str; 2]) -> (tempfile::TempDir, [PathBuf; 2]) {
        let home = tempfile::tempdir().unwrap();
        let paths = names.map(|name| home.path().join(name));
        for path in &paths {
            file::create(path).unwrap();
        }
        (home, paths)
    }

    async fn take(path: &Path) -> Result<Taken, OpenError> {
        Hold::take(path, FileId::of(path).unwrap(), Duration::ZERO).await
    }

    async fn first(path: &Path) -> Hold {
        match take(path).await.unwrap() {
            Taken::First(opening) => opening.end().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn whoever_comes_while_a_file_is_in_use_joins() {
        let (_home, [path, _]) = files(["one", "two"]);
        let mut holds = vec![first(&path).await];
        for _ in 0..3 {
            let Taken::Joined(hold) = take(&path).await.unwrap() else { panic!("not joined") };
            holds.push(hold);
            holds.remove(0);
        }
        holds.clear();
        first(&path).await;
    }

    #[tokio::test]
    async fn whoever_comes_while_a_session_begins_waits() {
        let (_home, [path, _]) = files(["one", "two"]);
        let Taken::First(opening) = take(&path).await.unwrap() else { panic!("not first") };
        assert!(matches!(take(&path).await, Err(OpenError::Occupied)));
        let waiting = Hold::take(&path, FileId::of(&path).unwrap(), Duration::from_mins(1));
        let (taken, hold) = tokio::join!(waiting, async {
            tokio::task::yield_now().await;
            opening.end().unwrap()
        });
        assert!(matches!(taken.unwrap(), Taken::Joined(_)));
        drop(hold);
    }

    #[tokio::test]
    async fn a_session_that_did_not_come_to_begin_is_begun_by_the_next() {
        let (_home, [path, _]) = files(["one", "two"]);
        first(&path).await;
        drop(take(&path).await.unwrap());
        first(&path).await;
    }

    #[tokio::test]
    async fn another_file_is_not_used_before_the_first_is_let_go() {
        let (_home, [path, other]) = files(["one", "two"]);
        let hold = first(&path).await;
        fs::rename(&other, &path).unwrap();
        assert!(!hold.is_of(FileId::of(&path).unwrap()));
        assert!(matches!(take(&path).await, Err(OpenError::Occupied)));
        drop(hold);
        let hold = first(&path).await;
        assert!(hold.is_of(FileId::of(&path).unwrap()));
        assert!(matches!(take(&path).await.unwrap(), Taken::Joined(_)));
    }

    #[tokio::test]
    async fn what_is_no_file_is_no_lock() {
        let (_home, [path, other]) = files(["one", "two"]);
        std::os::unix::fs::symlink(&other, beside(&path)).unwrap();
        assert!(matches!(take(&path).await.unwrap(), Taken::Unknown));
        assert_eq!(fs::read(&other).unwrap(), b"");
    }
}
