//! What came of it: two halves side by side.

use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::drive::Waits;
use super::totals::Totals;
use crate::replay::percentile;
use crate::service::console::{grouped, wrapped};

/// What came of a half. Its fields are those of the report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    hit_ratio: f64,
    wait_p50_ms: f64,
    wait_p99_ms: f64,
    wait_p999_ms: f64,
    source_loads: u64,
    preloads: u64,
    precision: Option<f64>,
    #[serde(skip)]
    reads: u64,
    #[serde(skip)]
    waited: u64,
    #[serde(skip)]
    wait_mean_ms: f64,
}

/// Both halves; what was not played is missing.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) without: Option<Figures>,
    pub(super) with: Option<Figures>,
}

impl Figures {
    pub(super) fn new(totals: Totals, waits: Waits) -> Self {
        let mut spans = waits.spans;
        spans.sort_unstable();
        let count = u32::try_from(spans.len()).unwrap_or(u32::MAX).max(1);
        let wait = |share| millis(percentile(&spans, share));
        Self {
            hit_ratio: totals.hit_ratio(),
            wait_p50_ms: wait(0.5),
            wait_p99_ms: wait(0.99),
            wait_p999_ms: wait(0.999),
            source_loads: totals.loads,
            preloads: totals.preloads,
            precision: totals.precision(),
            reads: totals.reads,
            waited: totals.reads - totals.hits,
            wait_mean_ms: millis(spans.iter().sum::<Duration>() / count),
        }
    }
}

impl Figures {
    /// Whether both halves made as many reads: counts compare only then.
    fn is_like(&self, other: &Self) -> bool {
        self.reads.abs_diff(other.reads) <= self.reads / 100
    }

    fn count_change(&self, later: &Self, count: fn(&Self) -> u64) -> String {
        if !self.is_like(later) {
            return String::new();
        }
        percent(float(count(self)), float(count(later)))
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

impl Report {
    /// The table, and what it means.
    pub(super) fn text(&self) -> String {
        if self.without.is_none() {
            return "Stopped before anything was measured.".to_owned();
        }
        let mut text = self.table();
        if let (Some(without), Some(with)) = (&self.without, &self.with) {
            text.push_str("\n\n");
            text.push_str(&wrapped(&explained(without, with)));
        }
        text
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY);
        table.set_header(["", "without preloading", "with preloading", "change"]);
        for (name, of, change) in ROWS {
            let cell = |figures: Option<Figures>| {
                figures.map_or_else(|| "not played".to_owned(), |figures| of(&figures))
            };
            let change = match (&self.without, &self.with) {
                (Some(without), Some(with)) => change(without, with),
                _ => String::new(),
            };
            table.add_row([name.to_owned(), cell(self.without), cell(self.with), change]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }
}

/// A row: its name, a half's figure, and how it changed.
type Row = (&'static str, fn(&Figures) -> String, fn(&Figures, &Figures) -> String);

const ROWS: [Row; 10] = [
    (
        "reads",
        |half| grouped(half.reads),
        |without, with| {
            if without.is_like(with) { "the same".to_owned() } else { "stopped early".to_owned() }
        },
    ),
    (
        "hit ratio",
        |half| share(half.hit_ratio),
        |without, with| format!("{:+.1} points", (with.hit_ratio - without.hit_ratio) * 100.0),
    ),
    (
        "reads that waited",
        |half| grouped(half.waited),
        |without, with| without.count_change(with, |half| half.waited),
    ),
    (
        "wait, mean",
        |half| ms(half.wait_mean_ms),
        |without, with| wait_change(without.wait_mean_ms, with.wait_mean_ms),
    ),
    (
        "wait, p50",
        |half| ms(half.wait_p50_ms),
        |without, with| wait_change(without.wait_p50_ms, with.wait_p50_ms),
    ),
    (
        "wait, p99",
        |half| ms(half.wait_p99_ms),
        |without, with| wait_change(without.wait_p99_ms, with.wait_p99_ms),
    ),
    (
        "wait, p99.9",
        |half| ms(half.wait_p999_ms),
        |without, with| wait_change(without.wait_p999_ms, with.wait_p999_ms),
    ),
    (
        "source loads",
        |half| grouped(half.source_loads),
        |without, with| without.count_change(with, |half| half.source_loads),
    ),
    ("of them preloads", |half| grouped(half.preloads), nothing_to_say),
    (
        "precision: preloads read by the end",
        |half| half.precision.map_or_else(|| "none".to_owned(), share),
        nothing_to_say,
    ),
];

fn nothing_to_say(_without: &Figures, _with: &Figures) -> String {
    String::new()
}

/// What happened, in sentences.
fn explained(without: &Figures, with: &Figures) -> String {
    if without.reads == 0 || with.reads == 0 {
        return "Too few reads to say anything: try a higher --rate, or a longer --duration."
            .into();
    }
    let [before, after] = [without, with].map(|half| share(1.0 - half.hit_ratio));
    let waited = format!(
        "Without preloading {before} of the reads waited for the database: those that came first of \
         all, or first after a value had expired. With it {after}"
    );
    if !without.is_like(with) {
        return format!("{waited} so far; it was stopped early, so counts do not compare.");
    }
    if with.preloads == 0 {
        return format!(
            "{waited}. Nothing came up for renewal in so short a time: try --duration 30s."
        );
    }
    if with.hit_ratio <= without.hit_ratio {
        return format!(
            "{waited}: it did not help this time. Either each key is read too seldom to foresee (try a \
             higher --rate, or fewer --keys), or this machine was busy with something else."
        );
    }
    let loads = more_or_fewer(float(without.source_loads), float(with.source_loads));
    let read = with.precision.map_or_else(String::new, share);
    let p99 = if with.hit_ratio < 0.99 { ", p99 among them," } else { "" };
    format!(
        "{waited}: forewarm saw which keys are read often, and renewed those shortly before they \
         expired, with {loads} loads in all. {read} of the preloads had been read by the end; the \
         others were wasted, or made in the last seconds. The waits that are left{p99} are for keys \
         that are read too seldom to foresee."
    )
}

fn more_or_fewer(before: f64, after: f64) -> String {
    let more = (after / before - 1.0) * 100.0;
    if more < 0.0 { format!("{:.0} % fewer", -more) } else { format!("{more:.0} % more") }
}

/// By how much a wait changed, if a reader could notice.
fn wait_change(before: f64, after: f64) -> String {
    if (after - before).abs() < 0.1 { "about the same".to_owned() } else { percent(before, after) }
}

/// By how much a figure changed.
fn percent(before: f64, after: f64) -> String {
    if before > 0.0 { format!("{:+.0} %", (after / before - 1.0) * 100.0) } else { String::new() }
}

fn share(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn ms(ms: f64) -> String {
    format!("{ms:.2} ms")
}

#[expect(clippy::cast_precision_loss, reason = "for a ratio")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(hits: u64, preloads: u64) -> Figures {
        let totals = Totals { reads: 1_000, hits, loads: 400, preloads, useful: 30, wasted: 5 };
        let spans = (1..=1_000).rev().map(Duration::from_millis).collect();
        Figures::new(totals, Waits { spans, failed: 0 })
    }

    #[test]
    fn figures_are_exact_over_all_reads() {
        let half = figures(700, 40);
        let found = (half.wait_p50_ms, half.wait_p99_ms, half.wait_p999_ms);
        assert_eq!(found, (500.0, 990.0, 999.0));
        assert!((half.wait_mean_ms - 500.5).abs() < 1e-6, "{}", half.wait_mean_ms);
        assert_eq!((half.hit_ratio, half.waited, half.precision), (0.7, 300, Some(0.75)));
        assert_eq!(figures(700, 0).precision, None);
    }

    #[test]
    fn what_is_said_follows_the_figures() {
        let cases = [
            (figures(700, 0), figures(900, 40), "renewed those"),
            (figures(900, 0), figures(700, 40), "did not help"),
            (figures(700, 0), figures(700, 0), "Nothing came up"),
        ];
        for (without, with, said) in cases {
            let text = Report { without: Some(without), with: Some(with) }.text();
            assert!(text.contains(said), "{said}: {text}");
        }
    }

    #[test]
    fn a_half_that_was_not_played_is_missing() {
        let report = Report { without: Some(figures(700, 0)), with: None };
        assert!(report.text().contains("not played"));
        assert!(serde_json::to_value(report).unwrap()["with"].is_null());
    }
}
