//! The hit ratio and the loads over the time of a trace.

use std::time::Duration;

use crate::replay::Row;
use crate::replay::series::Part;
use crate::stats::ratio;

use super::axis::Axis;
use super::chart::Chart;
use super::figure::{self, Figure};
use super::figures::{self, float};
use super::look::Look;
use super::markup::Element;
use super::table::{Column, table};
use super::{DEMAND, FOREWARM, Replayed, label, threshold};

const HITS: &str = "Hit ratio over time";
const LOADS: &str = "Loads over time";

/// Fewer requests make a ratio that says nothing.
const REQUESTS_LEAST: u64 = 10;

/// How often requests were hits, policy by policy.
pub(super) fn hits(replayed: &Replayed, id: &str) -> Element {
    let ratio = |part: &Part| {
        let says_something = part.requests >= REQUESTS_LEAST;
        says_something.then(|| 1.0 - ratio(part.misses, part.requests))
    };
    let shown = replayed.shown();
    let low = values(&shown, ratio).reduce(f64::min).unwrap_or(0.0);
    let high = values(&shown, ratio).reduce(f64::max).unwrap_or(1.0);
    let plotted = Plotted {
        id: format!("{id}-hits"),
        heading: HITS,
        caption: "The share of the requests that did not wait for a load.".to_owned(),
        y: Axis::percent(low, high.max(low + 0.05), "hit ratio"),
        shown,
        value: &ratio,
        write: &figures::percent,
    };
    plotted.draw(replayed)
}

/// How much was asked of the source, policy by policy.
pub(super) fn loads(replayed: &Replayed, id: &str) -> Element {
    let part_s = replayed.demand.outcome.series.part.as_secs_f64();
    let (shown, beyond) = scaled(replayed.shown());
    let most = most_loads(&shown) / part_s;
    let (unit_s, unit) = rate_unit(most);
    let rate = |part: &Part| Some(float(part.loads) * unit_s / part_s);
    let mut caption = "What the source was asked for, by requests and ahead of them.".to_owned();
    for row in beyond {
        let most = figures::grouped(most_loads(&[row]) * unit_s / part_s);
        caption.push_str(&format!(" Off the scale: {}, up to {most} a {unit}.", label(row)));
    }
    let plotted = Plotted {
        id: format!("{id}-loads"),
        heading: LOADS,
        caption,
        y: Axis::amount((most * unit_s).max(1.0), &format!("loads per {unit}")),
        shown,
        value: &rate,
        write: &|rate| format!("{rate:.1}"),
    };
    plotted.draw(replayed)
}

/// What is drawn, and what loads so much more than demand that all else would lie flat below it.
fn scaled(shown: Vec<&Row>) -> (Vec<&Row>, Vec<&Row>) {
    let usual = shown.iter().filter(|row| row.policy == DEMAND || threshold(row).is_some());
    let usual = most_loads(&usual.copied().collect::<Vec<_>>());
    shown.into_iter().partition(|row| most_loads(&[row]) <= 2.5 * usual)
}

/// The most loads in a part.
fn most_loads(rows: &[&Row]) -> f64 {
    values(rows, |part| Some(float(part.loads))).fold(0.0, f64::max)
}

fn values(rows: &[&Row], value: impl Fn(&Part) -> Option<f64>) -> impl Iterator<Item = f64> {
    rows.iter().flat_map(|row| &row.outcome.series.parts).filter_map(value)
}

/// The unit in which the highest rate, per second, is a number of more than one digit.
fn rate_unit(most: f64) -> (f64, &'static str) {
    let units = [(1.0, "second"), (60.0, "minute"), (3_600.0, "hour")];
    units.into_iter().find(|(unit_s, _)| most * unit_s >= 10.0).unwrap_or((86_400.0, "day"))
}

/// Something that has one value for each part of the time.
struct Plotted<'a> {
    id: String,
    heading: &'static str,
    caption: String,
    y: Axis,
    shown: Vec<&'a Row>,
    value: &'a dyn Fn(&Part) -> Option<f64>,
    write: &'a dyn Fn(f64) -> String,
}

impl Plotted<'_> {
    fn draw(self, replayed: &Replayed) -> Element {
        let shown = &self.shown;
        let part = replayed.demand.outcome.series.part;
        if part.is_zero() {
            return figure::nothing(self.heading, "All requests were made at the same time.");
        }
        let count = replayed.demand.outcome.series.parts.len();
        let span_s = part.as_secs_f64() * float(count as u64);
        let names: Vec<_> = shown.iter().map(|row| label(row)).collect();
        let chart = Chart {
            id: self.id.clone(),
            title: self.heading.to_owned(),
            description: format!("{} One line each for {}.", self.caption, names.join(", ")),
            x: Axis::time(span_s, "since the first request"),
            y: self.y.clone(),
        };
        let counted_s = replayed.demand.outcome.counted_from.as_secs_f64();
        let warmup = chart.band("warm-up", 0.0, counted_s);
        // What the page is about is drawn over all others.
        let mut drawn = shown.clone();
        drawn.sort_by_key(|row| row.policy == FOREWARM);
        let lines = drawn.into_iter().map(|row| self.line(&chart, row));
        let told = (0..count).map(|nth| self.told(&chart, part, nth));
        Figure {
            heading: self.heading,
            caption: self.caption.clone(),
            legend: legend(shown, counted_s > 0.0),
            plot: chart.draw(std::iter::once(warmup).chain(lines).chain(told)),
            values: self.values(part),
        }
        .draw()
    }

    fn line(&self, chart: &Chart, row: &Row) -> Element {
        let part_s = row.outcome.series.part.as_secs_f64();
        let values = row.outcome.series.parts.iter().zip(0_u32..).map(|(part, nth)| {
            (self.value)(part).map(|value| ((f64::from(nth) + 0.5) * part_s, value))
        });
        chart.line(Look::of(row.policy), values)
    }

    /// A part of the plot that tells its values to who points at it.
    fn told(&self, chart: &Chart, part: Duration, nth: usize) -> Element {
        let from_s = part.as_secs_f64() * float(nth as u64);
        let values =
            self.shown.iter().map(|row| format!("{}: {}", label(row), self.written(row, nth)));
        let values: Vec<_> = values.collect();
        let text = format!("{}\n{}", time(part, nth), values.join("\n"));
        let band = chart.band("told", from_s, from_s + part.as_secs_f64());
        band.with(Element::of("title", &text))
    }

    fn values(&self, part: Duration) -> Element {
        let names: Vec<_> = self.shown.iter().map(|row| label(row)).collect();
        let columns = std::iter::once(Column::Name("from"));
        let columns: Vec<_> =
            columns.chain(names.iter().map(|name| Column::Number(name))).collect();
        let count = self.shown.first().map_or(0, |row| row.outcome.series.parts.len());
        let cells = |nth| {
            let values = self.shown.iter().map(|row| self.written(row, nth));
            std::iter::once(time(part, nth)).chain(values).collect()
        };
        let rows: Vec<_> = (0..count).map(cells).collect();
        let caption = format!("{}, {}", self.heading, self.y.label);
        table(&caption, &columns, &rows)
    }

    fn written(&self, row: &Row, nth: usize) -> String {
        let value = row.outcome.series.parts.get(nth).and_then(|part| (self.value)(part));
        value.map_or_else(|| "none".to_owned(), |value| (self.write)(value))
    }
}

/// When a part begins.
fn time(part: Duration, nth: usize) -> String {
    let from = part.saturating_mul(u32::try_from(nth).unwrap_or(u32::MAX));
    format!("{} on", figures::span(from))
}

fn legend(shown: &[&Row], has_warmup: bool) -> Vec<Element> {
    let keys =
        shown.iter().map(|row| figure::key(Look::of(row.policy), (true, false), &label(row)));
    let mut keys: Vec<_> = keys.collect();
    if has_warmup {
        let swatch = Element::new("span").set("class", "swatch warm-up");
        keys.push(Element::new("li").with(swatch).text("warm-up, not counted in the figures"));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_in_a_unit_that_gives_them_two_digits() {
        for (most, unit) in [(40.0, "second"), (3.0, "minute"), (0.05, "hour"), (1e-4, "day")] {
            assert_eq!(rate_unit(most).1, unit, "{most}");
        }
    }

    #[test]
    fn a_part_is_told_by_its_beginning() {
        assert_eq!(time(Duration::from_secs(450), 9), "1 h 7 min on");
    }
}
