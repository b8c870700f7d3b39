//! forewarm beside its yardsticks, in one process and in turns, so that whatever else the machine
//! does touches both. Prints a table of figures, each with the number of its goal; `--json` prints
//! them as an array.
//!
//! Times are processor time of the measuring threads. Each yardstick is measured twice, and its
//! ratio to itself shows what the figures can be trusted for.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints what it measures")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on has nothing to say"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts become ratios, and chances become places"
)]

use std::process::ExitCode;

use clap::Parser;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use self::figure::Figure;
use self::goal::{GOALS, Goal};
use self::turns::Effort;

mod absent;
mod ageing;
mod clean_build;
mod cpu;
mod drift;
mod figure;
mod goal;
mod growth;
mod hit_ratio;
mod hits;
mod hot_keys;
mod instructions;
mod keys;
mod memory;
mod misses;
mod resident;
mod system3;
mod tick;
mod tiers;
mod turns;
mod world;

/// Measures forewarm beside its yardsticks, and tells which gates hold.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
struct Options {
    /// Prints an array of objects instead of a table.
    #[arg(long)]
    json: bool,
    /// Measures this goal only; may be given several times. Without it, all that are quick.
    #[arg(long = "goal", value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=17))]
    goals: Vec<u8>,
    /// Measures what takes long too.
    #[arg(long)]
    all: bool,
    /// Does a little of everything, to see that it works.
    #[arg(long)]
    test: bool,
    /// Does this and ends: what callgrind is to look at.
    #[arg(long, hide = true)]
    run: Option<instructions::Work>,
    /// Fills this cache, and prints what an entry takes.
    #[arg(long, hide = true)]
    fill: Option<memory::Filled>,
    /// How many times, or entries.
    #[arg(long, hide = true, default_value_t = 1_000)]
    count: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(work) = options.run {
        instructions::run(work, options.count);
        return ExitCode::SUCCESS;
    }
    if let Some(filled) = options.fill {
        println!("{}", memory::fill(filled, options.count).unwrap_or(f64::NAN));
        return ExitCode::SUCCESS;
    }
    let effort = if options.test { Effort::TRIAL } else { Effort::FULL };
    let mut figures = Vec::new();
    for goal in GOALS.iter().filter(|goal| options.wants(goal)) {
        eprintln!("goal {}: {}", goal.number, goal.about);
        figures.extend(goal.measure(effort, options.all || !options.goals.is_empty()));
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&figures).unwrap());
    } else {
        println!("{}\n{}", table(&figures), growth::plot(&figures));
    }
    let is_missed = figures.iter().any(|figure| figure.ok == Some(false));
    ExitCode::from(u8::from(is_missed && !options.test))
}

impl Options {
    fn wants(&self, goal: &Goal) -> bool {
        self.goals.is_empty() || self.goals.contains(&goal.number)
    }
}

fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(figure::HEADER);
    for column in [0, 2, 3, 4, 5, 6, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for figure in figures {
        table.add_row(figure.cells());
    }
    table
}
