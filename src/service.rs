//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod app;
mod check;
mod client;
mod console;
mod demo;
mod document;
mod exit;
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
#[command(
    name = "forewarm",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = exit::HELP
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(after_help = exit::HELP)]
    Serve(serve::Options),
    #[command(after_help = exit::HELP)]
    Check(check::Options),
    #[command(after_help = exit::HELP)]
    Health(client::health::Options),
    #[command(after_help = exit::HELP)]
    Stats(client::stats::Options),
    #[command(after_help = exit::HELP)]
    HotKeys(client::hot_keys::Options),
    #[command(after_help = exit::HELP)]
    Explain(client::explain::Options),
    #[command(after_help = exit::HELP)]
    Jobs(client::jobs::Options),
    #[command(after_help = exit::HELP)]
    Invalidate(client::invalidate::Options),
    #[command(after_help = exit::HELP)]
    Warm(client::warm::Options),
    #[command(after_help = exit::OF_ITS_OWN)]
    Demo(demo::Options),
    #[command(after_help = exit::OF_ITS_OWN)]
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
        Command::Check(options) => check::run(&options),
        Command::Health(options) => client::health::run(&options),
        Command::Stats(options) => client::stats::run(&options),
        Command::HotKeys(options) => client::hot_keys::run(&options),
        Command::Explain(options) => client::explain::run(&options),
        Command::Jobs(options) => client::jobs::run(&options),
        Command::Invalidate(options) => client::invalidate::run(&options),
        Command::Warm(options) => client::warm::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Verify(options) => return verify::run(&options),
        Command::VerifyNode => verify::run_node(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The log has said so.
        Err(error) if error.is::<serve::BrokenOff>() => exit::code_of(&error),
        Err(error) => {
            console::complain(error.as_ref());
            exit::code_of(&error)
        }
    }
}
