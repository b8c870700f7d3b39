//! How the lines and points of a policy look: never told by colour alone.

use super::markup::Element;

/// The colour, dashes and marker of a policy, the same in every plot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// The class that gives the colour, in the style sheet.
    class: &'static str,
    /// Lengths of dashes and gaps; none is a whole line.
    dashes: &'static str,
    /// The outline of the marker, around 0.
    marker: &'static str,
}

const CIRCLE: &str = "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z";
const SQUARE: &str = "M-4-4h8v8h-8z";
const UPWARD: &str = "M0-5.2L5 4H-5z";
const DOWNWARD: &str = "M0 5.2L5-4H-5z";
const DIAMOND: &str = "M0-5.6L5.6 0L0 5.6L-5.6 0z";
const CROSS: &str = "M-4.8-2.4l2.4-2.4L0-2.4l2.4-2.4l2.4 2.4L2.4 0l2.4 2.4l-2.4 2.4L0 2.4l-2.4 2.4\
    l-2.4-2.4L-2.4 0z";
const PLUS: &str = "M-1.7-5h3.4v3.3H5v3.4H1.7V5h-3.4V1.7H-5v-3.4h3.3z";
const HOURGLASS: &str = "M-4.5-5h9L1 0l3.5 5h-9L-1 0z";

const WHOLE: &str = "";

/// Policies of a replay, in no order. Whatever is not here looks like the last.
const LOOKS: [(&str, Look); 10] = [
    ("forewarm", Look { class: "blue", dashes: WHOLE, marker: CIRCLE }),
    ("refresh", Look { class: "green", dashes: "7 3", marker: SQUARE }),
    ("association", Look { class: "pink", dashes: "2 2.5", marker: UPWARD }),
    ("classic", Look { class: "red", dashes: "9 3 2 3", marker: DOWNWARD }),
    ("xfetch", Look { class: "amber", dashes: "5 2 5 2 1 2", marker: DIAMOND }),
    ("oracle", Look { class: "black", dashes: "1 3", marker: PLUS }),
    ("lru", Look { class: "violet", dashes: "12 3", marker: CROSS }),
    ("moka", Look { class: "violet", dashes: "3 3", marker: HOURGLASS }),
    ("demand", Look { class: "grey", dashes: WHOLE, marker: SQUARE }),
    ("observe", Look { class: "grey", dashes: "4 4", marker: UPWARD }),
];

impl Look {
    pub(super) fn of(policy: &str) -> Self {
        let [.., (_, last)] = LOOKS;
        LOOKS.iter().find(|(name, _)| *name == policy).map_or(last, |(_, look)| *look)
    }

    /// A line along `path`.
    pub(super) fn line(self, path: &str) -> Element {
        let line = Element::new("path").set("class", &format!("line {}", self.class));
        let line =
            if self.dashes.is_empty() { line } else { line.set("stroke-dasharray", self.dashes) };
        line.set("d", path)
    }

    /// A marker, and what a pointer over it is told.
    pub(super) fn marker(self, (x, y): (f64, f64), told: &str) -> Element {
        Element::new("path")
            .set("class", &format!("marker {}", self.class))
            .set("transform", &format!("translate({x:.1} {y:.1})"))
            .set("d", self.marker)
            .with(Element::of("title", told))
    }

    /// What a legend shows: a line, a marker, or both.
    pub(super) fn swatch(self, has_line: bool, has_marker: bool) -> Element {
        let class = if has_line { "swatch" } else { "swatch narrow" };
        let line = has_line.then(|| self.line("M-16 0H16"));
        let marker = Element::new("path").set("class", &format!("marker {}", self.class));
        let marker = has_marker.then(|| marker.set("d", self.marker));
        Element::new("svg")
            .set("class", class)
            .set("viewBox", if has_line { "-17 -7 34 14" } else { "-7 -7 14 14" })
            .set("aria-hidden", "true")
            .with_all(line.into_iter().chain(marker))
    }
}
