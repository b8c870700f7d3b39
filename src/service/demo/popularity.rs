//! What people look at: a few things get most of the views, and which ones changes.

use fastrand::Rng;

/// Things with ranks: the one at rank `r`, counted from 1, is drawn in proportion to `1 / r^skew`.
#[derive(Debug)]
pub(super) struct Popularity {
    /// Up to each rank, the share of the draws that fall there or before.
    shares: Vec<f64>,
    /// The thing at each rank, numbered from 1.
    ranked: Vec<u32>,
}

impl Popularity {
    /// The things from 1 to `count`, ranked at random.
    pub(super) fn new(count: u32, skew: f64, rng: &mut Rng) -> Self {
        let weights = (1..=count).map(|rank| f64::from(rank).powf(-skew));
        let total: f64 = weights.clone().sum();
        let shares = weights.scan(0.0, |sum, weight| {
            *sum += weight / total;
            Some(*sum)
        });
        let mut ranked: Vec<u32> = (1..=count).collect();
        rng.shuffle(&mut ranked);
        Self { shares: shares.collect(), ranked }
    }

    /// Draws a thing.
    pub(super) fn draw(&self, rng: &mut Rng) -> u32 {
        let at = rng.f64();
        let rank = self.shares.partition_point(|share| *share <= at);
        // The shares add up to 1 but for rounding, so a draw may fall just behind the last.
        self.ranked.get(rank).or_else(|| self.ranked.last()).copied().unwrap_or(1)
    }

    /// Lets `count` of the favourites, the first among them, trade places with things that hardly
    /// anybody looked at.
    pub(super) fn shift(&mut self, count: usize, rng: &mut Rng) {
        let things = self.ranked.len();
        for nth in 0..count.min(things) {
            let favourite = if nth == 0 { 0 } else { rng.usize(..things.div_ceil(20)) };
            self.ranked.swap(favourite, rng.usize(things / 2..things));
        }
    }

    /// The most popular things, the first of them first.
    #[cfg(test)]
    fn favourites(&self, count: usize) -> &[u32] {
        &self.ranked[..count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_ranks() {
        let mut rng = Rng::with_seed(7);
        let popularity = Popularity::new(100, 1.0, &mut rng);
        let mut draws = vec![0_u32; 101];
        for _ in 0..200_000 {
            draws[popularity.draw(&mut rng) as usize] += 1;
        }
        let harmonic: f64 = (1..=100).map(|rank| 1.0 / f64::from(rank)).sum();
        for (rank, thing) in [(1, 0), (2, 1), (10, 9)] {
            let share = f64::from(draws[popularity.favourites(100)[thing] as usize]) / 200_000.0;
            let expected = 1.0 / f64::from(rank) / harmonic;
            assert!((share / expected - 1.0).abs() < 0.05, "rank {rank}: {share} for {expected}");
        }
    }

    #[test]
    fn every_thing_has_one_rank_however_often_favourites_change() {
        let mut rng = Rng::with_seed(7);
        for count in [1, 2, 3, 50] {
            let mut popularity = Popularity::new(count, 1.1, &mut rng);
            for _ in 0..20 {
                popularity.shift(8, &mut rng);
            }
            let mut ranked = popularity.ranked.clone();
            ranked.sort_unstable();
            assert_eq!(ranked, (1..=count).collect::<Vec<_>>(), "{count} things");
        }
    }

    #[test]
    fn a_shift_replaces_the_favourite_and_leaves_most_as_they_were() {
        let mut rng = Rng::with_seed(7);
        let mut popularity = Popularity::new(1_000, 1.1, &mut rng);
        let before = popularity.favourites(50).to_vec();
        popularity.shift(8, &mut rng);
        let after = popularity.favourites(50);
        assert_ne!(before[0], after[0]);
        let stayed = before.iter().filter(|thing| after.contains(thing)).count();
        assert!((42..50).contains(&stayed), "{stayed}");
    }
}
