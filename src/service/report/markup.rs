//! Elements of a page: balanced, and with every text escaped.

use std::fmt::{self, Display, Formatter};

/// An element with what is in it, of HTML or of SVG. Read as XML it is well formed.
///
/// It never closes itself, so elements that HTML leaves empty (`br`, `meta`) are none of these.
#[derive(Clone, Debug)]
pub(super) struct Element {
    name: &'static str,
    attributes: String,
    inside: String,
}

impl Element {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, attributes: String::new(), inside: String::new() }
    }

    /// An element that holds a text.
    pub(super) fn of(name: &'static str, text: &str) -> Self {
        Self::new(name).text(text)
    }

    pub(super) fn set(mut self, attribute: &str, value: &str) -> Self {
        self.attributes.extend([" ", attribute, "=\"", &escaped(value), "\""]);
        self
    }

    /// Sets an attribute to a length, which is written to a tenth.
    pub(super) fn at(self, attribute: &str, length: f64) -> Self {
        self.set(attribute, &tenths(length))
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        self.inside.push_str(&escaped(text));
        self
    }

    pub(super) fn with(self, child: Self) -> Self {
        self.with_all([child])
    }

    pub(super) fn with_all(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        for child in children {
            child.push_to(&mut self.inside);
        }
        self
    }

    fn push_to(&self, text: &mut String) {
        let Self { name, attributes, inside } = self;
        text.extend(["<", name, attributes, ">", inside, "</", name, ">"]);
        if is_block(name) {
            text.push('\n');
        }
    }
}

impl Display for Element {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.push_to(&mut text);
        formatter.write_str(&text)
    }
}

/// A length to a tenth: what a screen can show.
pub(super) fn tenths(length: f64) -> String {
    let text = format!("{length:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// A text that a browser shows as it is, whatever it contains, in an element or in an attribute.
///
/// Control characters, which neither XML nor HTML may hold, become replacement characters.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => safe.push(char::REPLACEMENT_CHARACTER),
            '\t' | '\n' => safe.push(character),
            _ if character.is_control() => safe.push(char::REPLACEMENT_CHARACTER),
            _ => safe.push(character),
        }
    }
    safe
}

/// Whether a line ends after the element, which is for those who read the source of a page.
fn is_block(name: &str) -> bool {
    !["a", "b", "bdi", "dd", "dt", "span", "td", "text", "th", "title"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_show_as_they_are() {
        let cases = [
            ("plain: 10 % – ü", "plain: 10 % – ü"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\" onload='x' & more", "&quot; onload=&#39;x&#39; &amp; more"),
            ("]]>&amp;", "]]&gt;&amp;amp;"),
            ("a\0b\u{1b}[31m\u{85}\u{ffff}", "a\u{fffd}b\u{fffd}[31m\u{fffd}\u{fffd}"),
        ];
        for (text, safe) in cases {
            assert_eq!(escaped(text), safe);
        }
    }

    #[test]
    fn elements_nest_and_escape_what_they_hold() {
        let cell = Element::of("td", "a < b").set("title", "\"").at("width", 2.0);
        let row = Element::new("tr").with(cell).with_all([]).with(Element::new("td"));
        let expected = "<tr><td title=\"&quot;\" width=\"2\">a &lt; b</td><td></td></tr>\n";
        assert_eq!(row.to_string(), expected);
    }

    #[test]
    fn lengths_are_written_to_a_tenth() {
        for (length, text) in [(1.0, "1"), (-0.01, "0"), (12.345, "12.3"), (-7.96, "-8")] {
            assert_eq!(tenths(length), text);
        }
    }
}
