//! The source: a counter for each key, which every process can read and raise.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The counters of all keys, in a file; each has a lock beside it. They are outside of L2, and
/// whoever reads one gets what the last raise that has ended has left, or what is newer.
#[derive(Debug)]
pub(super) struct Counters {
    file: File,
    folder: PathBuf,
}

/// Every so many versions, the source says that there is no such thing.
const ABSENT_EVERY: u64 = 16;

impl Counters {
    /// Makes the counters in an empty folder; all of them are 0.
    pub(super) fn create(folder: &Path, keys: u32) -> io::Result<()> {
        let slots: Vec<_> = (0..keys).flat_map(|_| slot(0)).collect();
        fs::write(folder.join("counters"), slots.as_flattened())
    }

    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(folder.join("counters"))?;
        Ok(Self { file, folder: folder.to_owned() })
    }

    pub(super) fn read(&self, key: u32) -> io::Result<u64> {
        loop {
            let mut slot = slot(0);
            self.file.read_exact_at(slot.as_flattened_mut(), place(key))?;
            let [version, complement] = slot.map(u64::from_le_bytes);
            if version == !complement {
                return Ok(version);
            }
        }
    }

    /// The right to raise the counter of a key, unless somebody has it.
    pub(super) fn lock(&self, key: u32) -> io::Result<Option<Locked<'_>>> {
        // Opened anew for each, since tasks that share an open file would share its lock.
        let path = self.folder.join(format!("lock-{key}"));
        let lock = OpenOptions::new().create(true).append(true).open(path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Locked { counters: self, key, _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The right to raise a counter, until it is dropped.
#[derive(Debug)]
pub(super) struct Locked<'a> {
    counters: &'a Counters,
    key: u32,
    _lock: File,
}

impl Locked<'_> {
    /// Raises the counter; gives what it is then.
    pub(super) fn raise(&self) -> io::Result<u64> {
        let version = self.counters.read(self.key)? + 1;
        self.counters.file.write_all_at(slot(version).as_flattened(), place(self.key))?;
        Ok(version)
    }
}

/// What the source has while a counter is this: the number itself, or nothing.
pub(super) fn value_of(version: u64) -> Option<u64> {
    (!version.is_multiple_of(ABSENT_EVERY)).then_some(version)
}

/// The last version, up to this one, at which there was nothing.
pub(super) fn last_absent(version: u64) -> u64 {
    version - version % ABSENT_EVERY
}

/// A counter, and its complement, so that a reader knows whether it has read one whole write.
type Slot = [[u8; 8]; 2];

fn slot(version: u64) -> Slot {
    [version, !version].map(u64::to_le_bytes)
}

fn place(key: u32) -> u64 {
    u64::from(key) * size_of::<Slot>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_raised_by_one_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        Counters::create(home.path(), 3).unwrap();
        let counters = Counters::open(home.path()).unwrap();
        let other = Counters::open(home.path()).unwrap();
        let locked = counters.lock(1).unwrap().unwrap();
        assert!(counters.lock(1).unwrap().is_none() && other.lock(1).unwrap().is_none());
        assert!(other.lock(2).unwrap().is_some());
        assert_eq!((locked.raise().unwrap(), locked.raise().unwrap()), (1, 2));
        drop(locked);
        assert_eq!(other.lock(1).unwrap().unwrap().raise().unwrap(), 3);
        assert_eq!([0, 1, 2].map(|key| counters.read(key).unwrap()), [0, 3, 0]);
    }

    #[test]
    fn now_and_then_there_is_nothing() {
        let cases = [(0, None, 0), (1, Some(1), 0), (15, Some(15), 0), (16, None, 16)];
        for (version, value, absent) in cases {
            assert_eq!((value_of(version), last_absent(version)), (value, absent), "{version}");
        }
        assert_eq!(last_absent(47), 32);
    }
}
