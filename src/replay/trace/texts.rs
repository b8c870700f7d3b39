//! Many texts in one piece of memory.

use std::borrow::Cow;

/// Texts by number, one after the other: eight bytes for each beside its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    /// As they came: logs hold bytes that are no UTF-8, and different texts stay different.
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Texts {
    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// A text as people read it; `None` if there are not so many.
    pub(crate) fn get(&self, number: usize) -> Option<Cow<'_, str>> {
        self.bytes_of(number).map(String::from_utf8_lossy)
    }

    pub(super) fn bytes_of(&self, number: usize) -> Option<&[u8]> {
        let end = *self.ends.get(number)?;
        let begin = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        self.bytes.get(begin.unwrap_or(0)..end)
    }

    /// How many texts there are.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_found_by_its_number_whatever_it_holds() {
        let long = "x".repeat(1 << 20);
        let texts: [&[u8]; 6] =
            [b"", b"a", "\u{202e}\u{fc}<b>".as_bytes(), b"", long.as_bytes(), b"\xff\0"];
        let mut kept = Texts::default();
        texts.iter().for_each(|text| kept.push(text));
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(kept.bytes_of(number), Some(*text), "{number}");
            assert_eq!(kept.get(number).unwrap(), String::from_utf8_lossy(text), "{number}");
        }
        assert_eq!((kept.count(), kept.get(texts.len())), (6, None));
        assert_eq!(Texts::default().get(0), None);
    }
}
