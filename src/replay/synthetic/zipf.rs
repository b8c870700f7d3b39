//! A few things get most of the reads.

use fastrand::Rng;

/// Ranks, counted from 0: rank `r` is drawn in proportion to `1 / (r + 1)^skew`.
#[derive(Debug)]
pub(super) struct Zipf {
    /// Up to each rank, the share of the draws that fall there or before.
    shares: Vec<f64>,
}

impl Zipf {
    pub(super) fn new(ranks: u32, skew: f64) -> Self {
        let weights = (1..=ranks).map(|rank| f64::from(rank).powf(-skew));
        let total: f64 = weights.clone().sum();
        let shares = weights.scan(0.0, |sum, weight| {
            *sum += weight / total;
            Some(*sum)
        });
        Self { shares: shares.collect() }
    }

    /// Draws a rank.
    pub(super) fn draw(&self, rng: &mut Rng) -> u32 {
        let at = rng.f64();
        let rank = self.shares.partition_point(|share| *share <= at);
        // The shares add up to 1 but for rounding, so a draw may fall just behind the last.
        let rank = rank.min(self.shares.len().saturating_sub(1));
        u32::try_from(rank).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_ranks() {
        const DRAWS: u32 = 200_000;
        let (mut rng, zipf) = (Rng::with_seed(7), Zipf::new(100, 0.99));
        let mut drawn = [0_u32; 100];
        for _ in 0..DRAWS {
            drawn[zipf.draw(&mut rng) as usize] += 1;
        }
        let total: f64 = (1..=100).map(|rank| f64::from(rank).powf(-0.99)).sum();
        for rank in [1_u32, 2, 10] {
            let share = f64::from(drawn[rank as usize - 1]) / f64::from(DRAWS);
            let expected = f64::from(rank).powf(-0.99) / total;
            assert!((share / expected - 1.0).abs() < 0.05, "rank {rank}: {share} for {expected}");
        }
    }
}
