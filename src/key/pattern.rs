//! Patterns of keys.

use std::fmt::{self, Display};
use std::str::FromStr;

/// A pattern that the text of a key matches or not, as a whole.
///
/// `*` stands for any characters, also none, `?` for one, and `\` takes the meaning of the next
/// character away. A pattern has 1 to 512 bytes, at most 8 stars, and no control characters, so
/// that no pattern is costly to match.
///
/// ```
/// use forewarm::Pattern;
///
/// let pattern: Pattern = "42:*".parse()?;
/// assert!(pattern.matches("42:daily_stats") && !pattern.matches("421:daily_stats"));
/// # Ok::<(), forewarm::ParsePatternError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Pattern {
    text: Box<str>,
    parts: Box<[Part]>,
}

/// What a pattern is made of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Part {
    /// Any characters.
    Any,
    /// One character.
    One,
    /// This character.
    Char(char),
}

/// The longest pattern, in bytes.
const BYTES_MAX: usize = 512;
const STARS_MAX: usize = 8;

impl Pattern {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches a text as a whole.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut at = 0;
        // Where to go on after the last star, if what follows it does not match here.
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let before = rest.clone();
            let fits = match self.parts.get(at) {
                Some(Part::Any) => {
                    at += 1;
                    retry = Some((at, before));
                    continue;
                }
                Some(Part::One) => rest.next().is_some(),
                Some(Part::Char(char)) => rest.next() == Some(*char),
                None if rest.as_str().is_empty() => return true,
                None => false,
            };
            if fits {
                at += 1;
                continue;
            }
            let Some((after_star, mut from)) = retry else { return false };
            if from.next().is_none() {
                return false;
            }
            at = after_star;
            rest = from.clone();
            retry = Some((after_star, from));
        }
    }

    /// What it is made of; no two stars follow each other.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres", feature = "redis")),
        expect(dead_code, reason = "for the languages of the stores")
    )]
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// Why a text is no [`Pattern`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParsePatternError {
    /// There is nothing.
    #[error("the pattern is empty: `*` matches every key")]
    Empty,
    /// There is too much.
    #[error("the pattern is longer than 512 bytes")]
    TooLong,
    /// It would be costly to match.
    #[error("the pattern has more than 8 `*`")]
    TooManyStars,
    /// Keys are texts that people can read.
    #[error("the pattern contains a control character")]
    Control,
    /// Nothing follows the last `\`.
    #[error("the pattern ends with a `\\` that takes the meaning of nothing away")]
    Unfinished,
}

impl FromStr for Pattern {
    type Err = ParsePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ParsePatternError::Empty);
        }
        if text.len() > BYTES_MAX {
            return Err(ParsePatternError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(ParsePatternError::Control);
        }
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            parts.push(match char {
                '*' if parts.last() == Some(&Part::Any) => continue,
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::Char(chars.next().ok_or(ParsePatternError::Unfinished)?),
                plain => Part::Char(plain),
            });
        }
        if parts.iter().filter(|part| **part == Part::Any).count() > STARS_MAX {
            return Err(ParsePatternError::TooManyStars);
        }
        Ok(Self { text: text.into(), parts: parts.into() })
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_matches_a_text_as_a_whole() {
        for (pattern, text, matches) in [
            ("42:*", "42:", true),
            ("42:*", "42:a:b", true),
            ("42:*", "142:a", false),
            ("*", "", true),
            ("?", "", false),
            ("?", "é", true),
            ("??", "é", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*a", "aaab", false),
            ("*ab", "aaab", true),
            (r"\*", "*", true),
            (r"\*", "x", false),
            (r"a\?b", "a?b", true),
            (r"a\\b", r"a\b", true),
            ("[ab]%_", "[ab]%_", true),
            ("A", "a", false),
        ] {
            let parsed: Pattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(text), matches, "{pattern} on {text}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let (long, starry) = ("a".repeat(513), "*a".repeat(9));
        for (text, why) in [
            ("", ParsePatternError::Empty),
            (&*long, ParsePatternError::TooLong),
            (&*starry, ParsePatternError::TooManyStars),
            ("a\n", ParsePatternError::Control),
            ("a\\", ParsePatternError::Unfinished),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(why), "{text:?}");
        }
    }

    /// The definition: what is left of a pattern against what is left of a text.
    fn defined(parts: &[Part], text: &[char]) -> bool {
        match (parts.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((Part::Any, rest)), _) => {
                (0..=text.len()).any(|skipped| defined(rest, &text[skipped..]))
            }
            (Some((Part::One, parts)), Some((_, text))) => defined(parts, text),
            (Some((Part::Char(char), parts)), Some((first, text))) => {
                char == first && defined(parts, text)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_its_definition_does(
            pattern in r"([ab*?]|\\[*?]){1,10}", text in "[ab*?]{0,12}",
        ) {
            if let Ok(parsed) = pattern.parse::<Pattern>() {
                let chars: Vec<_> = text.chars().collect();
                prop_assert_eq!(parsed.matches(&text), defined(&parsed.parts, &chars));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(pattern in ".*", text in ".*") {
            if let Ok(parsed) = pattern.parse::<Pattern>() {
                let _it_ends = parsed.matches(&text);
            }
        }
    }
}
