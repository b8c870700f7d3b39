//! What was really done, as each process writes it down: a kill loses nothing of it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

/// The time on a clock that all processes of the machine share, in microseconds.
pub(super) fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1_000).unwrap()
}

/// The file of one process.
#[derive(Clone)]
pub(super) struct Witness(Arc<Mutex<File>>);

impl Witness {
    pub(super) fn new(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        Self(Arc::new(Mutex::new(file)))
    }

    /// Notes that a run begins; it ends when what this gives is dropped.
    pub(super) fn begin(&self, job: &str, instant: &str) -> Doing {
        let doing =
            Doing { witness: self.clone(), what: format!("{job} {instant}"), is_done: false };
        doing.note("began");
        doing
    }
}

/// A run that is under way.
pub(super) struct Doing {
    witness: Witness,
    what: String,
    is_done: bool,
}

impl Doing {
    pub(super) fn done(mut self) {
        self.is_done = true;
    }

    fn note(&self, event: &str) {
        // One call, so that a kill cuts no line.
        let line = format!("{event} {} {}\n", self.what, now());
        self.witness.0.lock().write_all(line.as_bytes()).unwrap();
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        self.note(if self.is_done { "done" } else { "broken" });
    }
}

/// An attempt to do what is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) began: u64,
    /// When it ended, or its process did.
    pub(super) ended: u64,
    pub(super) is_done: bool,
    pub(super) was_killed: bool,
}

/// The attempts at each instant of each job.
pub(super) type Attempts = BTreeMap<(String, String), Vec<Attempt>>;

/// Reads what a process has noted that ended at a time.
pub(super) fn read(path: &Path, ended_at: u64, attempts: &mut Attempts) {
    let mut open: BTreeMap<(String, String), u64> = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
        let [event, job, instant, at] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("a line was cut: {line:?}")
        };
        let (name, at) = ((job.to_owned(), instant.to_owned()), at.parse().unwrap());
        if event == "began" {
            assert!(open.insert(name, at).is_none(), "twice at once in one process: {line}");
            continue;
        }
        let began = open.remove(&name).unwrap();
        let attempt = Attempt { began, ended: at, is_done: event == "done", was_killed: false };
        attempts.entry(name).or_default().push(attempt);
    }
    for (name, began) in open {
        let attempt = Attempt { began, ended: ended_at, is_done: false, was_killed: true };
        attempts.entry(name).or_default().push(attempt);
    }
}
