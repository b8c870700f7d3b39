//! The way to the database, as if it were another machine.

use std::f64::consts::TAU;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;

/// Delays queries as a busy database across a network would: most a little, a few a lot.
///
/// The delays are log-normal, as those of real services are, nearly.
#[derive(Debug)]
pub(super) struct Network {
    rng: Mutex<Rng>,
}

/// Half of the queries are faster.
pub(super) const MEDIAN: Duration = Duration::from_millis(8);
/// One query in a hundred is slower.
pub(super) const P99: Duration = Duration::from_millis(40);
/// No query is slower, so that one draw cannot spoil a short run.
const MOST: Duration = Duration::from_millis(250);

/// The 99th percentile of the normal distribution.
const NORMAL_P99: f64 = 2.326;

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Mutex::new(Rng::with_seed(seed)) }
    }

    /// Takes as long as a query takes on its way there and back.
    pub(super) async fn cross(&self) {
        let delay = self.draw();
        tokio::time::sleep(delay).await;
    }

    fn draw(&self) -> Duration {
        let (a, b) = {
            let mut rng = self.rng.lock();
            (1.0 - rng.f64(), rng.f64())
        };
        // Box and Muller: two even draws make a normal one.
        let normal = (-2.0 * a.ln()).sqrt() * (TAU * b).cos();
        let sigma = (P99.as_secs_f64() / MEDIAN.as_secs_f64()).ln() / NORMAL_P99;
        MEDIAN.mul_f64((sigma * normal).exp()).min(MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::percentile;

    #[test]
    fn delays_have_the_median_and_the_tail_they_should() {
        let network = Network::new(7);
        let mut delays: Vec<_> = (0..50_000).map(|_| network.draw()).collect();
        delays.sort_unstable();
        for (share, expected) in [(0.5, MEDIAN), (0.99, P99)] {
            let found = percentile(&delays, share);
            let off = found.as_secs_f64() / expected.as_secs_f64() - 1.0;
            assert!(off.abs() < 0.05, "{share}: {found:?} for {expected:?}");
        }
        assert!(delays.iter().all(|delay| *delay <= MOST));
    }

    #[test]
    fn a_seed_gives_the_same_delays_again() {
        let delays = |seed| {
            let network = Network::new(seed);
            (0..100).map(|_| network.draw()).collect::<Vec<_>>()
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }
}
