//! Taking a run from L2, and telling it how the run ended.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::core::JobCore;
use super::due::Due;
use super::jobs::Jobs;
use super::leases::{Ended, Held, Lease};
use super::log::{RunOutcome, RunReason};
use crate::clock::Moment;
use crate::task;
use crate::tier::{RunId, RunTaken, TakeRun};

/// Who does what is due.
pub(super) enum Taken {
    Ours(Ours),
    Theirs,
    /// As many are under way as may be, or it is still to come by the clock of L2.
    Busy,
    /// L2 did not say.
    Unheard,
}

/// A run that is this engine's.
pub(super) struct Ours {
    pub(super) run_id: RunId,
    /// The attempts of other engines.
    pub(super) attempts_before: usize,
    /// None if it cannot be anybody else's.
    pub(super) lease: Option<Lease>,
}

/// Between two tries to ask L2: about a second, so that those who failed together do not come back
/// together.
fn ask_again() -> Duration {
    Duration::from_millis(fastrand::u64(500..1_500))
}

/// Takes a run, for as long as it is not too late to start. Whoever took it without hearing so asks
/// with the same permit, and is told yes; if nobody hears, it lapses, and is taken over.
pub(super) async fn take(jobs: &Jobs, core: &JobCore, due: &Due) -> Taken {
    let own = Ours { run_id: due.run_id, attempts_before: 0, lease: None };
    let Some((l2, leases)) = jobs.l2.as_ref().zip(jobs.leases.as_ref()) else {
        return Taken::Ours(own);
    };
    if !due.is_shared {
        return Taken::Ours(own);
    }
    let (permit, instant, policy) = (l2.new_permit(), due.instant(), &core.policy);
    let give_up = due.give_up.min(jobs.clock.now().plus(policy.misfire_grace));
    loop {
        let turn = jobs.turns.acquire().await.ok();
        let (now, at) = (jobs.clock.now(), jobs.clock.wall());
        let run = TakeRun {
            job: &core.full_name,
            instant: &instant,
            scheduled: due.scheduled,
            is_due: due.reason != RunReason::Manual,
            run_id: due.run_id,
            reason: due.reason.word(),
            by: l2.node(),
            permit,
            at,
            lease_for: policy.lease,
            instances_max: u32::try_from(policy.max_instances).unwrap_or(u32::MAX),
            keep_for: policy.kept_under_way(),
            rows_max: u32::try_from(policy.log_runs_max).unwrap_or(u32::MAX),
            rows_since: policy.may_wait_since(at),
        };
        let taken = l2.take_run(&run).await;
        drop(turn);
        match taken {
            Some(RunTaken::Ours { run_id, attempts_before: before }) => {
                jobs.is_ahead.store(false, Relaxed);
                let name = (Arc::clone(&core.full_name), instant, permit);
                let spans = (policy.lease, policy.kept_under_way());
                let held = Held::new(name, before.saturating_add(1), now, spans);
                let attempts_before = usize::try_from(before).unwrap_or(usize::MAX);
                let lease = Some(leases.hold(held));
                return Taken::Ours(Ours { run_id, attempts_before, lease });
            }
            Some(RunTaken::Theirs) => return Taken::Theirs,
            Some(RunTaken::Busy) => return Taken::Busy,
            Some(RunTaken::Early) => {
                note_early(jobs, core, due);
                return Taken::Busy;
            }
            None => {}
        }
        let again = jobs.clock.now().plus(ask_again());
        if again > give_up || jobs.tasks.is_stopping() {
            return Taken::Unheard;
        }
        task::sleep_until(jobs.clock.instant(again)).await;
    }
}

/// Says, once in a while, that nothing can be run here.
fn note_early(jobs: &Jobs, core: &JobCore, due: &Due) {
    if !jobs.is_ahead.swap(true, Relaxed) {
        let (job, scheduled) = (&core.name, due.scheduled);
        tracing::warn!(%job, %scheduled, "jobs wait: the clock here is ahead of that of L2");
    }
}

/// Tells L2 how a run has ended, for as long as it is this engine's: otherwise it would be done again.
pub(super) async fn tell(
    jobs: &Jobs,
    core: &JobCore,
    lease: Lease,
    (run_id, outcome, began): (RunId, RunOutcome, Moment),
) {
    let Some(l2) = &jobs.l2 else { return };
    let error = core.told(run_id).and_then(|run| run.error);
    let at = jobs.clock.wall();
    // Noted first, so that whoever gives it back at shutdown tells it.
    lease.held.ended.get_or_init(|| Ended {
        outcome,
        error: error.filter(|_| outcome != RunOutcome::Succeeded),
        at,
        took: jobs.clock.now().since(began),
        keep_for: core.policy.log_kept_for,
    });
    while !lease.is_lost() {
        let run = lease.held.end(at);
        let turn = jobs.turns.acquire().await.ok();
        if l2.end_run(&run).await.is_some() {
            return lease.end();
        }
        drop(turn);
        let again = jobs.clock.now().plus(ask_again());
        task::sleep_until(jobs.clock.instant(again)).await;
    }
}
