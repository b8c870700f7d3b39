//! Snapshots on paused time: whole datasets, whatever the source and the other engines do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use forewarm::{Clock, Forewarm, LoadError, SnapshotBuilder};
use jiff::Timestamp;
use tokio::time::sleep;

mod engines;
mod refusals;
mod renewals;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An engine without L2 whose wall clock starts at an instant.
async fn engine_at(wall: &str) -> Forewarm {
    Forewarm::builder().clock(Clock::starting_at(instant(wall))).build().await.unwrap()
}

/// A dataset of as many parts as it says, which all hold the number of the load.
type Parts = Vec<u32>;

/// Where the datasets come from.
#[derive(Clone, Default)]
struct Source(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    loads: u32,
    parts: usize,
    fails: bool,
    takes: Duration,
}

impl Source {
    fn of(parts: usize) -> Self {
        let source = Self::default();
        source.0.lock().unwrap().parts = parts;
        source
    }

    fn has(&self, parts: usize) {
        self.0.lock().unwrap().parts = parts;
    }

    fn fails(&self, fails: bool) {
        self.0.lock().unwrap().fails = fails;
    }

    fn takes(&self, span: Duration) {
        self.0.lock().unwrap().takes = span;
    }

    fn loads(&self) -> u32 {
        self.0.lock().unwrap().loads
    }

    fn feeds(&self, builder: SnapshotBuilder<Parts>) -> SnapshotBuilder<Parts> {
        let source = self.clone();
        builder.load_with(move || {
            let (load, parts, fails, takes) = {
                let mut state = source.0.lock().unwrap();
                state.loads += 1;
                (state.loads, state.parts, state.fails, state.takes)
            };
            async move {
                sleep(takes).await;
                if fails {
                    return Err(LoadError::transient("the help desk is closed"));
                }
                Ok(vec![load; parts])
            }
        })
    }
}
