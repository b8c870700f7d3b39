//! Clocks that step, stand still, or ring early.

use std::collections::BTreeSet;
use std::time::Duration;

use forewarm::{CatchUp, JobPolicy, RunOutcome, RunReason, Trigger};
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::{Diary, HOUR, MINUTE, SECOND, engine_at, instant};

#[tokio::test(start_paused = true)]
async fn a_timer_that_rings_a_millisecond_early_runs_the_job_once() {
    let (forewarm, clock) = engine_at("2026-03-10T23:59:00Z").await;
    let diary = Diary::default();
    let job = diary.kept_by(forewarm.job("midnight").daily_at(0, 0, "UTC"), SECOND);
    job.build().unwrap();
    forewarm.start().await.unwrap();
    sleep(59 * SECOND).await;
    // The timer that was set for midnight now rings at 23:59:59.999.
    clock.step_wall(SignedDuration::from_millis(-1));
    sleep(SECOND).await;
    assert_eq!(diary.scheduled(), [""; 0]);
    sleep(Duration::from_millis(1)).await;
    sleep(HOUR).await;
    assert_eq!(diary.scheduled(), ["2026-03-11T00:00:00Z"]);
}

#[tokio::test(start_paused = true)]
async fn no_job_is_lost_or_doubled_where_the_wall_clock_is_set() {
    for before_mins in [15, 45] {
        for by_hours in [1, -1, 24, -24] {
            jump(before_mins, by_hours).await;
        }
    }
}

/// Sets the clock after some time, and looks at the three days after that.
async fn jump(before_mins: u64, by_hours: i64) {
    let (forewarm, clock) = engine_at("2026-03-10T12:00:10Z").await;
    let (often, daily) = (Diary::default(), Diary::default());
    often.kept_by(forewarm.job("often").every(10 * MINUTE), SECOND).build().unwrap();
    daily.kept_by(forewarm.job("daily").daily_at(12, 30, "UTC"), SECOND).build().unwrap();
    forewarm.start().await.unwrap();
    let case = format!("by {by_hours} h after {before_mins} min");
    let mut latest = clock.wall();
    sleep(u32::try_from(before_mins).unwrap() * MINUTE).await;
    latest = latest.max(clock.wall());
    clock.step_wall(SignedDuration::from_hours(by_hours));
    sleep(72 * HOUR).await;
    latest = latest.max(clock.wall());

    let seen = often.seen();
    for pair in seen.windows(2) {
        let apart = pair[1].at - pair[0].at;
        assert!(apart <= 10 * MINUTE, "{case}: {apart:?} between two runs");
    }
    let distinct: BTreeSet<_> = seen.iter().map(|seen| seen.scheduled).collect();
    assert_eq!(distinct.len(), seen.len(), "{case}: an instant came twice");
    // One more, at most, for what the clock went past.
    let by_rate = usize::try_from((72 * 60 + before_mins) / 10).unwrap();
    assert!((by_rate..=by_rate + 1).contains(&seen.len()), "{case}: {} runs", seen.len());

    let mut expected = Vec::new();
    let mut due = instant("2026-03-10T12:30:00Z");
    while due <= latest {
        expected.push(due);
        due += SignedDuration::from_hours(24);
    }
    let daily: Vec<Timestamp> = daily.seen().iter().map(|seen| seen.scheduled).collect();
    assert_eq!(daily, expected, "{case}");
    assert!(forewarm.shutdown(SECOND).await);
}

#[tokio::test(start_paused = true)]
async fn three_hours_of_standstill_are_caught_up_by_one_run() {
    for catch_up in [CatchUp::Once, CatchUp::Skip] {
        let (forewarm, clock) = engine_at("2026-03-10T12:00:00Z").await;
        let diary = Diary::default();
        let every = Trigger::every(HOUR).unwrap();
        let policy = JobPolicy { catch_up, triggers: vec![every], ..JobPolicy::default() };
        let job = diary.kept_by(forewarm.job("hourly").policy(policy), SECOND);
        let job = job.build().unwrap();
        forewarm.start().await.unwrap();
        sleep(10 * MINUTE).await;
        // The machine is suspended.
        clock.step_wall(SignedDuration::from_hours(3));
        sleep(MINUTE).await;
        let reasons: Vec<_> = diary.seen().iter().map(|seen| seen.reason).collect();
        let [run, first] = &job.runs(10).await[..] else { panic!("there are two rows") };
        assert_eq!(first.outcome, Some(RunOutcome::Succeeded));
        assert_eq!(run.scheduled, instant("2026-03-10T15:00:00Z"));
        match catch_up {
            CatchUp::Once => assert_eq!(reasons, [RunReason::Due, RunReason::CatchUp]),
            CatchUp::Skip => {
                assert_eq!(reasons, [RunReason::Due]);
                assert_eq!(run.outcome, Some(RunOutcome::Missed));
            }
        }
        let before = diary.seen().len();
        sleep(HOUR).await;
        assert_eq!(diary.seen().len(), before + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_on_which_clocks_change_has_each_run_once() {
    let (forewarm, _clock) = engine_at("2026-03-28T12:00:00Z").await;
    let (nightly, often) = (Diary::default(), Diary::default());
    let zone = "Europe/Berlin";
    nightly.kept_by(forewarm.job("nightly").daily_at(2, 30, zone), SECOND).build().unwrap();
    often.kept_by(forewarm.job("often").cron("*/30 * * * *", zone), SECOND).build().unwrap();
    forewarm.start().await.unwrap();
    sleep(48 * HOUR - SECOND).await;
    assert_eq!(nightly.scheduled(), ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    assert_eq!(often.seen().len(), 96);
}

#[tokio::test(start_paused = true)]
async fn jobs_that_are_due_together_start_apart_with_jitter() {
    let (forewarm, _clock) = engine_at("2026-03-10T12:00:01Z").await;
    let diary = Diary::default();
    for name in ["a", "b", "c", "d"] {
        let policy = JobPolicy { jitter: 30 * SECOND, ..JobPolicy::default() };
        let job = forewarm.job(name).policy(policy).every(HOUR);
        diary.kept_by(job, SECOND).build().unwrap();
    }
    let began = tokio::time::Instant::now();
    forewarm.start().await.unwrap();
    sleep(2 * HOUR + MINUTE).await;
    let delays: BTreeSet<_> = diary
        .seen()
        .iter()
        .map(|seen| (seen.at - began + SECOND).as_millis() % 3_600_000)
        .collect();
    assert_eq!(delays.len(), 8, "{delays:?}");
    assert!(delays.iter().all(|delay| *delay <= 30_001), "{delays:?}");
}
