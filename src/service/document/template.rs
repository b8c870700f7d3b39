//! Texts that are made of a key and of what is in its document.

use std::fmt;

use super::{Document, pointer};

/// A text with places, such as `{id}` or `user:{/team/id}`: a key of a related resource, or a tag.
///
/// `{id}` is the key itself, `{/team/id}` is what a JSON pointer (RFC 6901) leads to in the
/// document, and `{{` and `}}` are braces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    Id,
    Pointer(String),
}

/// What is wrong with a template.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// A place does not end.
    #[error("`{{` has no `}}`: write `{{{{` for a brace")]
    Open,
    /// A brace that ends no place.
    #[error("`}}` has no `{{`: write `}}}}` for a brace")]
    Close,
    /// A place that is neither the key nor a pointer.
    #[error("`{{{0}}}` is neither `{{id}}` nor a JSON pointer, which begins with `/`")]
    Place(String),
    /// A pointer that is none.
    #[error("`{{{0}}}` is no JSON pointer: `~` is written as `~0`, and `/` in a name as `~1`")]
    Pointer(String),
}

/// The most texts that one document gives: more related keys than this are not loaded ahead anyway.
const TEXTS_MAX: usize = 64;

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// Says which place is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else {
                let inside = from.strip_prefix('{').ok_or(TemplateError::Close)?;
                let (place, after) = inside.split_once('}').ok_or(TemplateError::Open)?;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::of(place)?);
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        if parts.is_empty() { Err(TemplateError::Empty) } else { Ok(Self(parts)) }
    }

    /// The texts that it means for a key and its document: one, or one for each element where a
    /// pointer leads to an array, at most 64. None if a pointer leads to nothing, to null or to an
    /// object.
    pub(crate) fn expand(&self, key: &str, document: &Document) -> Vec<String> {
        let mut texts = vec![String::new()];
        for part in &self.0 {
            match part {
                Part::Text(text) => texts.iter_mut().for_each(|begun| begun.push_str(text)),
                Part::Id => texts.iter_mut().for_each(|begun| begun.push_str(key)),
                Part::Pointer(pointer) => {
                    let found = pointer::find(document.text(), pointer);
                    let found = found.map(texts_of).unwrap_or_default();
                    let each = texts
                        .iter()
                        .flat_map(|begun| found.iter().map(move |text| format!("{begun}{text}")));
                    texts = each.take(TEXTS_MAX).collect();
                }
            }
        }
        texts
    }
}

impl Part {
    fn of(place: &str) -> Result<Self, TemplateError> {
        if place == "id" {
            return Ok(Self::Id);
        }
        if !place.starts_with('/') || place.contains('{') {
            return Err(TemplateError::Place(place.to_owned()));
        }
        if is_pointer(place) {
            Ok(Self::Pointer(place.to_owned()))
        } else {
            Err(TemplateError::Pointer(place.to_owned()))
        }
    }
}

/// Whether a text is a JSON pointer. The empty one leads to the whole document.
pub(crate) fn is_pointer(text: &str) -> bool {
    let mut escapes = text.split('~').skip(1);
    (text.is_empty() || text.starts_with('/')) && escapes.all(|after| after.starts_with(['0', '1']))
}

/// What a value is called: nothing, or as many texts as it has elements.
fn texts_of(value: &str) -> Vec<String> {
    match pointer::elements(value, usize::MAX) {
        Some(elements) => elements.into_iter().filter_map(text_of).take(TEXTS_MAX).collect(),
        None => text_of(value).into_iter().collect(),
    }
}

/// A text by what it says, a number or a truth as it is written.
pub(super) fn text_of(value: &str) -> Option<String> {
    match value.as_bytes().first()? {
        b'"' => serde_json::from_str(value).ok(),
        b'n' | b'[' | b'{' => None,
        _ => Some(value.to_owned()),
    }
}

/// As it was written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Id => f.write_str("{id}")?,
                Part::Pointer(pointer) => write!(f, "{{{pointer}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use serde_json::json;

    use super::*;

    fn document() -> Document {
        let value = json!({
            "team": { "id": 7, "a/b": "x", "m~n": true },
            "roles": ["admin", null, 3, { "no": 1 }, "ops"],
            "none": null,
            "empty": [],
            "many": (0..100).collect::<Vec<_>>(),
        });
        Document::of(value.to_string().into()).unwrap()
    }

    #[test]
    fn places_are_filled_from_the_key_and_the_document() {
        let cases: [(&str, &[&str]); 14] = [
            ("{id}", &["k:1"]),
            ("plain", &["plain"]),
            ("user:{/team/id}", &["user:7"]),
            ("{id}/{/team/a~1b}/{/team/m~0n}", &["k:1/x/true"]),
            ("{{{id}}}", &["{k:1}"]),
            ("{{id}}", &["{id}"]),
            ("r:{/roles}", &["r:admin", "r:3", "r:ops"]),
            ("{/roles/0}", &["admin"]),
            ("{/roles/3}", &[]),
            ("a{/none}", &[]),
            ("a{/missing/deep}b", &[]),
            ("a{/empty}", &[]),
            ("{/team}", &[]),
            ("{/roles}{/none}", &[]),
        ];
        for (text, expected) in cases {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.expand("k:1", &document()), expected, "{text}");
            assert_eq!(template.to_string(), text);
        }
    }

    #[test]
    fn several_arrays_give_every_pair_and_no_more_than_64_texts() {
        let pairs = Template::parse("{/roles}-{/roles}").unwrap().expand("k", &document());
        assert_eq!(pairs.len(), 9);
        assert_eq!(pairs[1], "admin-3");
        for text in ["{/many}", "{/many}{/many}{/many}"] {
            assert_eq!(Template::parse(text).unwrap().expand("k", &document()).len(), 64, "{text}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused_and_said() {
        let cases = [
            ("", TemplateError::Empty),
            ("a{id", TemplateError::Open),
            ("a}b", TemplateError::Close),
            ("{}", TemplateError::Place(String::new())),
            ("{key}", TemplateError::Place("key".into())),
            ("{ id }", TemplateError::Place(" id ".into())),
            ("{team/id}", TemplateError::Place("team/id".into())),
            ("{/a~2}", TemplateError::Pointer("/a~2".into())),
            ("{/a~}", TemplateError::Pointer("/a~".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(Template::parse(text), Err(expected), "{text}");
        }
        let said = TemplateError::Place("key".into()).to_string();
        assert_eq!(said, "`{key}` is neither `{id}` nor a JSON pointer, which begins with `/`");
        assert!(TemplateError::Open.to_string().starts_with("`{` has no `}`: write `{{`"));
    }

    #[test]
    fn numbers_are_as_they_are_written() {
        let text = r#"{"price": 1.50, "all": [1180591620717411303424, 1e2, "\u0061"]}"#;
        let document = Document::of(text.into()).unwrap();
        let expand = |text| Template::parse(text).unwrap().expand("k", &document);
        assert_eq!(expand("p:{/price}"), ["p:1.50"]);
        assert_eq!(expand("{/all}"), ["1180591620717411303424", "1e2", "a"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_a_template_is_written_as_it_was_read(
            text in "[{}/~a-c01 é]{0,20}",
            other in any::<String>(),
            key in any::<String>(),
        ) {
            for text in [text, other] {
                if let Ok(template) = Template::parse(&text) {
                    assert_eq!(template.to_string(), text);
                    assert!(template.expand(&key, &document()).len() <= TEXTS_MAX);
                }
            }
        }
    }
}
