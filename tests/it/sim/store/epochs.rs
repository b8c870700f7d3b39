//! Groups of keys that were invalidated, and when.

use std::collections::BTreeMap;

use forewarm::{Change, FullKey, Pattern};

/// The groups that were invalidated, each with its place in the log.
#[derive(Clone, Default)]
pub(super) struct Epochs(BTreeMap<String, OfResource>);

#[derive(Clone, Default)]
struct OfResource {
    all: u64,
    tags: BTreeMap<String, u64>,
    patterns: BTreeMap<String, (Pattern, u64)>,
}

/// More of a resource are not told apart: then everything of it is void.
const TAGS_MAX: usize = 10_000;
const PATTERNS_MAX: usize = 128;

impl Epochs {
    /// A group was invalidated.
    pub(super) fn note(&mut self, change: Change, sequence: u64) {
        let (resource, group) = match change {
            Change::Resource { resource } => (resource, None),
            Change::Tag { resource, tag } => {
                self.0.entry(resource.clone()).or_default().tags.insert(tag, sequence);
                (resource, Some(()))
            }
            Change::Pattern { resource, pattern } => {
                let parsed = pattern.parse::<Pattern>().ok();
                let group = parsed.map(|parsed| {
                    let patterns = &mut self.0.entry(resource.clone()).or_default().patterns;
                    patterns.insert(pattern, (parsed, sequence));
                });
                // One that cannot be read may have been any.
                (resource, group)
            }
            other => panic!("no group: {other:?}"),
        };
        let of = self.0.entry(resource).or_default();
        let is_full = of.tags.len() > TAGS_MAX || of.patterns.len() > PATTERNS_MAX;
        if group.is_none() || is_full {
            *of = OfResource { all: sequence, ..OfResource::default() };
        }
    }

    /// Whether a key, or a value of it that has these tags, has been invalidated since.
    pub(super) fn voids(&self, key: &str, since: u64, tags: &[String]) -> bool {
        let Some(full) = FullKey::parse(key) else { return false };
        let resource = &key[..key.len() - full.text.len() - 1];
        let Some(of) = self.0.get(resource) else { return false };
        let is_later = |sequence: &u64| *sequence > since;
        let is_tagged = || tags.iter().any(|tag| of.tags.get(tag).is_some_and(is_later));
        let mut patterns = of.patterns.values();
        is_later(&of.all)
            || is_tagged()
            || patterns.any(|(pattern, sequence)| is_later(sequence) && pattern.matches(full.text))
    }
}
