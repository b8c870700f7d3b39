//! `forewarm replay`: what would it bring?

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use indicatif::ProgressBar;

use super::console::{self, Failure};
use super::report::{self, Replayed};
use crate::replay::synthetic::{REQUESTS, WORKLOADS, Workload};
use crate::replay::trace::{Notes, Trace};
use crate::replay::{Row, Rule, Terms, replay};

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

/// How long a value is fresh; `None` for ever.
#[derive(Clone, Copy, Debug)]
struct Ttl(Option<Duration>);

/// How many more loads may be made; `None` for any number.
#[derive(Clone, Copy, Debug)]
struct Budget(Option<f64>);

/// How many keys fit.
#[derive(Clone, Copy, Debug)]
enum Room {
    Keys(u64),
    Share(f64),
    Endless,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    if let Some(report) = &options.report {
        check_writable(report)?;
    }
    let (mut rows, mut replays) = (Vec::new(), Vec::new());
    let files = options.files.iter().map(|file| options.read(file));
    let made_up = options.synthetic.iter().map(|workload| Ok(options.make_up(*workload)));
    for trace in files.chain(made_up) {
        let mut trace = trace?;
        console::note(&described(&trace));
        trace.spread(options.spread);
        let replayed = options.replay_all(&trace)?;
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
    fn replay_all(&self, trace: &Trace) -> Result<Replayed, Failure> {
        let demand = self.replay(trace, Rule::Demand, self.threshold.first().copied())?;
        let mut rows = Vec::new();
        for rule in &self.policy {
            match rule {
                Rule::Demand => rows.push(demand.clone()),
                Rule::Forewarm | Rule::Refresh | Rule::Association | Rule::Observe => {
                    for threshold in &self.threshold {
                        rows.push(self.replay(trace, *rule, Some(*threshold))?);
                    }
                }
                _ => rows.push(self.replay(trace, *rule, None)?),
            }
        }
        let mut swept = if self.report.is_some() { self.sweep(trace, &rows)? } else { Vec::new() };
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
    fn sweep(&self, trace: &Trace, rows: &[Row]) -> Result<Vec<Row>, Failure> {
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
        let replay = |threshold| self.replay(trace, Rule::Forewarm, Some(threshold));
        thresholds.into_iter().map(replay).collect()
    }

    /// Of the thresholds that were asked for, the one nearest to the default.
    fn threshold_shown(&self) -> f64 {
        let distance = |threshold: &f64| (threshold - 0.5).abs();
        let nearest = |a: &f64, b: &f64| distance(a).total_cmp(&distance(b));
        self.threshold.iter().copied().min_by(nearest).unwrap_or(0.5)
    }

    fn replay(&self, trace: &Trace, rule: Rule, threshold: Option<f64>) -> Result<Row, Failure> {
        let terms = Terms {
            rule,
            load_budget: self.load_budget.0,
            ttl: self.ttl.0,
            capacity: self.capacity.in_keys(trace.keys),
            latency: self.latency,
            threshold: threshold.unwrap_or(0.5),
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

impl Room {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of keys"
    )]
    fn in_keys(self, keys: u32) -> Option<u64> {
        match self {
            Self::Keys(keys) => Some(keys),
            Self::Share(share) => Some(((f64::from(keys) * share) as u64).max(1)),
            Self::Endless => None,
        }
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header([
        "trace",
        "policy",
        "threshold",
        "ttl s",
        "capacity",
        "latency ms",
        "requests",
        "miss %",
        "hit %",
        "late",
        "loads",
        "vs demand",
        "preloads",
        "useful",
        "wasted",
        "precision",
        "p50 ms",
        "p99 ms",
        "cpu s",
    ]);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    for row in rows {
        table.add_row([
            row.trace.clone(),
            row.policy.to_owned(),
            format!("{}", row.threshold),
            or_none(row.ttl_s.map(|ttl| ttl.to_string())),
            or_none(row.capacity.map(|keys| keys.to_string())),
            format!("{}", row.latency_s * 1e3),
            row.requests.to_string(),
            format!("{:.2}", row.miss_ratio * 100.0),
            format!("{:.2}", row.hit_ratio * 100.0),
            row.late.to_string(),
            row.loads.to_string(),
            row.loads_vs_demand.map_or_else(String::new, |more| format!("{:+.1} %", more * 100.0)),
            row.preloads.to_string(),
            row.useful.to_string(),
            row.wasted.to_string(),
            row.precision.map_or_else(String::new, |share| format!("{share:.3}")),
            format!("{:.1}", row.wait_p50_ms),
            format!("{:.1}", row.wait_p99_ms),
            format!("{:.2}", row.cpu_s),
        ]);
    }
    table.to_string()
}

/// Reads the name of a workload; the help and the error list all of them.
fn workloads() -> impl TypedValueParser<Value = Workload> {
    let names = WORKLOADS.map(|workload| PossibleValue::new(workload.name).help(workload.about));
    PossibleValuesParser::new(names)
        .try_map(|name| Workload::named(&name).ok_or("no workload has this name"))
}

fn parse_ttl(text: &str) -> Result<Ttl, String> {
    if text == "none" {
        return Ok(Ttl(None));
    }
    let ttl = console::parse_span(text)?;
    if ttl.is_zero() {
        Err("a ttl is not zero; `none` never expires".into())
    } else {
        Ok(Ttl(Some(ttl)))
    }
}

fn parse_room(text: &str) -> Result<Room, String> {
    let wrong = "write a number of keys, a share like `10%`, or `none`";
    if text == "none" {
        return Ok(Room::Endless);
    }
    if let Some(percent) = text.strip_suffix('%') {
        let share = percent.parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
        return share.map(|percent| Room::Share(percent / 100.0)).ok_or_else(|| wrong.to_owned());
    }
    let keys = text.parse().ok().filter(|keys| *keys > 0);
    keys.map(Room::Keys).ok_or_else(|| wrong.to_owned())
}

fn parse_threshold(text: &str) -> Result<f64, String> {
    let threshold = text.parse().ok().filter(|threshold| *threshold > 0.0 && *threshold <= 1.0);
    threshold.ok_or_else(|| "a threshold is more than 0 and at most 1".to_owned())
}

fn parse_warmup(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "a share of the requests is from 0 to less than 1".to_owned())
}

/// What is said of a policy that there is not.
const POLICIES: &str = "the policies are `demand`, `forewarm`, `refresh`, `association`, \
                        `observe`, `classic`, `xfetch`, `refresh-after=SHARE`, `oracle`, `lru` and \
                        `moka`";

fn parse_budget(text: &str) -> Result<Budget, String> {
    if text == "none" {
        return Ok(Budget(None));
    }
    let percent = text.strip_suffix('%').and_then(|number| number.parse().ok());
    let share = percent.filter(|percent: &f64| *percent > 0.0 && percent.is_finite());
    share
        .map(|percent| Budget(Some(percent / 100.0)))
        .ok_or_else(|| "write a share such as `10%`, or `none`".to_owned())
}

fn parse_rule(text: &str) -> Result<Rule, String> {
    /// The spread of `XFetch` in ttls, if none is given.
    const SPREAD: f64 = 0.1;
    let (name, value) =
        text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    match (name, value) {
        ("demand", None) => Ok(Rule::Demand),
        ("forewarm", None) => Ok(Rule::Forewarm),
        ("refresh", None) => Ok(Rule::Refresh),
        ("association", None) => Ok(Rule::Association),
        ("observe", None) => Ok(Rule::Observe),
        ("classic", None) => Ok(Rule::Classic),
        ("lru", None) => Ok(Rule::Lru),
        ("moka", None) => Ok(Rule::Moka),
        ("xfetch", None) => Ok(Rule::XFetch(SPREAD)),
        ("oracle", None) => Ok(Rule::Oracle),
        ("xfetch", Some(spread)) => {
            let spread =
                spread.parse().ok().filter(|spread: &f64| *spread > 0.0 && spread.is_finite());
            spread.map(Rule::XFetch).ok_or_else(|| "write `xfetch=0.1` or the like".to_owned())
        }
        ("refresh-after", Some(share)) => {
            let share = share.parse().ok().filter(|share: &f64| *share > 0.0 && *share < 1.0);
            share.map(Rule::RefreshAfter).ok_or_else(|| "write `refresh-after=0.8`".to_owned())
        }
        _ => Err(POLICIES.to_owned()),
    }
}
