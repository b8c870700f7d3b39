//! Documents without the ends of their long lists.

use std::collections::BTreeMap;

use super::{Document, pointer};

/// The document with at most so many elements of the array at each of these JSON pointers; the empty
/// pointer leads to the whole document. What is no array, or is not there, is left as it is; and so is
/// the text of all that stays.
pub(crate) fn trim(document: Document, lengths: &BTreeMap<String, usize>) -> Document {
    let mut shorter: Option<String> = None;
    for (pointer, &length) in lengths {
        let text = shorter.as_deref().unwrap_or_else(|| document.text());
        shorter = cut(text, pointer, length).or(shorter);
    }
    let Some(shorter) = shorter else { return document };
    let source_etag = document.source_etag().map(str::to_owned);
    // It is JSON as it was.
    Document::of(shorter.into()).map_or(document, |trimmed| trimmed.known_as(source_etag))
}

/// The text with at most so many elements of an array; `None` if it has no more, or is none.
fn cut(text: &str, pointer: &str, length: usize) -> Option<String> {
    let array = pointer::find(text, pointer)?;
    let kept = pointer::elements(array, length.checked_add(1)?)?;
    if kept.len() <= length {
        return None;
    }
    let start = place_of(text, array);
    // Up to the end of the last one that stays, or to what begins the array.
    let end = match length.checked_sub(1).and_then(|last| kept.get(last)) {
        Some(last) => place_of(text, last) + last.len(),
        None => start + 1,
    };
    let (before, after) = (text.get(..end)?, text.get(start + array.len()..)?);
    Some(format!("{before}]{after}"))
}

/// Where a part of a text begins.
fn place_of(text: &str, part: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trimmed(text: &str, lengths: &[(&str, usize)]) -> Document {
        let lengths = lengths.iter().map(|(pointer, length)| ((*pointer).to_owned(), *length));
        trim(Document::of(text.to_owned().into()).unwrap(), &lengths.collect())
    }

    #[test]
    fn only_the_first_elements_are_kept() {
        type Case<'a> = (&'a str, &'a [(&'a str, usize)], &'a str);
        let cases: [Case<'_>; 7] = [
            ("[3, 2, 1]", &[("", 2)], "[3, 2]"),
            ("[3, 2, 1]", &[("", 0)], "[]"),
            ("[3, 2, 1]", &[("", 3)], "[3, 2, 1]"),
            ("{ \"a\": [1, 2] }", &[("/a", 1), ("/b", 1)], "{ \"a\": [1] }"),
            ("{ \"a\": 1 }", &[("/a", 0), ("", 0)], "{ \"a\": 1 }"),
            ("[[1, 2], [3, 4]]", &[("", 1), ("/0", 1)], "[[1]]"),
            (
                "{\"z\":[1.50,1180591620717411303424,0],\"a\":12345678901234567890.123456789}",
                &[("/z", 2)],
                "{\"z\":[1.50,1180591620717411303424],\"a\":12345678901234567890.123456789}",
            ),
        ];
        for (text, lengths, expected) in cases {
            assert_eq!(trimmed(text, lengths).body(), expected, "{text} {lengths:?}");
        }
    }

    #[test]
    fn the_etag_is_that_of_what_is_left_and_the_source_still_knows_it() {
        let document = Document::of("[1,2]".into()).unwrap().known_as(Some("\"7\"".into()));
        let trimmed = trim(document, &[(String::new(), 1)].into());
        assert_eq!(trimmed.etag(), Document::of("[1]".into()).unwrap().etag());
        assert_eq!(trimmed.source_etag(), Some("\"7\""));
    }
}
