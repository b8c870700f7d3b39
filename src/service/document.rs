//! The value of every resource of the service: a JSON document.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use http::HeaderValue;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_128;

use self::sound::Sound;

pub(crate) use self::template::Template;
pub(crate) use self::trim::trim;
pub(crate) use self::written::{Array, Object};

mod pointer;
mod sound;
mod template;
mod trim;
mod written;

/// A JSON document: its text as it is answered, and the `ETag` of the text.
///
/// A document that exists is JSON, is UTF-8 and can be read as a `serde_json::Value`. It never is, apart
/// from tests, so that every number and the order of names stay as they came. Cloning copies nothing.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Document {
    text: Bytes,
    etag: HeaderValue,
    /// The `ETag` by which an HTTP source knows it.
    source_etag: Option<String>,
}

/// A text that is no document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no JSON that can be kept: {problem} at line {line}, column {column}")]
pub(crate) struct DocumentError {
    problem: &'static str,
    line: usize,
    column: usize,
}

impl Document {
    /// The document with this text.
    ///
    /// # Errors
    ///
    /// It is no JSON, has a number that does not fit into 64 bits of floating point, or is nested
    /// more than 127 deep.
    pub(crate) fn of(text: Bytes) -> Result<Self, DocumentError> {
        Sound::check(&text).map_err(|error| DocumentError::new(&error))?;
        Ok(Self::new(text))
    }

    fn new(text: Bytes) -> Self {
        let etag = etag_of(&text);
        Self { text, etag, source_etag: None }
    }

    /// The same, as an HTTP source knows it by this `ETag`.
    pub(crate) fn known_as(self, source_etag: Option<String>) -> Self {
        Self { source_etag, ..self }
    }

    /// The text.
    pub(crate) fn body(&self) -> Bytes {
        self.text.clone()
    }

    /// The `ETag` of the text, for those who hold it already: strong, and the same wherever the text
    /// is.
    pub(crate) fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    /// The `ETag` that an HTTP source gave it.
    pub(crate) fn source_etag(&self) -> Option<&str> {
        self.source_etag.as_deref()
    }

    /// The text, to be looked into, or put into another one as it stands.
    pub(crate) fn text(&self) -> &str {
        // It was checked when it was made.
        str::from_utf8(&self.text).unwrap_or("null")
    }

    /// The text or the number that a JSON pointer leads to, as a text: a name of what it is of. `true` and
    /// `false` name nothing.
    pub(crate) fn name(&self, pointer: &str) -> Option<String> {
        let found = pointer::find(self.text(), pointer)?;
        template::text_of(found).filter(|_| !found.starts_with(['t', 'f']))
    }

    /// How many elements the arrays have that it holds by names.
    pub(crate) fn count_elements(&self) -> usize {
        pointer::count_elements(self.text())
    }

    /// What it says.
    #[cfg(test)]
    pub(crate) fn value(&self) -> serde_json::Value {
        serde_json::from_slice(&self.text).unwrap()
    }

    /// The length of its text in bytes.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }
}

impl DocumentError {
    fn new(error: &serde_json::Error) -> Self {
        use serde_json::error::Category;
        // What serde_json says may quote what it read.
        let problem = match error.classify() {
            Category::Eof => "it ends too early",
            Category::Io | Category::Syntax | Category::Data => "it goes wrong",
        };
        Self { problem, line: error.line(), column: error.column() }
    }
}

/// Whether a text can be a document, or a part of one.
pub(crate) fn is_json(text: &str) -> bool {
    Sound::check(text.as_bytes()).is_ok()
}

fn etag_of(text: &[u8]) -> HeaderValue {
    let mut etag = String::with_capacity(34);
    // Writing to a text does not fail, and hexadecimal digits in quotes are a header.
    let written = write!(etag, "\"{:032x}\"", xxh3_128(text));
    let etag = written.ok().and_then(|()| HeaderValue::try_from(etag).ok());
    etag.unwrap_or_else(|| HeaderValue::from_static("\"\""))
}

/// How it is stored: the `ETag` is computed again, so that nobody can store a wrong one.
#[derive(Deserialize, Serialize)]
struct Stored {
    text: Bytes,
    source_etag: Option<String>,
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { text, source_etag, .. } = self.clone();
        Stored { text, source_etag }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored { text, source_etag } = Stored::deserialize(deserializer)?;
        Ok(Self::of(text).map_err(D::Error::custom)?.known_as(source_etag))
    }
}

/// Without what it says.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_text_is_kept_as_it_is_and_known_by_its_etag() {
        let text = "{\"b\": 1.50, \"a\": \"\\u00e9\"}\n";
        let document = Document::of(text.into()).unwrap();
        assert_eq!(document.body(), text);
        assert_eq!(document.len(), text.len());
        let expected = format!("\"{:032x}\"", xxh3_128(text.as_bytes()));
        assert_eq!(document.etag(), expected.as_str());
        assert_eq!(document.value()["a"], "é");
        let other = Document::of(text.trim().to_owned().into()).unwrap();
        assert_ne!(document.etag(), other.etag());
    }

    #[test]
    fn what_cannot_be_read_as_a_value_is_no_document() {
        let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
        for text in ["null", "0", "\"\"", "[]", " {} ", &deep(127)] {
            assert!(Document::of(text.to_owned().into()).is_ok(), "{text}");
        }
        let no =
            ["", " ", "{", "[1,]", "nul", "1 2", "'a'", "NaN", "1e999", "\"\u{1}\"", "{\"a\"}"];
        for text in no.into_iter().chain([deep(128).as_str(), deep(1_000_000).as_str()]) {
            assert!(Document::of(text.to_owned().into()).is_err(), "{text:.20}");
        }
        assert!(Document::of(Bytes::from_static(b"\"\xff\"")).is_err(), "no UTF-8");
    }

    #[test]
    fn texts_and_numbers_are_names_and_nothing_else_is() {
        let document = Document::of(r#"{"a":"x","b":1e2,"c":false,"d":true,"e":null}"#.into());
        let document = document.unwrap();
        let names = ["/a", "/b", "/c", "/d", "/e", "/f"].map(|place| document.name(place));
        assert_eq!(names, [Some("x".to_owned()), Some("1e2".to_owned()), None, None, None, None]);
    }

    #[test]
    fn an_error_quotes_nothing_of_the_text() {
        let error = Document::of("{\"password\": s3cret}".into()).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!said.contains("s3cret") && said.contains("column 14"), "{said}");
        let document = Document::of("\"s3cret\"".into()).unwrap();
        assert_eq!(format!("{document:?}"), "Document { len: 8, .. }");
    }

    #[test]
    fn what_is_stored_is_read_back_and_what_is_no_document_is_refused() {
        let document = Document::of("[1, 2]".into()).unwrap().known_as(Some("W/\"7\"".into()));
        let stored = postcard::to_stdvec(&document).unwrap();
        let read: Document = postcard::from_bytes(&stored).unwrap();
        assert_eq!(read, document);
        assert_eq!(read.source_etag(), Some("W/\"7\""));
        let other = Stored { text: "[1, 2".into(), source_etag: None };
        let other = postcard::to_stdvec(&other).unwrap();
        assert!(postcard::from_bytes::<Document>(&other).is_err());
    }

    proptest! {
        #[test]
        fn no_stored_bytes_make_it_panic(stored in any::<Vec<u8>>()) {
            if let Ok(document) = postcard::from_bytes::<Document>(&stored) {
                drop(document.value());
            }
        }

        #[test]
        fn a_text_is_a_document_just_if_it_is_a_value(text in "[\\[\\]{}:,\"0-9.eE+\\- ntrufals\\\\]*") {
            let is_value = serde_json::from_str::<Value>(&text).is_ok();
            assert_eq!(Document::of(text.into()).is_ok(), is_value);
        }
    }
}
