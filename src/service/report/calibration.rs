//! How sure the predictions were, against how often they came true.

use crate::predictor::Reliability;
use crate::replay::Row;

use super::axis::Axis;
use super::chart::{Chart, rule};
use super::figure::{self, Figure};
use super::figures::{self, float};
use super::look::Look;
use super::markup::Element;
use super::table::{Column, table};
use super::{FOREWARM, Replayed, label};

const HEADING: &str = "Calibration";

/// What was predicted against what came true, by tenths of the probability.
pub(super) fn figure(replayed: &Replayed, id: &str) -> Element {
    let Some(row) = replayed.forewarm() else {
        return figure::nothing(HEADING, "forewarm was not replayed.");
    };
    let tenths: Vec<_> = row.reliability.iter().filter(|tenth| tenth.scored > 0).collect();
    let (Some(brier), Some(error), false) =
        (row.brier_score, row.calibration_error, tenths.is_empty())
    else {
        return figure::nothing(HEADING, "Nothing was predicted.");
    };
    let scored = tenths.iter().map(|tenth| tenth.scored).sum();
    let chart = Chart {
        id: format!("{id}-calibration"),
        title: HEADING.to_owned(),
        description: described(&tenths),
        x: Axis::percent(0.0, 1.0, "predicted probability of a read"),
        y: Axis::percent(0.0, 1.0, "came true"),
    };
    let caption = format!(
        "{} predictions of {}: Brier score {brier:.3}, calibration error {error:.3}. On the \
         dashed line, what is predicted with 70 % comes true 7 times in 10. Areas are numbers of \
         predictions, bars 95 % intervals.",
        figures::count(scored),
        label(row)
    );
    Figure {
        heading: HEADING,
        caption,
        legend: vec![figure::key(Look::of(FOREWARM), (false, true), &label(row))],
        plot: chart.draw(inside(&chart, row, &tenths)),
        values: values(&tenths),
    }
    .draw()
}

fn described(tenths: &[&Reliability]) -> String {
    let tenth = |tenth: &&Reliability| {
        let (predicted, realised) =
            (figures::percent(tenth.predicted), figures::percent(tenth.realised));
        format!("{realised} of {} predictions with {predicted} came true", tenth.scored)
    };
    tenths.iter().map(tenth).collect::<Vec<_>>().join("; ")
}

fn inside(chart: &Chart, row: &Row, tenths: &[&Reliability]) -> Vec<Element> {
    let diagonal = rule("diagonal", chart.place((0.0, 0.0)), chart.place((1.0, 1.0)));
    let at = chart.place((row.threshold, 0.0));
    let threshold = rule("limit", at, chart.place((row.threshold, 1.0)));
    // On the side where there is room.
    let (shift, anchor) = if row.threshold > 0.6 { (-6.0, "end") } else { (6.0, "start") };
    let text = if row.threshold > 0.6 { "loaded ahead →" } else { "→ loaded ahead" };
    let note = Chart::note((at.0 + shift, at.1 - 8.0), anchor, text);
    let most = tenths.iter().map(|tenth| tenth.scored).max().unwrap_or(1);
    let points = tenths.iter().flat_map(|tenth| point(chart, tenth, most));
    [diagonal, threshold, note].into_iter().chain(points).collect()
}

/// A disc with the interval in which the share of that which comes true probably is.
fn point(chart: &Chart, tenth: &Reliability, most: u64) -> [Element; 2] {
    let Reliability { scored, predicted, realised } = *tenth;
    let (low, high) = interval(realised, float(scored));
    let bar = rule("interval", chart.place((predicted, low)), chart.place((predicted, high)));
    let (x, y) = chart.place((predicted, realised));
    let told = format!(
        "{} predictions: {} predicted, {} came true",
        figures::count(scored),
        figures::percent(predicted),
        figures::percent(realised)
    );
    let disc = Element::new("circle")
        .set("class", "disc blue")
        .at("cx", x)
        .at("cy", y)
        .at("r", 2.5 + 10.0 * (float(scored) / float(most)).sqrt())
        .with(Element::of("title", &told));
    [disc, bar]
}

/// Wilson's interval of 95 % for a share of `count` (JASA 22, 1927).
fn interval(share: f64, count: f64) -> (f64, f64) {
    const Z: f64 = 1.96;
    let square = Z * Z / count;
    let middle = (share + square / 2.0) / (1.0 + square);
    let spread = share * (1.0 - share) / count + square / (4.0 * count);
    let half = Z / (1.0 + square) * spread.sqrt();
    (middle - half, middle + half)
}

fn values(tenths: &[&Reliability]) -> Element {
    let columns =
        [Column::Number("predicted"), Column::Number("came true"), Column::Number("predictions")];
    let cells = |tenth: &&Reliability| {
        let Reliability { scored, predicted, realised } = **tenth;
        vec![figures::percent(predicted), figures::percent(realised), figures::count(scored)]
    };
    let rows: Vec<_> = tenths.iter().map(cells).collect();
    table("Predicted and realised, by tenths", &columns, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of the textbooks.
    #[test]
    fn intervals_are_those_of_wilson() {
        let cases =
            [(0.5, 10.0, 0.2366, 0.7634), (0.0, 10.0, 0.0, 0.2775), (0.9, 1e6, 0.899, 0.901)];
        for (share, count, low, high) in cases {
            let found = interval(share, count);
            let is_near = |a: f64, b: f64| (a - b).abs() < 1e-3;
            assert!(is_near(found.0, low) && is_near(found.1, high), "{share}: {found:?}");
        }
    }
}
