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
        Case::of(an_instant_is_taken_once),
        Case::of(one_who_did_not_hear_may_ask_again),
        Case::of(a_lease_that_has_run_out_is_taken_over),
        Case::of(a_lease_that_has_run_out_is_told),
        Case::of(a_lease_lasts_as_long_as_it_is_renewed),
        Case::of(a_lease_that_was_lost_cannot_be_renewed),
        Case::of(no_more_runs_are_under_way_than_may_be),
        Case::of(a_run_that_ended_is_over),
        Case::of(a_run_that_was_given_back_can_be_taken_at_once),
        Case::of(of_a_hundred_who_take_at_once_one_wins),
    ]
}

pub(super) const JOB: &str = "p:report";

pub(super) fn minute(nth: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + nth * 60).unwrap()
}

/// The instant of a minute, as text.
pub(super) fn text(nth: i64) -> String {
    minute(nth).to_string()
}

/// A run of a minute that nobody has asked for before, under a lease of 2 units.
pub(super) fn take<B: Bed>(instant: &str, nth: i64, permit: u64) -> TakeRun<'_> {
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
        rows_since: Timestamp::MAX,
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
        rows_since: Timestamp::MAX,
    }
}

pub(super) fn any_renewal() -> RenewRun<'static> {
    let lease_for = Duration::from_secs(1);
    RenewRun {
        job: JOB,
        instant: "00ff",
        permit: Permit(1),
        attempts: 1,
        lease_for,
        keep_for: lease_for,
    }
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

pub(super) fn end<B: Bed>(instant: &str, permit: u64) -> EndRun<'_> {
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
    RenewRun {
        job: JOB,
        instant,
        permit: Permit(permit),
        attempts: 3,
        lease_for: B::UNIT * 2,
        keep_for: B::UNIT * 10,
    }
}

/// A run that nobody had before.
pub(super) const fn ours(permit: u64) -> RunTaken {
    RunTaken::Ours { run_id: RunId(permit << 40), attempts_before: 0 }
}

pub(super) async fn taken<B: Bed>(world: &World<B>, nth: i64, permit: u64) -> RunTaken {
    world.tier.take_run(&take::<B>(&text(nth), nth, permit)).await.unwrap()
}

/// Tries to take the runs of some minutes by some permits, one after another.
pub(super) async fn takes<B: Bed>(world: &World<B>, tries: &[(i64, u64, RunTaken)]) {
    for (nth, permit, expected) in tries {
        let taken = taken(world, *nth, *permit).await;
        assert_eq!(taken, *expected, "minute {nth} by {permit}");
    }
}

async fn lapsed<B: Bed>(world: &World<B>) -> Vec<RunRow> {
    world.tier.lapsed_runs(&["p:other", JOB]).await.unwrap()
}

pub(super) async fn ended<B: Bed>(world: &World<B>, nth: i64, permit: u64) -> bool {
    world.tier.end_run(&end::<B>(&text(nth), permit)).await.unwrap()
}

pub(super) async fn renewed<B: Bed>(world: &World<B>, nth: i64, permit: u64) -> bool {
    let at = text(nth);
    world.tier.renew_runs(&[renew::<B>(&at, permit)]).await.unwrap()[0]
}

pub(super) async fn rows<B: Bed>(world: &World<B>) -> Vec<RunRow> {
    world.tier.runs(JOB, 100).await.unwrap()
}

pub(super) async fn met<B: Bed>(world: &World<B>, at: Timestamp) -> JobMemory {
    world.tier.meet_jobs(&[JOB], at).await.unwrap()[0]
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
