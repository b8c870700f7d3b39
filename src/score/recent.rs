//! The reads of late, which decide evictions.

/// Turns in which a read of late loses half its weight: 64 reads per entry that fits. Of 16 to 256
/// reads none was better by more than 0.1 points on twelve traces in three sizes.
const HALF_LIFE: f32 = 64.0 * TURNS_PER_TURNOVER as f32;
/// A turn is a 64th of the time in which as many reads come as entries fit.
pub(crate) const TURNS_PER_TURNOVER: u32 = 64;
/// For ages up to a sixteenth of a half-life, the series of the exponential does.
const YOUNG: u32 = 256;

/// A key's reads of late, and the turn of the last one.
///
/// A read that is `t` turns old counts `2^(-t / half-life)`, as of the last read. Both stand in one
/// word, so that a hit writes them at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Recent {
    pub(crate) reads: f32,
    pub(crate) turn: u32,
}

impl Recent {
    /// No reads are known.
    pub(crate) const NONE: Self = Self { reads: 0.0, turn: 0 };

    /// The turns since the last read, which may have been noted a moment later than `turn` was
    /// looked at. Turns wrap around after 67 million turnovers.
    #[inline]
    pub(crate) const fn age(self, turn: u32) -> u32 {
        let age = turn.wrapping_sub(self.turn);
        if age > u32::MAX / 2 { 0 } else { age }
    }

    /// The reads as of `turn`.
    #[inline]
    pub(crate) fn reads_at(self, turn: u32) -> f32 {
        match self.age(turn) {
            0 => self.reads,
            age => self.reads * decay(age),
        }
    }

    /// The same and `count` reads more.
    #[inline]
    #[must_use]
    pub(crate) fn with_reads(self, count: f32, turn: u32) -> Self {
        Self { reads: self.reads_at(turn) + count, turn }
    }

    #[inline]
    pub(super) fn to_bits(self) -> u64 {
        u64::from(self.reads.to_bits()) << 32 | u64::from(self.turn)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a word")]
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self { reads: f32::from_bits((bits >> 32) as u32), turn: bits as u32 }
    }
}

#[inline]
#[expect(clippy::cast_precision_loss, reason = "an age, whose last digits do not matter")]
fn decay(age: u32) -> f32 {
    let half_lives = age as f32 / HALF_LIFE;
    if age > YOUNG {
        return (-half_lives).exp2();
    }
    let x = half_lives * std::f32::consts::LN_2;
    1.0 - x + 0.5 * x * x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_halve_with_each_half_life() {
        let once = Recent::NONE.with_reads(1.0, 7);
        for (age, left) in
            [(0, 1.0), (256, 0.957_603), (257, 0.957_441), (4_096, 0.5), (8_192, 0.25)]
        {
            let reads = once.reads_at(7 + age);
            assert!((reads - left).abs() < 2e-5, "{reads} after {age}");
        }
        assert_eq!(once.with_reads(1.0, 7 + 4_096), Recent { reads: 1.5, turn: 7 + 4_096 });
    }

    #[test]
    fn turns_may_wrap_around() {
        let last = Recent { reads: 3.0, turn: u32::MAX };
        assert_eq!((last.age(9), last.age(u32::MAX - 1)), (10, 0));
        assert_eq!(Recent::from_bits(last.to_bits()), last);
    }
}
