//! What the nodes did: written down by each, and read by the one who judges it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A node process: which one of them, and in which of its lives.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub(super) struct Member {
    pub(super) node: u32,
    pub(super) life: u32,
}

/// What a node did. Times are those of [`now`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) enum Event {
    Read(Reads),
    Change(Changed),
    Failed(Failed),
}

/// Reads of a key that gave the same.
///
/// What is demanded of a read only grows with the time at which it begins; so if the one that began
/// last may give this, all of them may.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Reads {
    pub(super) key: u32,
    pub(super) version: u64,
    pub(super) way: Way,
    pub(super) is_verified: bool,
    /// How many.
    pub(super) count: u64,
    /// When the first and the last of them began.
    pub(super) first_start: u64,
    pub(super) start: u64,
    /// When all had ended.
    pub(super) end: u64,
    /// How long the slowest took.
    pub(super) slowest: u64,
}

/// How a key was read, and who answered, as far as the reader is told.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    Get,
    GetMany,
    With,
    ReadL1,
    ReadL2,
    ReadSource,
}

/// A change of which a node was told that it is done.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Changed {
    pub(super) key: u32,
    /// What the source had before it began: who reads later gets this, or what is newer.
    pub(super) version: u64,
    pub(super) how: How,
    pub(super) is_applied: bool,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// How a key was invalidated.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    Key,
    Put,
    Tag,
    Pattern,
    All,
}

/// A read that gave an error.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Failed {
    pub(super) key: u32,
    pub(super) kind: Kind,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// What a read failed with.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// The source failed, as it was made to.
    Source,
    Deadline,
    Overloaded,
    BreakerOpen,
    Panicked,
    Other,
}

/// The present moment in nanoseconds, on the one clock that all processes of a machine share.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

impl Reads {
    /// One read, which ends now.
    pub(super) fn one(key: u32, version: u64, way: Way, start: u64) -> Self {
        let end = now();
        let slowest = end.saturating_sub(start);
        let (count, first_start, is_verified) = (1, start, true);
        Self { key, version, way, is_verified, count, first_start, start, end, slowest }
    }

    /// Takes others in; gives them back if they gave something else.
    pub(super) fn join(&mut self, other: Self) -> Result<(), Self> {
        let said = |reads: &Self| (reads.key, reads.version, reads.way, reads.is_verified);
        if said(self) != said(&other) {
            return Err(other);
        }
        self.count += other.count;
        self.slowest = self.slowest.max(other.slowest);
        // Who began first need not be the one who ends first.
        self.first_start = self.first_start.min(other.first_start);
        self.start = self.start.max(other.start);
        self.end = self.end.max(other.end);
        Ok(())
    }
}

impl Event {
    pub(super) const fn key(&self) -> u32 {
        match self {
            Self::Read(reads) => reads.key,
            Self::Change(changed) => changed.key,
            Self::Failed(failed) => failed.key,
        }
    }

    pub(super) const fn start(&self) -> u64 {
        match self {
            Self::Read(reads) => reads.first_start,
            Self::Change(changed) => changed.start,
            Self::Failed(failed) => failed.start,
        }
    }

    pub(super) const fn end(&self) -> u64 {
        match self {
            Self::Read(reads) => reads.end,
            Self::Change(changed) => changed.end,
            Self::Failed(failed) => failed.end,
        }
    }
}

/// A file to which a node writes what it did.
#[derive(Debug)]
pub(super) struct Log(Mutex<BufWriter<File>>);

impl Log {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(Mutex::new(BufWriter::with_capacity(1 << 16, File::create(path)?))))
    }

    /// Writes an event down. One that cannot be written is missing, which demands less.
    pub(super) fn note(&self, event: &Event) {
        /// More than any event takes.
        const BYTES_MAX: usize = 128;
        let mut buffer = [0; BYTES_MAX];
        if let Ok(bytes) = postcard::to_slice(event, &mut buffer) {
            drop(self.0.lock().write_all(bytes));
        }
    }

    /// Lets others see what has been written down.
    pub(super) fn flush(&self) {
        drop(self.0.lock().flush());
    }
}

/// Reads what a node has written down. What comes after an event that was cut off, as by the end
/// of a killed process, is not there.
pub(super) fn read(path: &Path) -> io::Result<Vec<Event>> {
    let bytes = fs::read(path)?;
    let (mut rest, mut events) = (bytes.as_slice(), Vec::new());
    while let Ok((event, left)) = postcard::take_from_bytes(rest) {
        events.push(event);
        rest = left;
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read_again_up_to_where_it_was_cut_off() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let log = Log::create(&path).unwrap();
        let max = u64::MAX;
        let (start, end) = (max, max);
        let failed = Failed { key: 7, kind: Kind::Other, start: 1, end: 2 };
        let how = How::All;
        let changed = Changed { key: u32::MAX, version: max, how, is_applied: true, start, end };
        let reads = Reads::one(u32::MAX, max, Way::ReadSource, 0);
        let reads = Reads { count: max, first_start: max, start, end, slowest: max, ..reads };
        let events = [Event::Failed(failed), Event::Change(changed), Event::Read(reads)];
        events.iter().for_each(|event| log.note(event));
        log.flush();
        assert_eq!(read(&path).unwrap(), events);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(read(&path).unwrap(), events[..2]);
    }

    #[test]
    fn reads_that_gave_the_same_are_one_event() {
        let one = Reads::one(1, 5, Way::Get, 10);
        let mut reads = Reads { start: 10, end: 12, slowest: 2, ..one };
        let later = Reads { first_start: 20, start: 20, end: 29, slowest: 9, ..one };
        reads.join(later).unwrap();
        assert_eq!(reads, Reads { count: 2, start: 20, end: 29, slowest: 9, ..reads });
        assert_eq!(reads.first_start, 10);
        let earlier = Reads { first_start: 5, start: 5, end: 40, slowest: 35, ..one };
        reads.join(earlier).unwrap();
        assert_eq!((reads.first_start, reads.start, reads.end), (5, 20, 40));
        let other = Reads { version: 6, ..later };
        assert_eq!(reads.join(other), Err(other));
    }
}
