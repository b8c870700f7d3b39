//! Reads that gave the same are written down together.

use std::collections::HashMap;
use std::sync::Arc;

use super::history::{Event, Log, Reads, now};

/// The reads of a task that are not written down yet; they are when it is dropped.
///
/// A cache answers millions of reads a second, and nearly all of them give what the one before has
/// given.
#[derive(Debug)]
pub(super) struct Rows {
    log: Arc<Log>,
    open: HashMap<u32, Reads>,
    written_at: u64,
}

/// How long a read may wait to be written down, in nanoseconds: what waits is lost if the process is
/// killed.
const WAIT_MAX: u64 = 250_000_000;

impl Rows {
    pub(super) fn new(log: Arc<Log>) -> Self {
        Self { log, open: HashMap::new(), written_at: now() }
    }

    pub(super) fn note(&mut self, reads: Reads) {
        let row = self.open.entry(reads.key).or_insert(Reads { count: 0, ..reads });
        if let Err(other) = row.join(reads) {
            let done = std::mem::replace(row, other);
            self.log.note(&Event::Read(done));
        }
        if reads.end.saturating_sub(self.written_at) > WAIT_MAX {
            self.write();
            self.written_at = reads.end;
        }
    }

    fn write(&mut self) {
        for (_, reads) in self.open.drain() {
            self.log.note(&Event::Read(reads));
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.write();
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{Way, read};
    use super::*;

    #[test]
    fn every_read_is_counted_once() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let log = Arc::new(Log::create(&path).unwrap());
        let mut rows = Rows::new(Arc::clone(&log));
        for (key, version) in [(1, 5), (2, 9), (1, 5), (1, 6), (2, 9)] {
            rows.note(Reads::one(key, version, Way::Get, now()));
        }
        drop(rows);
        log.flush();
        let mut found: Vec<_> = read(&path).unwrap().into_iter().filter_map(said).collect();
        found.sort_unstable();
        assert_eq!(found, [(1, 5, 2), (1, 6, 1), (2, 9, 2)]);
    }

    fn said(event: Event) -> Option<(u32, u64, u64)> {
        let Event::Read(reads) = event else { return None };
        Some((reads.key, reads.version, reads.count))
    }
}
