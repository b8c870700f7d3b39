//! A page as an XML parser sees it, for pages that are HTML and XML at once.

use std::collections::BTreeSet;

/// What is in a page that is well formed.
pub(super) struct Document {
    pub(super) tags: Vec<Tag>,
    /// All text outside the style sheet.
    pub(super) text: String,
}

/// An element without what is in it.
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
}

impl Tag {
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.attributes.iter().any(|attribute| attribute.0 == name && attribute.1 == value)
    }
}

impl Document {
    /// Reads a page; panics where it is not well formed.
    pub(super) fn read(page: &str) -> Self {
        let mut rest = page.strip_prefix("<!DOCTYPE html>\n").expect("a document of HTML");
        let mut document = Self { tags: Vec::new(), text: String::new() };
        let mut open: Vec<String> = Vec::new();
        while let Some((text, tail)) = rest.split_once('<') {
            if open.last().is_none_or(|name| name != "style") {
                document.text.push_str(&unescaped(text));
            }
            // An attribute may hold no `>`: it would be escaped.
            let (tag, tail) = tail.split_once('>').expect("a tag that ends");
            rest = tail;
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "before {rest:.80}");
            } else if let Some(tag) = tag.strip_suffix('/') {
                document.tags.push(parsed(tag));
            } else {
                let tag = parsed(tag);
                open.push(tag.name.clone());
                document.tags.push(tag);
            }
        }
        assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
        document
    }

    /// The names of all elements.
    pub(super) fn elements(&self) -> BTreeSet<&str> {
        self.tags.iter().map(|tag| tag.name.as_str()).collect()
    }
}

fn parsed(tag: &str) -> Tag {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric()), "<{tag}>");
    let mut attributes: Vec<(String, String)> = Vec::new();
    while let Some((attribute, tail)) = rest.split_once("=\"") {
        let (value, tail) = tail.split_once('"').expect("a value that ends");
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        assert!(!attribute.is_empty() && attribute.chars().all(is_name), "<{tag}>");
        assert!(attributes.iter().all(|(known, _)| known != attribute), "twice: <{tag}>");
        attributes.push((attribute.to_owned(), unescaped(value)));
        rest = tail.strip_prefix(' ').unwrap_or(tail);
    }
    assert!(rest.is_empty(), "<{tag}>");
    Tag { name: name.to_owned(), attributes }
}

/// A text with its references replaced; panics at characters that XML does not allow.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';').expect("a reference that ends");
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            other => panic!("&{other};"),
        });
        plain.push_str(rest);
    }
    let is_allowed = |letter: char| !letter.is_control() || letter == '\n' || letter == '\t';
    assert!(plain.chars().all(is_allowed), "{plain:?}");
    plain
}

#[test]
fn what_is_not_well_formed_is_noticed() {
    let page = |body: &str| format!("<!DOCTYPE html>\n<html><b a=\"1\">{body}</b><br/></html>\n");
    let document = Document::read(&page("x &lt; y"));
    assert_eq!((document.text.trim(), document.tags.len()), ("x < y", 3));
    assert!(document.tags[1].has("a", "1"));
    let flawed = [
        "<i>",
        "</i>",
        "&",
        "&nbsp;",
        "<i a=1></i>",
        "<i a=\"1\" a=\"2\"></i>",
        "\u{1}",
        "<i",
        "<>",
    ];
    for body in flawed {
        let read = std::panic::catch_unwind(|| Document::read(&page(body)));
        assert!(read.is_err(), "{body}");
    }
}
