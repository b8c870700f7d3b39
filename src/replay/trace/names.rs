//! Numbers for names.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::texts::Texts;

/// Numbers names from 0, in the order in which they first appear. Each is kept once.
#[derive(Debug, Default)]
pub(super) struct Names {
    texts: Texts,
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Names {
    /// The number of a name, or `None` if the numbers have run out.
    pub(super) fn number(&mut self, name: &[u8]) -> Option<u32> {
        let Self { texts, numbers, hasher } = self;
        let text = |number: u32| texts.bytes_of(usize::try_from(number).ok()?);
        let hash = hasher.hash_one(name);
        if let Some(number) = numbers.find(hash, |number| text(*number) == Some(name)) {
            return Some(*number);
        }
        let number = texts.count();
        if number == u32::MAX {
            return None;
        }
        let rehash = |number: &u32| hasher.hash_one(text(*number).unwrap_or_default());
        numbers.insert_unique(hash, number, rehash);
        texts.push(name);
        Some(number)
    }

    /// How many names there are.
    pub(super) fn count(&self) -> u32 {
        self.texts.count()
    }

    /// The names by number.
    pub(super) fn into_texts(self) -> Texts {
        let mut texts = self.texts;
        texts.shrink_to_fit();
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_in_order_of_appearance_and_kept() {
        let mut names = Names::default();
        let numbers = [b"b", b"a", b"b", b"c", b"a"].map(|name| names.number(name));
        assert_eq!(numbers, [0, 1, 0, 2, 1].map(Some));
        assert_eq!(names.count(), 3);
        let texts = names.into_texts();
        let kept: Vec<_> = (0..4).map_while(|number| texts.get(number)).collect();
        assert_eq!(kept, ["b", "a", "c"]);
    }

    #[test]
    fn names_are_found_again_after_the_table_has_grown() {
        let mut names = Names::default();
        for _round in 0..2 {
            for nth in 0..10_000_u32 {
                assert_eq!(names.number(nth.to_string().as_bytes()), Some(nth));
            }
        }
    }
}
