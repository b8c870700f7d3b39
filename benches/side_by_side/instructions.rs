//! Goal 5: the instructions that recording, freshness, fence and counters add to a hit.
//!
//! Times are too rough for so few, so callgrind counts: this program runs itself under it, with
//! some reads and with thrice as many, and the difference is that of the reads alone. The engine
//! works on a thread of its own, as it does in a service, and only what the reader does counts.

use std::hint::black_box;
use std::process::Command;

use forewarm::measured::bare_hit;
use futures_util::FutureExt as _;

use crate::figure::{Figure, Limits};
use crate::keys::names;
use crate::turns::Effort;
use crate::world::{Moka, engine, policy, value};

const GOAL: u8 = 5;
const LIMITS: Limits = Limits::at_most(40.0, 20.0);
const KEYS: usize = 1_000;
const READS: usize = 200_000;
/// Reads of each key before those that count.
const WARM_UP: usize = 300;

/// A way to read.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Way {
    Bare,
    Get,
    With,
    Moka,
}

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let missing = |why: &str| {
        vec![Figure::missing(GOAL, "get, over the bare hit of the same maps", LIMITS, why)]
    };
    if effort.is_trial {
        return missing("not in a trial: it takes a minute");
    }
    let Some(bare) = per_read("bare") else {
        return missing("needs valgrind");
    };
    let row = |name: &str, value: f64| Figure::new(GOAL, name, value, "instructions");
    let mut figures = vec![row("the hash, the map and the value of a hit, and nothing else", bare)];
    if let Some(get) = per_read("get") {
        figures.push(row("get", get));
        figures.push(row("get, over the bare hit", get - bare).judged(LIMITS));
    }
    let others = [("with", "with"), ("moka", "get of moka::future")];
    let others = others.map(|(way, name)| per_read(way).map(|value| row(name, value)));
    figures.extend(others.into_iter().flatten());
    figures
}

/// The instructions of a read. None where valgrind cannot count them.
fn per_read(way: &str) -> Option<f64> {
    let count = |reads: usize| under_callgrind(way, reads);
    Some((count(3 * READS)? - count(READS)?) / (2 * READS) as f64)
}

/// The instructions of the first thread of this program while it reads in this way.
fn under_callgrind(way: &str, reads: usize) -> Option<f64> {
    let folder = tempfile::tempdir().ok()?;
    let file = folder.path().join("counts");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe().ok()?)
        .args(["--read", way, "--count", &reads.to_string()])
        .output()
        .ok()?;
    let of_first = std::fs::read_to_string(folder.path().join("counts-01")).ok();
    let counts = output.status.success().then_some(of_first).flatten()?;
    let total = counts.lines().find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok()
}

/// Reads keys in one way, for somebody who counts.
pub(crate) fn read(way: Way, reads: usize) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let names = names(KEYS);
    let (_forewarm, resource) = runtime.block_on(engine(policy(4 * KEYS as u64)));
    let moka = Moka::new(4 * KEYS as u64);
    let _entered = runtime.enter();
    for name in &names {
        moka.insert(name.clone(), value()).now_or_never().unwrap();
        resource.get(name.as_str()).now_or_never().unwrap().unwrap();
    }
    let keys = || names.iter().map(String::as_str).cycle().take(WARM_UP * KEYS + reads);
    match way {
        Way::Bare => keys().for_each(|key| drop(black_box(bare_hit(&resource, key)))),
        Way::Get => keys().for_each(|key| drop(black_box(resource.get(key).now_or_never()))),
        Way::With => keys().for_each(|key| {
            let first = resource.with(key, |value| value.map(|value| value[0]));
            drop(black_box(first.now_or_never()));
        }),
        Way::Moka => keys().for_each(|key| drop(black_box(moka.get(key).now_or_never()))),
    }
}
