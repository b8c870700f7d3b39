//! Where cells run: on threads of their own, whose panics are counted.

use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use tokio::runtime::{Builder, Runtime};

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
