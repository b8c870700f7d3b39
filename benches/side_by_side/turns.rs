//! Cases measured in turns, so that whatever else the machine does touches all of them.

use std::sync::Barrier;
use std::time::Duration;

use crate::cpu::cpu_time;
use crate::figure::{Figure, Limits, Yardstick};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// How often each case is measured.
    pub(crate) rounds: usize,
    /// Reads of one measurement.
    pub(crate) reads: usize,
    /// Whether it is only to be seen that everything works.
    pub(crate) is_trial: bool,
}

impl Effort {
    pub(crate) const FULL: Self = Self { rounds: 21, reads: 100_000, is_trial: false };
    pub(crate) const TRIAL: Self = Self { rounds: 1, reads: 1_000, is_trial: true };

    /// This many of something, or a few of them if it is a trial.
    pub(crate) fn scaled(&self, count: usize) -> usize {
        if self.is_trial { (count / 1_000).max(1) } else { count }
    }
}

/// A way to do something; gives what one time cost.
pub(crate) struct Case<'a> {
    name: String,
    limits: Limits,
    measure: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(
        name: impl Into<String>,
        limits: Limits,
        measure: impl FnMut() -> f64 + 'a,
    ) -> Self {
        Self { name: name.into(), limits, measure: Box::new(measure) }
    }
}

/// What the cases of a comparison have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turns<'a> {
    pub(crate) goal: u8,
    /// What is measured, which stands before the name of each case.
    pub(crate) what: &'a str,
    pub(crate) unit: &'static str,
    pub(crate) rounds: usize,
}

/// Measures the cases in turns, with the yardstick before them and after them in each round. A
/// ratio is to the mean of these two, so that a drift of the machine favours nobody.
pub(crate) fn in_turns(
    turns: Turns<'_>,
    mut yardstick: Case<'_>,
    mut cases: Vec<Case<'_>>,
) -> Vec<Figure> {
    (yardstick.measure)();
    for case in &mut cases {
        (case.measure)();
    }
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut costs = vec![Vec::new(); cases.len()];
    for _ in 0..turns.rounds {
        before.push((yardstick.measure)());
        for (costs, case) in costs.iter_mut().zip(&mut cases) {
            costs.push((case.measure)());
        }
        after.push((yardstick.measure)());
    }
    let by: Vec<f64> = before.iter().zip(&after).map(|(a, b)| f64::midpoint(*a, *b)).collect();
    let yardstick = Yardstick {
        name: yardstick.name,
        value: median(by.clone()),
        to_itself: median(after.iter().zip(&before).map(|(a, b)| a / b).collect()),
    };
    let figure = |(case, costs): (Case<'_>, Vec<f64>)| {
        let ratio = |(cost, by): (&f64, &f64)| {
            if case.limits.are_at_least() { by / cost } else { cost / by }
        };
        let ratio = median(costs.iter().zip(&by).map(ratio).collect());
        let name = format!("{}: {}", turns.what, case.name);
        Figure::new(turns.goal, name, median(costs), turns.unit)
            .beside(yardstick.clone(), ratio)
            .judged(case.limits)
    };
    cases.into_iter().zip(costs).map(figure).collect()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Nanoseconds for each of so many operations.
pub(crate) fn per_operation(spent: Duration, operations: usize) -> f64 {
    spent.as_secs_f64() * 1e9 / operations as f64
}

/// Runs `work` on this many threads at once; gives processor nanoseconds per operation.
pub(crate) fn on_threads(threads: usize, operations: usize, work: impl Fn(usize) + Sync) -> f64 {
    let start = Barrier::new(threads);
    let spent: Duration = std::thread::scope(|scope| {
        let run = |thread: usize| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                let began = cpu_time();
                work(thread);
                cpu_time() - began
            })
        };
        let threads: Vec<_> = (0..threads).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    per_operation(spent, threads * operations)
}

/// The number of threads in words.
pub(crate) fn threads_in_words(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}
