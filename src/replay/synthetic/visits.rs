//! Visitors who come at random, and what they ask for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fastrand::Rng;

use super::Endless;
use crate::replay::trace::Request;

/// The requests of visitors who arrive independently of each other, in the order of time.
#[derive(Debug)]
struct Visits<A> {
    /// Says what a visitor asks for: at least one thing.
    arrive: A,
    /// Visitors per second, on average.
    rate: f64,
    next_arrival: Duration,
    rng: Rng,
    /// Requests of those who have arrived.
    waiting: BinaryHeap<Reverse<Request>>,
}

/// The arrival of a visitor.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    pub(super) at: Duration,
    pub(super) rng: &'a mut Rng,
    waiting: &'a mut BinaryHeap<Reverse<Request>>,
}

/// Visitors at `rate` per second; `arrive` says what each asks for, at least one thing, and when.
pub(super) fn visits(rng: Rng, rate: f64, arrive: impl FnMut(&mut Visit<'_>) + 'static) -> Endless {
    let waiting = BinaryHeap::new();
    Box::new(Visits { arrive, rate, next_arrival: Duration::ZERO, rng, waiting })
}

impl<A: FnMut(&mut Visit<'_>)> Iterator for Visits<A> {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        while self.waiting.peek().is_none_or(|Reverse(first)| self.next_arrival <= first.at) {
            let at = self.next_arrival;
            let Self { arrive, rng, waiting, .. } = self;
            arrive(&mut Visit { at, rng, waiting });
            self.next_arrival += gap(&mut self.rng, 1.0 / self.rate);
        }
        self.waiting.pop().map(|Reverse(request)| request)
    }
}

impl Visit<'_> {
    /// Adds a request, which is not earlier than the arrival.
    pub(super) fn ask(&mut self, request: Request) {
        self.waiting.push(Reverse(request));
    }

    /// Adds a read right now.
    pub(super) fn read(&mut self, client: u32, key: u32) {
        self.read_at(self.at, client, key);
    }

    /// Adds a read at a moment that is not earlier than the arrival.
    pub(super) fn read_at(&mut self, at: Duration, client: u32, key: u32) {
        self.ask(Request { at, key, client: Some(client), ..Request::default() });
    }
}

/// A span of `mean_secs` on average, as between events that know nothing of each other.
pub(super) fn gap(rng: &mut Rng, mean_secs: f64) -> Duration {
    Duration::from_secs_f64(-mean_secs * (1.0 - rng.f64()).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_come_at_their_rate_and_independently() {
        let reads = visits(Rng::with_seed(7), 10.0, |visit| visit.read(0, 0));
        let times: Vec<_> = reads.take(20_001).map(|read| read.at.as_secs_f64()).collect();
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / 2e4;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / 2e4;
        assert!((mean / 0.1 - 1.0).abs() < 0.05, "{mean} s");
        // Gaps between independent events vary by as much as their mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn visitors_who_ask_for_several_things_do_so_side_by_side() {
        let mut visitor = 0;
        let reads = visits(Rng::with_seed(7), 10.0, move |visit| {
            visitor += 1;
            for second in 0..5 {
                visit.read_at(visit.at + Duration::from_secs(second), visitor, 0);
            }
        });
        let reads: Vec<_> = reads.take(1_000).collect();
        assert!(reads.is_sorted_by_key(|read| read.at));
        let changes = reads.windows(2).filter(|pair| pair[0].client != pair[1].client).count();
        assert!(changes > 900, "{changes}");
    }
}
