//! Runs of the preloader: what is due and worth it is loaded before anybody asks.

use std::sync::{Arc, Weak};

use crate::background::{self, Next};
use crate::clock::{Clock, Moment};
use crate::engine::{Engine, Managed};
use crate::foresight::Foresight;

/// Begins the runs. Each goes over all resources, and the next one begins when the first of them
/// has something due, or earlier if one is woken: by an entry that comes due before that, or by a
/// preload that ends and leaves room for another.
pub(crate) fn start(engine: &Arc<Engine>) {
    let weak = Arc::downgrade(engine);
    let wake = Arc::clone(&engine.wake);
    background::repeat(&engine.tasks, engine.clock.clone(), wake, move || {
        std::future::ready(run(&weak))
    });
    let (weak, clock) = (Arc::downgrade(&engine.foresight), engine.clock.clone());
    let wake = Arc::clone(&engine.foresight.wake);
    background::repeat(&engine.tasks, engine.clock.clone(), wake, move || {
        learn(weak.clone(), clock.clone())
    });
}

/// Learns from the reads that came in, and begins what they lead to.
async fn learn(foresight: Weak<Foresight>, clock: Clock) -> Next {
    let Some(foresight) = foresight.upgrade() else { return Next::Never };
    foresight.digest(&clock).await.map_or(Next::Woken, Next::After)
}

/// One run.
fn run(engine: &Weak<Engine>) -> Next {
    let Some(engine) = engine.upgrade() else { return Next::Never };
    let next = engine.resources().into_iter().map(Managed::run_ahead).min();
    match next {
        None | Some(Moment::NEVER) => Next::Woken,
        Some(moment) => Next::At(moment),
    }
}
