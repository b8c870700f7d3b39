//! The tags of a value.

use std::sync::Arc;

/// The tags of a value, by which it can be invalidated together with others.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tags(Option<Arc<[Box<str>]>>);

/// The most tags of a value, and the longest tag in bytes.
const TAGS_MAX: usize = 64;
const TAG_BYTES_MAX: usize = 256;

impl Tags {
    /// These tags, each once; `None` if there are too many, or one is empty or too long.
    pub(crate) fn new(tags: impl IntoIterator<Item = Box<str>>) -> Option<Self> {
        let mut all: Vec<_> = tags.into_iter().collect();
        if all.is_empty() {
            return Some(Self::default());
        }
        all.sort_unstable();
        all.dedup();
        let are_tags = all.len() <= TAGS_MAX && all.iter().all(|tag| Self::is_tag(tag));
        are_tags.then(|| Self(Some(all.into())))
    }

    /// Whether a text can be a tag: 1 to 256 bytes, and no control characters.
    pub(crate) fn is_tag(text: &str) -> bool {
        (1..=TAG_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|tags| tags.iter()).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_kept_once_and_within_bounds() {
        let tags = Tags::new(["b", "a", "b"].map(Box::from)).unwrap();
        assert_eq!(tags.iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(Tags::new([]), Some(Tags::default()));
        assert_eq!(Tags::new((0..65).map(|tag| tag.to_string().into())), None);
        for bad in ["", "a\n", &"x".repeat(257)] {
            assert_eq!(Tags::new([bad.into()]), None, "{bad:?}");
        }
    }
}
