//! `forewarm replay`: what would it bring?

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;

use self::parsing::{
    Budget, Room, Ttl, parse_budget, parse_restart, parse_room, parse_rule, parse_threshold,
    parse_ttl, parse_warmup, workloads,
};
use self::sweep::{Setting, Sweep};
use self::table::table;
use super::console::{self, Failure};
use super::report::{self, Replayed};
use crate::policy::Policy;
use crate::replay::synthetic::{REQUESTS, Workload};
use crate::replay::trace::{Notes, Trace};
use crate::replay::{Row, Rule, Terms, replay};

mod parsing;
mod restart;
mod sweep;
mod table;

/// Replays recorded or made-up requests against the engine, and tells what it would have brought.
///
/// Reads CSV files with the columns `timestamp_s` and `key`, and logs of Apache and nginx in their
/// combined format; plain, or packed with gzip, xz or zstd. Time is simulated: a day takes seconds.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Files of recorded requests.
    #[arg(required_unless_present = "synthetic", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Replays requests that are made up; may be given several times, and beside files.
    #[arg(long, value_parser = workloads(), value_name = "NAME")]
    synthetic: Vec<Workload>,
    /// How long a value is fresh, or `none`.
    #[arg(long, default_value = "300s", value_parser = parse_ttl, value_name = "SPAN")]
    ttl: Ttl,
    /// How many keys fit in memory: a number, a share of the different keys like `10%`, or `none`.
    #[arg(long, default_value = "none", value_parser = parse_room, value_name = "N")]
    capacity: Room,
    /// How long the source takes to answer.
    #[arg(long, default_value = "0ms", value_parser = console::parse_span, value_name = "SPAN")]
    latency: Duration,
    /// The probability from which a key is loaded ahead; may be given several times.
    #[arg(long, default_values_t = [0.5], value_parser = parse_threshold, value_name = "P")]
    threshold: Vec<f64>,
    /// What decides when a key is loaded: `demand`, `forewarm`, `refresh`, `association`,
    /// `observe`, `classic`, `xfetch`, `refresh-after` or `oracle`. `xfetch=0.3` spreads renewals
    /// over 0.3 ttls, with `refresh-after=0.8` a read renews what is older than 0.8 ttls; `oracle` is
    /// the bound: it loads what was read before right before each request for it. `lru` and `moka`
    /// are plain caches of as many keys. May be given several times.
    #[arg(long, default_values = ["demand", "forewarm"], value_parser = parse_rule, value_name = "RULE")]
    policy: Vec<Rule>,
    /// The most loads beyond those that demand alone would make: a share like `10%`, or `none`.
    #[arg(long, default_value = "none", value_parser = parse_budget, value_name = "SHARE")]
    load_budget: Budget,
    /// The share of the requests that come first and are not counted.
    #[arg(long, default_value_t = 0.2, value_parser = parse_warmup, value_name = "SHARE")]
    warmup: f64,
    /// Spreads requests with equal times evenly over this span.
    #[arg(long, default_value = "0s", value_parser = console::parse_span, value_name = "SPAN")]
    spread: Duration,
    /// Reads no more than this many requests of each file, and makes up as many; 100000 are made
    /// up if it is not given.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Replays with several values of a setting, and recommends one of them.
    #[arg(long, value_enum, conflicts_with = "report", value_name = "SETTING")]
    sweep: Option<Setting>,
    /// Restarts the engine after this share of the requests, and tells how soon it is back with and
    /// without a memory.
    #[arg(long, value_parser = parse_restart, conflicts_with_all = ["report", "sweep"], value_name = "SHARE")]
    restart: Option<f64>,
    /// Chooses the random numbers; the same seed gives the same figures.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Prints an array of objects instead of a table.
    #[arg(long)]
    json: bool,
    /// Writes a page with tables and plots to this file besides. If there is only one threshold,
    /// others are replayed too, so that it shows what the choice is between.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    if let Some(report) = &options.report {
        check_writable(report)?;
    }
    if let Some(setting) = options.sweep {
        return options.print_sweeps(setting);
    }
    if let Some(share) = options.restart {
        return options.print_restarts(share);
    }
    let (mut rows, mut replays) = (Vec::new(), Vec::new());
    for trace in options.traces() {
        let replayed = options.replay_all(&trace?, Policy::default().hot_share)?;
        rows.extend_from_slice(&replayed.rows);
        replays.push(replayed);
    }
    if let Some(path) = &options.report {
        std::fs::write(path, report::page(&replays)).map_err(|error| unwritable(path, &error))?;
    }
    console::print(&if options.json { serde_json::to_string_pretty(&rows)? } else { table(&rows) })
}

fn file_bytes(file: &PathBuf) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

/// Finds out before the replay what would be a pity to find out after it.
fn check_writable(path: &Path) -> Result<(), Failure> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map(drop).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    format!("the report cannot be written to {}: {error}", path.display()).into()
}

/// What was read of a file, in a line.
fn described(trace: &Trace) -> String {
    let Notes { out_of_order, skipped, unreadable, .. } = trace.notes;
    let (requests, keys, clients) = (trace.requests.len(), trace.keys, trace.clients);
    let mut text = format!("{}: {requests} requests, {keys} keys, {clients} clients", trace.name);
    for (count, what) in
        [(skipped, "no reads"), (unreadable, "unreadable"), (out_of_order, "out of order")]
    {
        if count > 0 {
            text.push_str(&format!("; {count} lines {what}"));
        }
    }
    text
}

impl Options {
    /// The requests that were asked for, one file or workload after the other.
    fn traces(&self) -> impl Iterator<Item = Result<Trace, Failure>> {
        let files = self.files.iter().map(|file| self.read(file));
        let made_up = self.synthetic.iter().map(|workload| Ok(self.make_up(*workload)));
        files.chain(made_up).map(|trace| {
            let mut trace = trace?;
            console::note(&described(&trace));
            trace.spread(self.spread);
            Ok(trace)
        })
    }

    /// Tries values of a setting on each trace, and prints what came of them.
    fn print_sweeps(&self, setting: Setting) -> Result<(), Failure> {
        sweep::check(self)?;
        let sweeps: Vec<_> = self
            .traces()
            .map(|trace| Sweep::of(setting, self, &trace?))
            .collect::<Result<_, Failure>>()?;
        console::print(&if self.json {
            serde_json::to_string_pretty(&sweeps)?
        } else {
            sweep::table(&sweeps)
        })
    }

    /// Restarts the engine on each trace, and prints what came of it.
    fn print_restarts(&self, share: f64) -> Result<(), Failure> {
        restart::check(self)?;
        let mut restarts = Vec::new();
        for trace in self.traces() {
            restarts.extend(restart::of(self, &trace?, share)?);
        }
        console::print(&if self.json {
            serde_json::to_string_pretty(&restarts)?
        } else {
            restart::table(&restarts)
        })
    }

    fn read(&self, file: &PathBuf) -> Result<Trace, Failure> {
        let reading =
            console::progress_bar(file_bytes(file), format!("reading {}", file.display()));
        let trace = Trace::read(file, self.limit, |bytes| reading.set_position(bytes));
        reading.finish_and_clear();
        Ok(trace?)
    }

    fn make_up(&self, workload: Workload) -> Trace {
        workload.trace(self.limit.unwrap_or(REQUESTS), self.seed)
    }

    /// Replays a trace under every policy and threshold. Demand alone is always replayed, since it
    /// is what the others are compared with.
    fn replay_all(&self, trace: &Trace, hot_share: f64) -> Result<Replayed, Failure> {
        let replay = |rule, threshold| self.replay(trace, rule, threshold, hot_share);
        let demand = replay(Rule::Demand, self.threshold.first().copied())?;
        let mut rows = Vec::new();
        for rule in &self.policy {
            match rule {
                Rule::Demand => rows.push(demand.clone()),
                Rule::Forewarm | Rule::Refresh | Rule::Association | Rule::Observe => {
                    for threshold in &self.threshold {
                        rows.push(replay(*rule, Some(*threshold))?);
                    }
                }
                _ => rows.push(replay(*rule, None)?),
            }
        }
        let mut swept = Vec::new();
        if self.report.is_some() {
            for threshold in self.thresholds_beside(&rows) {
                swept.push(replay(Rule::Forewarm, Some(threshold))?);
            }
        }
        for row in rows.iter_mut().chain(&mut swept) {
            #[expect(clippy::cast_precision_loss, reason = "a ratio")]
            let more = row.loads as f64 / demand.loads as f64 - 1.0;
            row.loads_vs_demand = (demand.loads > 0).then_some(more);
        }
        Ok(Replayed {
            trace: trace.name.clone(),
            requests: trace.requests.len() as u64,
            keys: trace.keys.into(),
            clients: trace.clients.into(),
            seed: self.seed,
            threshold: self.threshold_shown(),
            demand,
            rows,
            swept,
        })
    }

    /// What a report shows of `forewarm`, as far as it was not replayed: the thresholds that were
    /// asked for or, if that is only one, some on both sides of it.
    fn thresholds_beside(&self, rows: &[Row]) -> Vec<f64> {
        let mut thresholds = self.threshold.clone();
        if thresholds.len() == 1 {
            thresholds.extend(report::SWEEP);
        }
        thresholds.sort_by(f64::total_cmp);
        thresholds.dedup();
        let is_there = |threshold: &f64| {
            let is_forewarm = |row: &&Row| row.policy == Rule::Forewarm.name();
            rows.iter().filter(is_forewarm).any(|row| row.threshold.total_cmp(threshold).is_eq())
        };
        thresholds.retain(|threshold| !is_there(threshold));
        thresholds
    }

    /// Of the thresholds that were asked for, the one nearest to the default.
    fn threshold_shown(&self) -> f64 {
        let distance = |threshold: &f64| (threshold - 0.5).abs();
        let nearest = |a: &f64, b: &f64| distance(a).total_cmp(&distance(b));
        self.threshold.iter().copied().min_by(nearest).unwrap_or(0.5)
    }

    fn replay(
        &self,
        trace: &Trace,
        rule: Rule,
        threshold: Option<f64>,
        hot_share: f64,
    ) -> Result<Row, Failure> {
        let terms = Terms {
            rule,
            load_budget: self.load_budget.0,
            ttl: self.ttl.0,
            capacity: self.capacity.in_keys(trace.keys),
            latency: self.latency,
            threshold: threshold.unwrap_or(0.5),
            hot_share,
            warmup: self.warmup,
            seed: self.seed,
        };
        let bar: ProgressBar = console::progress_bar(
            trace.requests.len() as u64,
            format!("{} {}", trace.name, rule.name()),
        );
        let row = replay(trace, &terms, |done| bar.set_position(done));
        bar.finish_and_clear();
        Ok(row?)
    }
}
