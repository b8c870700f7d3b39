//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod app;
mod console;
mod demo;
mod document;
mod exporter;
mod logs;
mod replay;
mod report;
mod serve;
mod settings;
mod source;
mod verify;
mod web;

/// Keeps hot keys warm: a two-tier cache that loads keys before they are asked for.
#[derive(Debug, Parser)]
#[command(name = "forewarm", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Options),
    Demo(demo::Options),
    Replay(replay::Options),
    Verify(verify::Options),
    /// One of the processes of `verify`, which starts them itself.
    #[command(name = verify::NODE, hide = true)]
    VerifyNode,
}

/// Runs the command; the whole of the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Serve(options) => serve::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Verify(options) => return verify::run(&options),
        Command::VerifyNode => verify::run_node(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::complain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}
