//! The lines of a text, as long as they are not too long.

use std::io::{self, BufRead as _, BufReader, Read};

/// The lines of a text. It holds one line at a time.
pub(super) struct Lines<R> {
    text: BufReader<R>,
    line: Vec<u8>,
    count: u64,
}

/// A line of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: u64,
    /// Its bytes without the line break, or nothing if it is too long.
    pub(super) bytes: Option<&'a [u8]>,
}

/// A line longer than this is skipped. Web servers cut requests at 8 KiB.
pub(super) const LINE_BYTES_MAX: usize = 1 << 16;

impl<R: Read> Lines<R> {
    pub(super) fn new(text: R) -> Self {
        Self { text: BufReader::with_capacity(LINE_BYTES_MAX, text), line: Vec::new(), count: 0 }
    }

    /// How many lines were read.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The next line, or `None` at the end of the text.
    ///
    /// # Errors
    ///
    /// The text cannot be read on.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let longest = LINE_BYTES_MAX as u64 + 1;
        if self.text.by_ref().take(longest).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        let ended = self.line.strip_suffix(b"\n");
        let is_too_long = ended.is_none() && self.line.len() > LINE_BYTES_MAX;
        if is_too_long {
            self.text.skip_until(b'\n')?;
        }
        self.count += 1;
        let line = ended.unwrap_or(&self.line);
        let bytes = (!is_too_long).then(|| line.strip_suffix(b"\r").unwrap_or(line));
        Ok(Some(Line { number: self.count, bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of the lines of a text; `None` for one that is too long.
    fn lengths(text: &[u8]) -> Vec<Option<usize>> {
        let mut lines = Lines::new(text);
        let mut lengths = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            lengths.push(line.bytes.map(<[u8]>::len));
            assert_eq!(line.number, lengths.len() as u64);
        }
        lengths
    }

    #[test]
    fn lines_end_in_every_usual_way() {
        for (text, expected) in [
            ("", vec![]),
            ("\n", vec![Some(0)]),
            ("ab", vec![Some(2)]),
            ("ab\n", vec![Some(2)]),
            ("ab\r\nc\r\n", vec![Some(2), Some(1)]),
            ("ab\n\nc", vec![Some(2), Some(0), Some(1)]),
            ("a\rb\n", vec![Some(3)]),
        ] {
            assert_eq!(lengths(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_hides_only_itself() {
        for (length, seen) in [
            (LINE_BYTES_MAX, Some(LINE_BYTES_MAX)),
            (LINE_BYTES_MAX + 1, None),
            (LINE_BYTES_MAX * 3, None),
        ] {
            let line = vec![b'x'; length];
            assert_eq!(lengths(&line), [seen], "{length} bytes at the end");
            let text = [&line, b"\nab\n".as_slice()].concat();
            assert_eq!(lengths(&text), [seen, Some(2)], "{length} bytes");
        }
    }
}
