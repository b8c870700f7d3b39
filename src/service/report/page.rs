//! The page as a whole.

use super::Replayed;
use super::article::article;
use super::markup::{Element, escaped};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");

/// The page: HTML that is well-formed XML as well, and refers to nothing outside itself.
pub(in crate::service) fn page(replays: &[Replayed]) -> String {
    let names: Vec<_> = replays.iter().map(|replayed| replayed.trace.as_str()).collect();
    let articles: String =
        (1..).zip(replays).map(|(nth, replayed)| article(replayed, &id(nth)).to_string()).collect();
    let values = [
        ("title", escaped(&format!("Replay of {}", names.join(", ")))),
        ("style", STYLE.to_owned()),
        ("contents", contents(&names)),
        ("articles", articles),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    filled(PAGE, &values)
}

fn id(nth: usize) -> String {
    format!("trace-{nth}")
}

/// The way to each trace, if there are several.
fn contents(names: &[&str]) -> String {
    if names.len() < 2 {
        return String::new();
    }
    let links = (1..).zip(names).map(|(nth, name)| {
        let link = Element::new("a").set("href", &format!("#{}", id(nth)));
        Element::new("li").with(link.with(Element::of("bdi", name)))
    });
    let list = Element::new("ul").with_all(links);
    Element::new("nav").set("aria-label", "Traces").with(list).to_string()
}

/// A template with a value for each `{{name}}`. Values are not looked into, so whatever is in them
/// stays as it is.
fn filled(template: &str, values: &[(&str, String)]) -> String {
    let mut parts = template.split("{{");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or(("", part));
        let value = values.iter().find(|(known, _)| *known == name);
        page.push_str(value.map_or("", |(_, value)| value));
        page.push_str(rest);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_once() {
        let values = [("a", "{{b}}".to_owned()), ("b", "2".to_owned())];
        assert_eq!(filled("<{{a}}|{{b}}|{{c}}>", &values), "<{{b}}|2|>");
    }

    #[test]
    fn several_traces_have_contents() {
        assert_eq!(contents(&["only"]), "");
        let contents = contents(&["a", "<b>"]);
        assert!(contents.contains("<a href=\"#trace-2\"><bdi>&lt;b&gt;</bdi></a>"), "{contents}");
    }
}
