//! Goal 10: beside the algorithm of an older preloader, written in Python as its description has it.

use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use forewarm::Policy;
use forewarm::measured::record_absent;
use futures_util::FutureExt as _;

use crate::cpu::cpu_time;
use crate::figure::{Figure, Limits};
use crate::keys::names;
use crate::turns::{Case, Effort, Turns, in_turns, per_operation};
use crate::world::{engine, policy, runtime};

const GOAL: u8 = 10;
/// Rounds, since one of the yardstick's takes a second.
const ROUNDS: usize = 7;
/// Keys that fit below its limit.
const KNOWN: usize = 500;
const HELD: usize = 1_000_000;

const GET: Limits = Limits::at_least(10.0, 18.0);
const NEW_KEY: Limits = Limits::at_least(1_000.0, 3_000.0);
const TOP: Limits = Limits::at_least(30.0, 400.0);

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    if effort.is_trial {
        return missing("not in a trial: it takes a minute");
    }
    let Some(mut python) = Python::start() else {
        return missing("needs python3");
    };
    let mut figures = gets(&mut python, effort);
    figures.extend(new_keys(&mut python, effort));
    figures.extend(top(&mut python));
    figures
}

fn missing(why: &str) -> Vec<Figure> {
    let rows = [("whole get", GET), ("new key at the limit", NEW_KEY), ("hottest of 1M", TOP)];
    rows.map(|(name, limits)| Figure::missing(GOAL, name, limits, why)).into()
}

/// A read of a key that both know, with everything on, beside the record alone.
fn gets(python: &mut Python, effort: Effort) -> Vec<Figure> {
    let runtime = runtime();
    let (_forewarm, resource) = runtime.block_on(engine(policy(4 * KNOWN as u64)));
    let names = names(KNOWN);
    runtime.block_on(async {
        for name in &names {
            resource.get(name.as_str()).await.unwrap();
        }
    });
    let _entered = runtime.enter();
    let theirs = Case::new("record in Python", Limits::NONE, || python.ask("known", 50_000));
    let ours = Case::new("get", GET, || {
        let keys = names.iter().cycle().take(effort.reads);
        let began = cpu_time();
        keys.for_each(|key| drop(black_box(resource.get(key.as_str()).now_or_never())));
        per_operation(cpu_time() - began, effort.reads)
    });
    in_turns(turns("whole get, below its limit"), theirs, vec![ours])
}

/// The record of a read of a key that nobody has seen, where as many are tracked as may be.
fn new_keys(python: &mut Python, effort: Effort) -> Vec<Figure> {
    let runtime = runtime();
    let tracked = Policy { tracked_keys: 1_000, ..policy(1_000) };
    let (_forewarm, resource) = runtime.block_on(engine(tracked));
    let mut random = fastrand::Rng::with_seed(3);
    let _entered = runtime.enter();
    let theirs = Case::new("record in Python", Limits::NONE, || python.ask("new", 500));
    let ours = Case::new("record, through the lock", NEW_KEY, || {
        let hashes: Vec<u64> = (0..effort.reads).map(|_| random.u64(..)).collect();
        let began = cpu_time();
        hashes.iter().for_each(|hash| record_absent(&resource, *hash));
        per_operation(cpu_time() - began, effort.reads)
    });
    in_turns(turns("new key, at its limit"), theirs, vec![ours])
}

/// The hottest keys of a million.
fn top(python: &mut Python) -> Vec<Figure> {
    let runtime = runtime();
    let (_forewarm, resource) = runtime.block_on(engine(policy(4 * HELD as u64)));
    let names = names(HELD);
    runtime.block_on(async {
        for name in &names {
            resource.get(name.as_str()).await.unwrap();
        }
        // As in the script.
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..HELD {
            let place = (random.f64().powi(4) * HELD as f64) as usize;
            resource.get(names[place].as_str()).await.unwrap();
        }
    });
    let theirs = Case::new("get_preload_keys in Python", Limits::NONE, || python.ask("top", 1));
    let ours = Case::new("hot_keys(100)", TOP, || {
        let began = cpu_time();
        black_box(resource.hot_keys(100));
        per_operation(cpu_time() - began, 1)
    });
    in_turns(turns("hottest of 1,000,000 keys"), theirs, vec![ours])
}

fn turns(what: &str) -> Turns<'_> {
    Turns { goal: GOAL, what, unit: "ns", rounds: ROUNDS }
}

/// The script, which waits for what it is to do.
struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    /// None where there is no Python.
    fn start() -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/side_by_side/system3.py");
        let mut command = Command::new("python3");
        let command = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().ok()?;
        let (input, output) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut python = Self { child, input, output };
        // A script that cannot run says nothing.
        python.try_ask("known", 1).map(|_| python)
    }

    /// Nanoseconds of one operation of this kind, of so many.
    fn ask(&mut self, what: &str, count: usize) -> f64 {
        self.try_ask(what, count).unwrap()
    }

    fn try_ask(&mut self, what: &str, count: usize) -> Option<f64> {
        writeln!(self.input, "{what} {count}").ok()?;
        let mut line = String::new();
        self.output.read_line(&mut line).ok()?;
        line.trim().parse().ok()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
