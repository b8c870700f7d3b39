//! Several engines over one store: each instant is run once.

use std::collections::BTreeSet;
use std::time::Duration;

use forewarm::{Clock, Forewarm, Job, JobPolicy, RunOutcome, Trigger};
use jiff::SignedDuration;
use tokio::time::sleep;

use super::{Diary, HOUR, MINUTE, SECOND, instant};
use crate::sim::{Fate, Line, Op, SimStore, Weather};

pub(super) struct Node {
    forewarm: Forewarm,
    line: Line,
    pub(super) job: Job,
}

/// Engines that share a store and a job, with clocks a little apart.
pub(super) async fn nodes(count: u64, diary: &Diary, policy: &JobPolicy) -> Vec<Node> {
    let store = SimStore::new();
    let mut nodes = Vec::new();
    for nth in 0..count {
        let line = Line::new(nth);
        let apart = SignedDuration::from_millis(i64::try_from(nth).unwrap() * 137);
        let clock = Clock::starting_at(instant("2026-03-10T12:00:00.5Z") + apart);
        let builder = Forewarm::builder().clock(clock).tier(store.connect_over(&line));
        let forewarm = builder.build().await.unwrap();
        let job = diary.kept_by(forewarm.job("shared").policy(policy.clone()), SECOND / 10);
        let job = job.build().unwrap();
        forewarm.start().await.unwrap();
        nodes.push(Node { forewarm, line, job });
    }
    nodes
}

fn every(span: Duration) -> JobPolicy {
    let triggers = vec![Trigger::every(span).unwrap()];
    JobPolicy { triggers, ..JobPolicy::default() }
}

/// How many runs there were, and of how many instants.
pub(super) fn counts(diary: &Diary) -> (usize, usize) {
    let scheduled = diary.scheduled();
    (scheduled.len(), scheduled.iter().collect::<BTreeSet<_>>().len())
}

#[tokio::test(start_paused = true)]
async fn three_engines_run_a_job_of_each_second_once_a_second() {
    let diary = Diary::default();
    let nodes = nodes(3, &diary, &every(SECOND)).await;
    sleep(10 * MINUTE).await;
    // The first engine is the last to reach an instant.
    assert_eq!(counts(&diary), (600, 600));
    for node in &nodes {
        let rows = node.job.runs(1_000).await;
        assert_eq!(rows.len(), 600);
        assert!(rows.windows(2).all(|pair| pair[0].scheduled - SECOND == pair[1].scheduled));
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_is_replaced_by_the_others() {
    let diary = Diary::default();
    let mut nodes = nodes(3, &diary, &every(SECOND)).await;
    sleep(MINUTE).await;
    // The one whose clock is ahead has run them all.
    nodes.pop().unwrap().forewarm.shutdown(SECOND).await;
    sleep(MINUTE).await;
    assert!(nodes.pop().unwrap().forewarm.shutdown(SECOND).await);
    sleep(MINUTE).await;
    let (runs, instants) = counts(&diary);
    assert_eq!(runs, instants);
    assert!((179..=181).contains(&runs), "{runs} runs");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_doubles_no_run() {
    let diary = Diary::default();
    let nodes = nodes(3, &diary, &every(5 * SECOND)).await;
    let (latency, late_by) = (Duration::from_millis(20), Duration::from_millis(400));
    for node in &nodes {
        let weather = Weather { latency, late_by, late: 20, lost: 10, unanswered: 20, fails: 10 };
        node.line.set_weather(weather);
    }
    sleep(HOUR).await;
    let (runs, instants) = counts(&diary);
    assert_eq!(runs, instants);
    // Whoever does not hear an answer asks again.
    assert!(runs > 700, "{runs} runs of 720");
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_nobody_runs_it_unless_everybody_does() {
    let diary = Diary::default();
    let mine = every(5 * MINUTE);
    for (on_every_engine, expected) in [(false, 0), (true, 2)] {
        let diary = if on_every_engine { diary.clone() } else { Diary::default() };
        let nodes = nodes(2, &diary, &JobPolicy { on_every_engine, ..mine.clone() }).await;
        for node in &nodes {
            node.line.set(Op::TakeRun, Fate::Fails);
        }
        sleep(7 * MINUTE).await;
        assert_eq!(diary.seen().len(), expected);
        for node in &nodes {
            let outcome = node.job.runs(1).await[0].outcome;
            let told = if on_every_engine { RunOutcome::Succeeded } else { RunOutcome::Unclaimed };
            assert_eq!(outcome, Some(told));
            node.line.clear();
        }
        sleep(5 * MINUTE).await;
        assert_eq!(diary.seen().len(), 2 * expected + usize::from(!on_every_engine));
        // What somebody asks for is the engine's own.
        nodes[0].job.trigger().unwrap();
        sleep(SECOND).await;
        assert_eq!(nodes[0].job.runs(1).await[0].outcome, Some(RunOutcome::Succeeded));
    }
}

#[tokio::test(start_paused = true)]
async fn each_engine_has_its_own_run_at_its_start() {
    let diary = Diary::default();
    let mut policy = every(SECOND / 2);
    policy.triggers.push(Trigger::at_start());
    policy.triggers.push(Trigger::once_after(10 * SECOND));
    policy.max_instances = 3;
    let nodes = nodes(2, &diary, &policy).await;
    sleep(10 * SECOND + SECOND / 4).await;
    // Both started within the grid that they share; the second one 137 ms after a point of it. What is
    // due some time after the job was first known is due once for both.
    let own = diary.seen().iter().filter(|seen| seen.scheduled.subsec_millisecond() == 637).count();
    assert_eq!((own, diary.seen().len()), (1, 21 + 2));
    for node in &nodes {
        assert_eq!(node.job.runs(100).await.len(), 21 + 1);
    }
}
