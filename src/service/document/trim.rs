//! Documents without the ends of their long lists.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Document;

/// The document with at most so many elements of the array at each of these JSON pointers; the empty
/// pointer leads to the whole document. What is no array, or is not there, is left as it is; and so is
/// the text, if nothing is too long.
pub(crate) fn trim(document: Document, lengths: &BTreeMap<String, usize>) -> Document {
    if lengths.is_empty() {
        return document;
    }
    let mut value = document.value();
    let mut is_shorter = false;
    for (pointer, &length) in lengths {
        if let Some(Value::Array(elements)) = value.pointer_mut(pointer)
            && elements.len() > length
        {
            elements.truncate(length);
            is_shorter = true;
        }
    }
    if !is_shorter {
        return document;
    }
    let source_etag = document.source_etag().map(str::to_owned);
    // It is no deeper than it was.
    Document::of_value(&value).map_or(document, |trimmed| trimmed.known_as(source_etag))
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
        let cases: [Case<'_>; 6] = [
            ("[3, 2, 1]", &[("", 2)], "[3,2]"),
            ("[3, 2, 1]", &[("", 0)], "[]"),
            ("[3, 2, 1]", &[("", 3)], "[3, 2, 1]"),
            ("{ \"a\": [1, 2] }", &[("/a", 1), ("/b", 1)], "{\"a\":[1]}"),
            ("{ \"a\": 1 }", &[("/a", 0), ("", 0)], "{ \"a\": 1 }"),
            ("[[1, 2], [3, 4]]", &[("", 1), ("/0", 1)], "[[1]]"),
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
