//! `forewarm verify`: is anything stale?

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use self::pace::Rates;
use self::report::Report;
use self::store::Kind;
use self::trial::{Terms, Trial, Until};
use super::console::{self, Failure};

mod checker;
mod counters;
mod fault;
mod file;
mod fleet;
mod history;
mod loads;
mod nemesis;
mod node;
mod pace;
mod place;
mod reader;
mod recovery;
mod report;
mod route;
mod rows;
mod samples;
mod store;
mod story;
mod totals;
mod trial;
mod unfenced;
mod usage;
mod writer;

pub(super) use self::fleet::COMMAND as NODE;
pub(super) use self::node::run as run_node;

/// Looks for stale reads on a real L2.
///
/// Several processes read and change the same keys through it, while it and the network before it
/// fail.
/// Each process writes down what it read and changed, and when; then it is checked that every read
/// gave what had to be known by then. A second, shorter run goes through an L2 that takes old values
/// and tells of no changes: in that one, stale reads must be found.
///
/// Ends with 0 if nothing was stale, with 1 if something was, and with 2 if it could not be found
/// out.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// What the L2 is.
    #[arg(long, value_enum, value_name = "sqlite|redis|postgres")]
    l2: Kind,
    /// Where it is: a URL, or a file for SQLite. It is not made to fail then, and keeps what
    /// was stored: in Redis under `forewarm-verify`, in PostgreSQL in the schema
    /// `forewarm_verify`. Without it, there is one of our own, which is removed in the end.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// How many processes there are, 2 to 16.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=16), value_name = "N")]
    nodes: u32,
    /// How long they read and change; at least 1s.
    #[arg(long, default_value = "60s", value_parser = parse_duration, conflicts_with = "gets", value_name = "SPAN")]
    duration: Duration,
    /// How many reads they make, instead of how long.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    gets: Option<u64>,
    /// How many keys there are, 8 to 4096.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..=4_096), value_name = "N")]
    keys: u32,
    /// How many reads a second they make, all together; as many as there are, if it is not said.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "N")]
    reads_per_second: Option<u32>,
    /// The same for changes.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    changes_per_second: Option<u32>,
    /// The coherence window, 250ms to 60s.
    #[arg(long, default_value = "2s", value_parser = parse_window, value_name = "SPAN")]
    window: Duration,
    /// Chooses the random numbers. What happens at the same time is left to the system.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Whether things are made to fail.
    #[arg(long, value_enum, default_value = "on", value_name = "WHETHER")]
    nemesis: Switch,
    /// How often something is made to fail, 1s or more; after pauses of chance, if it is not said.
    #[arg(long, value_parser = parse_duration, value_name = "SPAN")]
    fault_every: Option<Duration>,
    /// Prints an object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Something was stale.
const STALE: u8 = 1;
/// It could not be found out.
const UNKNOWN: u8 = 2;

pub(super) fn run(options: &Options) -> ExitCode {
    match options.report() {
        Ok(report) if report.is_good() => ExitCode::SUCCESS,
        Ok(report) => {
            report.complain();
            ExitCode::from(if report.is_blind() { UNKNOWN } else { STALE })
        }
        Err(error) => {
            console::complain(error.as_ref());
            ExitCode::from(UNKNOWN)
        }
    }
}

impl Options {
    fn report(&self) -> Result<Report, Failure> {
        self.url.as_deref().map_or(Ok(()), |url| self.l2.check(url))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (real, control) = runtime.block_on(self.run_both())?;
        let report = Report::new(self.l2, self.window, &real, &control);
        console::print(&if self.json {
            serde_json::to_string_pretty(&report)?
        } else {
            report.text()
        })?;
        Ok(report)
    }

    /// Makes both runs. Ctrl-C ends the first one early.
    async fn run_both(&self) -> Result<(Trial, Trial), Failure> {
        let stop = CancellationToken::new();
        let real = self.terms();
        let real = {
            let mut real = std::pin::pin!(real.run(&stop));
            tokio::select! {
                biased;
                pressed = tokio::signal::ctrl_c() => {
                    pressed?;
                    console::note("stopping early");
                    stop.cancel();
                    real.await?
                }
                real = &mut real => real?,
            }
        };
        let control = self.control_terms().run(&CancellationToken::new()).await?;
        Ok((real, control))
    }

    fn terms(&self) -> Terms {
        Terms {
            kind: self.l2,
            url: self.url.clone(),
            nodes: self.nodes,
            keys: self.keys,
            window: self.window,
            seed: self.seed,
            has_nemesis: self.nemesis == Switch::On,
            fault_every: self.fault_every,
            rates: Rates {
                reads: self.reads_per_second.map(f64::from),
                changes: self.changes_per_second.map(f64::from),
            },
            is_fenced: true,
            until: self.gets.map_or(Until::Passed(self.duration), Until::Reads),
        }
    }

    /// Long enough for what is stale to be so for longer than a window, and with as many changes as
    /// it takes for that.
    fn control_terms(&self) -> Terms {
        const AFTER_WINDOW: Duration = Duration::from_secs(2);
        let until = Until::Passed(self.window * 2 + AFTER_WINDOW);
        let rates = Rates::default();
        Terms { has_nemesis: false, is_fenced: false, rates, until, ..self.terms() }
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = console::parse_span(text)?;
    if duration < Duration::from_secs(1) {
        return Err("too short to find anything; use 1s or more".to_owned());
    }
    Ok(duration)
}

fn parse_window(text: &str) -> Result<Duration, String> {
    let window = console::parse_span(text)?;
    if (Duration::from_millis(250)..=Duration::from_mins(1)).contains(&window) {
        return Ok(window);
    }
    Err("use 250ms to 60s".to_owned())
}
