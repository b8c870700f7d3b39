//! What keeps an engine in order: deliveries to L2, what others have changed there, expired rows,
//! evictions put off, summaries.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::background::{self, Next};
use crate::coherence::L2;
use crate::engine::Engine;

/// Rows removed in one transaction: few enough that a writer who waits does not notice.
const ROWS_PER_SWEEP: u32 = 500;
/// Between two tries to deliver what is queued for L2.
const REDELIVERY: Duration = Duration::from_millis(200);
/// A poll that fails three times leaves memory as it may be served.
const POLLS_PER_WINDOW: u32 = 4;
/// Between two polls that L2 asks for, at least, and for each of the engines that share it: a change
/// wakes them all, and one that takes a server 40 microseconds a poll must have time for other things.
const POLL_SPACING: Duration = Duration::from_millis(1);
const POLL_SPACING_EACH: Duration = Duration::from_micros(100);
/// After a poll that failed.
const POLL_AGAIN: Duration = Duration::from_millis(250);
/// Between two rounds of tidying.
const TIDYING: Duration = Duration::from_secs(5);

/// Begins all upkeep.
pub(crate) fn start(engine: &Arc<Engine>) {
    deliver(engine);
    tidy(engine);
    if let Some(every) = engine.config.summary_every {
        summarise(engine, every);
    }
    if let Some(l2) = &engine.l2 {
        follow(engine, l2);
        sweep(engine, l2);
        if let Some(every) = engine.config.l2.share_hot_every {
            share_hot(engine, every);
        }
    }
}

/// Shares with the other engines what is hot here, and takes what is hot elsewhere.
fn share_hot(engine: &Arc<Engine>, every: Duration) {
    let weak = Arc::downgrade(engine);
    repeat(engine, move || share_hot_once(weak.clone(), every));
}

async fn share_hot_once(engine: Weak<Engine>, every: Duration) -> Next {
    let parts =
        |engine: Arc<Engine>| (engine.resources(), engine.l2.clone(), engine.prefix.clone());
    let Some((resources, l2, prefix)) = engine.upgrade().map(parts) else {
        return Next::Never;
    };
    // A round that is missed now and then changes nothing.
    let keep_for = every.saturating_mul(3);
    for resource in resources {
        resource.share_hot(keep_for).await;
    }
    if let Some(l2) = l2.filter(|l2| l2.is_up()) {
        l2.meet_nodes(prefix.as_str(), keep_for).await;
    }
    Next::After(every)
}

/// Follows the log of L2: several times in each window, and when L2 says that it has grown.
fn follow(engine: &Arc<Engine>, l2: &Arc<L2>) {
    let (weak, every) = (Arc::downgrade(l2), l2.config().window / POLLS_PER_WINDOW);
    let grown = Arc::new(Notify::new());
    background::repeat(&engine.tasks, engine.clock.clone(), Arc::clone(&grown), move || {
        follow_once(weak.clone(), every)
    });
    let (l2, stopped) = (Arc::clone(l2), engine.tasks.stopped());
    engine.tasks.spawn_loop(async move {
        let listen = async {
            loop {
                l2.changed().await;
                grown.notify_one();
                // What comes in quick succession is polled for together.
                tokio::time::sleep(poll_spacing(l2.nodes_met()).min(every)).await;
            }
        };
        tokio::select! {
            () = stopped => {}
            () = listen => {}
        }
    });
}

fn poll_spacing(nodes: usize) -> Duration {
    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
    POLL_SPACING_EACH.saturating_mul(nodes).max(POLL_SPACING)
}

async fn follow_once(l2: Weak<L2>, every: Duration) -> Next {
    let Some(l2) = l2.upgrade() else { return Next::Never };
    let is_heard = l2.sync().await;
    Next::After(if is_heard { every } else { every.min(POLL_AGAIN) })
}

/// Delivers queued invalidations until none waits.
fn deliver(engine: &Arc<Engine>) {
    let weak = Arc::downgrade(engine);
    let wake = Arc::clone(&engine.undelivered);
    background::repeat(&engine.tasks, engine.clock.clone(), wake, move || {
        deliver_once(weak.clone())
    });
}

async fn deliver_once(engine: Weak<Engine>) -> Next {
    let Some(engine) = engine.upgrade() else { return Next::Never };
    let mut is_done = true;
    for resource in engine.resources() {
        is_done &= resource.deliver_queued().await;
    }
    if is_done { Next::Woken } else { Next::After(REDELIVERY) }
}

fn tidy(engine: &Arc<Engine>) {
    let weak = Arc::downgrade(engine);
    repeat(engine, move || {
        let Some(engine) = weak.upgrade() else { return std::future::ready(Next::Never) };
        engine.resources().iter().for_each(|resource| resource.tidy());
        std::future::ready(Next::After(TIDYING))
    });
}

/// Says now and then how each resource is doing, if it was read.
fn summarise(engine: &Arc<Engine>, every: Duration) {
    let weak = Arc::downgrade(engine);
    let mut said = Vec::new();
    repeat(engine, move || {
        let Some(engine) = weak.upgrade() else { return std::future::ready(Next::Never) };
        let resources = engine.resources();
        said.resize(resources.len(), 0);
        for (resource, said) in resources.iter().zip(&mut said) {
            let stats = resource.stats();
            if stats.total_accesses > *said {
                *said = stats.total_accesses;
                tracing::info!(
                    resource = stats.resource,
                    reads = stats.total_accesses,
                    hit_ratio = stats.hit_ratio(),
                    misses = stats.misses,
                    loads = stats.loads,
                    preloads = stats.preload_count,
                    preloads_useful = stats.preload_hits,
                    entries = stats.entries,
                    "summary"
                );
            }
        }
        std::future::ready(Next::After(every))
    });
}

/// Removes rows of L2 that are of no more use, in small steps.
fn sweep(engine: &Arc<Engine>, l2: &Arc<L2>) {
    let (l2, every) = (Arc::downgrade(l2), engine.config.l2.sweep_every);
    repeat(engine, move || sweep_once(l2.clone(), every));
}

async fn sweep_once(l2: Weak<L2>, every: Duration) -> Next {
    let Some(l2) = l2.upgrade() else { return Next::Never };
    let swept = l2.sweep(ROWS_PER_SWEEP).await.unwrap_or_default();
    if let Some(size) = l2.size().await {
        l2.publish_size(size);
    }
    // Others get a turn between two steps.
    if swept.has_more { Next::After(Duration::from_millis(10)) } else { Next::After(every) }
}

fn repeat<Job, Run>(engine: &Engine, job: Job)
where
    Job: FnMut() -> Run + Send + 'static,
    Run: Future<Output = Next> + Send,
{
    background::repeat(&engine.tasks, engine.clock.clone(), Arc::new(Notify::new()), job);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_engines_there_are_they_ask_ten_thousand_times_a_second_at_most() {
        for (nodes, millis) in [(0, 1), (1, 1), (10, 1), (25, 2), (100, 10), (1_000, 100)] {
            let spacing = poll_spacing(nodes);
            assert_eq!(spacing.as_millis(), millis, "{nodes}");
            assert!(nodes as f64 / spacing.as_secs_f64() <= 10_000.1, "{nodes}");
        }
    }
}
