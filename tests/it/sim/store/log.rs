//! The log of the store.

use std::collections::VecDeque;
use std::time::Duration;

use forewarm::{Change, Cursor, FullKey, Logged, Mark, Node, Pattern, Polled};
use tokio::time::Instant;

/// What was changed, in order.
#[derive(Clone, Default)]
pub(super) struct Log {
    rows: VecDeque<Noted>,
    /// The place of the last one.
    sequence: u64,
    /// The place of the last one that was removed.
    cut: u64,
}

/// A change.
#[derive(Clone)]
pub(super) struct Noted {
    sequence: u64,
    pub(super) by: Node,
    change: Change,
    at: Instant,
}

/// More are not kept.
const ROWS_MAX: usize = 20_000;
/// How many are told at a time.
const PAGE: usize = 1_000;

impl Log {
    pub(super) fn note(&mut self, by: Node, change: Change) {
        self.sequence += 1;
        let at = Instant::now();
        self.rows.push_back(Noted { sequence: self.sequence, by, change, at });
        if self.rows.len() > ROWS_MAX
            && let Some(removed) = self.rows.pop_front()
        {
            self.cut = removed.sequence;
        }
    }

    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(super) fn cut(&mut self) {
        self.rows.clear();
        self.cut = self.sequence;
    }

    /// Where a reader stands, if nothing can be missing since.
    fn place(&self, incarnation: u64, since: &Cursor) -> Option<u64> {
        let mark = match since.0[..] {
            [] => Mark { incarnation, position: 0 },
            [mark] => mark,
            _ => return None,
        };
        let is_known = mark.incarnation == incarnation;
        (is_known && (self.cut..=self.sequence).contains(&mark.position)).then_some(mark.position)
    }

    /// What was changed since; only what has been so for longer than `behind`.
    pub(super) fn poll(&self, incarnation: u64, since: &Cursor, behind: Duration) -> Polled {
        let cursor = |position| Cursor(vec![Mark { incarnation, position }]);
        let Some(place) = self.place(incarnation, since) else {
            let cursor = cursor(self.sequence);
            return Polled { cursor, is_gap: true, ..Polled::default() };
        };
        let rows = self.rows.iter().skip_while(|row| row.sequence <= place);
        let mut told: Vec<_> = rows.take_while(|row| row.at.elapsed() >= behind).collect();
        let has_more = told.len() > PAGE;
        told.truncate(PAGE);
        let position = told.last().map_or(place, |row| row.sequence);
        let changes = told.into_iter().map(|row| Logged {
            id: (incarnation << 40) | row.sequence,
            by: row.by,
            change: row.change.clone(),
        });
        Polled { cursor: cursor(position), changes: changes.collect(), is_gap: false, has_more }
    }

    /// What was changed since, if nothing can be missing.
    pub(super) fn since(&self, incarnation: u64, since: &Cursor) -> Option<Vec<&Noted>> {
        let place = self.place(incarnation, since).filter(|_| !since.0.is_empty())?;
        Some(self.rows.iter().filter(|row| row.sequence > place).collect())
    }
}

impl Noted {
    /// Whether it is about a key, or a value of it that has these tags.
    pub(super) fn is_about(&self, key: &str, tags: &[String]) -> bool {
        let text = |resource: &str| {
            let full = FullKey::parse(key)?;
            let is_of = key.len() - full.text.len() - 1 == resource.len();
            (is_of && key.starts_with(resource)).then_some(full.text)
        };
        match &self.change {
            Change::Key { key: changed, .. } | Change::Expired { key: changed } => changed == key,
            Change::Resource { resource } => text(resource).is_some(),
            Change::Tag { resource, tag } => text(resource).is_some() && tags.contains(tag),
            Change::Pattern { resource, pattern } => text(resource).is_some_and(|text| {
                pattern.parse::<Pattern>().map_or(true, |pattern| pattern.matches(text))
            }),
            _ => true,
        }
    }
}
