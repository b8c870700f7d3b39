//! Numbers for names.

use foldhash::HashMap;

/// Numbers names from 0, in the order in which they first appear.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Box<[u8]>, u32>);

impl Names {
    /// The number of a name, or `None` if the numbers have run out.
    pub(super) fn number(&mut self, name: &[u8]) -> Option<u32> {
        if let Some(number) = self.0.get(name) {
            return Some(*number);
        }
        let number = self.count();
        if number == u32::MAX {
            return None;
        }
        self.0.insert(name.into(), number);
        Some(number)
    }

    /// How many names there are.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_in_order_of_appearance() {
        let mut names = Names::default();
        let numbers = [b"b", b"a", b"b", b"c", b"a"].map(|name| names.number(name));
        assert_eq!(numbers, [0, 1, 0, 2, 1].map(Some));
        assert_eq!(names.count(), 3);
    }
}
