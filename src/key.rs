//! The text of keys: how a key is named outside this process.

use std::fmt::{self, Display, Write as _};
use std::hash::Hash;
use std::str::FromStr;

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
pub(crate) use self::pattern::Part;
pub use self::pattern::{ParsePatternError, Pattern};

mod pattern;

/// What a type must be able to do to serve as a key.
///
/// Integers, `String`, `Uuid` and the like have it all; for a type of your own, implement
/// [`Display`] and [`FromStr`] so that one reads what the other writes. The text names the key in
/// L2, on the command line and in the admin service. Nothing needs to be implemented here.
pub trait Key: Clone + Display + Eq + FromStr + Hash + Send + Sync + 'static {}

impl<K: Clone + Display + Eq + FromStr + Hash + Send + Sync + 'static> Key for K {}

/// The longest prefix and the longest resource name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A name that keys begin with: the prefix of an engine, or the name of a resource.
///
/// It has 1 to 64 bytes, no `:` and no control characters; so a full key splits in one way only.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Name(String);

impl Name {
    /// Reads a name; one `:` at the end is taken off, so that `shop` and `shop:` are the same.
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        let name = text.strip_suffix(':').unwrap_or(text);
        if name.is_empty() {
            Err(NameError::Empty)
        } else if name.len() > NAME_BYTES_MAX {
            Err(NameError::TooLong)
        } else if name.contains(':') {
            Err(NameError::Colon)
        } else if name.chars().any(char::is_control) {
            Err(NameError::Control)
        } else {
            Ok(Self(name.to_owned()))
        }
    }

    /// The name itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("is empty")]
    Empty,
    #[error("is longer than 64 bytes")]
    TooLong,
    #[error("contains a `:`, which separates the parts of a key")]
    Colon,
    #[error("contains a control character")]
    Control,
}

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key in full, `{prefix}:{resource}:{text}`, split into its parts.
///
/// Prefix and resource hold no `:`; the rest is the key's own text, whatever it holds. Two
/// different keys never have the same full text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FullKey<'a> {
    /// The prefix of the engine.
    pub prefix: &'a str,
    /// The name of the resource.
    pub resource: &'a str,
    /// The text of the key itself.
    pub text: &'a str,
}

impl<'a> FullKey<'a> {
    /// Splits a full key, or gives `None` if it is not one.
    #[must_use]
    pub fn parse(full: &'a str) -> Option<Self> {
        let (prefix, rest) = full.split_once(':')?;
        let (resource, text) = rest.split_once(':')?;
        (is_name(prefix) && is_name(resource)).then_some(Self { prefix, resource, text })
    }
}

/// Whether a part of a full key is a name as it stands.
fn is_name(part: &str) -> bool {
    Name::parse(part).is_ok_and(|name| name.as_str() == part)
}

impl Display for FullKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.prefix, self.resource, self.text)
    }
}

/// A key made of several parts, such as `42:daily_stats`.
///
/// The text of the parts is joined by `:`; a `:` or `\` within a part is written as `\:` or `\\`,
/// so that `["a", "b:c"]` and `["a:b", "c"]` stay different keys.
///
/// ```
/// use forewarm::Segments;
///
/// let key = Segments::new(["42", "daily:stats"]);
/// assert_eq!(key.to_string(), r"42:daily\:stats");
/// assert_eq!(key.to_string().parse(), Ok(key));
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Segments(Vec<String>);

impl Segments {
    /// A key with these parts, in this order. There is always one at least: no parts are the same
    /// key as one that is empty.
    pub fn new<S: Display>(parts: impl IntoIterator<Item = S>) -> Self {
        let mut parts: Vec<_> = parts.into_iter().map(|part| part.to_string()).collect();
        if parts.is_empty() {
            parts.push(String::new());
        }
        Self(parts)
    }

    /// The parts, unescaped.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl Display for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, part) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_char(':')?;
            }
            for c in part.chars() {
                if matches!(c, ':' | '\\') {
                    f.write_char('\\')?;
                }
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// A text that [`Segments`] cannot have written: a `\` that escapes nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a `\\` in a key of several parts must be followed by `:` or `\\`")]
pub struct ParseSegmentsError;

impl FromStr for Segments {
    type Err = ParseSegmentsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                ':' => parts.push(std::mem::take(&mut part)),
                '\\' => match chars.next() {
                    Some(escaped @ (':' | '\\')) => part.push(escaped),
                    _ => return Err(ParseSegmentsError),
                },
                plain => part.push(plain),
            }
        }
        parts.push(part);
        Ok(Self(parts))
    }
}

/// How a key appears in errors and logs.
///
/// Keys are often personal data, so by default this is a short hash that tells keys apart within
/// one run of the engine; with `log_keys` it is the text, its control characters escaped.
#[derive(Clone, Eq, PartialEq)]
pub struct KeyLabel(Box<str>);

impl KeyLabel {
    /// The longest text that is shown, in characters.
    const SHOWN_MAX: usize = 128;

    pub(crate) fn hashed(hash: u64) -> Self {
        Self(format!("#{:08x}", hash >> 32).into())
    }

    pub(crate) fn plain(key: &impl Display) -> Self {
        let text = key.to_string();
        Self(text.chars().take(Self::SHOWN_MAX).flat_map(char::escape_debug).collect())
    }
}

impl Display for KeyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The length of a key's text in bytes, without making the text.
pub(crate) fn text_bytes(key: &impl Display) -> usize {
    struct Length(usize);
    impl fmt::Write for Length {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 += part.len();
            Ok(())
        }
    }
    let mut length = Length(0);
    // Writing to a counter cannot fail; a `Display` that gives up early counts as too long.
    match write!(length, "{key}") {
        Ok(()) => length.0,
        Err(fmt::Error) => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prefix_with_and_without_colon_is_the_same() {
        assert_eq!(Name::parse("zsxq"), Name::parse("zsxq:"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (text, why) in [
            ("", NameError::Empty),
            (":", NameError::Empty),
            ("a:b", NameError::Colon),
            ("a::", NameError::Colon),
            ("tab\t", NameError::Control),
            (&"x".repeat(65), NameError::TooLong),
        ] {
            assert_eq!(Name::parse(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn labels_show_no_control_characters() {
        let label = KeyLabel::plain(&"a\nb\u{1b}[31m").to_string();
        assert_eq!(label, "a\\nb\\u{1b}[31m");
    }

    proptest! {
        #[test]
        fn segments_round_trip(parts in prop::collection::vec(".*", 0..6)) {
            let key = Segments::new(&parts);
            prop_assert_eq!(key.to_string().parse::<Segments>().unwrap(), key);
        }

        #[test]
        fn different_segments_have_different_texts(
            a in prop::collection::vec("[:\\\\ab]{0,3}", 0..4),
            b in prop::collection::vec("[:\\\\ab]{0,3}", 0..4),
        ) {
            let (left, right) = (Segments::new(&a), Segments::new(&b));
            prop_assert_eq!(left == right, left.to_string() == right.to_string());
        }

        #[test]
        fn full_keys_round_trip(prefix in "[^:\\x00-\\x1f\\x7f-\\x9f]{1,12}", text in ".*") {
            let full = FullKey { prefix: &prefix, resource: "user", text: &text };
            let written = full.to_string();
            prop_assert_eq!(FullKey::parse(&written), Some(full));
        }

        #[test]
        fn the_length_of_a_text_is_that_of_its_text(key in ".*") {
            prop_assert_eq!(text_bytes(&key), key.len());
        }
    }
}
