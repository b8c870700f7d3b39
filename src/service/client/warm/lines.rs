//! Keys, one a line.

use std::io::{self, BufRead, Read as _};

/// The lines of a text, as keys.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    nth: u64,
    at: u64,
}

/// A line.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Line {
    /// A key, and the byte at which its line ends.
    Key {
        /// The key.
        text: String,
        /// The end of the line.
        end: u64,
    },
    /// Nothing.
    Blank,
    /// What cannot be a key.
    Bad {
        /// The number of the line, from 1.
        nth: u64,
        /// Why not.
        problem: String,
    },
}

/// No key that people have is longer, and a file without lines must not fill the memory.
const KEY_BYTES_MAX: usize = 8 << 10;

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(reader: R) -> Self {
        Self { reader, nth: 0, at: 0 }
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        // One byte more shows that it is too long; two, what ends a line.
        let most = u64::try_from(KEY_BYTES_MAX).unwrap_or(u64::MAX) + 3;
        let mut read = (&mut self.reader).take(most).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        self.nth += 1;
        if !bytes.ends_with(b"\n") && read as u64 == most {
            read += self.reader.skip_until(b'\n')?;
        }
        self.at += read as u64;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let mut line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.nth == 1 {
            // What some editors put before a text in UTF-8.
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        Ok(Some(self.judged(line)))
    }

    fn judged(&self, line: &[u8]) -> Line {
        let bad = |problem: String| Line::Bad { nth: self.nth, problem };
        if line.is_empty() {
            return Line::Blank;
        }
        if line.len() > KEY_BYTES_MAX {
            return bad(format!("is longer than {KEY_BYTES_MAX} bytes"));
        }
        match std::str::from_utf8(line) {
            Err(_) => bad("is no UTF-8 text".to_owned()),
            Ok(text) if text.chars().any(char::is_control) => {
                bad("has a control character".to_owned())
            }
            Ok(text) => Line::Key { text: text.to_owned(), end: self.at },
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Line> {
        Lines::new(bytes).collect::<io::Result<_>>().unwrap()
    }

    #[test]
    fn each_line_is_a_key_or_says_why_not() {
        let long = "x".repeat(KEY_BYTES_MAX);
        let text = format!(
            "\u{feff}a\r\n\n b \n{long}\r\n{long}x\n{long}{long}\ntab\tin\n\u{1b}[2J\nlast"
        );
        let mut bytes = text.into_bytes();
        bytes.extend(b"\n\xff\n");
        let bad = |nth, problem: &str| Line::Bad { nth, problem: problem.to_owned() };
        let found = lines(&bytes);
        let keys: Vec<_> = found
            .iter()
            .filter_map(|line| match line {
                Line::Key { text, .. } => Some(text.as_str()),
                Line::Blank | Line::Bad { .. } => None,
            })
            .collect();
        assert_eq!(keys, ["a", " b ", long.as_str(), "last"]);
        let others: Vec<_> =
            found.iter().filter(|line| !matches!(line, Line::Key { .. })).collect();
        let expected = [
            Line::Blank,
            bad(5, "is longer than 8192 bytes"),
            bad(6, "is longer than 8192 bytes"),
            bad(7, "has a control character"),
            bad(8, "has a control character"),
            bad(10, "is no UTF-8 text"),
        ];
        assert_eq!(others, expected.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_text_of_nothing_has_no_lines() {
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n"), [Line::Blank]);
        assert_eq!(lines(b"a"), [Line::Key { text: "a".to_owned(), end: 1 }]);
    }
}
