//! Goal 5: the instructions that recording, freshness, fence and counters add to a hit.
//!
//! Times are too rough for so few, so callgrind counts: this program runs itself under it, with
//! some reads and with thrice as many, and the difference is that of the reads alone. What is judged
//! is counted while the learner rests, so that two counts are the same; beside it stands what a
//! reader pays while it works on a thread of its own, whose instructions are not counted.

use std::hint::black_box;
use std::process::Command;

use forewarm::measured::bare_hit;
use futures_util::FutureExt as _;
use tokio::runtime::Builder;

use crate::ageing::World;
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

/// What callgrind is to look at.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Work {
    Bare,
    Get,
    /// As `Get`, while the learner works.
    Learned,
    With,
    Moka,
    /// Misses of new keys, whose load is ready at once.
    Miss,
    /// Seconds of the work in the background, with 30,000 entries.
    Tick,
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
    let others = [
        ("learned", "get, while the learner works"),
        ("with", "with"),
        ("moka", "get of moka::future"),
    ];
    let others = others.map(|(work, name)| per_read(work).map(|value| row(name, value)));
    figures.extend(others.into_iter().flatten());
    figures
}

/// The instructions of a read. None where valgrind cannot count them.
fn per_read(work: &str) -> Option<f64> {
    let count = |reads: usize| under_callgrind(work, reads);
    Some((count(3 * READS)? - count(READS)?) / (2 * READS) as f64)
}

/// The instructions of the first thread of this program while it does this.
fn under_callgrind(work: &str, reads: usize) -> Option<f64> {
    let folder = tempfile::tempdir().ok()?;
    let file = folder.path().join("counts");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe().ok()?)
        .args(["--run", work, "--count", &reads.to_string()])
        .output()
        .ok()?;
    let of_first = std::fs::read_to_string(folder.path().join("counts-01")).ok();
    let counts = output.status.success().then_some(of_first).flatten()?;
    let total = counts.lines().find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok()
}

/// Does this so many times, for somebody who counts.
pub(crate) fn run(work: Work, times: usize) {
    if matches!(work, Work::Tick) {
        let mut world = World::new(30_000, 1);
        (0..times).for_each(|_| {
            world.read_new();
            world.let_pass();
        });
        return;
    }
    let mut builder = match work {
        Work::Learned => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    };
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let names = names(KEYS);
    let (_forewarm, resource) = runtime.block_on(engine(policy(4 * KEYS as u64)));
    let moka = Moka::new(4 * KEYS as u64);
    let _entered = runtime.enter();
    for name in &names {
        moka.insert(name.clone(), value()).now_or_never().unwrap();
        resource.get(name.as_str()).now_or_never().unwrap().unwrap();
    }
    let keys = || names.iter().map(String::as_str).cycle().take(WARM_UP * KEYS + times);
    match work {
        Work::Bare => keys().for_each(|key| drop(black_box(bare_hit(&resource, key)))),
        Work::Get | Work::Learned => at_once(async {
            for key in keys() {
                black_box(resource.get(key).await.unwrap());
            }
        }),
        Work::With => at_once(async {
            for key in keys() {
                let first = resource.with(key, |value| value.map(|value| value[0]));
                black_box(first.await.unwrap());
            }
        }),
        Work::Moka => at_once(async {
            for key in keys() {
                black_box(moka.get(key).await);
            }
        }),
        Work::Miss => (0..times).for_each(|nth| {
            let key = format!("user:profile:new:{nth:08}");
            drop(black_box(resource.get(key.as_str()).now_or_never()));
        }),
        Work::Tick => {}
    }
}

/// Runs what has nothing to wait for.
fn at_once(work: impl Future<Output = ()>) {
    work.now_or_never().unwrap();
}
