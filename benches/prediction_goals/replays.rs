//! Replays settings with the command itself, two at a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use indicatif::ProgressBar;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::front::{Front, Point};
use crate::plan::{DEFAULT, Plan, Wanted};
use crate::setting::Setting;

/// The command; cargo builds it before the benchmarks.
const FOREWARM: &str = env!("CARGO_BIN_EXE_forewarm");
/// Processes at a time.
const PROCESSES: usize = 2;

/// What came of all replays.
#[derive(Debug, Default)]
pub(crate) struct Results(BTreeMap<Setting, Outcome>);

#[derive(Debug)]
enum Outcome {
    Done(Vec<Row>),
    /// It cannot be done here, and nobody is to blame.
    Skipped(String),
    Failed(String),
}

/// What is used of a row of the command.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) policy: String,
    pub(crate) threshold: f64,
    pub(crate) requests: f64,
    pub(crate) misses: f64,
    pub(crate) miss_ratio: f64,
    pub(crate) loads: f64,
    pub(crate) preloads: f64,
    pub(crate) precision: Option<f64>,
    pub(crate) calibration_error: Option<f64>,
    /// Reads that follow the first ones of users who were never seen, and those that hit.
    pub(crate) first_follow_ups: Option<f64>,
    pub(crate) first_follow_ups_hit: Option<f64>,
}

/// The rows of one setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a>(&'a [Row]);

/// What the command can do, in its own words.
///
/// # Errors
///
/// It cannot be run.
pub(crate) fn help() -> Result<String, String> {
    let output = Command::new(FOREWARM).args(["replay", "--help"]).output();
    let output = output.map_err(|error| format!("{FOREWARM} cannot be run: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Results {
    /// Replays a plan.
    pub(crate) fn of(plan: Plan, traces: &Path, help: &str, progress: &ProgressBar) -> Self {
        let settings = plan.settings();
        progress.set_length(settings.iter().map(|(setting, it)| it.requests(setting)).sum());
        let (queue, outcomes) = (Mutex::new(settings.into_iter()), Mutex::new(BTreeMap::new()));
        let work = || {
            loop {
                let next = queue.lock().next();
                let Some((setting, wanted)) = next else { break };
                let outcome = setting
                    .obstacle(traces, help)
                    .map_or_else(|| replay(&setting, &wanted, traces), Outcome::Skipped);
                if let Outcome::Failed(why) = &outcome {
                    progress.suspend(|| eprintln!("{}: {why}", setting.label()));
                }
                outcomes.lock().insert(setting, outcome);
                progress.inc(wanted.requests(&setting));
            }
        };
        std::thread::scope(|scope| (0..PROCESSES).for_each(|_nth| drop(scope.spawn(work))));
        Self(outcomes.into_inner())
    }

    /// The rows of a setting, or why there are none.
    pub(crate) fn rows(&self, setting: &Setting) -> Result<Rows<'_>, String> {
        match self.0.get(setting) {
            Some(Outcome::Done(rows)) => Ok(Rows(rows)),
            Some(Outcome::Skipped(why) | Outcome::Failed(why)) => Err(why.clone()),
            None => Err("not part of this run".to_owned()),
        }
    }

    /// Whether something failed that should not have.
    pub(crate) fn have_failures(&self) -> bool {
        self.0.values().any(|outcome| matches!(outcome, Outcome::Failed(_)))
    }
}

fn replay(setting: &Setting, wanted: &Wanted, traces: &Path) -> Outcome {
    let arguments = [setting.arguments(traces), wanted.arguments()].concat();
    let output = Command::new(FOREWARM).arg("replay").args(arguments).arg("--json").output();
    let output = match output {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            return Outcome::Failed(format!("failed: {}", said.trim()));
        }
        Err(error) => return Outcome::Failed(format!("failed: {error}")),
    };
    match serde_json::from_slice(&output.stdout) {
        Ok(rows) => Outcome::Done(rows),
        Err(error) => Outcome::Failed(format!("failed: no rows: {error}")),
    }
}

impl<'a> Rows<'a> {
    pub(crate) fn all(self, policy: &'static str) -> impl Iterator<Item = &'a Row> {
        self.0.iter().filter(move |row| row.policy == policy)
    }

    /// The row of a policy under the default threshold.
    pub(crate) fn one(self, policy: &'static str) -> Result<&'a Row, String> {
        let is_default = |row: &&Row| (row.threshold * 1e3 - f64::from(DEFAULT)).abs() < 0.5;
        let of_policy = || self.all(policy);
        // Without a threshold of its own, a policy is told of under any.
        let row = of_policy().find(is_default).or_else(|| of_policy().next());
        row.ok_or_else(|| format!("no row of {policy}"))
    }

    /// What the engine's thresholds give.
    pub(crate) fn front(self) -> Result<Front, String> {
        let demand = self.one("demand")?.point();
        Ok(Front::new(demand, self.all("forewarm").map(Row::point)))
    }
}

impl Row {
    fn point(&self) -> Point {
        Point { loads: self.loads, misses: self.misses }
    }
}
