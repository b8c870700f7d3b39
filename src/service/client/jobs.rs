//! `forewarm jobs`: work at set times.

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Target, instant};
use crate::service::console::{self, Failure, align_numbers, harmless};

/// Lists the jobs of a service, runs them, and says what came of it.
#[derive(Args, Debug)]
pub(in crate::service) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the jobs; so does no command.
    List,
    /// Has a job run now, paused or not.
    Trigger {
        /// The job.
        id: String,
    },
    /// Lists the latest runs of a job, newest first.
    Runs {
        /// The job.
        id: String,
        /// How many runs at most, 1 to 1,000.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000), value_name = "N")]
        limit: u16,
    },
    /// Stops running a job when it is due, on this node.
    Pause {
        /// The job.
        id: String,
    },
    /// Ends a pause.
    Resume {
        /// The job.
        id: String,
    },
}

#[derive(Debug, Deserialize)]
struct Job {
    name: String,
    triggers: Vec<String>,
    next_run: Option<Timestamp>,
    is_paused: bool,
    running: u64,
    waiting: u64,
    last_success: Option<Timestamp>,
    consecutive_failures: u64,
}

#[derive(Debug, Deserialize)]
struct Run {
    run_id: String,
    reason: String,
    scheduled: Timestamp,
    started: Option<Timestamp>,
    #[serde(default, with = "crate::span::optional")]
    took: Option<Duration>,
    attempts: u64,
    outcome: Option<String>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Triggered {
    message: String,
    run_id: String,
}

#[derive(Debug, Deserialize)]
struct Told {
    message: String,
}

pub(in crate::service) fn run(options: &Options) -> Result<(), Failure> {
    super::run(ask(options))
}

async fn ask(options: &Options) -> Result<(), Failure> {
    let target = &options.target;
    let client = target.client()?;
    match options.command.as_ref().unwrap_or(&Command::List) {
        Command::List => {
            let answer = client.get(&["admin", "jobs"], &[]).await?;
            answer.print(target, |jobs: Vec<Job>| list(&jobs))
        }
        Command::Trigger { id } => {
            let answer = client.post(&["admin", "jobs", id, "trigger"], None).await?;
            answer.print(target, |told: Triggered| {
                format!("{}: run {}", harmless(&told.message), harmless(&told.run_id))
            })
        }
        Command::Runs { id, limit } => {
            let terms = [("limit", &*limit.to_string())];
            let answer = client.get(&["admin", "jobs", id, "runs"], &terms).await?;
            answer.print(target, |runs: Vec<Run>| list_runs(&runs))
        }
        Command::Pause { id } => {
            let answer = client.post(&["admin", "jobs", id, "pause"], None).await?;
            answer.print(target, |told: Told| harmless(&told.message))
        }
        Command::Resume { id } => {
            let answer = client.post(&["admin", "jobs", id, "resume"], None).await?;
            answer.print(target, |told: Told| harmless(&told.message))
        }
    }
}

fn list(jobs: &[Job]) -> String {
    if jobs.is_empty() {
        return "No job is declared.".to_owned();
    }
    let header = ["job", "due", "next run", "last success", "running", "waiting", "failures"];
    let mut table = console::table(header);
    align_numbers(&mut table, 4);
    let or_none = |at: Option<Timestamp>| at.map_or_else(|| "none".to_owned(), instant);
    for job in jobs {
        let due = match job.triggers.as_slice() {
            [] => "by hand".to_owned(),
            triggers => harmless(&triggers.join("; ")),
        };
        let next = if job.is_paused { "paused".to_owned() } else { or_none(job.next_run) };
        table.add_row([
            harmless(&job.name),
            due,
            next,
            or_none(job.last_success),
            job.running.to_string(),
            job.waiting.to_string(),
            job.consecutive_failures.to_string(),
        ]);
    }
    table.to_string()
}

fn list_runs(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "No run is known.".to_owned();
    }
    let mut table =
        console::table(["run", "why", "due at", "started", "outcome", "error", "attempts", "took"]);
    align_numbers(&mut table, 6);
    for run in runs {
        let took = run.took.map_or_else(String::new, |span| format!("{:.3}s", span.as_secs_f64()));
        let under_way = if run.started.is_some() { "running" } else { "waiting" };
        table.add_row([
            harmless(&run.run_id),
            harmless(&run.reason),
            instant(run.scheduled),
            run.started.map_or_else(String::new, instant),
            harmless(run.outcome.as_deref().unwrap_or(under_way)),
            harmless(run.error.as_deref().unwrap_or_default()),
            run.attempts.to_string(),
            took,
        ]);
    }
    table.to_string()
}
