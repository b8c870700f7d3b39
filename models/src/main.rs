//! A model of how forewarm keeps nodes coherent, and the runs that check it; see `README.md`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use report::{Report, Summary};
use scenario::{Removal, Scenario};

mod chance;
mod change;
mod check;
mod event;
mod fault;
mod l2;
mod model;
mod poll;
mod protocol;
mod reader;
mod report;
mod scenario;
mod scenarios;
mod settle;
mod state;
mod trace;
mod turn;
mod walk;

/// Explores the coherence protocol, and shows what it would be without its mechanisms.
///
/// Ends with 1 if the whole protocol breaks a promise, or if it does not without a mechanism that
/// is needed.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Tells everything as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The small scenarios with all removals, and some random walks: for every change.
    Short,
    /// Larger scenarios as well, and more walks: for releases.
    Full,
    /// One scenario with its removals, and how each of them breaks a promise.
    Scenario { name: String },
    /// Random walks of everything at once, with consecutive seeds.
    Walk {
        walks: usize,
        #[arg(default_value_t = SEED)]
        seed: u64,
        /// Also walks without each of the mechanisms, which shows what walks would find.
        #[arg(long)]
        removals: bool,
    },
}

/// The seed of the first walk, if no other is asked for.
const SEED: u64 = 1;

/// The most steps of an exploration. A state that is known takes some 20 bytes if depth comes
/// first, and one that is still to be looked at some 700, of which breadth first has many.
const STEPS_MAX: Limits = Limits { whole: 60_000_000, removal: 6_000_000 };

#[derive(Debug)]
struct Limits {
    whole: usize,
    removal: usize,
}

const SHORT_WALKS: usize = 300_000;
const FULL_WALKS: usize = 3_000_000;

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let began = check::now();
    let mut runs = Vec::new();
    match &arguments.command {
        Command::Short => {
            explore_all(&scenarios::small(), &mut runs)?;
            tell(walk::walk(SHORT_WALKS, SEED, None), &mut runs)?;
        }
        Command::Full => {
            explore_all(&scenarios::small(), &mut runs)?;
            explore_all(&scenarios::larger(), &mut runs)?;
            tell(walk::walk(FULL_WALKS, SEED, None), &mut runs)?;
        }
        Command::Scenario { name } => {
            let Some(scenario) = find(name) else { return unknown(name) };
            explore_all(&[scenario], &mut runs)?;
        }
        Command::Walk { walks, seed, removals } => {
            tell(walk::walk(*walks, *seed, None), &mut runs)?;
            for removal in all_removals().iter().filter(|_| *removals) {
                tell(walk::walk(*walks, *seed, Some(removal)), &mut runs)?;
            }
        }
    }
    let summary = Summary::of(runs, began.elapsed().as_secs_f64());
    write(&arguments, &summary)?;
    Ok(if summary.is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Explores scenarios, each with the whole protocol, and then without what it can be without.
fn explore_all(scenarios: &[Scenario], runs: &mut Vec<Report>) -> io::Result<()> {
    for scenario in scenarios {
        tell(check::explore(scenario, None, STEPS_MAX.whole), runs)?;
        for removal in &scenario.removals {
            tell(check::explore(scenario, Some(removal), STEPS_MAX.removal), runs)?;
        }
    }
    Ok(())
}

/// Tells of a run that has ended, for those who wait for all.
fn tell(report: Report, runs: &mut Vec<Report>) -> io::Result<()> {
    report.tell(&mut io::stderr().lock())?;
    runs.push(report);
    Ok(())
}

fn find(name: &str) -> Option<Scenario> {
    scenarios::all().into_iter().find(|scenario| scenario.name == name)
}

fn unknown(name: &str) -> io::Result<ExitCode> {
    let mut out = io::stderr().lock();
    writeln!(out, "there is no scenario `{name}`, but these:")?;
    for Scenario { name, title, .. } in scenarios::all() {
        writeln!(out, "  {name:7} {title}")?;
    }
    Ok(ExitCode::from(2))
}

/// What can be left out, each once.
fn all_removals() -> Vec<Removal> {
    let mut all: Vec<Removal> = Vec::new();
    for removal in scenarios::all().into_iter().flat_map(|scenario| scenario.removals) {
        if !all.iter().any(|known| known.mechanisms == removal.mechanisms) {
            all.push(removal);
        }
    }
    all
}

fn write(arguments: &Arguments, summary: &Summary) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, summary)?;
        return writeln!(out);
    }
    // Whoever asks for one thing wants to know how it went; else only what is wrong needs that.
    let is_one = matches!(arguments.command, Command::Scenario { .. });
    for run in &summary.runs {
        if is_one || run.verdict == report::Verdict::Wrong {
            run.tell_trace(&mut out)?;
        }
    }
    summary.write(&mut out)
}
