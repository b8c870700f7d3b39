//! Engines that come and go: what was handled is known from L2.

use std::time::Duration;

use forewarm::{CatchUp, Clock, Forewarm, Job, JobPolicy, RunOutcome, RunReason, Trigger};
use tokio::time::{Instant, sleep};

use super::{Diary, HOUR, MINUTE, SECOND, instant};
use crate::sim::{Fate, Line, Op, SimStore};

/// A store, and the wall clock of a machine on which engines are started.
pub(super) struct Machine {
    store: SimStore,
    pub(super) line: Line,
    began: Instant,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self { store: SimStore::new(), line: Line::new(1), began: Instant::now() }
    }

    /// Starts an engine with one job.
    pub(super) async fn start(&self, policy: &JobPolicy, diary: &Diary) -> (Forewarm, Job) {
        let wall = instant("2026-03-10T12:00:00.5Z") + self.began.elapsed();
        let builder = Forewarm::builder().clock(Clock::starting_at(wall));
        let builder = builder.tier(self.store.connect_over(&self.line));
        let forewarm = builder.build().await.unwrap();
        let job = forewarm.job("job").policy(policy.clone());
        let job = diary.kept_by(job, SECOND / 10).build().unwrap();
        forewarm.start().await.unwrap();
        (forewarm, job)
    }
}

fn on(trigger: Trigger) -> JobPolicy {
    JobPolicy { triggers: vec![trigger], ..JobPolicy::default() }
}

#[tokio::test(start_paused = true)]
async fn three_hours_without_any_engine_are_caught_up_by_one_run() {
    for catch_up in [CatchUp::Once, CatchUp::Skip] {
        for every in [MINUTE, HOUR] {
            let (machine, diary) = (Machine::new(), Diary::default());
            let policy = JobPolicy { catch_up, ..on(Trigger::every(every).unwrap()) };
            let (forewarm, _job) = machine.start(&policy, &diary).await;
            sleep(HOUR + 5 * MINUTE + 30 * SECOND).await;
            let before = diary.seen().len();
            assert!(forewarm.shutdown(SECOND).await);
            sleep(3 * HOUR).await;
            let (_forewarm, job) = machine.start(&policy, &diary).await;
            sleep(20 * SECOND).await;
            let case = format!("{catch_up:?} {every:?}");
            // Of a job of each minute the last instant is not late yet.
            let is_run = catch_up == CatchUp::Once || every == MINUTE;
            assert_eq!(diary.seen().len(), before + usize::from(is_run), "{case}");
            let newest = job.runs(1).await[0].outcome;
            let told = if is_run { RunOutcome::Succeeded } else { RunOutcome::Missed };
            assert_eq!(newest, Some(told), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_back_at_once_does_nothing_again() {
    let (machine, diary) = (Machine::new(), Diary::default());
    let policy = on(Trigger::every(HOUR).unwrap());
    let (forewarm, _job) = machine.start(&policy, &diary).await;
    sleep(HOUR + 10 * SECOND).await;
    assert_eq!(diary.scheduled(), ["2026-03-10T13:00:00Z"]);
    for _ in 0..3 {
        assert!(forewarm.shutdown(SECOND).await);
        let (forewarm, job) = machine.start(&policy, &diary).await;
        sleep(5 * SECOND).await;
        assert_eq!(diary.seen().len(), 1);
        assert_eq!(job.runs(10).await.len(), 1, "nothing was missed");
        assert!(forewarm.shutdown(SECOND).await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_due_once_is_done_once_in_all_lives_of_the_job() {
    let at = instant("2026-03-10T13:00:00Z");
    for trigger in [Trigger::once_at(at), Trigger::once_after(HOUR - SECOND / 2)] {
        for was_down in [false, true] {
            let (machine, diary) = (Machine::new(), Diary::default());
            let policy = on(trigger.clone());
            let (forewarm, job) = machine.start(&policy, &diary).await;
            sleep(SECOND).await;
            assert_eq!(job.status().next_run, Some(at), "{trigger}");
            if was_down {
                assert!(forewarm.shutdown(SECOND).await);
            }
            sleep(2 * HOUR).await;
            assert_eq!(diary.seen().len(), usize::from(!was_down));
            forewarm.shutdown(SECOND).await;
            for _ in 0..2 {
                let (forewarm, _job) = machine.start(&policy, &diary).await;
                sleep(2 * HOUR).await;
                assert!(forewarm.shutdown(SECOND).await);
                // The row is gone by the second time.
                sleep(72 * HOUR).await;
            }
            let seen = diary.seen();
            let [run] = &seen[..] else { panic!("{trigger}, {was_down}: {seen:?}") };
            assert_eq!(run.scheduled, at);
            let told = if was_down { RunReason::CatchUp } else { RunReason::Due };
            assert_eq!(run.reason, told, "{trigger}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_l2_does_not_say_where_to_go_on_nothing_is_due() {
    let (machine, diary) = (Machine::new(), Diary::default());
    let policy = on(Trigger::every(MINUTE).unwrap());
    let (forewarm, _job) = machine.start(&policy, &diary).await;
    sleep(MINUTE).await;
    assert!(forewarm.shutdown(SECOND).await);
    for fate in [Fate::Fails, Fate::Lost] {
        machine.line.set(Op::MeetJobs, fate);
        let before = diary.seen().len();
        let (forewarm, job) = machine.start(&policy, &diary).await;
        sleep(10 * MINUTE).await;
        assert_eq!((diary.seen().len(), job.status().next_run), (before, None));
        machine.line.clear();
        sleep(3 * SECOND).await;
        assert_eq!(diary.seen().len(), before + 1);
        assert!(job.status().next_run.is_some());
        assert!(forewarm.shutdown(SECOND).await);
    }
    let scheduled = diary.scheduled();
    let distinct: std::collections::BTreeSet<_> = scheduled.iter().collect();
    assert_eq!(distinct.len(), scheduled.len());
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_its_jitter_is_not_lost_with_its_engine() {
    let (machine, diary) = (Machine::new(), Diary::default());
    let jitter = 40 * SECOND;
    let every = Trigger::every(MINUTE).unwrap();
    let policy = JobPolicy { jitter, coalesce: false, misfire_grace: 5 * MINUTE, ..on(every) };
    for _ in 0..20 {
        let (forewarm, _job) = machine.start(&policy, &diary).await;
        sleep(Duration::from_secs(97)).await;
        assert!(forewarm.shutdown(SECOND).await);
    }
    let (_forewarm, _job) = machine.start(&policy, &diary).await;
    sleep(2 * MINUTE).await;
    let mut scheduled = diary.scheduled();
    scheduled.sort_unstable();
    let minutes: Vec<_> = scheduled.iter().map(|at| at[11..16].to_owned()).collect();
    let first = instant("2026-03-10T12:01:00Z");
    let expected = |nth: u32| (first + nth * MINUTE).to_string()[11..16].to_owned();
    let expected: Vec<_> = (0..u32::try_from(minutes.len()).unwrap()).map(expected).collect();
    assert_eq!(minutes, expected);
    assert!(minutes.len() >= 33, "{}", minutes.len());
}

#[tokio::test(start_paused = true)]
async fn what_comes_due_before_l2_first_answers_is_done() {
    let (machine, diary) = (Machine::new(), Diary::default());
    let policy = on(Trigger::daily_at(12, 1, "UTC").unwrap());
    machine.line.set(Op::MeetJobs, Fate::Fails);
    let (_forewarm, _job) = machine.start(&policy, &diary).await;
    sleep(5 * MINUTE).await;
    machine.line.clear();
    sleep(3 * SECOND).await;
    assert_eq!(diary.scheduled(), ["2026-03-10T12:01:00Z"]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_a_year_ahead_stops_no_job() {
    let today = instant("2026-03-10T12:00:00.5Z");
    for store_has_a_clock in [true, false] {
        let (machine, diary) = (Machine::new(), Diary::default());
        if store_has_a_clock {
            machine.store.set_wall(today);
        }
        let clock = Clock::starting_at(instant("2027-03-10T12:00:00.5Z"));
        let builder = Forewarm::builder().clock(clock).tier(machine.store.connect());
        let forewarm = builder.build().await.unwrap();
        let policy = on(Trigger::every(MINUTE).unwrap());
        let ahead = diary.kept_by(forewarm.job("job").policy(policy.clone()), SECOND / 10);
        ahead.build().unwrap();
        forewarm.start().await.unwrap();
        sleep(5 * MINUTE).await;
        // It has run before what all others have still to do, where nobody could know better.
        let before = diary.seen().len();
        assert_eq!(before, if store_has_a_clock { 0 } else { 5 });
        assert!(forewarm.shutdown(SECOND).await);
        let (_forewarm, _job) = machine.start(&policy, &diary).await;
        sleep(3 * MINUTE).await;
        let after = diary.scheduled().split_off(before);
        let [first, .., last] = &after[..] else { panic!("{after:?}") };
        assert!(after.len() <= 4 && first.as_str() >= "2026-03-10T12:05:00Z", "{after:?}");
        assert_eq!(last, "2026-03-10T12:08:00Z");
    }
}
