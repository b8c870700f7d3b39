//! How often a key is read: a decayed count, and a rate that reacts to silence.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::Moment;

pub(crate) use self::recent::{Recent, TURNS_PER_TURNOVER};

mod recent;

/// Weighs reads so that old ones count less: forward decay.
///
/// A read at position `p` adds `2^((p - landmark) / half_life)` to a key's sum. The sums of all
/// keys then age together without being touched: the decayed count at `now` is the sum divided by
/// the weight of a read at `now`. Source: Cormode, Shkapenyuk, Srivastava and Xu, "Forward decay",
/// ICDE 2009. A position is whatever moves on as reads age: here, microseconds.
#[derive(Debug)]
pub(crate) struct Decay {
    half_life: f64,
    /// The weight is computed anew when the position has moved on by this much.
    quantum: u64,
    landmark: AtomicU64,
    renew_at: AtomicU64,
    weight_bits: AtomicU64,
}

impl Decay {
    /// After this many half-lives the landmark must move, long before an `f64` overflows.
    const SPAN: f64 = 900.0;
    /// No key is read this often in a few half-lives: a larger count is a sum that a reader wrote
    /// back just after it had been rescaled, and is still in the old scale.
    const COUNT_MAX: f64 = (1_u64 << 60) as f64;

    /// A decay with this half-life, in units of the position.
    pub(crate) fn new(half_life: u64) -> Self {
        let half_life = half_life.max(1);
        Self {
            half_life: as_f64(half_life),
            // A weight that is at most this old is wrong by less than one part in a million.
            quantum: half_life >> 20,
            landmark: AtomicU64::new(0),
            renew_at: AtomicU64::new(0),
            weight_bits: AtomicU64::new(1.0_f64.to_bits()),
        }
    }

    /// The weight of a read at `position`.
    #[inline]
    pub(crate) fn weight(&self, position: u64) -> f64 {
        if position >= self.renew_at.load(Relaxed) { self.renew(position) } else { self.current() }
    }

    /// The weight that was last computed.
    #[inline]
    pub(crate) fn current(&self) -> f64 {
        f64::from_bits(self.weight_bits.load(Relaxed))
    }

    #[cold]
    fn renew(&self, position: u64) -> f64 {
        let weight = self.exact(position);
        self.weight_bits.store(weight.to_bits(), Relaxed);
        self.renew_at.store(position.saturating_add(self.quantum.max(1)), Relaxed);
        weight
    }

    fn exact(&self, position: u64) -> f64 {
        let passed = position.saturating_sub(self.landmark.load(Relaxed));
        // Past the span and not yet rescaled, weights stand still instead of overflowing.
        (as_f64(passed) / self.half_life).min(Self::SPAN + 64.0).exp2()
    }

    /// The decayed count at `position` of a key whose reads added up to `sum`.
    pub(crate) fn count(&self, sum: f64, position: u64) -> f64 {
        let count = sum / self.exact(position);
        if count > Self::COUNT_MAX { count * (-Self::SPAN).exp2() } else { count }
    }

    pub(crate) fn half_life_secs(&self) -> f64 {
        self.half_life * 1e-6
    }

    /// What is left of a read's weight when the position has moved on by `passed`.
    pub(crate) fn left_after(&self, passed: u64) -> f64 {
        (-as_f64(passed) / self.half_life).exp2()
    }

    /// Whether the landmark must move: then every sum is to be multiplied by
    /// [`Decay::rescaling`], and after that [`Decay::move_landmark`] called. In this order a reader
    /// who meets the change half-way leaves a sum that [`Decay::count`] recognises.
    pub(crate) fn must_rescale(&self, position: u64) -> bool {
        let passed = position.saturating_sub(self.landmark.load(Relaxed));
        as_f64(passed) > Self::SPAN * self.half_life
    }

    /// What sums are multiplied by when the landmark moves.
    pub(crate) fn rescaling() -> f64 {
        (-Self::SPAN).exp2()
    }

    /// Moves the landmark on.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
    pub(crate) fn move_landmark(&self, position: u64) {
        self.landmark.fetch_add((Self::SPAN * self.half_life) as u64, Relaxed);
        self.renew(position);
    }
}

/// What is known of the reads of one key. Hits write it, so every word is atomic and relaxed: two
/// readers that meet within nanoseconds may lose one of the two reads, which a key as hot as that
/// does not miss.
#[derive(Debug)]
pub(crate) struct Reads {
    score_bits: AtomicU64,
    recent_bits: AtomicU64,
    last_bits: AtomicU64,
    /// Moving average of the time between reads, in seconds; NaN until there were two.
    gap_bits: AtomicU32,
    /// Lets keys that are read alike draw differently.
    salt: u32,
}

/// A copy of [`Reads`] that is not shared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Past {
    pub(crate) score: f64,
    pub(crate) recent: Recent,
    /// The last read, or [`Moment::NEVER`].
    pub(crate) last: Moment,
    pub(crate) gap_secs: f32,
}

impl Past {
    /// Nothing is known.
    pub(crate) const NONE: Self =
        Self { score: 0.0, recent: Recent::NONE, last: Moment::NEVER, gap_secs: f32::NAN };

    /// The same and one read more, at `now` and in `turn`.
    #[must_use]
    pub(crate) fn with_read(self, now: Moment, score: f64, turn: u32) -> Self {
        Self {
            score: self.score + score,
            recent: self.recent.with_reads(1.0, turn),
            last: now,
            gap_secs: next_gap(self.gap_secs, self.last, now),
        }
    }

    /// Whether exactly one read is known.
    pub(crate) fn is_once_read(&self) -> bool {
        self.last != Moment::NEVER && self.gap_secs.is_nan()
    }

    /// Reads per second as of `now`: `1 / max(average gap, time since the last read)`.
    ///
    /// `None` before the second read. The second term makes the rate fall as soon as reads stay
    /// away, which no average of the past does.
    pub(crate) fn rate(&self, now: Moment) -> Option<f64> {
        rate(self.gap_secs, self.last, now)
    }
}

/// Reads per second as of `now`, of a key with this average gap and last read; see [`Past::rate`].
pub(crate) fn rate(gap_secs: f32, last: Moment, now: Moment) -> Option<f64> {
    let gap_secs = f64::from(gap_secs);
    (!gap_secs.is_nan()).then(|| 1.0 / gap_secs.max(now.since(last).as_secs_f64()))
}

impl Reads {
    pub(crate) fn new(past: Past) -> Self {
        Self {
            score_bits: AtomicU64::new(past.score.to_bits()),
            recent_bits: AtomicU64::new(past.recent.to_bits()),
            last_bits: AtomicU64::new(past.last.to_bits()),
            gap_bits: AtomicU32::new(past.gap_secs.to_bits()),
            salt: 0,
        }
    }

    /// The same for a key with this hash.
    #[expect(clippy::cast_possible_truncation, reason = "any part of a hash will do")]
    pub(crate) fn of_hash(self, hash: u64) -> Self {
        Self { salt: hash as u32, ..self }
    }

    /// Notes `count` reads at `now` and in `turn`, of this weight each; gives the recent reads before
    /// them, and with them.
    #[inline]
    pub(crate) fn record(
        &self,
        count: u16,
        now: Moment,
        score: f64,
        turn: u32,
    ) -> (Recent, Recent) {
        add(&self.score_bits, score * f64::from(count));
        let before = self.recent();
        let after = before.with_reads(f32::from(count), turn);
        self.recent_bits.store(after.to_bits(), Relaxed);
        let gap = next_gap(f32::from_bits(self.gap_bits.load(Relaxed)), self.last(), now);
        self.gap_bits.store(gap.to_bits(), Relaxed);
        self.last_bits.store(now.to_bits(), Relaxed);
        (before, after)
    }

    /// Whether it has been read much of late, and just before: so what one read adds changes nothing,
    /// neither to the count nor to the rate.
    #[inline]
    pub(crate) fn is_busy(&self, now: Moment) -> bool {
        now.micros_since(self.last()) < BUSY_GAP_MICROS && self.recent().reads >= BUSY_FROM
    }

    /// Whether a read is drawn, one in `2^one_in_log2`: as if at random, and the same in each run.
    #[inline]
    pub(crate) fn draws(&self, after: Recent, one_in_log2: u32) -> bool {
        let mixed = (after.to_bits() ^ u64::from(self.salt)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed.leading_zeros() >= one_in_log2
    }

    /// The sum of the weights of its reads.
    #[inline]
    pub(crate) fn score(&self) -> f64 {
        f64::from_bits(self.score_bits.load(Relaxed))
    }

    pub(crate) fn past(&self) -> Past {
        Past {
            score: self.score(),
            recent: self.recent(),
            last: self.last(),
            gap_secs: f32::from_bits(self.gap_bits.load(Relaxed)),
        }
    }

    #[inline]
    fn last(&self) -> Moment {
        Moment::from_bits(self.last_bits.load(Relaxed))
    }

    /// The reads that decide evictions.
    #[inline]
    pub(crate) fn recent(&self) -> Recent {
        Recent::from_bits(self.recent_bits.load(Relaxed))
    }

    /// Multiplies the sum of scores, when the landmark of their decay moves.
    pub(crate) fn rescale_score(&self, by: f64) {
        scale(&self.score_bits, by);
    }
}

/// From as many reads of late on, a key is busy while its reads come as fast as this.
const BUSY_FROM: f32 = 256.0;
/// A few ticks of the clock that hits read.
const BUSY_GAP_MICROS: u64 = 16_000;

#[inline]
fn add(bits: &AtomicU64, weight: f64) {
    let sum = f64::from_bits(bits.load(Relaxed)) + weight;
    bits.store(sum.to_bits(), Relaxed);
}

fn scale(bits: &AtomicU64, by: f64) {
    let sum = f64::from_bits(bits.load(Relaxed)) * by;
    bits.store(sum.to_bits(), Relaxed);
}

/// The average gap after a read at `now`: each new gap weighs a tenth. Gaps under a millisecond
/// count as one, since a key read that often is hot whatever the figure.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "a gap, whose last digits do not matter")]
pub(crate) fn next_gap(gap_secs: f32, last: Moment, now: Moment) -> f32 {
    if last == Moment::NEVER {
        return f32::NAN;
    }
    let newest = (now.micros_since(last) as f32 * 1e-6).max(0.001);
    if gap_secs.is_nan() { newest } else { 0.9 * gap_secs + 0.1 * newest }
}

#[expect(clippy::cast_precision_loss, reason = "a position needs no more than 53 bits")]
const fn as_f64(position: u64) -> f64 {
    position as f64
}

/// A half-life as a number of microseconds.
pub(crate) fn half_life_micros(half_life: Duration) -> u64 {
    u64::try_from(half_life.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    /// The decayed count of reads at these seconds, by recording and by definition.
    fn both_ways(half_life: Duration, reads_secs: &[u64], now_secs: u64) -> (f64, f64) {
        let decay = Decay::new(half_life_micros(half_life));
        let reads = Reads::new(Past::NONE);
        for secs in reads_secs {
            let now = Moment::START.plus(Duration::from_secs(*secs));
            reads.record(1, now, decay.weight(now.as_micros()), 0);
        }
        let recorded = decay.count(reads.past().score, now_secs * 1_000_000);
        let defined = reads_secs
            .iter()
            .map(|secs| (-as_f64(now_secs - secs) / half_life.as_secs_f64()).exp2())
            .sum();
        (recorded, defined)
    }

    #[test]
    fn scores_equal_their_definition() {
        for (reads, now) in [
            (vec![0], 0),
            (vec![0, 1, 2, 3], 3_600),
            (vec![5, 50, 500, 5_000, 50_000], 100_000),
            ((0..1_000).map(|n| n * 37).collect(), 40_000),
        ] {
            let (recorded, defined) = both_ways(HOUR, &reads, now);
            assert!((recorded / defined - 1.0).abs() < 1e-9, "{recorded} != {defined}");
        }
    }

    #[test]
    fn many_reads_last_week_count_less_than_some_this_minute() {
        let week = 7 * 86_400;
        let mut old = vec![0; 10_000];
        old.push(week);
        let (old, _) = both_ways(6 * HOUR, &old, week);
        let (new, _) = both_ways(6 * HOUR, &[week - 30; 500], week);
        assert!((old - 1.0).abs() < 1e-3, "{old}");
        assert!(new > 499.0, "{new}");
    }

    #[test]
    fn counts_survive_the_move_of_the_landmark() {
        let decay = Decay::new(10);
        let reads = Reads::new(Past::NONE);
        let read = |position: u64| {
            let weight = decay.weight(position);
            reads.record(1, Moment::from_micros(position), weight, 0);
        };
        read(8_990);
        read(9_000);
        assert!(!decay.must_rescale(9_000));
        assert!(decay.must_rescale(9_001));
        let late = reads.past().score + decay.weight(9_001);
        reads.rescale_score(Decay::rescaling());
        decay.move_landmark(9_001);
        let count = decay.count(reads.past().score, 9_010);
        assert!((count - 0.75).abs() < 1e-9, "{count}");
        // A reader that had loaded the sum before the move and writes it back after.
        let count = decay.count(late, 9_010);
        assert!((count - 1.28).abs() < 0.01, "{count}");
    }

    #[test]
    fn the_rate_falls_as_soon_as_reads_stay_away() {
        let mut past = Past::NONE;
        for second in 0..100 {
            past = past.with_read(Moment::from_micros(second * 1_000_000), 1.0, 1);
        }
        let at = |secs: u64| past.rate(Moment::from_micros(secs * 1_000_000)).unwrap();
        assert!((at(100) - 1.0).abs() < 1e-3);
        assert!((at(199) - 0.01).abs() < 1e-6);
    }

    #[test]
    fn one_read_has_no_rate() {
        let once = Past::NONE.with_read(Moment::START, 1.0, 1);
        assert!(once.is_once_read());
        assert_eq!(once.rate(Moment::from_micros(5)), None);
        assert!(!Past::NONE.is_once_read());
    }
}
