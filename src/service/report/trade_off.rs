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
use super::{DEMAND, FOREWARM, Replayed, label, threshold};

const HEADING: &str = "What a load buys";

/// One curve for each policy with a threshold, one point for each of the others.
pub(super) fn figure(replayed: &Replayed, id: &str) -> Element {
    let tried: Vec<_> = replayed.all().into_iter().map(|row| Tried::of(row, replayed)).collect();
    let policies: Vec<_> = tried.chunk_by(|a, b| a.row.policy == b.row.policy).collect();
    let chart = chart(&tried, id);
    // What the page is about is drawn over all others.
    let mut drawn = policies.clone();
    drawn.sort_by_key(|policy| policy.first().is_some_and(|tried| tried.row.policy == FOREWARM));
    let inside = drawn.into_iter().flat_map(|policy| draw(&chart, policy));
    let beyond = tried.iter().filter_map(|tried| beyond(&chart, tried)).flatten();
    let inside: Vec<_> = inside.chain(beyond).collect();
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
        caption: caption(&chart, &tried),
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

    fn is_beyond(&self, chart: &Chart) -> bool {
        chart.x.share(self.gain.extra) > 1.0
    }

    fn told(&self) -> String {
        let (removed, extra) =
            (figures::percent(self.gain.removed), figures::change(self.gain.extra));
        format!("{}, {removed} of the misses removed, {extra} loads", label(self.row))
    }
}

fn caption(chart: &Chart, tried: &[Tried<'_>]) -> String {
    let mut caption = "Misses removed against loads added, both as shares of those on demand \
                       alone. Up and to the left is better; the threshold moves along a curve."
        .to_owned();
    for tried in tried.iter().filter(|tried| tried.is_beyond(chart)) {
        caption.push_str(&format!(" Off the scale: {}.", tried.told()));
    }
    caption
}

/// Who would more than double the loads of the source is off the scale, so that the rest has room.
const EXTRA_MOST: f64 = 1.0;

fn chart(tried: &[Tried<'_>], id: &str) -> Chart {
    let extras = tried.iter().map(|tried| tried.gain.extra);
    let (least, most) = extras
        .filter(|extra| *extra <= EXTRA_MOST)
        .fold((0.0, 0.1), |(least, most), extra| (f64::min(least, extra), f64::max(most, extra)));
    let removed = || tried.iter().map(|tried| tried.gain.removed);
    let (fewest, all) = (removed().fold(0.0, f64::min), removed().fold(0.1, f64::max));
    let lines: Vec<_> = tried.iter().map(Tried::told).collect();
    Chart {
        id: format!("{id}-trade"),
        title: HEADING.to_owned(),
        description: lines.join("; "),
        x: Axis::percent(least, most, "loads added"),
        y: Axis::percent(fewest, all, "misses removed"),
    }
}

/// The curve and the points of one policy, but for points beyond the edge.
fn draw(chart: &Chart, policy: &[Tried<'_>]) -> Vec<Element> {
    let Some(look) = policy.first().map(|tried| Look::of(tried.row.policy)) else {
        return Vec::new();
    };
    let has_curve = policy.iter().any(|tried| threshold(tried.row).is_some());
    let gains: Vec<_> = policy.iter().map(|tried| (tried.gain.extra, tried.gain.removed)).collect();
    let curve = has_curve.then(|| chart.line(look, cut(&gains, chart.x.high).into_iter()));
    let points = policy.iter().filter(|tried| !tried.is_beyond(chart));
    curve.into_iter().chain(points.flat_map(|tried| point(chart, look, tried))).collect()
}

/// A line through points, cut off where it is beyond `end`.
fn cut(points: &[(f64, f64)], end: f64) -> Vec<Option<(f64, f64)>> {
    let first = points.first().copied().filter(|(x, _)| *x <= end);
    let mut line = vec![first];
    for pair in points.windows(2) {
        let [a, b] = *pair else { continue };
        let crossing = Some((end, a.1 + (end - a.0) / (b.0 - a.0) * (b.1 - a.1)));
        match (a.0 <= end, b.0 <= end) {
            (true, true) => line.push(Some(b)),
            (true, false) => line.extend([crossing, None]),
            (false, true) => line.extend([None, crossing, Some(b)]),
            (false, false) => {}
        }
    }
    line
}

/// A marker, with its name if it is not clear from a curve.
fn point(chart: &Chart, look: Look, tried: &Tried<'_>) -> Vec<Element> {
    let place @ (x, y) = chart.place((tried.gain.extra, tried.gain.removed));
    let marker = look.marker(place, &tried.told());
    let note = if tried.row.policy == FOREWARM {
        let class = if tried.is_shown { "shown" } else { "note" };
        let text = tried.row.threshold.to_string();
        Some(Chart::note((x - 6.0, y - 8.0), "end", &text).set("class", class))
    } else {
        // Demand is where nothing is removed and nothing added.
        let is_alone = threshold(tried.row).is_none() && tried.row.policy != DEMAND;
        is_alone.then(|| Chart::note((x + 9.0, y - 6.0), "start", tried.row.policy))
    };
    std::iter::once(marker).chain(note).collect()
}

/// A marker at the edge for what is beyond it. Where a curve leaves, that shows already.
fn beyond(chart: &Chart, tried: &Tried<'_>) -> Option<[Element; 2]> {
    let is_seen = tried.is_beyond(chart) && threshold(tried.row).is_none();
    is_seen.then(|| {
        let place @ (x, y) = chart.place((tried.gain.extra, tried.gain.removed));
        let marker = Look::of(tried.row.policy).marker(place, &tried.told());
        [marker, Chart::note((x + 6.0, y + 4.0), "start", "→")]
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_at_the_edge_and_comes_back_from_it() {
        let points = [(0.0, 0.0), (0.5, 1.0), (1.5, 2.0), (3.0, 3.0), (2.0, 2.0), (0.0, 4.0)];
        let expected = [
            Some((0.0, 0.0)),
            Some((0.5, 1.0)),
            Some((1.0, 1.5)),
            None,
            None,
            Some((1.0, 3.0)),
            Some((0.0, 4.0)),
        ];
        assert_eq!(cut(&points, 1.0), expected);
        assert_eq!(cut(&[], 1.0), [None]);
    }
}
