//! Reads that come one by one: what is read before says nothing of what is read next.

use std::time::Duration;

use fastrand::Rng;

use super::Endless;
use super::visits::{gap, visits};
use super::zipf::Zipf;

/// The keys that are always there, numbered by their rank.
pub(super) const KEYS: u32 = 10_000;
/// How much a few keys get of all reads: as is usual in benchmarks of caches (YCSB).
pub(super) const SKEW: f64 = 0.99;
/// Reads per second.
pub(super) const RATE: f64 = 10.0;
/// Any of them reads any key.
pub(super) const CLIENTS: u32 = 500;

/// A catalogue whose favourites stay what they are: 10,000 keys, Zipf 0.99, 10 reads per second by
/// 500 clients who know nothing of each other.
///
/// All that can be foreseen is that a hot key is read again.
pub(super) fn zipf(rng: Rng) -> Endless {
    let keys = Zipf::new(KEYS, SKEW);
    visits(rng, RATE, move |visit| {
        let (client, key) = (visit.rng.u32(..CLIENTS), keys.draw(visit.rng));
        visit.read(client, key);
    })
}

/// News: as [`zipf`], but every 15 minutes each key gets another rank, at random.
///
/// What counts reads for ever keeps yesterday's favourites.
pub(super) fn drifting_zipf(mut rng: Rng) -> Endless {
    let keys = Zipf::new(KEYS, SKEW);
    let mut ranked: Vec<u32> = (0..KEYS).collect();
    rng.shuffle(&mut ranked);
    let mut next_shuffle = DRIFT_EVERY;
    visits(rng, RATE, move |visit| {
        while visit.at >= next_shuffle {
            visit.rng.shuffle(&mut ranked);
            next_shuffle += DRIFT_EVERY;
        }
        let (client, rank) = (visit.rng.u32(..CLIENTS), keys.draw(visit.rng));
        let key = ranked.get(rank as usize).copied().unwrap_or(rank);
        visit.read(client, key);
    })
}

const DRIFT_EVERY: Duration = Duration::from_mins(15);

/// Nothing to predict: 10,000 keys, each as probable as any other, 10 reads per second by 500
/// clients.
///
/// Each key is read every 17 minutes on average, so whatever is loaded ahead for a ttl that is much
/// shorter is wasted.
pub(super) fn uniform(rng: Rng) -> Endless {
    visits(rng, RATE, |visit| {
        let (client, key) = (visit.rng.u32(..CLIENTS), visit.rng.u32(..KEYS));
        visit.read(client, key);
    })
}

/// A link on a popular site: beside [`zipf`], every 20 minutes 50 keys that nobody has read before
/// get 5,000 reads. They begin at once, at 42 per second, and fade with a time constant of 2
/// minutes; Zipf 0.99 among the 50. Everybody of the crowd is a client who was never seen.
///
/// Who judges keys by their past is late; there is no sign of a crowd before it is there.
pub(super) fn flash_crowd(rng: Rng) -> Endless {
    let (keys, crowded) = (Zipf::new(KEYS, SKEW), Zipf::new(CROWDED, SKEW));
    let (mut next_crowd, mut first_key, mut newcomer) = (CROWD_EVERY, KEYS, CLIENTS);
    visits(rng, RATE, move |visit| {
        if visit.at >= next_crowd {
            for _ in 0..CROWD {
                let at = visit.at + gap(visit.rng, CROWD_FADES_SECS);
                let key = first_key + crowded.draw(visit.rng);
                visit.read_at(at, newcomer, key);
                newcomer += 1;
            }
            next_crowd += CROWD_EVERY;
            first_key += CROWDED;
        }
        let (client, key) = (visit.rng.u32(..CLIENTS), keys.draw(visit.rng));
        visit.read(client, key);
    })
}

const CROWD_EVERY: Duration = Duration::from_mins(20);
const CROWD_FADES_SECS: f64 = 120.0;
const CROWD: u32 = 5_000;
const CROWDED: u32 = 50;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::replay::trace::Request;

    fn counts(requests: &[Request]) -> HashMap<u32, u32> {
        let mut counts = HashMap::new();
        for request in requests {
            *counts.entry(request.key).or_default() += 1;
        }
        counts
    }

    #[test]
    fn a_tenth_of_the_keys_of_zipf_gets_three_quarters_of_the_reads() {
        let requests: Vec<_> = zipf(Rng::with_seed(7)).take(100_000).collect();
        let top = requests.iter().filter(|request| request.key < KEYS / 10).count();
        assert!((73_000..77_000).contains(&top), "{top}");
        assert!(requests.iter().all(|request| request.key < KEYS));
    }

    #[test]
    fn the_favourite_of_drifting_zipf_changes_every_quarter_of_an_hour() {
        let requests: Vec<_> = drifting_zipf(Rng::with_seed(7)).take(50_000).collect();
        let quarter = |request: &Request| request.at.as_secs() / 900;
        let quarters = requests.chunk_by(|a, b| quarter(a) == quarter(b));
        let favourites = quarters.map(|quarter| {
            let counts = counts(quarter);
            let (key, count) = counts.into_iter().max_by_key(|(_, count)| *count).unwrap();
            assert!(f64::from(count) > 0.07 * quarter.len() as f64, "{count}");
            key
        });
        let mut favourites: Vec<_> = favourites.collect();
        let quarters = favourites.len();
        favourites.dedup();
        assert!(quarters >= 5 && favourites.len() == quarters, "{favourites:?}");
    }

    #[test]
    fn no_key_of_uniform_stands_out() {
        let requests: Vec<_> = uniform(Rng::with_seed(7)).take(100_000).collect();
        let counts = counts(&requests);
        let squares: f64 = (0..KEYS)
            .map(|key| (f64::from(counts.get(&key).copied().unwrap_or_default()) - 10.0).powi(2))
            .sum();
        // A sum of 10,000 squares over their mean is about 10,000, give or take 141 (chi square).
        assert!((squares / 10.0 - 10_000.0).abs() < 600.0, "{squares}");
    }

    #[test]
    fn a_flash_crowd_reads_what_was_cold_and_fades() {
        let requests: Vec<_> = flash_crowd(Rng::with_seed(7)).take(100_000).collect();
        let crowd = |nth: u32| {
            let keys = KEYS + nth * CROWDED..KEYS + (nth + 1) * CROWDED;
            requests.iter().filter(move |request| keys.contains(&request.key))
        };
        for nth in 0..4 {
            let begin = crowd(nth).next().unwrap().at;
            assert!(begin >= CROWD_EVERY * (nth + 1), "{begin:?}");
            let within = |from: u64, until: u64| {
                let span = begin + Duration::from_secs(from)..begin + Duration::from_secs(until);
                let all = requests.iter().filter(|request| span.contains(&request.at)).count();
                let crowd = crowd(nth).filter(|request| span.contains(&request.at)).count();
                crowd as f64 / all as f64
            };
            let (soon, late) = (within(0, 60), within(900, 1_000));
            assert!(soon > 0.7 && late < 0.05, "{soon}, {late}");
        }
    }
}
