//! Jobs whose triggers are replaced while they run.

use std::collections::BTreeSet;

use forewarm::{Error, Job, JobPolicy, Trigger};
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::engines::{counts, nodes};
use super::restarts::Machine;
use super::{Diary, HOUR, MINUTE, SECOND, engine_at, instant};
use crate::sim::{Fate, Op};

fn cron(pattern: &str) -> Trigger {
    Trigger::cron(pattern, "UTC").unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_comes_next_follows_from_the_new_triggers_alone() {
    let (forewarm, _clock) = engine_at("2026-03-10T12:00:10Z").await;
    let diary = Diary::default();
    let job = diary.kept_by(forewarm.job("often").every(10 * MINUTE), SECOND).build().unwrap();
    forewarm.start().await.unwrap();
    sleep(25 * MINUTE).await;
    let daily = Trigger::daily_at(12, 15, "UTC").unwrap();
    let triggers = vec![daily, Trigger::every(7 * MINUTE).unwrap()];
    job.reschedule(triggers.clone()).unwrap();
    assert_eq!(job.triggers(), triggers);
    assert_eq!(job.policy().triggers.len(), 1, "it is the policy as it was declared");
    let status = job.status();
    assert_eq!(status.triggers, ["daily at 12:15 in UTC", "every 7m"]);
    assert_eq!(status.next_run, Some(instant("2026-03-10T12:32:00Z")));
    sleep(10 * MINUTE).await;
    let expected = ["2026-03-10T12:10:00Z", "2026-03-10T12:20:00Z", "2026-03-10T12:32:00Z"];
    assert_eq!(diary.scheduled()[..3], expected);
    sleep(24 * HOUR).await;
    let is_run = |at: &str| diary.scheduled().iter().any(|scheduled| scheduled == at);
    assert!(is_run("2026-03-11T12:15:00Z") && !is_run("2026-03-10T12:15:00Z"));
}

#[tokio::test(start_paused = true)]
async fn an_instant_that_old_and_new_triggers_name_is_run_once() {
    // Just before the instant, at it, and just after it.
    for millis in [-1, 0, 1] {
        let (forewarm, _clock) = engine_at("2026-03-10T12:00:10Z").await;
        let diary = Diary::default();
        let job = forewarm.job("often").cron("*/10 * * * *", "UTC");
        let job = diary.kept_by(job, SECOND).build().unwrap();
        forewarm.start().await.unwrap();
        let until = SignedDuration::from_millis(29 * 60_000 + 50_000 + millis);
        sleep(until.unsigned_abs()).await;
        job.reschedule(vec![cron("*/15 * * * *"), cron("*/30 * * * *")]).unwrap();
        sleep(16 * MINUTE).await;
        let expected = ["12:10", "12:20", "12:30", "12:45"];
        assert_eq!(
            diary.scheduled(),
            expected.map(|at| format!("2026-03-10T{at}:00Z")),
            "{millis}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_clock_was_set_back_nothing_comes_twice() {
    let (forewarm, clock) = engine_at("2026-03-10T12:00:10Z").await;
    let diary = Diary::default();
    let job = diary.kept_by(forewarm.job("often").cron("* * * * *", "UTC"), SECOND / 10);
    let job = job.build().unwrap();
    forewarm.start().await.unwrap();
    // More instants than are remembered one by one.
    sleep(4 * HOUR).await;
    clock.step_wall(SignedDuration::from_hours(-3));
    job.reschedule(vec![cron("0-59 * * * *")]).unwrap();
    sleep(4 * HOUR).await;
    let distinct: BTreeSet<_> = diary.seen().iter().map(|seen| seen.scheduled).collect();
    assert_eq!((distinct.len(), diary.seen().len()), (300, 300));
}

#[tokio::test(start_paused = true)]
async fn what_has_come_due_stays_due() {
    let (forewarm, _clock) = engine_at("2026-03-10T12:00:10Z").await;
    let diary = Diary::default();
    let policy = JobPolicy { misfire_grace: HOUR, deadline: HOUR, ..JobPolicy::default() };
    let job = forewarm.job("long").policy(policy).every(10 * MINUTE);
    let job = diary.kept_by(job, 15 * MINUTE).build().unwrap();
    forewarm.start().await.unwrap();
    sleep(21 * MINUTE).await;
    assert_eq!((job.status().running, job.status().waiting), (1, 1));
    job.reschedule(Vec::new()).unwrap();
    assert_eq!((job.status().next_run, job.status().waiting), (None, 1));
    sleep(24 * HOUR).await;
    assert_eq!(diary.scheduled(), ["12:10", "12:20"].map(|at| format!("2026-03-10T{at}:00Z")));
    job.trigger().unwrap();
    sleep(SECOND).await;
    assert_eq!(job.status().running, 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_rescheduled_stays_as_it_is() {
    let (forewarm, _clock) = engine_at("2026-03-10T12:00:10Z").await;
    let diary = Diary::default();
    let job = diary.kept_by(forewarm.job("often").every(MINUTE), SECOND).build().unwrap();
    let error = job.reschedule(Vec::new()).unwrap_err().to_string();
    assert!(error.contains("too early"), "{error}");
    forewarm.start().await.unwrap();
    let error = job.reschedule(vec![Trigger::at_start(); 101]).unwrap_err().to_string();
    assert!(error.contains("often.triggers"), "{error}");
    assert_eq!(job.status().triggers, ["every 1m"]);
    // A start that is past does not come again.
    job.reschedule(vec![Trigger::at_start()]).unwrap();
    sleep(HOUR).await;
    assert_eq!(diary.seen().len(), 0);
    forewarm.shutdown(SECOND).await;
    assert!(matches!(job.reschedule(Vec::new()), Err(Error::ShutDown)));
}

/// Replaces triggers at random; gives the instants that were to be run.
async fn reschedule_at_random(jobs: &[&Job], times: usize, seed: u64) -> Vec<Timestamp> {
    let mut from = instant("2026-03-10T12:00:30Z");
    let mut random = fastrand::Rng::with_seed(seed);
    let all = [
        Trigger::every(7 * MINUTE).unwrap(),
        Trigger::every(10 * MINUTE).unwrap(),
        cron("*/10 * * * *"),
        cron("5 * * * *"),
        Trigger::daily_at(18, 30, "UTC").unwrap(),
    ];
    let mut expected = BTreeSet::new();
    for _ in 0..times {
        let count = random.usize(..4);
        let triggers = random.choose_multiple(all.iter().cloned(), count);
        jobs.iter().for_each(|job| job.reschedule(triggers.clone()).unwrap());
        let minutes = random.u64(0..50);
        let until = from + SignedDuration::from_mins(i64::try_from(minutes).unwrap());
        for trigger in &triggers {
            let next = |at: &Timestamp| trigger.next(*at, from);
            let due = std::iter::successors(next(&from), next);
            expected.extend(due.take_while(|at| *at <= until));
        }
        sleep(u32::try_from(minutes).unwrap() * MINUTE).await;
        from = until;
    }
    sleep(SECOND).await;
    expected.into_iter().collect()
}

/// What was run, in the order of the instants; no instant is forgotten, and none comes twice.
fn run_instants(diary: &Diary) -> Vec<Timestamp> {
    let mut run: Vec<_> = diary.seen().iter().map(|seen| seen.scheduled).collect();
    run.sort_unstable();
    run
}

#[tokio::test(start_paused = true)]
async fn each_instant_of_what_was_followed_is_run_once() {
    for seed in 0..5 {
        let (forewarm, _clock) = engine_at("2026-03-10T12:00:30Z").await;
        let diary = Diary::default();
        let job = diary.kept_by(forewarm.job("often"), SECOND / 10).build().unwrap();
        forewarm.start().await.unwrap();
        let expected = reschedule_at_random(&[&job], 200, seed).await;
        assert_eq!(run_instants(&diary), expected, "seed {seed}");
        assert!(expected.len() > 100);
    }
}

#[tokio::test(start_paused = true)]
async fn engines_that_are_rescheduled_together_run_each_instant_once() {
    let diary = Diary::default();
    let nodes = nodes(3, &diary, &JobPolicy::default()).await;
    sleep(30 * SECOND).await;
    let jobs: Vec<_> = nodes.iter().map(|node| &node.job).collect();
    let expected = reschedule_at_random(&jobs, 20, 7).await;
    assert_eq!(run_instants(&diary), expected);
    assert!(expected.len() > 20);
}

#[tokio::test(start_paused = true)]
async fn while_one_engine_has_not_been_told_both_are_followed() {
    let diary = Diary::default();
    let policy = JobPolicy { triggers: vec![cron("*/10 * * * *")], ..JobPolicy::default() };
    let nodes = nodes(2, &diary, &policy).await;
    sleep(30 * SECOND).await;
    nodes[0].job.reschedule(vec![cron("*/15 * * * *")]).unwrap();
    sleep(HOUR).await;
    // At 10, 20, 30, 40, 50, 60, and at 15 and 45.
    assert_eq!(counts(&diary), (8, 8));
    nodes[1].job.reschedule(vec![cron("*/15 * * * *")]).unwrap();
    sleep(HOUR).await;
    assert_eq!(counts(&diary), (12, 12));
}

#[tokio::test(start_paused = true)]
async fn what_is_rescheduled_before_l2_answers_catches_nothing_up() {
    let (machine, diary) = (Machine::new(), Diary::default());
    let policy = JobPolicy { triggers: vec![cron("*/10 * * * *")], ..JobPolicy::default() };
    let (forewarm, _job) = machine.start(&policy, &diary).await;
    sleep(25 * MINUTE).await;
    assert!(forewarm.shutdown(SECOND).await);
    sleep(2 * HOUR).await;
    machine.line.set(Op::MeetJobs, Fate::Fails);
    let (_forewarm, job) = machine.start(&policy, &diary).await;
    sleep(MINUTE).await;
    job.reschedule(vec![cron("*/7 * * * *"), cron("*/11 * * * *")]).unwrap();
    machine.line.clear();
    sleep(10 * MINUTE).await;
    let expected = ["12:10", "12:20", "14:28", "14:33", "14:35"];
    assert_eq!(diary.scheduled(), expected.map(|at| format!("2026-03-10T{at}:00Z")));
}
