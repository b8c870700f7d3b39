//! Finding a part of a document in its text, so that it stays as it is written: a number that is read
//! and written again may be another one, and what is read is built only to be thrown away.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The part of a text of JSON that a JSON pointer (RFC 6901) leads to; the last one, if names stand
/// there twice.
pub(super) fn find<'a>(text: &'a str, pointer: &str) -> Option<&'a str> {
    let mut found: &RawValue = serde_json::from_str(text).ok()?;
    if !pointer.is_empty() {
        for step in pointer.strip_prefix('/')?.split('/') {
            let step = step.replace("~1", "/").replace("~0", "~");
            found = read(Step(&step), found.get())??;
        }
    }
    Some(found.get())
}

/// The first parts of an array, as they are written, up to so many; `None` if it is no array.
pub(super) fn elements(text: &str, most: usize) -> Option<Vec<&str>> {
    read(Elements(most), text).map(|(first, _)| first)
}

/// The number of the parts of each array that an object holds by itself.
pub(super) fn count_elements(text: &str) -> usize {
    read(Counts, text).unwrap_or_default()
}

fn read<'a, S: DeserializeSeed<'a>>(seed: S, text: &'a str) -> Option<S::Value> {
    seed.deserialize(&mut serde_json::Deserializer::from_str(text)).ok()
}

/// Goes into an array or an object.
struct Step<'s>(&'s str);

impl Step<'_> {
    /// The place in an array that it means.
    fn place(&self) -> Option<usize> {
        let is_index =
            self.0 == "0" || self.0.starts_with(|first: char| matches!(first, '1'..='9'));
        is_index.then(|| self.0.parse().ok()).flatten()
    }
}

impl<'a> DeserializeSeed<'a> for Step<'_> {
    type Value = Option<&'a RawValue>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Step<'_> {
    type Value = Option<&'a RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an object")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let (place, mut found) = (self.place(), None);
        for nth in 0.. {
            if Some(nth) == place {
                found = items.next_element()?;
            } else if items.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = fields.next_key_seed(IsName(self.0))? {
            if is_it {
                found = Some(fields.next_value()?);
            } else {
                let _other: IgnoredAny = fields.next_value()?;
            }
        }
        Ok(found)
    }
}

/// Whether a name is this one.
struct IsName<'s>(&'s str);

impl<'a> DeserializeSeed<'a> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// The first elements of an array, up to so many, and how many it has.
struct Elements(usize);

impl<'a> DeserializeSeed<'a> for Elements {
    type Value = (Vec<&'a str>, usize);

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for Elements {
    type Value = (Vec<&'a str>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while found.len() < self.0
            && let Some(item) = items.next_element::<&RawValue>()?
        {
            found.push(item.get());
        }
        let mut count = found.len();
        while items.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((found, count))
    }
}

struct Counts;

impl<'a> DeserializeSeed<'a> for Counts {
    type Value = usize;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Counts {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut fields: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some((_, Count(parts))) = fields.next_entry::<IgnoredAny, Count>()? {
            count += parts;
        }
        Ok(count)
    }
}

/// The number of parts of an array; of anything else none.
struct Count(usize);

impl<'a> Deserialize<'a> for Count {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(read(Elements(0), raw.get()).map_or(0, |(_, count)| count)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use serde_json::Value;

    use super::*;

    const TEXT: &str = r#" { "b": [1.50, {"c": 1180591620717411303424}, null], "a/b": {"m~n": "é"},
        "": { "0": -0 }, "\u0061": 1, "twice": 1, "twice": [2, 3] } "#;

    #[test]
    fn what_a_pointer_leads_to_is_as_it_is_written() {
        let cases = [
            ("", Some(TEXT.trim())),
            ("/b/0", Some("1.50")),
            ("/b/1/c", Some("1180591620717411303424")),
            ("/b/2", Some("null")),
            ("/b/3", None),
            ("/b/00", None),
            ("/b/-", None),
            ("/b/+1", None),
            ("/a~1b/m~0n", Some("\"é\"")),
            ("//0", Some("-0")),
            ("/a", Some("1")),
            ("/a/b", None),
            ("/twice", Some("[2, 3]")),
            ("/none/deep", None),
            ("b", None),
        ];
        for (pointer, expected) in cases {
            assert_eq!(find(TEXT, pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn elements_are_as_they_are_written_and_counted() {
        assert_eq!(elements("[1.50, [2], 3]", 2), Some(vec!["1.50", "[2]"]));
        assert_eq!(elements("[1.50, [2], 3]", 9), Some(vec!["1.50", "[2]", "3"]));
        assert_eq!((elements("[1]", 0), elements("{}", 1)), (Some(Vec::new()), None));
        assert_eq!(count_elements(r#"{"a": [1, [2, 3]], "b": [], "c": {"d": [1]}, "e": [4]}"#), 3);
        assert_eq!(count_elements("[1]"), 0);
    }

    proptest! {
        #[test]
        fn it_finds_what_a_reader_of_values_finds(
            text in "[\\[\\]{}:,\"0-2ab~/ ntrufals]{0,40}",
            pointer in "(/[0-2ab~]{0,2}){0,3}",
            other in any::<String>(),
        ) {
            for text in [text, TEXT.to_owned()] {
                let Ok(value) = serde_json::from_str::<Value>(&text) else { continue };
                for pointer in [&pointer, &other] {
                    let found = find(&text, pointer).map(|it| serde_json::from_str(it).unwrap());
                    assert_eq!(found.as_ref(), value.pointer(pointer), "{text} {pointer}");
                }
            }
        }
    }
}
