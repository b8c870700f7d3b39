//! A run is one engine's at a time, and what came of it is kept.

use std::sync::Arc;
use std::time::Duration;

use forewarm::{
    EndRun, JobMemory, Node, Permit, RenewRun, RunId, RunRow, RunTaken, TakeRun, Tier as _,
};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use super::{Bed, Case, NODE, World};
use crate::tier_contract::world::OTHER;

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(a_job_is_met_once),
        Case::of(an_instant_is_taken_once),
        Case::of(one_who_did_not_hear_may_ask_again),
        Case::of(a_lease_that_has_run_out_is_taken_over),
        Case::of(a_lease_that_has_run_out_is_told),
        Case::of(a_lease_lasts_as_long_as_it_is_renewed),
        Case::of(a_lease_that_was_lost_cannot_be_renewed),
        Case::of(no_more_runs_are_under_way_than_may_be),
        Case::of(a_run_that_ended_is_over),
        Case::of(a_row_tells_how_its_run_ended),
        Case::of(a_run_that_was_given_back_can_be_taken_at_once),
        Case::of(the_log_comes_newest_first),
        Case::of(what_was_removed_by_age_is_not_done_again),
        Case::of(what_was_removed_by_number_is_not_done_again),
        Case::of(what_was_asked_for_handles_no_instant),
        Case::of(of_a_hundred_who_take_at_once_one_wins),
        Case::of(jobs_of_any_name_are_told_apart),
        Case::of(runs_outlive_a_restart),
    ]
}

const JOB: &str = "p:report";

fn minute(nth: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + nth * 60).unwrap()
}

/// The instant of a minute, as text.
fn text(nth: i64) -> String {
    minute(nth).to_string()
}

/// A run of a minute that nobody has asked for before, under a lease of 2 units.
fn take<B: Bed>(instant: &str, nth: i64, permit: u64) -> TakeRun<'_> {
    TakeRun {
        job: JOB,
        instant,
        scheduled: minute(nth),
        is_due: true,
        run_id: RunId(permit << 40),
        reason: "due",
        by: NODE,
        permit: Permit(permit),
        at: minute(nth) + SignedDuration::from_millis(7),
        lease_for: B::UNIT * 2,
        instances_max: 1,
        keep_for: B::UNIT * 10,
        rows_max: 1_000,
    }
}

/// Some run, for cases that are about something else.
pub(crate) fn any_run(keep_for: Duration) -> TakeRun<'static> {
    TakeRun {
        job: JOB,
        instant: "00ff",
        scheduled: minute(0),
        is_due: false,
        run_id: RunId(1),
        reason: "manual",
        by: NODE,
        permit: Permit(1),
        at: minute(0),
        lease_for: keep_for,
        instances_max: 1,
        keep_for,
        rows_max: 10,
    }
}

pub(super) fn any_renewal() -> RenewRun<'static> {
    let lease_for = Duration::from_secs(1);
    RenewRun { job: JOB, instant: "00ff", permit: Permit(1), attempts: 1, lease_for }
}

pub(super) fn any_end() -> EndRun<'static> {
    EndRun {
        job: JOB,
        instant: "00ff",
        permit: Permit(1),
        outcome: Some("succeeded"),
        attempts: 1,
        error: None,
        at: minute(0),
        took: Duration::ZERO,
        keep_for: Duration::from_secs(1),
    }
}

fn end<B: Bed>(instant: &str, permit: u64) -> EndRun<'_> {
    EndRun {
        job: JOB,
        instant,
        permit: Permit(permit),
        outcome: Some("succeeded"),
        attempts: 1,
        error: None,
        at: minute(0),
        took: Duration::from_micros(1_500),
        keep_for: B::UNIT * 10,
    }
}

fn renew<B: Bed>(instant: &str, permit: u64) -> RenewRun<'_> {
    RenewRun { job: JOB, instant, permit: Permit(permit), attempts: 3, lease_for: B::UNIT * 2 }
}

/// A run that nobody had before.
const fn ours(permit: u64) -> RunTaken {
    RunTaken::Ours { run_id: RunId(permit << 40), attempts_before: 0 }
}

async fn taken<B: Bed>(world: &World<B>, nth: i64, permit: u64) -> RunTaken {
    world.tier.take_run(&take::<B>(&text(nth), nth, permit)).await.unwrap()
}

/// Tries to take the runs of some minutes by some permits, one after another.
async fn takes<B: Bed>(world: &World<B>, tries: &[(i64, u64, RunTaken)]) {
    for (nth, permit, expected) in tries {
        let taken = taken(world, *nth, *permit).await;
        assert_eq!(taken, *expected, "minute {nth} by {permit}");
    }
}

async fn lapsed<B: Bed>(world: &World<B>) -> Vec<RunRow> {
    world.tier.lapsed_runs(&["p:other", JOB]).await.unwrap()
}

async fn ended<B: Bed>(world: &World<B>, nth: i64, permit: u64) -> bool {
    world.tier.end_run(&end::<B>(&text(nth), permit)).await.unwrap()
}

async fn renewed<B: Bed>(world: &World<B>, nth: i64, permit: u64) -> bool {
    let at = text(nth);
    world.tier.renew_runs(&[renew::<B>(&at, permit)]).await.unwrap()[0]
}

async fn rows<B: Bed>(world: &World<B>) -> Vec<RunRow> {
    world.tier.runs(JOB, 100).await.unwrap()
}

async fn met<B: Bed>(world: &World<B>, at: Timestamp) -> JobMemory {
    world.tier.meet_jobs(&[JOB], at).await.unwrap()[0]
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

async fn an_instant_is_taken_once<B: Bed>(world: World<B>) {
    let neighbour = world.neighbour().await;
    assert_eq!(taken(&world, 1, 1).await, ours(1));
    let at = text(1);
    assert_eq!(neighbour.take_run(&take::<B>(&at, 1, 2)).await.unwrap(), RunTaken::Theirs);
    let memory = met(&world, minute(9)).await;
    assert_eq!(memory.handled, Some(minute(1)));
    assert_eq!(memory.since, minute(1) + SignedDuration::from_millis(7));
}

async fn one_who_did_not_hear_may_ask_again<B: Bed>(world: World<B>) {
    for units in [1, 1, 3] {
        assert_eq!(taken(&world, 1, 1).await, ours(1));
        world.pass(units).await;
    }
    assert_eq!(taken(&world, 1, 1).await, ours(1));
    assert_eq!(rows(&world).await[0].attempts, 1);
    assert!(ended(&world, 1, 1).await);
    assert!(ended(&world, 1, 1).await);
}

async fn a_lease_that_has_run_out_is_taken_over<B: Bed>(world: World<B>) {
    taken(&world, 1, 1).await;
    let before = RunTaken::Ours { run_id: RunId(1 << 40), attempts_before: 1 };
    world.pass(3).await;
    // Once more, if the answer was not heard.
    takes(&world, &[(1, 2, before), (1, 2, before), (1, 1, RunTaken::Theirs)]).await;
    assert!(!ended(&world, 1, 1).await, "it is not the first one's any more");
    assert!(renewed(&world, 1, 2).await);
    world.pass(3).await;
    let at = text(1);
    let over = TakeRun { by: OTHER, reason: "catch_up", ..take::<B>(&at, 1, 4) };
    assert!(matches!(world.tier.take_run(&over).await.unwrap(), RunTaken::Ours { .. }));
    let [row] = &rows(&world).await[..] else { panic!("there is one row") };
    assert_eq!((row.by, row.attempts, row.reason.as_str()), (OTHER, 4, "due"));
}

async fn a_lease_that_has_run_out_is_told<B: Bed>(world: World<B>) {
    taken(&world, 1, 1).await;
    assert_eq!(lapsed(&world).await, []);
    world.pass(3).await;
    let found = lapsed(&world).await;
    assert_eq!(found, rows(&world).await);
    assert_eq!((found[0].job.as_str(), found[0].run_id), (JOB, RunId(1 << 40)));
    assert_eq!(world.tier.lapsed_runs(&[]).await.unwrap(), []);
    taken(&world, 1, 2).await;
    assert_eq!(lapsed(&world).await, []);
}

async fn a_lease_lasts_as_long_as_it_is_renewed<B: Bed>(world: World<B>) {
    taken(&world, 1, 1).await;
    for _ in 0..4 {
        world.pass(1).await;
        assert!(renewed(&world, 1, 1).await);
    }
    assert_eq!(taken(&world, 1, 2).await, RunTaken::Theirs);
    let [row] = &rows(&world).await[..] else { panic!("there is one row") };
    assert_eq!((row.attempts, row.by), (3, NODE));
}

async fn a_lease_that_was_lost_cannot_be_renewed<B: Bed>(world: World<B>) {
    taken(&world, 1, 1).await;
    let (first, other) = (text(1), text(2));
    let runs = [renew::<B>(&other, 1), renew::<B>(&first, 2), renew::<B>(&first, 1)];
    assert_eq!(world.tier.renew_runs(&runs).await.unwrap(), [false, false, true]);
    assert!(world.tier.renew_runs(&[]).await.unwrap().is_empty());
    world.pass(3).await;
    // Others count on it already.
    assert!(!renewed(&world, 1, 1).await);
    assert_eq!(taken(&world, 2, 2).await, ours(2));
    assert_eq!(taken(&world, 1, 3).await, RunTaken::Busy);
}

async fn no_more_runs_are_under_way_than_may_be<B: Bed>(world: World<B>) {
    let try_all = async |tries: &[(i64, u64, RunTaken)]| {
        for (nth, permit, expected) in tries {
            let at = text(*nth);
            let run = TakeRun { instances_max: 2, ..take::<B>(&at, *nth, *permit) };
            let taken = world.tier.take_run(&run).await.unwrap();
            assert_eq!(taken, *expected, "minute {nth} by {permit}");
        }
    };
    try_all(&[(1, 1, ours(1)), (2, 2, ours(2)), (3, 3, RunTaken::Busy)]).await;
    // What is counted already is not counted again.
    try_all(&[(2, 2, ours(2)), (2, 9, RunTaken::Theirs)]).await;
    assert!(ended(&world, 1, 1).await);
    try_all(&[(3, 3, ours(3)), (4, 4, RunTaken::Busy)]).await;
    world.pass(3).await;
    try_all(&[(4, 4, ours(4))]).await;
    // Another job has its own.
    let run = TakeRun { job: "p:other", ..take::<B>("1", 1, 8) };
    assert_eq!(world.tier.take_run(&run).await.unwrap(), ours(8));
    assert_eq!(met(&world, minute(0)).await.handled, Some(minute(4)));
}

async fn a_run_that_ended_is_over<B: Bed>(world: World<B>) {
    taken(&world, 1, 1).await;
    let at = text(1);
    let failed = EndRun { outcome: Some("failed"), attempts: 3, ..end::<B>(&at, 1) };
    assert!(world.tier.end_run(&failed).await.unwrap());
    assert!(!ended(&world, 1, 1).await, "it has ended otherwise");
    assert!(!renewed(&world, 1, 1).await);
    world.pass(3).await;
    takes(&world, &[(1, 1, RunTaken::Theirs), (1, 2, RunTaken::Theirs)]).await;
    assert_eq!(lapsed(&world).await, []);
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

async fn a_run_that_was_given_back_can_be_taken_at_once<B: Bed>(world: World<B>) {
    taken(&world, 1, 1).await;
    let at = text(1);
    let given = EndRun { outcome: None, attempts: 2, ..end::<B>(&at, 1) };
    assert!(world.tier.end_run(&given).await.unwrap());
    let found = lapsed(&world).await;
    assert_eq!((found.len(), found[0].ended, found[0].took), (1, None, None));
    assert_eq!(taken(&world, 2, 2).await, ours(2));
    assert!(ended(&world, 2, 2).await);
    let before = RunTaken::Ours { run_id: RunId(1 << 40), attempts_before: 2 };
    assert_eq!(taken(&world, 1, 3).await, before);
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

async fn of_a_hundred_who_take_at_once_one_wins<B: Bed>(world: World<B>) {
    let neighbour = world.neighbour().await;
    let mut tasks = JoinSet::new();
    for nth in 0..100 {
        let tier = Arc::clone(if nth % 2 == 0 { &world.tier } else { &neighbour });
        // Two instants, one run at a time.
        let at = i64::from(nth % 3 == 0);
        tasks.spawn(async move {
            let (text, by) = (text(at), Node(nth));
            let run = TakeRun { by, ..take::<B>(&text, at, nth + 1) };
            tier.take_run(&run).await.unwrap()
        });
    }
    let mut winners = 0;
    while let Some(taken) = tasks.join_next().await {
        winners += usize::from(matches!(taken.unwrap(), RunTaken::Ours { .. }));
    }
    assert_eq!(winners, 1);
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
