//! Makes reads when they are due, and measures how long each one waits.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::shop::Shop;
use super::traffic::{Traffic, Visit};
use crate::clock::{Clock, Moment};

/// What came of the reads so far.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// From when each read was due to its answer.
    pub(super) spans: Vec<Duration>,
    pub(super) failed: u64,
}

/// Makes the reads of `traffic`, and waits until all have been answered; `stop` ends it early.
///
/// A read is made when it is due, however many others still wait, and its wait is counted from
/// then. So a slow database cannot slow down the questions and thereby hide how slow it is.
pub(super) async fn drive(
    shop: Arc<Shop>,
    traffic: Traffic,
    stop: CancellationToken,
) -> Result<Waits, tokio::task::JoinError> {
    let waits = Arc::new(Mutex::new(Waits::default()));
    let (clock, reads) = (Clock::system(), TaskTracker::new());
    let make = {
        let (clock, waits, reads) = (clock.clone(), Arc::clone(&waits), reads.clone());
        let runtime = Handle::current();
        move |due, visit: Visit| {
            let (clock, waits, shop) = (clock.clone(), Arc::clone(&waits), Arc::clone(&shop));
            let read = async move {
                let result = shop.read(visit.ask).await;
                let waited = clock.now().since(due);
                let mut waits = waits.lock();
                waits.spans.push(waited);
                waits.failed += u64::from(result.is_err());
            };
            reads.spawn_on(read, &runtime);
        }
    };
    // A thread of its own keeps time better than the runtime's timers, which tick in milliseconds:
    // longer than a hit takes.
    tokio::task::spawn_blocking(move || pace(traffic, &clock, &stop, make)).await?;
    reads.close();
    reads.wait().await;
    Ok(std::mem::take(&mut *waits.lock()))
}

/// Calls `make` for each visit when it is due.
fn pace(
    traffic: Traffic,
    clock: &Clock,
    stop: &CancellationToken,
    mut make: impl FnMut(Moment, Visit),
) {
    /// How long it takes at most to notice that it is to stop.
    const GLANCE: Duration = Duration::from_millis(50);
    let start = clock.now();
    for visit in traffic {
        let due = start.plus(visit.at);
        loop {
            if stop.is_cancelled() {
                return;
            }
            let left = due.since(clock.now());
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(GLANCE));
        }
        make(due, visit);
    }
}
