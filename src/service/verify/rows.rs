//! Reads that gave the same are written down together.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::history::{Event, Log, Reads, Way, now};

/// The reads of a node that are not written down yet.
///
/// A cache answers millions of reads a second, and nearly all of them give what the one before has
/// given: so what is written, and what the checker has to keep, grows with time and with changes
/// rather than with reads.
#[derive(Debug)]
pub(super) struct Rows {
    log: Arc<Log>,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    rows: HashMap<(u32, Way), Reads>,
    written_at: u64,
}

/// How long a read may wait to be written down, in nanoseconds: what waits is lost if the process is
/// killed.
const WAIT_MAX: u64 = 250_000_000;

impl Rows {
    pub(super) fn new(log: Arc<Log>) -> Self {
        let open = Open { rows: HashMap::new(), written_at: now() };
        Self { log, open: Mutex::new(open) }
    }

    pub(super) fn note(&self, reads: Reads) {
        // Each is a sign that L2 answers, of which the time matters.
        if reads.way == Way::ReadL2 {
            self.log.note(&Event::Read(reads));
            return;
        }
        let open = &mut *self.open.lock();
        let row = open.rows.entry((reads.key, reads.way));
        let row = row.or_insert(Reads { count: 0, ..reads });
        if let Err(other) = row.join(reads) {
            let done = std::mem::replace(row, other);
            self.log.note(&Event::Read(done));
        }
        if reads.end.saturating_sub(open.written_at) > WAIT_MAX {
            self.write_all(open);
            open.written_at = reads.end;
        }
    }

    /// Writes down what waits for it.
    pub(super) fn write(&self) {
        self.write_all(&mut self.open.lock());
    }

    fn write_all(&self, open: &mut Open) {
        for (_, reads) in open.rows.drain() {
            self.log.note(&Event::Read(reads));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::read;
    use super::*;

    #[test]
    fn every_read_is_counted_once() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let log = Arc::new(Log::create(&path).unwrap());
        let rows = Rows::new(Arc::clone(&log));
        let [get, with, l2] = [Way::Get, Way::With, Way::ReadL2];
        for (key, version, way) in [
            (1, 5, get),
            (2, 9, get),
            (1, 5, with),
            (1, 5, get),
            (1, 6, get),
            (1, 5, with),
            (2, 9, get),
            (2, 9, l2),
            (2, 9, l2),
        ] {
            rows.note(Reads::one(key, version, way, now()));
        }
        rows.write();
        log.flush();
        let mut found: Vec<_> = read(&path).unwrap().into_iter().filter_map(said).collect();
        found.sort_unstable();
        assert_eq!(found, [(1, 5, 2), (1, 5, 2), (1, 6, 1), (2, 9, 1), (2, 9, 1), (2, 9, 2)]);
    }

    fn said(event: Event) -> Option<(u32, u64, u64)> {
        let Event::Read(reads) = event else { return None };
        Some((reads.key, reads.version, reads.count))
    }
}
