//! What came of it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use serde::Serialize;

use super::checker::{self, Account, Verdict};
use super::fault::Fault;
use super::history::{Event, Kind as ErrorKind, Member};
use super::nemesis::Stop;
use super::recovery::Recovery;
use super::store::Kind;
use super::story;
use super::totals::Totals;
use super::trial::Trial;
use super::usage::{Course, Taken, Usage};
use crate::service::console::{self, grouped};
use crate::stats::ratio;

/// What came of both runs.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    l2: &'static str,
    window_ms: u128,
    real: Figures,
    control: Figures,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stories: Vec<String>,
}

/// What came of a run.
#[derive(Debug, Serialize)]
struct Figures {
    seconds: f64,
    /// The reads that the engines counted, and by whom they were answered.
    reads: Totals,
    /// The reads that were checked.
    checked: u64,
    unverified: u64,
    applied: u64,
    queued: u64,
    stale_here: u64,
    stale_elsewhere: u64,
    /// The reads that failed, and the time that the slowest took, but for those of a node that was
    /// stopped meanwhile.
    errors: BTreeMap<ErrorKind, u64>,
    slowest_ms: f64,
    /// How often what was made to fail.
    faults: BTreeMap<Fault, u64>,
    recovery: Recovered,
    usage: Usage,
}

/// How long it took after a fault until all was well.
#[derive(Clone, Copy, Debug, Serialize)]
struct Recovered {
    p50_ms: Option<f64>,
    max_ms: Option<f64>,
    unfinished: u64,
}

impl Report {
    pub(super) fn new(kind: Kind, window: Duration, real: &Trial, control: &Trial) -> Self {
        let window_ns = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let verdict = checker::check(&real.accounts, window_ns);
        let tell = |stale| story::tell(stale, &real.accounts, window_ns);
        let stories = verdict.found.iter().map(tell).collect();
        let control_verdict = checker::check(&control.accounts, window_ns);
        let (real, control) =
            (Figures::new(real, &verdict), Figures::new(control, &control_verdict));
        Self { l2: kind.name(), window_ms: window.as_millis(), real, control, stories }
    }

    /// Whether nothing was stale, and something would have been seen to be.
    pub(super) fn is_good(&self) -> bool {
        self.real.stale() == 0 && !self.is_blind()
    }

    /// Whether nothing was found where there was something to be found.
    pub(super) fn is_blind(&self) -> bool {
        self.real.stale() == 0 && self.control.stale() == 0
    }

    /// Says what is wrong.
    pub(super) fn complain(&self) {
        if self.is_blind() {
            console::note(
                "error: the oracle is blind: no stale read was found in the control run either",
            );
        }
        for story in &self.stories {
            console::note(&format!("stale: {story}\n"));
        }
    }

    /// The table.
    pub(super) fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY);
        table.set_header(["", self.l2, "without permits"]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
        for ((name, real), (_, control)) in self.real.rows().into_iter().zip(self.control.rows()) {
            table.add_row([name.to_owned(), real, control]);
        }
        table.to_string()
    }
}

impl Figures {
    fn new(trial: &Trial, verdict: &Verdict) -> Self {
        let (mut applied, mut queued, mut slowest) = (0, 0, 0);
        let mut errors = BTreeMap::<_, u64>::new();
        for Account { member, events } in &trial.accounts {
            // Nobody answers in time while he cannot move.
            let is_timely = |event: &&Event| !was_stopped(&trial.havoc.stops, *member, event);
            for event in events {
                match event {
                    Event::Change(changed) if changed.is_applied => applied += 1,
                    Event::Change(_) => queued += 1,
                    Event::Read(_) | Event::Failed(_) => {}
                }
            }
            for event in events.iter().filter(is_timely) {
                match event {
                    Event::Read(reads) => slowest = slowest.max(reads.slowest),
                    Event::Failed(failed) => {
                        *errors.entry(failed.kind).or_default() += 1;
                        slowest = slowest.max(failed.end.saturating_sub(failed.start));
                    }
                    Event::Change(_) => {}
                }
            }
        }
        let mut faults = BTreeMap::<_, u64>::new();
        for incident in &trial.havoc.incidents {
            for fault in [Some(incident.fault), incident.within].into_iter().flatten() {
                *faults.entry(fault).or_default() += 1;
            }
        }
        Self {
            seconds: trial.took.as_secs_f64(),
            reads: trial.totals,
            checked: verdict.reads,
            unverified: verdict.unverified,
            applied,
            queued,
            stale_here: verdict.stale_here,
            stale_elsewhere: verdict.stale_elsewhere,
            errors,
            slowest_ms: millis(Duration::from_nanos(slowest)),
            faults,
            recovery: Recovered::new(&Recovery::of(&trial.havoc.incidents, &trial.accounts)),
            usage: trial.usage.clone(),
        }
    }

    const fn stale(&self) -> u64 {
        self.stale_here + self.stale_elsewhere
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let share = |part: u64| {
            format!("{} ({:.1} %)", grouped(part), ratio(part, self.reads.reads) * 100.0)
        };
        let Recovered { p50_ms, max_ms, unfinished } = self.recovery;
        let recovered = |ms: Option<f64>| ms.map_or_else(String::new, |ms| format!("{ms:.0} ms"));
        vec![
            ("seconds", format!("{:.1}", self.seconds)),
            ("reads", self.with_rate(self.reads.reads)),
            ("  from memory", share(self.reads.l1)),
            ("  from L2", share(self.reads.l2)),
            ("  from the source", share(self.reads.source)),
            ("  old, since the source failed", share(self.reads.stale_on_error)),
            ("reads checked", grouped(self.checked)),
            ("  labelled unverified", grouped(self.unverified)),
            ("changes", self.with_rate(self.reads.changes)),
            ("invalidations of keys, applied", grouped(self.applied)),
            ("  queued", grouped(self.queued)),
            ("stale on the same node (G1)", grouped(self.stale_here)),
            ("stale elsewhere after the window (G2)", grouped(self.stale_elsewhere)),
            ("errors", listed(&self.errors)),
            ("slowest read", format!("{:.0} ms", self.slowest_ms)),
            ("faults", listed(&self.faults)),
            ("recovery, median", recovered(p50_ms)),
            ("  longest", recovered(max_ms)),
            ("  not before the next fault", grouped(unfinished)),
            ("memory, after a tenth and at the end", self.usage.memory()),
            ("  open files and connections", self.usage.courses(|taken| taken.handles)),
            ("  tasks", self.usage.courses(|taken| taken.tasks)),
        ]
    }

    fn with_rate(&self, count: u64) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = count as f64 / self.seconds.max(f64::MIN_POSITIVE);
        format!("{} ({rate:.0} a second)", grouped(count))
    }
}

impl Usage {
    fn memory(&self) -> String {
        let line = |taken: &Taken| {
            let Course { early, late } = taken.resident_mib;
            let growth = taken.growth.map_or_else(String::new, |growth| {
                format!(" ({growth:+.2} % in 10 min, over {:.0} s)", taken.seconds)
            });
            format!("node {}: {early:.1}, {late:.1} MiB{growth}", story::name(taken.member))
        };
        let too_young =
            |member: &Member| format!("node {}: started too late to tell", story::name(*member));
        let lines = self.nodes.iter().map(line).chain(self.too_young.iter().map(too_young));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn courses(&self, figure: impl Fn(&Taken) -> Course) -> String {
        let line = |taken: &Taken| {
            let Course { early, late } = figure(taken);
            format!("node {}: {early:.0}, {late:.0}", story::name(taken.member))
        };
        self.nodes.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Recovered {
    fn new(recovery: &Recovery) -> Self {
        let Recovery { spans, unfinished } = recovery;
        let median = spans.len().saturating_sub(1) / 2;
        Self {
            p50_ms: spans.get(median).copied().map(millis),
            max_ms: spans.last().copied().map(millis),
            unfinished: *unfinished,
        }
    }
}

/// Whether a node was stopped while something went on there, or so little before that it had not
/// got over it.
fn was_stopped(stops: &[Stop], member: Member, event: &Event) -> bool {
    const AFTER: u64 = 250_000_000;
    let is_within = |stop: &&Stop| {
        stop.node == member.node && event.end() >= stop.from && event.start() <= stop.until + AFTER
    };
    stops.iter().any(|stop| is_within(&stop))
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// What there was, and how much, a line each.
fn listed(counts: &BTreeMap<impl Debug, u64>) -> String {
    let line = |(what, count): (_, &u64)| format!("{what:?}: {}", grouped(*count));
    let lines: Vec<_> = counts.iter().map(line).collect();
    if lines.is_empty() { "none".to_owned() } else { lines.join("\n") }
}
