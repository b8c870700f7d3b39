//! Where cells run: on threads of their own, whose panics are counted, and which may be slow.

use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};

/// The threads of cells, by which their panics are told from those that other tests mean to have.
const NAME: &str = "fault-matrix";

static PANICS: AtomicU64 = AtomicU64::new(0);

/// The runtime of the cells of an L2.
pub(super) fn runtime() -> Runtime {
    static COUNT: Once = Once::new();
    COUNT.call_once(count_panics);
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).thread_name(NAME).enable_all().build().unwrap()
}

/// How often a task of a cell has panicked so far; cells of several L2s may run at a time.
pub(super) fn panics() -> u64 {
    PANICS.load(Relaxed)
}

fn count_panics() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() == Some(NAME) {
            PANICS.fetch_add(1, Relaxed);
        }
        others(info);
    }));
}

/// How late tasks of the cells have run so far, all in all.
static LATE_MICROS: AtomicU64 = AtomicU64::new(0);

/// How often the control task wants to run.
const EVERY: Duration = Duration::from_millis(5);

/// Timers are no more exact than this, however little there is to do.
const INEXACT: Duration = Duration::from_millis(5);

/// A task that does nothing but wake, and notes by how much it woke late. A machine that is busy with
/// something else makes everything late, this task as well: what it was late while something
/// happened is taken off how long that took. It runs among the tasks of the engines, so that it
/// waits in the same queue as they do; hence an engine that kept a thread to itself would go
/// unnoticed here, but for the column `late` of the table.
pub(super) async fn control() {
    loop {
        let due = Instant::now() + EVERY;
        sleep(EVERY).await;
        let late = due.elapsed();
        if late > INEXACT {
            LATE_MICROS.fetch_add(u64::try_from(late.as_micros()).unwrap(), Relaxed);
        }
    }
}

/// How long something takes, less what the control task was late meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Stopwatch {
    began: Instant,
    late_before: u64,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self { began: Instant::now(), late_before: LATE_MICROS.load(Relaxed) }
    }

    pub(super) fn took(self) -> Duration {
        self.began.elapsed().saturating_sub(self.late())
    }

    pub(super) fn late(self) -> Duration {
        Duration::from_micros(LATE_MICROS.load(Relaxed) - self.late_before)
    }
}
