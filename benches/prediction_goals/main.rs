//! The goals of prediction, each with its figure and its gate.
//!
//! Everything is measured with `forewarm replay`, and so with the engine that ships, under its
//! defaults. A gate that is missed is told and no failure: it ends with 1 only if something could
//! not be run. Traces that are not there are skipped, as is what the command cannot do.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints what it measures")]
#![expect(clippy::cast_precision_loss, reason = "counts of cells")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};

use self::line::{HEADER, Line};
use self::plan::Plan;
use self::replays::Results;
use self::traces::Scope;

mod budgets;
mod capacity;
mod front;
mod honesty;
mod limits;
mod line;
mod mithril;
mod no_harm;
mod plan;
mod replays;
mod rivals;
mod setting;
mod traces;

/// Runs the goals of prediction, and tells which gates hold.
#[derive(Debug, Parser)]
struct Options {
    /// Prints an array of objects, with all single figures, instead of a table.
    #[arg(long)]
    json: bool,
    /// Replays two small traces only. All benchmarks call it `--test`.
    #[arg(long, alias = "test")]
    quick: bool,
    /// The folder of the recorded requests. Without it, that of `FOREWARM_TRACES`.
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let scope = if options.quick { Scope::Quick } else { Scope::Everything };
    let help = match replays::help() {
        Ok(help) => help,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::FAILURE;
        }
    };
    let progress = progress_bar();
    let results = Results::of(plan(scope), &options.folder(), &help, &progress);
    progress.finish_and_clear();
    let lines = lines(&results, scope);
    if options.json {
        match serde_json::to_string_pretty(&lines) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("error: {error}"),
        }
    } else {
        println!("{}", table(&lines));
    }
    ExitCode::from(u8::from(results.have_failures()))
}

impl Options {
    /// Where the traces are; the tests look for them in the same places.
    fn folder(&self) -> PathBuf {
        let beside = || concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traces").into();
        let named = || std::env::var_os("FOREWARM_TRACES").map(PathBuf::from);
        self.traces.clone().or_else(named).unwrap_or_else(beside)
    }
}

fn plan(scope: Scope) -> Plan {
    let mut plan = Plan::default();
    budgets::plan(&mut plan);
    rivals::plan(&mut plan, scope);
    capacity::plan(&mut plan, scope);
    no_harm::plan(&mut plan, scope);
    honesty::plan(&mut plan, scope);
    limits::plan(&mut plan, scope);
    plan
}

fn lines(results: &Results, scope: Scope) -> Vec<Line> {
    [
        budgets::lines(results),
        rivals::lines(results, scope),
        capacity::lines(results, scope),
        no_harm::lines(results, scope),
        honesty::lines(results, scope),
        limits::lines(results, scope),
    ]
    .concat()
}

/// On standard error, where that is a terminal. Requests count, since replays differ in length.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0).with_message("replaying");
    let template = "{msg} {bar:40} {percent:>3} % {elapsed} gone, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(500));
    bar
}

/// All lines but those that another one sums up and whose gate holds.
fn table(lines: &[Line]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(HEADER);
    for column in table.column_iter_mut().skip(2).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in lines.iter().filter(|line| !line.is_detail || line.ok == Some(false)) {
        table.add_row(line.cells());
    }
    table
}
