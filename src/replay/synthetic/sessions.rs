//! People who follow links from page to page.

use std::collections::HashSet;
use std::time::Duration;

use fastrand::Rng;

use super::Endless;
use super::popular::SKEW;
use super::visits::{Visit, gap, visits};
use super::zipf::Zipf;

/// A web site: 2,000 pages, each with 3 links that 6, 3 and 1 of 10 visitors follow, and with 0 to 6
/// objects, of which a third is shared with other pages.
///
/// Every 2 seconds somebody begins a session, which is a client, at a page drawn with Zipf 0.99. A
/// page's objects are read 20 to 800 ms after it and in any order, unless the session has read them
/// before. 20 seconds later on average the session goes on, with 4 of 5, to a linked page, or in 1
/// of 10 cases to any other; else it ends. About 50 sessions take place at a time.
///
/// Objects can be foreseen nearly always, pages in about half of the cases, and only within a
/// session: the reads of all together look random.
pub(super) fn sessions(mut rng: Rng) -> Endless {
    let site = Site::new(&mut rng);
    let mut client = 0;
    visits(rng, SESSIONS_PER_SECOND, move |visit| {
        site.walk(visit, client);
        client += 1;
    })
}

const SESSIONS_PER_SECOND: f64 = 0.5;

/// Pages and what they show. Keys are the numbers of the pages, then those of the objects.
#[derive(Debug)]
struct Site {
    pages: Vec<Page>,
    popularity: Zipf,
}

#[derive(Debug)]
struct Page {
    /// The most popular first.
    links: [u32; 3],
    objects: Vec<u32>,
}

const PAGES: u32 = 2_000;
const SHARED_OBJECTS: u32 = 100;
const OBJECTS_MAX: u32 = 6;
const SHARED: f64 = 1.0 / 3.0;

const THINKS_SECS: f64 = 20.0;
const GOES_ON: f64 = 0.8;
const JUMPS: f64 = 0.1;

impl Site {
    fn new(rng: &mut Rng) -> Self {
        let mut newest = PAGES + SHARED_OBJECTS;
        let page = |_| {
            let links = [(); 3].map(|()| rng.u32(..PAGES));
            let objects = (0..rng.u32(..=OBJECTS_MAX)).map(|_| {
                if rng.f64() < SHARED {
                    PAGES + rng.u32(..SHARED_OBJECTS)
                } else {
                    newest += 1;
                    newest
                }
            });
            Page { links, objects: objects.collect() }
        };
        Self { pages: (0..PAGES).map(page).collect(), popularity: Zipf::new(PAGES, SKEW) }
    }

    /// A session from its first page to its last.
    fn walk(&self, visit: &mut Visit<'_>, client: u32) {
        let (mut at, mut shown) = (visit.at, HashSet::new());
        let mut next = self.popularity.draw(visit.rng);
        while let Some(page) = self.pages.get(next as usize) {
            visit.read_at(at, client, next);
            for object in &page.objects {
                if shown.insert(*object) {
                    let after = Duration::from_micros(visit.rng.u64(20_000..=800_000));
                    visit.read_at(at + after, client, *object);
                }
            }
            if visit.rng.f64() >= GOES_ON {
                return;
            }
            // Nobody leaves a page before it is there.
            at += Duration::from_secs(1) + gap(visit.rng, THINKS_SECS - 1.0);
            next = if visit.rng.f64() < JUMPS {
                visit.rng.u32(..PAGES)
            } else {
                page.follow(visit.rng)
            };
        }
    }
}

impl Page {
    /// The page that somebody goes to from here.
    fn follow(&self, rng: &mut Rng) -> u32 {
        let [most, some, few] = self.links;
        match rng.u32(..10) {
            0..6 => most,
            6..9 => some,
            _ => few,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::replay::trace::Request;

    fn made() -> Vec<Request> {
        sessions(Rng::with_seed(7)).take(100_000).collect()
    }

    /// The requests of each client that are of pages, or of objects.
    fn by_client(requests: &[Request], of_pages: bool) -> HashMap<u32, Vec<Request>> {
        let mut clients = HashMap::<_, Vec<_>>::new();
        for request in requests.iter().filter(|request| (request.key < PAGES) == of_pages) {
            clients.entry(request.client.unwrap()).or_default().push(*request);
        }
        clients
    }

    #[test]
    fn the_most_frequent_successor_of_a_page_follows_in_half_of_the_cases() {
        let mut followers = HashMap::<_, HashMap<_, u32>>::new();
        for pages in by_client(&made(), true).values() {
            for pair in pages.windows(2) {
                *followers.entry(pair[0].key).or_default().entry(pair[1].key).or_default() += 1;
            }
        }
        let (mut most, mut all) = (0, 0);
        for followers in followers.values() {
            let reads: u32 = followers.values().sum();
            if reads >= 20 {
                most += followers.values().max().unwrap();
                all += reads;
            }
        }
        let share = f64::from(most) / f64::from(all);
        assert!(all > 5_000 && (0.5..0.65).contains(&share), "{share} of {all}");
    }

    #[test]
    fn objects_are_read_once_in_a_session_and_soon_after_a_page() {
        let requests = made();
        let pages = by_client(&requests, true);
        for (client, objects) in by_client(&requests, false) {
            let mut seen = HashSet::new();
            for object in objects {
                assert!(seen.insert(object.key), "{client}: {object:?}");
                let before = pages[&client].iter().rfind(|page| page.at < object.at).unwrap();
                assert!(object.at - before.at <= Duration::from_millis(800), "{client}");
            }
        }
    }

    #[test]
    fn many_sessions_take_place_at_a_time() {
        let requests = made();
        let own = requests.windows(2).filter(|pair| pair[0].client == pair[1].client).count();
        let mut ends = HashMap::new();
        for request in &requests {
            let span = ends.entry(request.client).or_insert((request.at, request.at));
            span.1 = request.at;
        }
        let at = requests[requests.len() / 2].at;
        let open = ends.values().filter(|(begin, end)| *begin <= at && at <= *end).count();
        assert!((25..80).contains(&open), "{open}");
        assert!(own < requests.len() * 8 / 10, "{own}");
    }
}
