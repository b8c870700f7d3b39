//! Requests that nobody made: workloads of which it is known what can be foreseen in them.

use std::collections::HashSet;

use fastrand::Rng;

use super::trace::{Notes, RESOURCE, Request, Texts, Trace};

mod bundles;
mod passing;
mod popular;
mod sessions;
mod visits;
mod zipf;

/// A workload that is made up from a seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// What it is, in a few words.
    pub(crate) about: &'static str,
    resources: &'static [&'static str],
    begin: fn(Rng) -> Endless,
}

/// Requests in the order of time, without an end.
type Endless = Box<dyn Iterator<Item = Request>>;

/// All workloads.
pub(crate) const WORKLOADS: [Workload; 9] = [
    Workload {
        name: "zipf",
        about: "10,000 keys of fixed popularity",
        resources: &[RESOURCE],
        begin: popular::zipf,
    },
    Workload {
        name: "drifting-zipf",
        about: "popularity that is dealt anew every quarter of an hour",
        resources: &[RESOURCE],
        begin: popular::drifting_zipf,
    },
    Workload {
        name: "uniform",
        about: "10,000 keys, all alike",
        resources: &[RESOURCE],
        begin: popular::uniform,
    },
    Workload {
        name: "flash-crowd",
        about: "cold keys become hot all of a sudden",
        resources: &[RESOURCE],
        begin: popular::flash_crowd,
    },
    Workload {
        name: "scan",
        about: "long scans of cold keys between other reads",
        resources: &[RESOURCE],
        begin: passing::scan,
    },
    Workload {
        name: "loop",
        about: "a cycle through more than a tenth of the keys",
        resources: &[RESOURCE],
        begin: passing::cycle,
    },
    Workload {
        name: "one-hit",
        about: "mostly keys that are read once",
        resources: &[RESOURCE],
        begin: passing::one_hit,
    },
    Workload {
        name: "bundles",
        about: "user, permission, relationship and messages of the same id",
        resources: &bundles::RESOURCES,
        begin: bundles::bundles,
    },
    Workload {
        name: "sessions",
        about: "people follow links from page to page",
        resources: &[RESOURCE],
        begin: sessions::sessions,
    },
];

/// How many requests are made if nobody says.
pub(crate) const REQUESTS: usize = 100_000;

impl Workload {
    /// The workload of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        WORKLOADS.into_iter().find(|workload| workload.name == name)
    }

    /// Makes the first `requests` of the workload. The same seed gives the same ones, and fewer are
    /// the beginning of more.
    pub(crate) fn trace(self, requests: usize, seed: u64) -> Trace {
        let mut requests: Vec<_> = (self.begin)(Rng::with_seed(seed)).take(requests).collect();
        let start = requests.first().map(|request| request.at).unwrap_or_default();
        for request in &mut requests {
            request.at = request.at.saturating_sub(start);
        }
        let keys: HashSet<_> = requests.iter().map(|made| (made.resource, made.key)).collect();
        let clients: HashSet<_> = requests.iter().filter_map(|made| made.client).collect();
        let [keys, clients] =
            [keys.len(), clients.len()].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let resources = self.resources.iter().map(|&name| name.to_owned()).collect();
        let (name, key_names, notes) = (self.name.to_owned(), Texts::default(), Notes::default());
        Trace { name, requests, resources, keys, key_names, clients, notes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_find_their_workload() {
        let names: HashSet<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), WORKLOADS.len());
        for name in names {
            assert_eq!(Workload::named(name).unwrap().name, name);
        }
        assert!(Workload::named("zip").is_none());
    }

    #[test]
    fn the_same_seed_gives_the_same_requests_and_fewer_are_the_beginning_of_more() {
        for workload in WORKLOADS {
            let made = |requests, seed| workload.trace(requests, seed).requests;
            let trace = made(5_000, 1);
            assert_eq!(trace, made(5_000, 1), "{}", workload.name);
            assert_eq!(trace[..2_000], made(2_000, 1), "{}", workload.name);
            assert_ne!(trace, made(5_000, 2), "{}", workload.name);
            assert!(made(0, 1).is_empty(), "{}", workload.name);
        }
    }

    #[test]
    fn times_are_in_order_and_every_request_has_a_resource_and_a_client() {
        for workload in WORKLOADS {
            let Trace { name, requests, resources, keys, clients, .. } =
                workload.trace(REQUESTS, 7);
            assert_eq!(requests.len(), REQUESTS, "{name}");
            assert!(requests.is_sorted_by_key(|request| request.at), "{name}");
            assert!(requests[0].at.is_zero(), "{name}");
            let hours = requests[REQUESTS - 1].at.as_secs_f64() / 3_600.0;
            assert!((0.3..4.0).contains(&hours), "{name}: {hours} h");
            let read: HashSet<_> = requests.iter().map(|request| request.resource).collect();
            assert_eq!(read.len(), resources.len(), "{name}");
            assert!(read.iter().all(|nth| usize::from(*nth) < resources.len()), "{name}");
            assert!(requests.iter().all(|request| request.client.is_some()), "{name}");
            assert!(clients > 100 && keys > 1_000, "{name}: {clients} clients, {keys} keys");
        }
    }

    #[test]
    fn keys_are_counted_by_resource() {
        for workload in WORKLOADS {
            let trace = workload.trace(10_000, 7);
            let keys = trace.keys_by_resource();
            assert_eq!(keys.len(), trace.resources.len(), "{}", trace.name);
            assert_eq!(keys.iter().sum::<u32>(), trace.keys, "{}", trace.name);
        }
    }
}
