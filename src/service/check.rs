//! `forewarm check`: whether settings can work.

use std::path::PathBuf;
use std::{fmt, io};

use clap::Args;
use serde::Serialize;

use self::asking::ask_everything;
use super::console::{self, Failure, harmless};
use super::settings::{Origin, Settings};
use crate::error::ConfigError;

mod asking;
mod parts;

/// Checks a file of settings, and its queries.
///
/// Says what is wrong, all of it, and where it stands.
///
/// It reads them as `serve` does; then it looks whether every secret is where it should be, opens
/// each source and has it prepare each query, without running any. It serves nothing, changes
/// nothing, and does not open L2, which another process may be using.
///
/// Ends with 3 if something was refused, and with 1 if nothing was but a source was not reached.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The file of settings, in TOML.
    #[arg(long, short, default_value = "forewarm.toml", value_name = "FILE")]
    config: PathBuf,
    /// Asks nobody: looks for no secrets and opens no source.
    #[arg(long)]
    offline: bool,
    /// Prints what was found in JSON.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Found {
    /// What is wrong; nothing if it is well.
    problems: Vec<Problem>,
    /// What was looked at.
    checked: Vec<Checked>,
}

/// Something that is wrong.
#[derive(Clone, Debug, Serialize)]
struct Problem {
    kind: Kind,
    /// Where it stands, and what it is.
    text: String,
}

/// What kind of wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// It cannot work.
    Refused,
    /// Somebody who must be asked does not answer.
    Unreached,
}

/// Something that was looked at.
#[derive(Debug, Eq, PartialEq, Serialize)]
struct Checked {
    /// The setting, such as `resources.user`.
    part: String,
    /// What of it.
    what: Vec<String>,
}

/// Settings that cannot work, or could not be tried.
#[derive(Debug)]
pub(super) struct CheckError {
    file: PathBuf,
    refused: usize,
    unreached: usize,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let origin = Origin::of_process(&options.config);
    let found = find(&origin, options.offline)?;
    let count = |kind| found.problems.iter().filter(|problem| problem.kind == kind).count();
    let error = CheckError {
        file: options.config.clone(),
        refused: count(Kind::Refused),
        unreached: count(Kind::Unreached),
    };
    let is_well = found.problems.is_empty();
    if options.json {
        console::print(&serde_json::to_string_pretty(&found)?)?;
    } else if is_well {
        console::print(&found.text(&options.config.display().to_string(), options.offline))?;
    } else {
        for problem in &found.problems {
            // What is quoted of a file may be anything.
            let lines: Vec<_> = problem.text.lines().map(harmless).collect();
            console::note(&lines.join("\n"));
        }
    }
    if is_well { Ok(()) } else { Err(error.into()) }
}

fn find(origin: &Origin, is_offline: bool) -> io::Result<Found> {
    let settings = match origin.read() {
        Ok(settings) => settings,
        Err(error) => {
            let problems = error.problems().iter().map(Problem::refused);
            return Ok(Found { problems: problems.collect(), checked: Vec::new() });
        }
    };
    let mut found = Found { checked: parts::of(&settings), problems: Vec::new() };
    if !is_offline {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        found.problems = runtime.block_on(ask_everything(origin, &settings));
    }
    Ok(found)
}

impl Problem {
    fn refused(text: impl Into<String>) -> Self {
        Self { kind: Kind::Refused, text: text.into() }
    }
}

impl Found {
    fn text(&self, file: &str, is_offline: bool) -> String {
        let mut table = console::table(["setting", "what was looked at"]);
        for Checked { part, what } in &self.checked {
            table.add_row([harmless(part), what.join(", ")]);
        }
        let count = |part: &str| {
            let of_part = |checked: &&Checked| checked.part.starts_with(part);
            let word = part.trim_end_matches("s.");
            several(self.checked.iter().filter(of_part).count(), word)
        };
        let depth = if is_offline {
            "No source was asked, and no secret looked for."
        } else {
            "Every source answers and takes every query."
        };
        format!(
            "{table}\n{}: {}, {}, {}, {}; nothing is wrong. {depth}",
            harmless(file),
            count("sources."),
            count("resources."),
            count("snapshots."),
            count("jobs."),
        )
    }
}

/// A count and its word.
fn several(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

impl CheckError {
    /// Whether a setting cannot work, rather than that somebody did not answer.
    pub(super) const fn is_refused(&self) -> bool {
        self.refused > 0
    }
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, refused, unreached } = self;
        let file = harmless(&file.display().to_string());
        match (refused, unreached) {
            (refused, 0) => write!(f, "{file}: {}", several(*refused, "problem")),
            (0, unreached) => write!(f, "{file}: {} not reached", several(*unreached, "source")),
            (refused, unreached) => write!(
                f,
                "{file}: {}, and {} not reached",
                several(*refused, "problem"),
                several(*unreached, "source"),
            ),
        }
    }
}

impl std::error::Error for CheckError {}

/// What [`Origin::locate`] says of one setting.
fn located(origin: &Origin, error: ConfigError) -> Problem {
    Problem::refused(origin.locate(&[error]).to_string())
}

/// The settings, as far as [`App::build`](super::app::App::build) can be tried with them: without what
/// others may be using.
fn harmless_settings(settings: &Settings) -> Settings {
    let mut tried = settings.clone();
    tried.l2 = None;
    tried.engine.memory.file = None;
    tried
}
