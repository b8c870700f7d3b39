//! What runs came to, for people and for programs.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: &'static str,
    pub(crate) title: &'static str,
    /// What was left out of the protocol; `None` if it was whole.
    pub(crate) without: Option<&'static str>,
    /// The different states that were explored, or the walks that were made.
    pub(crate) states: usize,
    /// The steps that were taken, with those that led to a state that was known.
    pub(crate) steps: usize,
    pub(crate) seconds: f64,
    pub(crate) outcome: Outcome,
    pub(crate) verdict: Verdict,
    /// What happened in any of the states.
    pub(crate) seen: Vec<&'static str>,
    /// How a promise was broken.
    pub(crate) trace: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Everything was explored, and nothing stale was read.
    Holds,
    /// So it was in random walks, which prove nothing.
    Unbroken,
    Broken {
        promise: &'static str,
        steps: usize,
        seed: Option<u64>,
    },
    /// There were too many states. Nothing stale was read in those that were explored.
    Cut {
        states: usize,
    },
    /// Nothing stale was read, but nor did happen what the scenario is about.
    NeverSeen {
        event: &'static str,
    },
}

/// What is to be thought of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Expected,
    Wrong,
    /// Nothing was expected.
    Informative,
}

impl Report {
    /// What it was about: the protocol, or what it was without.
    fn protocol(&self) -> String {
        self.without.map_or_else(|| format!("whole: {}", self.title), |what| format!("- {what}"))
    }

    /// The run in a line, while others are still to come.
    pub(crate) fn tell(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { scenario, states, seconds, outcome, .. } = self;
        let mark = if self.verdict == Verdict::Wrong { " WRONG" } else { "" };
        writeln!(
            out,
            "{scenario:7} {:60} {states:>10} {seconds:>6.1} s  {outcome}{mark}",
            self.protocol()
        )
    }

    /// How it went, step by step.
    pub(crate) fn tell_trace(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{} {}: {}", self.scenario, self.protocol(), self.outcome)?;
        writeln!(out, "  seen: {}", self.seen.join(", "))?;
        self.trace.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
        writeln!(out)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Unbroken => f.write_str("not broken"),
            Self::Broken { promise, steps, seed: None } => {
                write!(f, "{promise} broken in {steps} steps")
            }
            Self::Broken { promise, steps, seed: Some(seed) } => {
                write!(f, "{promise} broken in {steps} steps by seed {seed}")
            }
            Self::Cut { states } => write!(f, "cut at {states} states, not refuted"),
            Self::NeverSeen { event } => write!(f, "never seen: {event}"),
        }
    }
}

/// All runs of a command.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) is_ok: bool,
    pub(crate) seconds: f64,
    /// The most memory that this process has had, where the system tells.
    pub(crate) memory_max_mb: Option<u64>,
    pub(crate) runs: Vec<Report>,
}

impl Summary {
    pub(crate) fn of(runs: Vec<Report>, seconds: f64) -> Self {
        let is_ok = runs.iter().all(|run| run.verdict != Verdict::Wrong);
        Self { is_ok, seconds, memory_max_mb: memory_max_mb(), runs }
    }

    /// A table in Markdown, and what it comes to.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "| scenario | protocol | states | steps | s | result |")?;
        writeln!(out, "|---|---|--:|--:|--:|---|")?;
        for run in &self.runs {
            let Report { scenario, states, steps, seconds, outcome, .. } = run;
            let mark = if run.verdict == Verdict::Wrong { " **wrong**" } else { "" };
            let protocol = run.protocol();
            writeln!(
                out,
                "| {scenario} | {protocol} | {states} | {steps} | {seconds:.1} | {outcome}{mark} |"
            )?;
        }
        let count = |verdict| self.runs.iter().filter(|run| run.verdict == verdict).count();
        write!(out, "\n{} runs, {} wrong", self.runs.len(), count(Verdict::Wrong))?;
        write!(out, ", in {:.0} s", self.seconds)?;
        match self.memory_max_mb {
            Some(mb) => writeln!(out, " and {mb} MB at most"),
            None => writeln!(out),
        }
    }
}

/// Linux tells it in kB; elsewhere nothing is told.
fn memory_max_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok().map(|kb: u64| kb / 1_024)
}
