//! What a statement is told besides its own parameters; and how time is stored.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use sqlx::SqlStr;

use super::schema::Schema;
use crate::clock::{Clock, Moment};

/// What a statement is told besides its own parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn<'a> {
    pub(super) schema: &'a Schema,
    pub(super) clocks: &'a Clocks,
    /// What has been added to the time, in milliseconds, by a test.
    pub(super) ahead: i64,
}

impl Turn<'_> {
    /// The text of a statement.
    pub(super) fn sql(&self, text: &'static str) -> SqlStr {
        self.schema.sql(text)
    }
}

/// The clock of the server, which rules, and our own, which says how late a statement may be.
#[derive(Debug)]
pub(super) struct Clocks {
    ours: Clock,
    /// What the server's clock showed more than ours, in milliseconds, when that was most. The
    /// answer took its time to come here, so that it is less than the truth, if anything.
    lead: AtomicI64,
}

impl Clocks {
    pub(super) fn new(ours: Clock) -> Self {
        Self { ours, lead: AtomicI64::new(i64::MIN) }
    }

    pub(super) const fn ours(&self) -> &Clock {
        &self.ours
    }

    /// How far tests have moved our clock, in milliseconds: the server's counts as moved as well.
    pub(super) fn ahead(&self) -> i64 {
        let now = self.ours.now();
        let timers = self.ours.instant(now) - self.ours.instant(Moment::START);
        millis(now.since(Moment::START).saturating_sub(timers))
    }

    /// Notes what the server's clock has shown.
    pub(super) fn shown(&self, server_ms: i64) {
        self.lead.fetch_max(server_ms.saturating_sub(self.ours_ms()), Relaxed);
    }

    /// What the server's clock shows now, or a little less, as far as is known. A statement that is
    /// carried out later must not make a value younger than it is.
    pub(super) fn server_ms(&self) -> i64 {
        match self.lead.load(Relaxed) {
            i64::MIN => i64::MAX,
            lead => self.ours_ms().saturating_add(lead),
        }
    }

    fn ours_ms(&self) -> i64 {
        millis(self.ours.now().since(Moment::START))
    }
}

/// The longest span that is stored, in milliseconds: to be added to a time without overflow.
const SPAN_MAX: i64 = 1 << 52;

/// A span in whole milliseconds; what is too long to count lasts for ever.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(SPAN_MAX).min(SPAN_MAX)
}

/// A number of milliseconds as a span; none if it is less than none.
pub(super) fn span(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// A number as the database orders it: it has no unsigned ones.
pub(super) const fn ordered(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

/// What was [`ordered`].
pub(super) const fn unordered(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_order() {
        let numbers = [0, 1, 1 << 53, (1 << 63) - 1, 1 << 63, u64::MAX];
        let stored = numbers.map(ordered);
        assert!(stored.is_sorted(), "{stored:?}");
        assert_eq!(stored.map(unordered), numbers);
    }

    #[tokio::test]
    async fn what_a_test_adds_to_our_clock_is_added_to_the_servers() {
        let clocks = Clocks::new(Clock::system());
        assert_eq!((clocks.ahead(), clocks.server_ms()), (0, i64::MAX));
        clocks.shown(1_000_000);
        clocks.ours().advance(Duration::from_secs(3));
        assert_eq!(clocks.ahead(), 3_000);
        assert!((1_003_000..1_004_000).contains(&clocks.server_ms()), "{}", clocks.server_ms());
        // An answer that was late says less.
        clocks.shown(900_000);
        assert!(clocks.server_ms() >= 1_003_000);
    }

    #[test]
    fn spans_without_end_can_be_added_to_any_time() {
        assert!(millis(Duration::MAX).checked_add(millis(Duration::MAX)).is_some());
        assert_eq!((span(-1), span(1500)), (Duration::ZERO, Duration::from_millis(1500)));
    }
}
