//! What a line says, and what may be wrong with it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;

use super::lines::LINE_BYTES_MAX;

/// A line that says that a key was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Access<'a> {
    pub(super) at: Stamp,
    /// Never empty.
    pub(super) key: Cow<'a, [u8]>,
    /// Empty if it is not known.
    pub(super) client: Cow<'a, [u8]>,
}

/// A time in a file, counted from a moment long before those that are found in files.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Stamp(pub(super) Duration);

impl Stamp {
    /// The farthest from zero that a time may be, in seconds: 31,700 years. A time since 1970 in
    /// milliseconds is beyond it, so that it is not taken for seconds.
    const SECS_MAX: i64 = 1_000_000_000_000;

    /// The stamp of a time that is told in seconds since whatever moment.
    pub(super) fn new(time: SignedDuration) -> Option<Self> {
        let origin = SignedDuration::from_secs(Self::SECS_MAX);
        if time.abs() > origin {
            return None;
        }
        Duration::try_from(origin + time).ok().map(Self)
    }
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    #[error("has fewer fields than the header")]
    Fields,
    #[error("has a quoted field that does not end")]
    Quote,
    #[error("has no time in seconds in column `timestamp_s`")]
    Seconds,
    #[error("has nothing in column `key`")]
    Key,
    #[error("has no time in brackets")]
    Time,
    #[error("has no quoted request and status after the time")]
    Request,
}

/// A line and what is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FlawedLine {
    /// Counted from 1.
    pub(crate) number: u64,
    pub(crate) flaw: Flaw,
    /// How it begins, its control characters escaped.
    pub(crate) beginning: String,
}

impl FlawedLine {
    /// How much of a line is shown, in characters.
    const SHOWN_MAX: usize = 60;

    pub(super) fn new(number: u64, flaw: Flaw, line: &[u8]) -> Self {
        // No character is longer than four bytes.
        let shown = line.get(..4 * Self::SHOWN_MAX).unwrap_or(line);
        let text = String::from_utf8_lossy(shown);
        let beginning = text.chars().take(Self::SHOWN_MAX).flat_map(char::escape_debug).collect();
        Self { number, flaw, beginning }
    }
}

impl fmt::Display for FlawedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} (`{}`) {}", self.number, self.beginning, self.flaw)
    }
}
