//! A value as the store holds it.

use std::time::Duration;

use forewarm::{Fill, Stored};
use tokio::time::Instant;

/// A value. Its spans count from when it was sent, so that they are exact, and may be without end.
#[derive(Clone)]
pub(in crate::sim) struct Row {
    pub(super) value: Vec<u8>,
    pub(super) tags: Vec<String>,
    pub(super) incarnation: u64,
    /// What is later in the log may void it.
    pub(super) sequence: u64,
    sent_at: Instant,
    age: Duration,
    fresh_for: Duration,
    keep_for: Duration,
}

impl Row {
    /// One that is on its way.
    pub(in crate::sim) fn on_its_way(fill: &Fill<'_>) -> Self {
        Self {
            value: fill.value.to_vec(),
            tags: fill.tags.iter().map(|tag| (*tag).to_owned()).collect(),
            incarnation: 0,
            sequence: 0,
            sent_at: Instant::now(),
            age: fill.age,
            fresh_for: fill.fresh_for,
            keep_for: fill.keep_for,
        }
    }

    /// The same, stored.
    pub(super) fn of(self, incarnation: u64, sequence: u64) -> Self {
        Self { incarnation, sequence, ..self }
    }

    fn since_sent(&self, now: Instant) -> Duration {
        now - self.sent_at
    }

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.since_sent(now) < self.fresh_for
    }

    pub(super) fn is_kept(&self, now: Instant) -> bool {
        self.since_sent(now) < self.keep_for
    }

    pub(super) fn expire(&mut self, now: Instant) {
        self.fresh_for = self.fresh_for.min(self.since_sent(now));
    }

    pub(super) fn stored(&self, now: Instant) -> Stored {
        let passed = self.since_sent(now);
        Stored {
            value: self.value.clone(),
            age: self.age.saturating_add(passed),
            fresh_for: self.fresh_for.saturating_sub(passed),
            keep_for: self.keep_for.saturating_sub(passed),
            is_restored: false,
            tags: self.tags.clone(),
        }
    }
}
