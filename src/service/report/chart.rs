//! A plot: two axes, and what is drawn between them.

use super::axis::Axis;
use super::look::Look;
use super::markup::{Element, tenths};

/// The frame of a plot. Its unit is a pixel where the plot is as wide as a column of the page.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// Tells the plot from all others on the page.
    pub(super) id: String,
    /// For those who cannot see it.
    pub(super) title: String,
    pub(super) description: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 500.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 276.0;

impl Chart {
    /// Where a pair of values is. Values beyond an axis are at its end.
    pub(super) fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let between = |share: f64, from: f64, to: f64| from + share.clamp(0.0, 1.0) * (to - from);
        (between(self.x.share(x), LEFT, RIGHT), between(self.y.share(y), BOTTOM, TOP))
    }

    /// A line through pairs of values, with a gap wherever there is none.
    pub(super) fn line(
        &self,
        look: Look,
        values: impl Iterator<Item = Option<(f64, f64)>>,
    ) -> Element {
        let mut path = String::new();
        let mut is_drawing = false;
        for pair in values {
            if let Some((x, y)) = pair.map(|pair| self.place(pair)) {
                // A value between two gaps is a line without a length, which shows as a dot.
                let (begin, end) = if is_drawing { ("L", "") } else { ("M", "h0") };
                path.extend([begin, &tenths(x), " ", &tenths(y), end]);
            }
            is_drawing = pair.is_some();
        }
        look.line(&path)
    }

    /// The part of the plot between two values of `x`, over its whole height.
    pub(super) fn band(&self, class: &str, from: f64, to: f64) -> Element {
        let ((left, _), (right, _)) = (self.place((from, 0.0)), self.place((to, 0.0)));
        Element::new("rect")
            .set("class", class)
            .at("x", left)
            .at("y", TOP)
            .at("width", (right - left).max(0.0))
            .at("height", BOTTOM - TOP)
    }

    /// A text at a place; `anchor` says which end of it.
    pub(super) fn note((x, y): (f64, f64), anchor: &str, text: &str) -> Element {
        Element::of("text", text).set("text-anchor", anchor).at("x", x).at("y", y)
    }

    /// The plot with what is in it.
    pub(super) fn draw(&self, inside: impl IntoIterator<Item = Element>) -> Element {
        let (title, description) = (format!("{}-title", self.id), format!("{}-text", self.id));
        Element::new("svg")
            .set("class", "chart")
            .set("viewBox", &format!("0 0 {WIDTH} {HEIGHT}"))
            .set("role", "img")
            .set("aria-labelledby", &format!("{title} {description}"))
            .with(Element::of("title", &self.title).set("id", &title))
            .with(Element::of("desc", &self.description).set("id", &description))
            .with(self.frame())
            .with_all(inside)
    }

    fn frame(&self) -> Element {
        let rows = self.y.ticks.iter().flat_map(|(value, text)| {
            let (_, y) = self.place((self.x.low, *value));
            let class = if *value == 0.0 { "zero" } else { "grid" };
            [rule(class, (LEFT, y), (RIGHT, y)), Self::note((LEFT - 8.0, y + 4.0), "end", text)]
        });
        let columns = self.x.ticks.iter().flat_map(|(value, text)| {
            let (x, _) = self.place((*value, self.y.low));
            let mark = rule("zero", (x, BOTTOM), (x, BOTTOM + 5.0));
            [mark, Self::note((x, BOTTOM + 19.0), "middle", text)]
        });
        let middle = f64::midpoint(LEFT, RIGHT);
        Element::new("g")
            .set("class", "frame")
            .with_all(rows)
            .with_all(columns)
            .with(rule("zero", (LEFT, BOTTOM), (RIGHT, BOTTOM)))
            .with(Self::note((4.0, 14.0), "start", &self.y.label).set("class", "label"))
            .with(
                Self::note((middle, HEIGHT - 10.0), "middle", &self.x.label).set("class", "label"),
            )
    }
}

/// A straight line.
pub(super) fn rule(class: &str, from: (f64, f64), to: (f64, f64)) -> Element {
    Element::new("line")
        .set("class", class)
        .at("x1", from.0)
        .at("y1", from.1)
        .at("x2", to.0)
        .at("y2", to.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        Chart {
            id: "c".into(),
            title: "a < b".into(),
            description: "what it shows".into(),
            x: Axis::amount(10.0, "seconds"),
            y: Axis::percent(0.0, 1.0, "share"),
        }
    }

    #[test]
    fn values_are_placed_from_the_lower_left_to_the_upper_right() {
        let chart = chart();
        let cases = [
            ((0.0, 0.0), (LEFT, BOTTOM)),
            ((10.0, 1.0), (RIGHT, TOP)),
            ((5.0, 0.5), (281.0, 153.0)),
            ((99.0, -1.0), (RIGHT, BOTTOM)),
        ];
        for (values, place) in cases {
            assert_eq!(chart.place(values), place, "{values:?}");
        }
    }

    #[test]
    fn a_line_has_a_gap_where_there_is_no_value() {
        let values = [Some((0.0, 0.0)), Some((5.0, 0.5)), None, Some((10.0, 1.0))];
        let line = chart().line(Look::of("forewarm"), values.into_iter()).to_string();
        assert!(line.contains("d=\"M62 276h0L281 153M500 30h0\""), "{line}");
    }

    #[test]
    fn a_plot_tells_what_it_shows() {
        let plot = chart().draw([]).to_string();
        for part in [
            "aria-labelledby=\"c-title c-text\"",
            "<title id=\"c-title\">a &lt; b</title>",
            "<desc id=\"c-text\">what it shows</desc>",
            ">seconds</text>",
            ">100 %</text>",
        ] {
            assert!(plot.contains(part), "{part}: {plot}");
        }
    }
}
