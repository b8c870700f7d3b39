//! What a replay found, as a page that needs nothing besides itself.

use crate::replay::Row;

mod article;
mod axis;
mod calibration;
mod chart;
mod figure;
mod figures;
mod gain;
mod look;
mod markup;
mod over_time;
mod page;
mod table;
mod trade_off;

pub(super) use page::page;

/// A trace that was replayed, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Replayed {
    pub(super) trace: String,
    pub(super) requests: u64,
    pub(super) keys: u64,
    /// How many different clients made the requests; 0 if the trace does not tell them apart.
    pub(super) clients: u64,
    pub(super) seed: u64,
    /// Of several thresholds, that of the figures and of the plots that have room for one.
    pub(super) threshold: f64,
    /// What all others are compared with.
    pub(super) demand: Row,
    /// What was asked for.
    pub(super) rows: Vec<Row>,
    /// What was replayed besides, so that there are thresholds to choose from.
    pub(super) swept: Vec<Row>,
}

/// The thresholds that are tried if only one is given.
pub(super) const SWEEP: [f64; 6] = [0.1, 0.2, 0.35, 0.5, 0.65, 0.8];

/// The policy that the page is about.
const FOREWARM: &str = "forewarm";
const DEMAND: &str = "demand";

impl Replayed {
    /// Everything that was replayed: demand first, then policy by policy, by rising threshold.
    fn all(&self) -> Vec<&Row> {
        let others = self.rows.iter().chain(&self.swept).filter(|row| row.policy != DEMAND);
        let mut all: Vec<_> = std::iter::once(&self.demand).chain(others).collect();
        let mut policies: Vec<&str> = Vec::new();
        for row in &all {
            if !policies.contains(&row.policy) {
                policies.push(row.policy);
            }
        }
        let place = |row: &Row| policies.iter().position(|policy| *policy == row.policy);
        all.sort_by(|a, b| place(a).cmp(&place(b)).then(a.threshold.total_cmp(&b.threshold)));
        all
    }

    /// One row of each policy, with the threshold nearest to the one that is shown.
    fn shown(&self) -> Vec<&Row> {
        let mut shown: Vec<&Row> = Vec::new();
        for row in self.all() {
            match shown.last_mut() {
                Some(last) if last.policy == row.policy => {
                    if self.distance(row) < self.distance(last) {
                        *last = row;
                    }
                }
                _ => shown.push(row),
            }
        }
        shown
    }

    /// What forewarm brings.
    fn forewarm(&self) -> Option<&Row> {
        self.shown().into_iter().find(|row| row.policy == FOREWARM)
    }

    fn distance(&self, row: &Row) -> f64 {
        (row.threshold - self.threshold).abs()
    }
}

/// The threshold of a row, if its policy heeds one.
fn threshold(row: &Row) -> Option<f64> {
    [FOREWARM, "refresh", "association", "observe"].contains(&row.policy).then_some(row.threshold)
}

/// What a legend calls a row.
fn label(row: &Row) -> String {
    threshold(row)
        .map_or_else(|| row.policy.to_owned(), |threshold| format!("{} {threshold}", row.policy))
}
