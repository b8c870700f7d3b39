//! Goal 14: the share of the reads that find something, at equal memory and without preloading.
//!
//! Equal memory is equal entries: 1, 5 and 10 % of a trace's different keys, without ttl. Moka is
//! measured twice: with its pending work done after each read, so that it holds no more than it may,
//! and left to itself, when it holds more by the length of its queues.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use lzma_rust2::XzReader;
use serde::Deserialize;

use crate::figure::{Figure, Limits};
use crate::turns::Effort;

const NAME: &str = "hit ratio at equal entries, mean points";
const LIMITS: Limits = Limits::at_least(2.0, 3.0);
/// Nothing has to hold, but a cell is not to lose more than this.
const WORST: f64 = -1.0;

/// Shares of the different keys, in percent.
const SIZES: [usize; 3] = [1, 5, 10];
/// With fewer keys, 1 % is no cache.
const KEYS_MIN: usize = 1_000;

/// The command; cargo builds it before the benchmarks.
const FOREWARM: &str = env!("CARGO_BIN_EXE_forewarm");

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let missing = |why: &str| vec![Figure::missing(14, NAME, LIMITS, why)];
    if effort.is_trial {
        return missing("a trial replays no traces");
    }
    let Some(folder) = std::env::var_os("FOREWARM_TRACES") else {
        return missing(
            "FOREWARM_TRACES names no folder of traces (CSV with a column `key`, or .csv.xz)",
        );
    };
    match cells(Path::new(&folder)) {
        Ok(cells) if cells.is_empty() => missing("no trace is there"),
        Ok(cells) => figures(&cells),
        Err(why) => missing(&why),
    }
}

/// A trace at a size, and the hit ratios there, in percent.
struct Cell {
    label: String,
    forewarm: f64,
    lru: f64,
    moka: f64,
    free_moka: f64,
    quick_cache: f64,
}

fn cells(folder: &Path) -> Result<Vec<Cell>, String> {
    let mut cells = Vec::new();
    for file in traces(folder)? {
        let trace = Trace::read(&file)?;
        if trace.keys < KEYS_MIN {
            continue;
        }
        for percent in SIZES {
            let entries = (trace.keys * percent / 100).max(1);
            eprintln!("goal 14: {}, {percent} %", trace.name);
            let [forewarm, lru, moka] = replayed(&file, entries)?;
            let label = format!("{}, {percent} %", trace.name);
            let free_moka = trace.hits_of_moka(entries);
            let quick_cache = trace.hits_of_quick_cache(entries);
            cells.push(Cell { label, forewarm, lru, moka, free_moka, quick_cache });
        }
    }
    Ok(cells)
}

/// One of the hit ratios of a cell.
type Of = fn(&Cell) -> f64;

fn figures(cells: &[Cell]) -> Vec<Figure> {
    let rivals: [(&str, Of); 4] = [
        ("moka", |cell| cell.moka),
        ("moka left to itself", |cell| cell.free_moka),
        ("quick_cache", |cell| cell.quick_cache),
        ("LRU", |cell| cell.lru),
    ];
    let mean = |of: &dyn Fn(&Cell) -> f64| cells.iter().map(of).sum::<f64>() / cells.len() as f64;
    let ours = mean(&|cell| cell.forewarm);
    let mut figures: Vec<_> = rivals
        .iter()
        .map(|(name, of)| {
            let (ahead, theirs) = (mean(&|cell| cell.forewarm - of(cell)), mean(of));
            Figure::new(14, format!("{NAME} over {name}"), ahead, "points")
                .judged(LIMITS)
                .noting(format!("{ours:.2} and {theirs:.2} % of the reads, {} cells", cells.len()))
        })
        .collect();
    let lost = |cell: &Cell| cell.forewarm - cell.moka.max(cell.lru);
    let worst = cells.iter().min_by(|a, b| lost(a).total_cmp(&lost(b)));
    figures.extend(worst.map(|worst| {
        let aim = Limits { gate: None, ..Limits::at_least(WORST, WORST) };
        Figure::new(14, "worst cell, over the better of moka and LRU", lost(worst), "points")
            .judged(aim)
            .noting(worst.label.clone())
    }));
    figures.extend(cells.iter().map(|cell| {
        let Cell { label, forewarm, lru, moka, free_moka, quick_cache } = cell;
        Figure::new(14, format!("hit ratio: {label}"), *forewarm, "%")
            .noting(format!(
            "LRU {lru:.1}, moka {moka:.1} ({free_moka:.1} left to itself), quick_cache {quick_cache:.1}"
        ))
    }));
    figures
}

fn traces(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = folder.read_dir().map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| {
        let name = file.to_string_lossy();
        name.ends_with(".csv") || name.ends_with(".csv.xz")
    });
    files.sort();
    Ok(files)
}

/// A row of `forewarm replay --json`, as far as it is used.
#[derive(Deserialize)]
struct Row {
    policy: String,
    hit_ratio: f64,
}

/// The hit ratios of forewarm without preloading, of LRU, and of moka; all requests count.
fn replayed(file: &Path, entries: usize) -> Result<[f64; 3], String> {
    const POLICIES: [&str; 3] = ["demand", "lru", "moka"];
    let mut command = Command::new(FOREWARM);
    command.arg("replay").arg(file).args(["--ttl", "none", "--warmup", "0", "--json"]);
    command.args(["--capacity", &entries.to_string()]);
    for policy in POLICIES {
        command.args(["--policy", policy]);
    }
    let output = command.output().map_err(|error| format!("{FOREWARM}: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let rows: Vec<Row> =
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    Ok(POLICIES.map(|policy| {
        let row = rows.iter().find(|row| row.policy == policy);
        row.map_or(f64::NAN, |row| row.hit_ratio * 100.0)
    }))
}

/// The keys that are read, one after the other.
struct Trace {
    name: String,
    reads: Vec<u32>,
    keys: usize,
}

impl Trace {
    fn read(file: &Path) -> Result<Self, String> {
        let wrong = |what: &str| format!("{}: {what}", file.display());
        let packed = File::open(file).map_err(|error| wrong(&error.to_string()))?;
        let packed = BufReader::new(packed);
        let is_packed = file.extension().is_some_and(|extension| extension == "xz");
        let source: Box<dyn Read> =
            if is_packed { Box::new(XzReader::new(packed, true)) } else { Box::new(packed) };
        let mut lines = BufReader::new(source).lines();
        let mut next = || lines.next().transpose().map_err(|error| wrong(&error.to_string()));
        let header = next()?.unwrap_or_default();
        let column = header.split(',').position(|name| name == "key");
        let column = column.ok_or_else(|| wrong("there is no column `key`"))?;
        let (mut reads, mut numbers) = (Vec::new(), HashMap::new());
        while let Some(line) = next()? {
            let key = line.split(',').nth(column).ok_or_else(|| wrong("a line is too short"))?;
            let number = u32::try_from(numbers.len()).unwrap();
            reads.push(*numbers.entry(key.to_owned()).or_insert(number));
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.split('.').next().unwrap_or_default().to_owned();
        Ok(Self { name, reads, keys: numbers.len() })
    }

    /// The hit ratio of moka, left to itself, with room for so many entries; in percent.
    fn hits_of_moka(&self, entries: usize) -> f64 {
        let cache = moka::sync::Cache::new(entries as u64);
        self.hits(|key| {
            let is_held = cache.get(&key).is_some();
            if !is_held {
                cache.insert(key, ());
            }
            is_held
        })
    }

    /// The same of `quick_cache`.
    fn hits_of_quick_cache(&self, entries: usize) -> f64 {
        let cache = quick_cache::sync::Cache::new(entries);
        self.hits(|key| {
            let is_held = cache.get(&key).is_some();
            if !is_held {
                cache.insert(key, ());
            }
            is_held
        })
    }

    /// The share of the reads that hit, in percent.
    fn hits(&self, mut is_hit: impl FnMut(u32) -> bool) -> f64 {
        let hits = self.reads.iter().filter(|key| is_hit(**key)).count();
        hits as f64 / self.reads.len() as f64 * 100.0
    }
}
