//! Jobs on paused time: what is due is run, once, whatever clocks and engines do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use forewarm::{Clock, Forewarm, JobBuilder, RunReason};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

mod bounds;
mod clocks;
mod engines;
mod leases;
mod rescheduling;
mod restarts;
mod runs;
mod shutdowns;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An engine whose wall clock starts at an instant.
async fn engine_at(wall: &str) -> (Forewarm, Clock) {
    let clock = Clock::starting_at(instant(wall));
    (Forewarm::builder().clock(clock.clone()).build().await.unwrap(), clock)
}

/// A run as the job itself saw it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    scheduled: Timestamp,
    reason: RunReason,
    at: Instant,
}

/// The runs that jobs have begun.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<Seen>>>);

impl Diary {
    /// A job that notes each attempt, and takes this long.
    fn kept_by(&self, job: JobBuilder, takes: Duration) -> JobBuilder {
        let diary = self.clone();
        job.run_with(move |context| {
            let seen = Seen {
                scheduled: context.scheduled(),
                reason: context.reason(),
                at: Instant::now(),
            };
            diary.0.lock().unwrap().push(seen);
            async move {
                sleep(takes).await;
                Ok(())
            }
        })
    }

    fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    /// What the runs were due at.
    fn scheduled(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.scheduled.to_string()).collect()
    }
}
