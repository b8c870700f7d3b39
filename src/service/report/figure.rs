//! A plot with what is written around it.

use super::look::Look;
use super::markup::Element;

/// A plot, its heading, its legend, and its values as a table.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) heading: &'static str,
    /// What it shows and how to read it.
    pub(super) caption: String,
    pub(super) legend: Vec<Element>,
    pub(super) plot: Element,
    pub(super) values: Element,
}

impl Figure {
    pub(super) fn draw(self) -> Element {
        let caption = Element::new("figcaption")
            .with(Element::of("h2", self.heading))
            .with(Element::of("p", &self.caption));
        let values =
            Element::new("details").with(Element::of("summary", "Values")).with(self.values);
        Element::new("figure")
            .with(caption)
            .with(Element::new("ul").set("class", "legend").with_all(self.legend))
            .with(self.plot)
            .with(values)
    }
}

/// A line of a legend.
pub(super) fn key(look: Look, (has_line, has_marker): (bool, bool), name: &str) -> Element {
    Element::new("li").with(look.swatch(has_line, has_marker)).text(name)
}

/// What stands where there is nothing to plot.
pub(super) fn nothing(heading: &'static str, why: &str) -> Element {
    let caption =
        Element::new("figcaption").with(Element::of("h2", heading)).with(Element::of("p", why));
    Element::new("figure").with(caption)
}
