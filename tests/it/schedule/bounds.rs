//! What waits, what is missed, what somebody asks for.

use std::time::Duration;

use forewarm::{CatchUp, JobPolicy, RunOutcome, RunReason};
use jiff::SignedDuration;
use tokio::time::sleep;

use super::{Diary, HOUR, MINUTE, SECOND, engine_at, instant};

#[tokio::test(start_paused = true)]
async fn what_waits_longer_than_the_grace_is_missed_and_told() {
    // A run that is under way until this long after what is due next.
    for (until_secs, is_run) in [(59, true), (61, false)] {
        let (forewarm, _clock) = engine_at("2026-03-10T12:00:00Z").await;
        let diary = Diary::default();
        let takes = HOUR + until_secs * SECOND;
        let policy = JobPolicy { deadline: 2 * HOUR, ..JobPolicy::default() };
        let job = diary.kept_by(forewarm.job("hourly").policy(policy).every(HOUR), takes);
        let job = job.build().unwrap();
        forewarm.start().await.unwrap();
        sleep(HOUR + 58 * SECOND).await;
        assert_eq!((job.status().running, job.status().waiting), (1, 1));
        sleep(10 * SECOND).await;
        assert_eq!(diary.seen().len(), if is_run { 2 } else { 1 }, "{until_secs} s");
        let last = &job.runs(1).await[0];
        assert_eq!(last.scheduled, instant("2026-03-10T13:00:00Z"));
        assert_eq!(last.outcome, (!is_run).then_some(RunOutcome::Missed));
        assert_eq!(last.started.is_some(), is_run);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_due_while_a_run_is_under_way_makes_one_run_or_each() {
    for (coalesce, expected) in [
        (true, vec!["12:00", "12:05"]),
        (false, vec!["12:00", "12:01", "12:02", "12:03", "12:04", "12:05"]),
    ] {
        let (forewarm, _clock) = engine_at("2026-03-10T12:00:00Z").await;
        let diary = Diary::default();
        let policy = JobPolicy { coalesce, misfire_grace: HOUR, ..JobPolicy::default() };
        let job = forewarm.job("minutely").policy(policy).every(MINUTE);
        diary.kept_by(job, 5 * MINUTE + 30 * SECOND).build().unwrap();
        forewarm.start().await.unwrap();
        // Until the last of them is under way.
        sleep(u32::try_from(expected.len()).unwrap() * (5 * MINUTE + 30 * SECOND) - SECOND).await;
        let times: Vec<_> = diary.scheduled().iter().map(|at| at[11..16].to_owned()).collect();
        assert_eq!(times, expected, "coalesce: {coalesce}");
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_runs_are_under_way_as_may_be() {
    let (forewarm, _clock) = engine_at("2026-03-10T12:00:00Z").await;
    let diary = Diary::default();
    let policy = JobPolicy { max_instances: 3, ..JobPolicy::default() };
    let job = forewarm.job("minutely").policy(policy).every(MINUTE);
    let job = diary.kept_by(job, 9 * MINUTE).build().unwrap();
    forewarm.start().await.unwrap();
    sleep(8 * MINUTE).await;
    assert_eq!((job.status().running, diary.seen().len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_asked_for_waits_its_turn_and_has_its_own_id() {
    let (forewarm, _clock) = engine_at("2026-03-10T12:00:01Z").await;
    let diary = Diary::default();
    let job = diary.kept_by(forewarm.job("hourly").every(HOUR), MINUTE).build().unwrap();
    forewarm.start().await.unwrap();
    let first = job.trigger().unwrap();
    sleep(SECOND).await;
    let second = job.trigger().unwrap();
    assert_ne!(first, second);
    assert_eq!((job.status().running, job.status().waiting), (1, 1));
    let [waits, runs] = &job.runs(10).await[..] else { panic!("there are two rows") };
    assert_eq!((waits.run_id, waits.started), (second, None));
    assert_eq!((runs.run_id, runs.reason, runs.outcome), (first, RunReason::Manual, None));
    sleep(2 * MINUTE).await;
    assert_eq!(diary.seen().len(), 2);
    assert!(job.runs(10).await.iter().all(|run| run.outcome == Some(RunOutcome::Succeeded)));
    for _ in 0..100 {
        job.trigger().unwrap();
    }
    let error = job.trigger().unwrap_err();
    assert_eq!(error.to_string(), "job `hourly` already has 100 runs that wait");
    assert!(error.is_transient());
}

#[tokio::test(start_paused = true)]
async fn a_pause_leaves_out_what_comes_due_in_it() {
    let (forewarm, clock) = engine_at("2026-03-10T12:00:01Z").await;
    let diary = Diary::default();
    let job = diary.kept_by(forewarm.job("minutely").every(MINUTE), SECOND).build().unwrap();
    assert_eq!(job.status().next_run, None);
    forewarm.start().await.unwrap();
    let status = job.status();
    assert_eq!(status.next_run, Some(instant("2026-03-10T12:01:00Z")));
    assert_eq!(status.triggers, ["every 1m"]);
    job.pause();
    assert_eq!((job.status().is_paused, job.status().next_run), (true, None));
    sleep(5 * MINUTE).await;
    assert_eq!(diary.seen().len(), 0);
    job.trigger().unwrap();
    sleep(10 * SECOND).await;
    assert_eq!(diary.seen().len(), 1);
    // Nobody has looked at this time yet.
    clock.step_wall(SignedDuration::from_mins(10));
    job.resume();
    sleep(SECOND).await;
    assert_eq!(diary.seen().len(), 1);
    sleep(MINUTE).await;
    assert_eq!(diary.seen().len(), 2);
    assert_eq!(job.runs(10).await.len(), 2, "what was left out is not missed");
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_to_wait_is_missed_and_told() {
    let (forewarm, clock) = engine_at("2026-03-10T12:00:01Z").await;
    let diary = Diary::default();
    let policy = JobPolicy { coalesce: false, misfire_grace: 4 * HOUR, ..JobPolicy::default() };
    let job = forewarm.job("minutely").policy(policy).every(MINUTE);
    let job = diary.kept_by(job, Duration::from_millis(1)).build().unwrap();
    forewarm.start().await.unwrap();
    sleep(SECOND).await;
    // Nobody has looked at this time yet.
    clock.step_wall(SignedDuration::from_mins(180));
    sleep(40 * SECOND).await;
    let runs = job.runs(1_000).await;
    let missed = runs.iter().filter(|run| run.outcome == Some(RunOutcome::Missed)).count();
    assert_eq!((diary.seen().len() + missed, runs.len()), (180, 180), "{missed} missed");
    assert!(diary.seen().len() >= 100);
}

#[tokio::test(start_paused = true)]
async fn with_a_grace_without_end_nothing_is_late() {
    let (forewarm, clock) = engine_at("2026-03-10T12:00:01Z").await;
    let diary = Diary::default();
    let (catch_up, without_end) = (CatchUp::Skip, Duration::MAX);
    let policy = JobPolicy {
        catch_up,
        misfire_grace: without_end,
        log_kept_for: without_end,
        ..JobPolicy::default()
    };
    let job = forewarm.job("hourly").policy(policy).every(HOUR);
    diary.kept_by(job, SECOND).build().unwrap();
    forewarm.start().await.unwrap();
    sleep(SECOND).await;
    clock.step_wall(SignedDuration::from_hours(3));
    sleep(40 * SECOND).await;
    assert_eq!(diary.scheduled(), ["2026-03-10T15:00:00Z"]);
}
