//! Where a reader of the log stands.
//!
//! Transactions do not end in the order in which they begin, so that a number would not do: what is
//! logged under a lower one may be committed later. A reader stands at a snapshot: what had been
//! committed in it has been told.

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::tier::{Cursor, Mark};

/// What had been committed at some moment, as PostgreSQL writes it: every transaction below
/// `end` but for those that were open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Snapshot {
    end: u64,
    /// In ascending order, and below `end`.
    open: Vec<u64>,
}

/// More open transactions are not told apart: then the reader stands before the first of them, and
/// what came after it is told again.
const OPEN_MAX: usize = 1000;

impl Snapshot {
    /// The one in which nothing had been committed.
    pub(super) const NOTHING: Self = Self { end: 1, open: Vec::new() };

    /// Where a cursor stands in a life of the store, if it is of one life and may have been made
    /// by [`Snapshot::cursor`].
    pub(super) fn of(cursor: &Cursor) -> Option<(i64, Self)> {
        let (first, open) = cursor.0.split_first()?;
        let is_of_one_life = open.iter().all(|mark| mark.incarnation == first.incarnation);
        let open: Vec<_> = open.iter().map(|mark| mark.position).collect();
        let snapshot = Self { end: first.position, open };
        (is_of_one_life && snapshot.is_sound())
            .then_some((first.incarnation.cast_signed(), snapshot))
    }

    /// A mark for the end, and one for each transaction that was open.
    pub(super) fn cursor(&self, incarnation: i64) -> Cursor {
        let positions = std::iter::once(self.end).chain(self.open.iter().copied());
        let incarnation = incarnation.cast_unsigned();
        Cursor(positions.map(|position| Mark { incarnation, position }).collect())
    }

    /// The same, but for what comes from `end` on.
    pub(super) fn before(mut self, end: u64) -> Self {
        self.end = self.end.min(end.max(1));
        self.open.retain(|open| *open < self.end);
        self
    }

    fn is_sound(&self) -> bool {
        let is_ascending = self.open.is_sorted_by(|one, two| one < two);
        // PostgreSQL numbers with 64 bits, of which the first is never set.
        let is_number = |xid: u64| (1..1 << 63).contains(&xid);
        is_ascending
            && is_number(self.end)
            && self.open.iter().all(|open| is_number(*open) && *open < self.end)
    }

    fn begin(&self) -> u64 {
        self.open.first().copied().unwrap_or(self.end)
    }
}

impl Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.begin(), self.end)?;
        for (nth, open) in self.open.iter().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            write!(f, "{comma}{open}")?;
        }
        Ok(())
    }
}

/// A text is no snapshot.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the server gave a snapshot that cannot be read")]
pub(super) struct ParseSnapshotError;

impl FromStr for Snapshot {
    type Err = ParseSnapshotError;

    fn from_str(text: &str) -> Result<Self, ParseSnapshotError> {
        let number = |text: &str| text.parse().map_err(|_error| ParseSnapshotError);
        let mut parts = text.splitn(3, ':').skip(1);
        let end = number(parts.next().ok_or(ParseSnapshotError)?)?;
        let open = parts.next().ok_or(ParseSnapshotError)?;
        let open = open.split(',').filter(|open| !open.is_empty()).map(number);
        let snapshot = Self { end, open: open.collect::<Result<_, _>>()? };
        if !snapshot.is_sound() {
            return Err(ParseSnapshotError);
        }
        let first = snapshot.begin();
        Ok(if snapshot.open.len() > OPEN_MAX { snapshot.before(first) } else { snapshot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        text.parse().unwrap()
    }

    #[test]
    fn a_snapshot_is_written_as_it_was_read() {
        for text in ["1:1:", "700:700:", "700:705:700", "700:710:700,702,709"] {
            let snapshot = snapshot(text);
            assert_eq!(snapshot.to_string(), text);
            assert_eq!(Snapshot::of(&snapshot.cursor(-7)), Some((-7, snapshot)));
        }
        for text in ["", "7", "7:8", "a:b:", "7:8:8", "7:9:8,7", "0:0:"] {
            assert!(text.parse::<Snapshot>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_comes_later_can_be_left_out() {
        let all = snapshot("700:710:700,702,709");
        for (end, rest) in [(702, "700:702:700"), (703, "700:703:700,702"), (700, "700:700:")] {
            assert_eq!(all.clone().before(end), snapshot(rest), "{end}");
        }
        assert_eq!(all.clone().before(1000), all);
    }

    #[test]
    fn a_cursor_that_was_made_elsewhere_is_none() {
        let mark = |incarnation, position| Mark { incarnation, position };
        for marks in [
            vec![],
            vec![mark(1, 0)],
            vec![mark(1, u64::MAX)],
            vec![mark(1, 10), mark(1, 10)],
            vec![mark(1, 10), mark(2, 9)],
            vec![mark(1, 10), mark(1, 9), mark(1, 8)],
        ] {
            assert_eq!(Snapshot::of(&Cursor(marks.clone())), None, "{marks:?}");
        }
    }

    #[test]
    fn of_very_many_open_transactions_the_first_is_remembered() {
        let open: Vec<_> = (100..1200).map(|xid: u64| xid.to_string()).collect();
        assert_eq!(snapshot(&format!("100:2000:{}", open.join(","))), snapshot("100:100:"));
    }
}
