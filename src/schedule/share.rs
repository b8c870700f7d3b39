//! What engines that share an L2 know of each other's runs: up to where a job has been handled, and
//! which runs have been left.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::core::JobCore;
use super::due::Due;
use super::jobs::Jobs;
use crate::background::{self, Next};
use crate::coherence::{L2, Met};

/// Between two tries to hear where jobs go on.
const MEET_AGAIN: Duration = Duration::from_secs(1);

/// The runs among which the last one that succeeded is looked for.
const RUNS_LOOKED_AT: usize = 100;

/// How often L2 is looked at for runs that were left, in the time of a lease.
const LOOKS_PER_LEASE: u32 = 3;

/// Begins to look what L2 knows, if any job is shared.
pub(super) fn start(jobs: &Arc<Jobs>) {
    if jobs.l2.is_none() || shared(jobs).is_empty() {
        return;
    }
    let weak = Arc::downgrade(jobs);
    let wake = Arc::new(Notify::new());
    background::repeat(&jobs.tasks, jobs.clock.clone(), wake, move || look(weak.clone()));
}

fn shared(jobs: &Jobs) -> Vec<Arc<JobCore>> {
    let mut all = jobs.all();
    all.retain(|core| core.is_shared);
    all
}

async fn look(jobs: Weak<Jobs>) -> Next {
    let Some(jobs) = jobs.upgrade() else { return Next::Never };
    let Some(l2) = jobs.l2.clone() else { return Next::Never };
    let shared = shared(&jobs);
    if !jobs.is_met.load(Relaxed) {
        return meet(&jobs, &l2, &shared).await;
    }
    let names: Vec<_> = shared.iter().map(|core| &*core.full_name).collect();
    for row in l2.lapsed_runs(&names).await.unwrap_or_default() {
        let core = shared.iter().find(|core| *core.full_name == *row.job);
        let is_here = jobs.leases.as_ref().is_some_and(|held| held.holds(&row.job, &row.instant));
        if let Some((core, due)) = core.zip(Due::left(&row)).filter(|_| !is_here) {
            core.adopt(due);
        }
    }
    jobs.wake.notify_one();
    let lease = shared.iter().map(|core| core.policy.lease).min().unwrap_or(Duration::MAX);
    Next::After(lease / LOOKS_PER_LEASE)
}

/// Hears where the jobs go on. Until then nothing of them is due: what they have done must not be
/// done again.
async fn meet(jobs: &Jobs, l2: &L2, shared: &[Arc<JobCore>]) -> Next {
    let names: Vec<_> = shared.iter().map(|core| &*core.full_name).collect();
    // What has come due since the start is due, however late L2 answers.
    let began = jobs.started.get().copied().unwrap_or_else(|| jobs.clock.wall());
    let (memories, next) = match l2.meet_jobs(&names, began).await {
        Met::Known(memories) => (memories, Next::After(Duration::ZERO)),
        // They come due, and it is told of each that nobody could take it.
        Met::NotKept => (Vec::new(), Next::Never),
        Met::Unheard => return Next::After(MEET_AGAIN),
    };
    jobs.is_met.store(true, Relaxed);
    for (nth, core) in shared.iter().enumerate() {
        core.go_on(jobs, memories.get(nth).copied());
    }
    jobs.wake.notify_one();
    remember(jobs, shared);
    next
}

/// Hears when the jobs last succeeded, which nothing waits for.
fn remember(jobs: &Jobs, shared: &[Arc<JobCore>]) {
    let Some(l2) = jobs.l2.clone() else { return };
    let shared = shared.to_vec();
    jobs.tasks.spawn(async move {
        for core in shared {
            core.remember(&core.newest_stored(&l2, RUNS_LOOKED_AT).await);
        }
    });
}

/// Gives back the runs that the end of the engine has broken off, so that others do them at once; or
/// tells how they ended, if that has not been heard.
pub(super) async fn give_back(jobs: &Jobs) {
    let (Some(l2), Some(leases)) = (&jobs.l2, &jobs.leases) else { return };
    for held in leases.take_broken_off() {
        if l2.end_run(&held.end(jobs.clock.wall())).await.is_none() {
            // Their leases run out by themselves.
            return;
        }
    }
}
