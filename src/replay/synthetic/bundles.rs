//! Pages that are put together from several resources with the same id.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use fastrand::Rng;

use super::Endless;
use super::popular::SKEW;
use super::visits::{Visit, visits};
use super::zipf::Zipf;
use crate::replay::trace::Request;

/// What a page reads, in this order; `messages` are the 50 newest, as one value.
pub(super) const RESOURCES: [&str; 4] = ["user", "permission", "relationship", "messages"];

/// The pages of a social network: each reads a user, then the user's permissions, relationships and
/// newest messages, 1 to 20 ms apart, and all under the id of the user.
///
/// 20 pages per second. 4 of 5 are of one of 5,000 users, Zipf 0.99; the fifth is of a user whom
/// nobody has looked at before. 100 sessions are open at a time, and each is a client; it looks at 5
/// pages on average, several seconds apart. Nearly half of the reads that follow another of their
/// page come right after one of some other page.
///
/// What follows a known user can be learned key by key. What follows a user who was never seen can
/// only be known by who has learned that the resources follow each other; those reads are marked.
pub(super) fn bundles(rng: Rng) -> Endless {
    let known = Zipf::new(KNOWN, SKEW);
    let (mut seen, mut newest) = (HashSet::new(), KNOWN);
    let mut sessions = Sessions::new();
    visits(rng, PAGES_PER_SECOND, move |visit| {
        let user = if visit.rng.f64() < FIRST_EVER {
            newest += 1;
            newest
        } else {
            known.draw(visit.rng)
        };
        let client = sessions.next(visit.rng);
        read_page(visit, client, user, seen.insert(user));
    })
}

const KNOWN: u32 = 5_000;
const FIRST_EVER: f64 = 0.2;
const PAGES_PER_SECOND: f64 = 20.0;

fn read_page(visit: &mut Visit<'_>, client: u32, user: u32, is_first: bool) {
    let mut at = visit.at;
    for resource in 0..4 {
        let is_first_follow_up = is_first && resource > 0;
        visit.ask(Request { at, resource, key: user, client: Some(client), is_first_follow_up });
        at += Duration::from_micros(visit.rng.u64(1_000..=20_000));
    }
}

/// The sessions that are open, those that have waited longest for their next page first.
#[derive(Debug)]
struct Sessions {
    open: VecDeque<u32>,
    newest: u32,
}

const SESSIONS: u32 = 100;
const SESSION_ENDS: f64 = 0.2;

impl Sessions {
    fn new() -> Self {
        Self { open: (0..SESSIONS).collect(), newest: SESSIONS - 1 }
    }

    /// The session that opens the next page.
    fn next(&mut self, rng: &mut Rng) -> u32 {
        // One that has opened a page lately is still reading it.
        let client = self.open.remove(rng.usize(..self.open.len() / 2)).unwrap_or(self.newest);
        if rng.f64() < SESSION_ENDS {
            self.newest += 1;
            self.open.push_back(self.newest);
        } else {
            self.open.push_back(client);
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn made() -> Vec<Request> {
        bundles(Rng::with_seed(7)).take(100_000).collect()
    }

    /// The requests of each client.
    fn by_client(requests: &[Request]) -> HashMap<u32, Vec<Request>> {
        let mut clients = HashMap::<_, Vec<_>>::new();
        for request in requests {
            clients.entry(request.client.unwrap()).or_default().push(*request);
        }
        clients
    }

    #[test]
    fn what_follows_a_user_has_the_same_id_and_comes_soon() {
        let (shortest, longest) = (Duration::from_millis(1), Duration::from_millis(20));
        for (client, requests) in by_client(&made()) {
            for page in requests.chunks(4) {
                let resources: Vec<_> = page.iter().map(|request| request.resource).collect();
                assert_eq!(resources, [0, 1, 2, 3][..page.len()], "{client}: {page:?}");
                for pair in page.windows(2) {
                    assert_eq!(pair[0].key, pair[1].key, "{client}: {page:?}");
                    let gap = pair[1].at - pair[0].at;
                    assert!((shortest..=longest).contains(&gap), "{client}: {page:?}");
                }
            }
        }
    }

    #[test]
    fn those_reads_are_marked_that_follow_the_first_of_a_user() {
        let mut first_by = HashMap::new();
        let mut marked = 0;
        for (nth, request) in made().iter().enumerate() {
            let first = *first_by.entry(request.key).or_insert((request.at, request.client));
            // Nobody opens two pages within this time.
            let is_first = request.at - first.0 <= Duration::from_millis(60)
                && request.client == first.1
                && request.resource > 0;
            assert_eq!(request.is_first_follow_up, is_first, "{nth}: {request:?}");
            marked += u32::from(is_first);
        }
        assert!((20_000..30_000).contains(&marked), "{marked}");
    }

    #[test]
    fn a_fifth_of_the_pages_is_of_users_whom_nobody_comes_back_to() {
        let requests = made();
        let pages = requests.into_iter().filter(|request| request.resource == 0);
        let (new, known): (Vec<Request>, Vec<_>) = pages.partition(|page| page.key > KNOWN);
        let share = new.len() as f64 / (new.len() + known.len()) as f64;
        assert!((0.19..0.21).contains(&share), "{share}");
        let users: HashSet<_> = new.iter().map(|page| page.key).collect();
        assert_eq!(users.len(), new.len());
    }

    #[test]
    fn sessions_look_at_five_pages_and_take_place_side_by_side() {
        let requests = made();
        let pages = requests.len() as f64 / 4.0 / by_client(&requests).len() as f64;
        assert!((4.5..5.5).contains(&pages), "{pages}");
        let foreign = requests
            .windows(2)
            .filter(|pair| pair[0].client != pair[1].client && pair[0].resource < 3);
        let share = foreign.count() as f64 / (requests.len() as f64 * 0.75);
        assert!((0.4..0.5).contains(&share), "{share}");
    }
}
