//! Invalidations of many keys at once: noted in one step, and heeded by whoever comes for a key.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::entry::Tags;
use crate::key::Pattern;
use crate::sync::Mutex;

/// Keys that are invalidated together.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Group {
    /// All keys.
    All,
    /// Those whose values have this tag.
    Tag(Box<str>),
    /// Those whose texts match.
    Pattern(Pattern),
}

/// The groups of a resource that have been invalidated.
///
/// Each invalidation begins a new *generation*. An entry carries the generation as of which it was
/// last found to be valid, a flight that in which it began; what has been invalidated since voids
/// them. So an invalidation costs the same however many keys it is about, and a read in an
/// unchanged generation costs a comparison.
#[derive(Debug)]
pub(crate) struct Groups {
    generation: AtomicU64,
    live: Mutex<Live>,
}

/// The last generation in which each group was invalidated.
#[derive(Debug, Default)]
struct Live {
    all: u64,
    /// What began before this generation has been set apart.
    marked: u64,
    tags: HashMap<Box<str>, u64>,
    patterns: HashMap<Pattern, u64>,
}

/// More are not told apart: then everything is invalidated instead, which is never too little.
const TAGS_MAX: usize = 10_000;
const PATTERNS_MAX: usize = 128;

impl Groups {
    pub(crate) fn new() -> Self {
        Self { generation: AtomicU64::new(0), live: Mutex::default() }
    }

    /// The present generation.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(SeqCst)
    }

    /// Invalidates a group; gives whether there were too many, so that everything was.
    pub(crate) fn invalidate(&self, group: Group) -> bool {
        let mut live = self.live.lock();
        let generation = self.generation() + 1;
        match group {
            Group::All => live.all = generation,
            Group::Tag(tag) => drop(live.tags.insert(tag, generation)),
            Group::Pattern(pattern) => drop(live.patterns.insert(pattern, generation)),
        }
        let is_full = live.tags.len() > TAGS_MAX || live.patterns.len() > PATTERNS_MAX;
        if is_full {
            live.all = generation;
        }
        if live.all == generation {
            live.tags.clear();
            live.patterns.clear();
        }
        self.generation.store(generation, SeqCst);
        is_full
    }

    /// Sets apart what began before now, in case [`Groups::void_marked`] is called.
    pub(crate) fn mark(&self) {
        let mut live = self.live.lock();
        live.marked = self.generation() + 1;
        self.generation.store(live.marked, SeqCst);
    }

    /// Invalidates what was set apart, and nothing that began later.
    pub(crate) fn void_marked(&self) {
        let mut live = self.live.lock();
        live.all = live.all.max(live.marked);
        self.generation.store(self.generation() + 1, SeqCst);
    }

    /// Whether what was valid as of `since` is valid now: gives the present generation, or `None`
    /// if it has been invalidated. `text` gives the text of the key.
    pub(crate) fn confirm(
        &self,
        since: u64,
        tags: &Tags,
        text: impl FnOnce() -> String,
    ) -> Option<u64> {
        let live = self.live.lock();
        let is_void = live.voids(since, text) || live.voids_tags(since, tags);
        (!is_void).then(|| self.generation())
    }

    /// Whether a key has been invalidated since, as far as its text tells: its value, if it is yet
    /// to come, may have tags.
    pub(crate) fn voids_key(&self, since: u64, text: impl FnOnce() -> String) -> bool {
        since != self.generation() && self.live.lock().voids(since, text)
    }

    /// Forgets the groups that were invalidated in `generation` or before it: nothing older is
    /// left.
    pub(crate) fn forget(&self, generation: u64) {
        let mut live = self.live.lock();
        live.tags.retain(|_, invalidated| *invalidated > generation);
        live.patterns.retain(|_, invalidated| *invalidated > generation);
    }

    /// The groups that are told apart.
    pub(crate) fn len(&self) -> usize {
        let live = self.live.lock();
        live.tags.len() + live.patterns.len()
    }
}

impl Live {
    fn voids(&self, since: u64, text: impl FnOnce() -> String) -> bool {
        if self.all > since {
            return true;
        }
        if !self.patterns.values().any(|generation| *generation > since) {
            return false;
        }
        let text = text();
        let matches =
            |(pattern, generation): (&Pattern, &u64)| *generation > since && pattern.matches(&text);
        self.patterns.iter().any(matches)
    }

    fn voids_tags(&self, since: u64, tags: &Tags) -> bool {
        tags.iter().any(|tag| self.tags.get(tag).is_some_and(|generation| *generation > since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(of: &[&str]) -> Tags {
        Tags::new(of.iter().map(|tag| Box::from(*tag))).unwrap()
    }

    #[test]
    fn what_is_older_than_its_group_is_void() {
        let groups = Groups::new();
        let confirm =
            |since, of: &[&str], key: &str| groups.confirm(since, &tags(of), || key.to_owned());
        assert_eq!(confirm(0, &["a"], "1"), Some(0));
        groups.invalidate(Group::Tag("a".into()));
        assert_eq!(confirm(0, &["a"], "1"), None);
        assert_eq!(confirm(0, &["b"], "1"), Some(1));
        assert_eq!(confirm(1, &["a"], "1"), Some(1));
        groups.invalidate(Group::Pattern("1*".parse().unwrap()));
        assert_eq!(confirm(1, &[], "12"), None);
        assert_eq!(confirm(1, &[], "21"), Some(2));
        assert!(groups.voids_key(1, || "12".to_owned()) && !groups.voids_key(2, String::new));
        groups.invalidate(Group::All);
        assert_eq!((confirm(2, &[], "21"), confirm(3, &["a"], "12")), (None, Some(3)));
        assert_eq!(groups.len(), 0);
    }

    #[test]
    fn what_began_after_the_mark_stays() {
        let groups = Groups::new();
        let confirm = |since| groups.confirm(since, &Tags::default(), String::new);
        let before = groups.generation();
        groups.mark();
        let after = groups.generation();
        assert!(confirm(before).is_some() && confirm(after).is_some());
        groups.void_marked();
        assert_eq!((confirm(before), confirm(after)), (None, Some(groups.generation())));
    }

    #[test]
    fn too_many_become_one() {
        let groups = Groups::new();
        for nth in 0..PATTERNS_MAX {
            assert!(!groups.invalidate(Group::Pattern(format!("{nth}:*").parse().unwrap())));
        }
        assert!(groups.invalidate(Group::Pattern("x".parse().unwrap())));
        assert_eq!(groups.len(), 0);
        assert_eq!(groups.confirm(128, &Tags::default(), || "y".to_owned()), None);
    }

    #[test]
    fn what_nothing_is_older_than_is_forgotten() {
        let groups = Groups::new();
        groups.invalidate(Group::Tag("a".into()));
        groups.invalidate(Group::Tag("b".into()));
        groups.forget(1);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups.confirm(1, &tags(&["b"]), String::new), None);
    }
}
