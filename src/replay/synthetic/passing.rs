//! Keys that pass: they want room, and have no use for it.

use std::time::Duration;

use fastrand::Rng;

use super::Endless;
use super::popular::{CLIENTS, KEYS, RATE, SKEW};
use super::visits::visits;
use super::zipf::Zipf;

/// A nightly report beside the traffic of the day: as [`zipf`](super::popular::zipf), but every 5
/// minutes a client of its own reads 2,000 cold keys, 50 per second, and the next time the 2,000
/// behind them. There are 100,000 of those, so a key comes again after four hours.
///
/// 4 of 10 reads are of keys for which there is no use; they must not displace the others.
pub(super) fn scan(rng: Rng) -> Endless {
    let keys = Zipf::new(KEYS, SKEW);
    let (mut next_scan, mut scanned) = (SCAN_EVERY, 0);
    visits(rng, RATE, move |visit| {
        if visit.at >= next_scan {
            for nth in 0..SCAN {
                let key = KEYS + scanned % SCANNABLE;
                visit.read_at(visit.at + SCAN_GAP * nth, CLIENTS, key);
                scanned = (scanned + 1) % SCANNABLE;
            }
            next_scan += SCAN_EVERY;
        }
        let (client, key) = (visit.rng.u32(..CLIENTS), keys.draw(visit.rng));
        visit.read(client, key);
    })
}

const SCAN: u32 = 2_000;
const SCAN_GAP: Duration = Duration::from_millis(20);
const SCAN_EVERY: Duration = Duration::from_mins(5);
const SCANNABLE: u32 = 100_000;

/// A job that walks the same list for ever: 4 of 5 reads are of the next of 1,200 keys, the others
/// of any of the other 8,800 keys; 10 reads per second.
///
/// The list is somewhat longer than a tenth of the keys: at that capacity, what was read longest ago
/// is always what is read next, so LRU never hits. The job is one client, so its next read can be
/// known.
pub(super) fn cycle(rng: Rng) -> Endless {
    let mut next = 0;
    visits(rng, RATE, move |visit| {
        if visit.rng.f64() < CYCLING {
            visit.read(CLIENTS, next);
            next = (next + 1) % CYCLE;
        } else {
            let (client, key) = (visit.rng.u32(..CLIENTS), visit.rng.u32(CYCLE..KEYS));
            visit.read(client, key);
        }
    })
}

const CYCLE: u32 = 1_200;
const CYCLING: f64 = 0.8;

/// Crawlers and rare searches: half of the reads are of a key that nobody has read before or will
/// read again, the others of 500 keys, Zipf 0.99; 10 reads per second by 500 clients.
///
/// Of all keys 99 in 100 are read once.
pub(super) fn one_hit(rng: Rng) -> Endless {
    let hot = Zipf::new(HOT, SKEW);
    let mut newest = HOT;
    visits(rng, RATE, move |visit| {
        let client = visit.rng.u32(..CLIENTS);
        let key = if visit.rng.bool() {
            newest += 1;
            newest
        } else {
            hot.draw(visit.rng)
        };
        visit.read(client, key);
    })
}

const HOT: u32 = 500;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::replay::trace::Request;

    fn made(begin: fn(Rng) -> Endless) -> (Vec<Request>, HashMap<u32, u32>) {
        let requests: Vec<_> = begin(Rng::with_seed(7)).take(100_000).collect();
        let mut counts = HashMap::new();
        for request in &requests {
            *counts.entry(request.key).or_default() += 1;
        }
        (requests, counts)
    }

    #[test]
    fn scans_are_long_and_read_what_nobody_else_reads() {
        let (requests, counts) = made(scan);
        let is_cold = |request: &&Request| request.key >= KEYS;
        let cold: Vec<_> = requests.iter().filter(is_cold).collect();
        assert!((35_000..45_000).contains(&cold.len()), "{}", cold.len());
        assert!(cold.iter().all(|request| counts[&request.key] == 1));
        assert!(cold.windows(2).all(|pair| pair[1].key == pair[0].key + 1));
        let pauses = cold.windows(2).filter(|pair| pair[1].at - pair[0].at > SCAN_GAP).count();
        assert_eq!(pauses, (cold.len() - 1) / SCAN as usize);
    }

    #[test]
    fn a_loop_is_somewhat_longer_than_a_tenth_of_the_keys() {
        let (requests, counts) = made(cycle);
        let share = f64::from(CYCLE) / counts.len() as f64;
        assert!((0.11..0.15).contains(&share), "{share}");
        let cycle: Vec<_> = requests.iter().filter(|request| request.key < CYCLE).collect();
        assert!((79_000..81_000).contains(&cycle.len()), "{}", cycle.len());
        assert!(cycle.windows(2).all(|pair| pair[1].key == (pair[0].key + 1) % CYCLE));
    }

    #[test]
    fn of_all_keys_of_one_hit_99_in_100_are_read_once() {
        let (_, counts) = made(one_hit);
        let once = counts.values().filter(|count| **count == 1).count();
        let share = once as f64 / counts.len() as f64;
        assert!((0.985..0.995).contains(&share), "{share}");
        assert!((49_000..51_000).contains(&once), "{once}");
    }
}
