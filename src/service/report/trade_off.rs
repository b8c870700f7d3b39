//! Misses removed against loads added: what a threshold chooses between.

use crate::replay::Row;

use super::axis::Axis;
use super::chart::Chart;
use super::figure::{self, Figure};
use super::figures;
use super::gain::Gain;
use super::look::Look;
use super::markup::Element;
use super::table::{Column, table};
use super::{FOREWARM, Replayed, label, threshold};

const HEADING: &str = "What a load buys";

/// One curve for each policy with a threshold, one point for each of the others.
pub(super) fn figure(replayed: &Replayed, id: &str) -> Element {
    let tried: Vec<_> = replayed.all().into_iter().map(|row| Tried::of(row, replayed)).collect();
    let policies: Vec<_> = tried.chunk_by(|a, b| a.row.policy == b.row.policy).collect();
    let chart = chart(&tried, id);
    // What the page is about is drawn over all others.
    let mut drawn = policies.clone();
    drawn.sort_by_key(|policy| policy.first().is_some_and(|tried| tried.row.policy == FOREWARM));
    let inside: Vec<_> = drawn.into_iter().flat_map(|policy| draw(&chart, policy)).collect();
    let legend = policies.iter().filter_map(|policy| {
        let first = policy.first()?;
        let has_threshold = threshold(first.row).is_some() && policy.len() > 1;
        let ends = |first: &Tried<'_>, last: &Tried<'_>| {
            format!("{} {} to {}", first.row.policy, first.row.threshold, last.row.threshold)
        };
        let name = if has_threshold { ends(first, policy.last()?) } else { label(first.row) };
        Some(figure::key(Look::of(first.row.policy), (has_threshold, true), &name))
    });
    Figure {
        heading: HEADING,
        caption: "Misses removed against loads added, both as shares of those on demand alone. \
                  Up and to the left is better; the threshold moves along a curve."
            .to_owned(),
        legend: legend.collect(),
        plot: chart.draw(inside),
        values: values(&tried),
    }
    .draw()
}

/// A row, and what it brought.
#[derive(Clone, Copy, Debug)]
struct Tried<'a> {
    row: &'a Row,
    gain: Gain,
    /// Whether the figures of the page are those of this row.
    is_shown: bool,
}

impl<'a> Tried<'a> {
    fn of(row: &'a Row, replayed: &Replayed) -> Self {
        let is_shown = replayed
            .forewarm()
            .is_some_and(|shown| row.policy == shown.policy && std::ptr::eq(row, shown));
        Self { row, gain: Gain::of(row, &replayed.demand), is_shown }
    }

    fn told(&self) -> String {
        let (removed, extra) =
            (figures::percent(self.gain.removed), figures::change(self.gain.extra));
        format!("{}: {removed} of the misses removed, {extra} loads", label(self.row))
    }
}

/// The axes. A policy that loads far more than those with a threshold ever would is not let
/// squeeze them into a corner: it is drawn at the edge.
fn chart(tried: &[Tried<'_>], id: &str) -> Chart {
    let with_threshold = tried.iter().filter(|tried| threshold(tried.row).is_some());
    let widest = with_threshold.map(|tried| tried.gain.extra).fold(0.1, f64::max);
    let extras = tried.iter().map(|tried| tried.gain.extra);
    let (least, most) = extras
        .filter(|extra| *extra <= widest * 1.5)
        .fold((0.0, 0.0), |(least, most), extra| (f64::min(least, extra), f64::max(most, extra)));
    let removed = || tried.iter().map(|tried| tried.gain.removed);
    let (fewest, all) = (removed().fold(0.0, f64::min), removed().fold(0.1, f64::max));
    let lines: Vec<_> = tried.iter().map(Tried::told).collect();
    Chart {
        id: format!("{id}-trade"),
        title: HEADING.to_owned(),
        description: lines.join("; "),
        x: Axis::percent(least, most.max(0.1), "loads added"),
        y: Axis::percent(fewest, all, "misses removed"),
    }
}

/// The curve and the points of one policy.
fn draw(chart: &Chart, policy: &[Tried<'_>]) -> Vec<Element> {
    let Some(look) = policy.first().map(|tried| Look::of(tried.row.policy)) else {
        return Vec::new();
    };
    let has_curve = policy.iter().any(|tried| threshold(tried.row).is_some());
    let curve = policy.iter().map(|tried| Some((tried.gain.extra, tried.gain.removed)));
    let curve = has_curve.then(|| chart.line(look, curve));
    let points = policy.iter().flat_map(|tried| point(chart, look, tried));
    curve.into_iter().chain(points).collect()
}

/// A marker, with its name if it is clear what else it could be.
fn point(chart: &Chart, look: Look, tried: &Tried<'_>) -> Vec<Element> {
    let Gain { removed, extra } = tried.gain;
    let place @ (x, y) = chart.place((extra, removed));
    let is_beyond = chart.x.share(extra) > 1.0;
    let mut drawn = vec![look.marker(place, &tried.told())];
    if is_beyond {
        let text = format!("{} {} →", label(tried.row), figures::change(extra));
        drawn.push(Chart::note((x - 9.0, y + 4.0), "end", &text));
    } else if tried.row.policy == FOREWARM {
        let text = format!("{}", tried.row.threshold);
        let class = if tried.is_shown { "shown" } else { "note" };
        drawn.push(Chart::note((x - 6.0, y - 8.0), "end", &text).set("class", class));
    } else if threshold(tried.row).is_none() {
        drawn.push(Chart::note((x + 9.0, y - 6.0), "start", tried.row.policy));
    }
    drawn
}

fn values(tried: &[Tried<'_>]) -> Element {
    let columns =
        [Column::Name("policy"), Column::Number("misses removed"), Column::Number("loads added")];
    let cells = |tried: &Tried<'_>| {
        let Gain { removed, extra } = tried.gain;
        vec![label(tried.row), figures::percent(removed), figures::change(extra)]
    };
    let rows: Vec<_> = tried.iter().map(cells).collect();
    table("Misses removed and loads added", &columns, &rows)
}
