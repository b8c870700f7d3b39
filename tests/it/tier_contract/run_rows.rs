//! What came of runs is kept, and where a job goes on.

use std::time::Duration;

use forewarm::{EndRun, JobMemory, RunId, RunRow, RunTaken, TakeRun, Tier as _};
use jiff::{SignedDuration, Timestamp};

use super::runs::{JOB, end, ended, met, minute, ours, renewed, rows, take, taken, takes, text};
use super::{Bed, Case, NODE, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(a_job_is_met_once),
        Case::of(a_row_tells_how_its_run_ended),
        Case::of(the_log_comes_newest_first),
        Case::of(what_was_removed_by_age_is_not_done_again),
        Case::of(what_was_removed_by_number_is_not_done_again),
        Case::of(what_may_still_wait_is_not_cut_off),
        Case::of(a_run_that_is_renewed_is_kept),
        Case::of(what_is_still_to_come_is_not_taken),
        Case::of(what_was_asked_for_handles_no_instant),
        Case::of(jobs_of_any_name_are_told_apart),
        Case::of(runs_outlive_a_restart),
    ]
}

async fn a_job_is_met_once<B: Bed>(world: World<B>) {
    let at = minute(0);
    assert_eq!(met(&world, at).await, JobMemory { since: at, handled: None });
    let neighbour = world.neighbour().await;
    let jobs = ["p:other", JOB, "p:third"];
    let met = neighbour.meet_jobs(&jobs, minute(1)).await.unwrap();
    let since: Vec<_> = met.iter().map(|met| met.since).collect();
    assert_eq!(since, [minute(1), at, minute(1)]);
    assert_eq!(world.tier.meet_jobs(&[], at).await.unwrap(), []);
}

async fn a_row_tells_how_its_run_ended<B: Bed>(world: World<B>) {
    taken(&world, 1, 1).await;
    let (at, error) = (text(1), "no route \u{20ac}".repeat(3_000));
    let (outcome, error) = (Some("failed"), Some(&*error));
    let failed = EndRun { outcome, attempts: 3, error, ..end::<B>(&at, 1) };
    assert!(world.tier.end_run(&failed).await.unwrap());
    let [row] = &rows(&world).await[..] else { panic!("there is one row") };
    let expected = RunRow {
        job: JOB.to_owned(),
        instant: at.clone(),
        scheduled: minute(1),
        run_id: RunId(1 << 40),
        reason: "due".to_owned(),
        by: NODE,
        started: minute(1) + SignedDuration::from_millis(7),
        ended: Some(minute(0)),
        took: Some(Duration::from_micros(1_500)),
        attempts: 3,
        outcome: outcome.map(str::to_owned),
        error: row.error.clone(),
    };
    assert_eq!(*row, expected);
    let kept = row.error.as_deref().unwrap();
    assert!(error.unwrap().starts_with(kept) && kept.len() <= 4_000, "{} bytes", kept.len());
}

async fn the_log_comes_newest_first<B: Bed>(world: World<B>) {
    for (nth, permit) in [(3, 1), (1, 2), (12, 3), (2, 4)] {
        taken(&world, nth, permit).await;
        assert!(ended(&world, nth, permit).await);
    }
    let scheduled: Vec<_> = rows(&world).await.iter().map(|row| row.scheduled).collect();
    assert_eq!(scheduled, [minute(12), minute(3), minute(2), minute(1)]);
    let newest = world.tier.runs(JOB, 2).await.unwrap();
    assert_eq!(newest, rows(&world).await[..2]);
    assert_eq!(world.tier.runs("p:other", 2).await.unwrap(), []);
}

async fn what_was_removed_by_age_is_not_done_again<B: Bed>(world: World<B>) {
    taken(&world, 5, 1).await;
    assert!(ended(&world, 5, 1).await);
    world.pass(11).await;
    world.tier.sweep(100).await.unwrap();
    assert_eq!(rows(&world).await, []);
    takes(&world, &[(5, 2, RunTaken::Theirs), (4, 3, RunTaken::Theirs), (6, 4, ours(4))]).await;
}

async fn what_was_removed_by_number_is_not_done_again<B: Bed>(world: World<B>) {
    for nth in 6..10 {
        let (at, permit) = (text(nth), nth.cast_unsigned());
        let run = TakeRun { rows_max: 2, instances_max: 9, ..take::<B>(&at, nth, permit) };
        assert_eq!(world.tier.take_run(&run).await.unwrap(), ours(permit));
        // What has not ended stays.
        assert!(nth == 6 || ended(&world, nth, permit).await);
    }
    let left: Vec<_> = rows(&world).await.iter().map(|row| row.scheduled).collect();
    assert_eq!(left, [minute(9), minute(8), minute(6)]);
    assert_eq!(taken(&world, 7, 99).await, RunTaken::Theirs);
    assert_eq!(met(&world, minute(0)).await.handled, Some(minute(9)));
}

async fn what_may_still_wait_is_not_cut_off<B: Bed>(world: World<B>) {
    for nth in 5..10 {
        let (at, permit) = (text(nth), nth.cast_unsigned());
        let run = TakeRun { rows_max: 2, rows_since: minute(6), ..take::<B>(&at, nth, permit) };
        assert_eq!(world.tier.take_run(&run).await.unwrap(), ours(permit));
        assert!(ended(&world, nth, permit).await);
    }
    let left: Vec<_> = rows(&world).await.iter().map(|row| row.scheduled).collect();
    assert_eq!(left, [minute(9), minute(8), minute(7)]);
    takes(&world, &[(6, 98, RunTaken::Theirs), (7, 99, RunTaken::Theirs)]).await;
}

async fn a_run_that_is_renewed_is_kept<B: Bed>(world: World<B>) {
    taken(&world, 1, 1).await;
    for _ in 0..11 {
        world.pass(1).await;
        assert!(renewed(&world, 1, 1).await);
    }
    world.pass(3).await;
    world.tier.sweep(100).await.unwrap();
    let before = RunTaken::Ours { run_id: RunId(1 << 40), attempts_before: 3 };
    assert_eq!(taken(&world, 1, 2).await, before);
}

async fn what_is_still_to_come_is_not_taken<B: Bed>(world: World<B>) {
    let year = SignedDuration::from_hours(24 * 365);
    for (ahead, expected) in [(year, RunTaken::Early), (SignedDuration::from_secs(20), ours(1))] {
        let scheduled = Timestamp::now() + ahead;
        let text = scheduled.to_string();
        let run = TakeRun { scheduled, ..take::<B>(&text, 0, 1) };
        assert_eq!(world.tier.take_run(&run).await.unwrap(), expected);
        assert_eq!(met(&world, minute(0)).await.handled.is_some(), expected != RunTaken::Early);
    }
}

async fn what_was_asked_for_handles_no_instant<B: Bed>(world: World<B>) {
    let asked = TakeRun { is_due: false, reason: "manual", ..take::<B>("00ff", 50, 1) };
    assert_eq!(world.tier.take_run(&asked).await.unwrap(), ours(1));
    assert_eq!(met(&world, minute(0)).await.handled, None);
    assert_eq!(taken(&world, 49, 2).await, RunTaken::Busy);
    assert!(world.tier.end_run(&end::<B>("00ff", 1)).await.unwrap());
    world.pass(11).await;
    world.tier.sweep(100).await.unwrap();
    assert_eq!(taken(&world, 49, 2).await, ours(2));
}

async fn jobs_of_any_name_are_told_apart<B: Bed>(world: World<B>) {
    let long = format!("p:{}", "x".repeat(60));
    let jobs = ["p:a", "p:A", "p:a ", "p:%", "p:_", "p:*", "p:'", "p:\"", "p:\\", "p:\u{e9}"];
    let jobs: Vec<_> = jobs.into_iter().chain(["p:e\u{301}", "q:a", &long]).collect();
    world.tier.meet_jobs(&jobs, minute(0)).await.unwrap();
    for job in &jobs {
        let run = TakeRun { job, ..take::<B>("1", 1, 1) };
        assert_eq!(world.tier.take_run(&run).await.unwrap(), ours(1), "{job:?}");
    }
    for job in &jobs {
        assert_eq!(world.tier.runs(job, 9).await.unwrap().len(), 1, "{job:?}");
    }
    world.pass(3).await;
    assert_eq!(world.tier.lapsed_runs(&jobs).await.unwrap().len(), jobs.len());
}

async fn runs_outlive_a_restart<B: Bed>(mut world: World<B>) {
    taken(&world, 1, 1).await;
    assert!(ended(&world, 1, 1).await);
    taken(&world, 2, 2).await;
    let before = rows(&world).await;
    world.restart().await;
    assert_eq!(rows(&world).await, before);
    assert_eq!(taken(&world, 1, 3).await, RunTaken::Theirs);
    assert!(renewed(&world, 2, 2).await);
    assert_eq!(met(&world, minute(9)).await.handled, Some(minute(2)));
}
