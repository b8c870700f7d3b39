//! What is learned within a scope, and how scopes are passed on.

use forewarm::{Config, Forewarm, ReadOptions, Resource, Scope};
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::super::source::{Source, config, item, others_run, secs};
use super::{REST, confidence, followers, learning, read};

/// How a test says whose reads they are.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Not at all.
    Unsaid,
    Scope,
    GetIn,
    /// By a function within the scope, once the key is held.
    Enter,
    /// With the scope of another engine.
    Foreign,
}

/// An engine, one resource, and another engine.
struct Ground {
    forewarm: Forewarm,
    items: Resource<u64, String>,
    other: Forewarm,
}

impl Ground {
    async fn new() -> Self {
        let forewarm = Forewarm::builder().config(config()).build().await.unwrap();
        let items = item(&forewarm, learning(), &Source::new());
        forewarm.start().await.unwrap();
        let config = Config { seed: Some(8), ..config() };
        let other = Forewarm::builder().config(config).build().await.unwrap();
        Self { forewarm, items, other }
    }

    /// A read of a client.
    async fn read(&self, way: Way, client: u64, key: u64) {
        let got = match way {
            Way::Unsaid => self.items.get(&key).await,
            Way::Scope => self.forewarm.scope(&client, self.items.get(&key)).await,
            Way::GetIn => self.items.get_in(&self.forewarm.scope_of(&client), &key).await,
            Way::Enter => {
                let scope = self.forewarm.scope_of(&client);
                let options = ReadOptions::new();
                match scope.enter(|| self.items.read_held(&key, &options)) {
                    Some(held) => Ok(held.value),
                    None => scope.run(self.items.get(&key)).await,
                }
            }
            Way::Foreign => self.other.scope(&client, self.items.get(&key)).await,
        };
        got.unwrap();
        others_run().await;
        sleep(secs(1)).await;
    }

    /// Two clients take turns, each with a pattern of its own.
    async fn two_clients(&self, way: Way) {
        for _ in 0..10 {
            for (client, key) in [(1, 1), (2, 11), (1, 2), (2, 12)] {
                self.read(way, client, key).await;
            }
            sleep(REST).await;
        }
    }
}

/// C08: what two clients read in turn is learned apart, if it is said who reads.
#[tokio::test(start_paused = true)]
async fn the_reads_of_two_clients_are_told_apart() {
    for way in [Way::Scope, Way::GetIn, Way::Enter] {
        let ground = Ground::new().await;
        ground.two_clients(way).await;
        let found = [1, 2, 11, 12].map(|key| followers(&ground.items, key));
        assert_eq!(found, [vec!["2".to_owned()], vec![], vec!["12".to_owned()], vec![]], "{way:?}");
    }
}

/// C08: without scopes, and with those of another engine, all reads are taken for one client's.
#[tokio::test(start_paused = true)]
async fn a_scope_of_another_engine_counts_as_none() {
    let mut learned = Vec::new();
    for way in [Way::Unsaid, Way::Foreign] {
        let ground = Ground::new().await;
        ground.two_clients(way).await;
        assert!(confidence(&ground.items, 1, 11) > 0.99, "{way:?}");
        learned.push(ground.forewarm.learned_pairs(100));
    }
    assert_eq!(learned[0], learned[1]);
    // 1 before 11, 2 and 12; 11 before 2 and 12; 2 before 12.
    assert_eq!(learned[0].len(), 6);
}

/// C08: `get_in` is `scope` for one read: what is learned is the same to the last digit.
#[tokio::test(start_paused = true)]
async fn a_read_in_a_scope_is_a_read_run_in_it() {
    let mut learned = Vec::new();
    for way in [Way::Scope, Way::GetIn, Way::Enter] {
        let ground = Ground::new().await;
        ground.two_clients(way).await;
        learned.push(ground.forewarm.learned_pairs(100));
    }
    assert_eq!(learned[0], learned[1]);
    assert_eq!(learned[0].len(), 2);
}

/// C08: of many clients whose reads mix at random, all patterns are found within scopes, and few
/// without.
#[tokio::test(start_paused = true)]
async fn of_many_clients_little_is_found_without_scopes() {
    const PAIRS: u64 = 40;
    let mut found = Vec::new();
    for way in [Way::Scope, Way::Unsaid] {
        let ground = Ground::new().await;
        let mut random = fastrand::Rng::with_seed(7);
        // What each client reads next, if it has read the first of a pair.
        let mut pending = [None; 64];
        for _ in 0..16_000 {
            let client = random.usize(..pending.len());
            let key = pending[client].unwrap_or_else(|| 2 * random.u64(..PAIRS));
            pending[client] = (key % 2 == 0).then_some(key + 1);
            ground.read(way, client as u64, key).await;
        }
        let is_found = |pair: &u64| confidence(&ground.items, 2 * pair, 2 * pair + 1) >= 0.5;
        found.push((0..PAIRS).filter(is_found).count());
    }
    assert_eq!(found[0], 40);
    assert!(found[1] <= 10, "{} of 40", found[1]);
}

/// C08: a scope does not follow a task that is spawned; who wants it to takes it along.
#[tokio::test(start_paused = true)]
async fn a_scope_is_taken_along_by_hand() {
    for takes_along in [false, true] {
        let ground = Ground::new().await;
        let items = ground.items.clone();
        let client = async {
            for _ in 0..5 {
                read(&items, 1).await;
                let scope = Scope::current().unwrap();
                let items = items.clone();
                let work = async move {
                    read(&items, 2).await;
                    Scope::current()
                };
                let task = match takes_along {
                    true => Handle::current().spawn(scope.run(work)),
                    false => Handle::current().spawn(work),
                };
                assert_eq!(task.await.unwrap(), takes_along.then_some(scope));
                sleep(REST).await;
            }
        };
        ground.forewarm.scope("client", client).await;
        assert_eq!(Scope::current(), None);
        assert_eq!(confidence(&ground.items, 1, 2) > 0.99, takes_along);
    }
}

/// C08: of scopes within each other the innermost counts, and only as long as it lasts.
#[tokio::test(start_paused = true)]
async fn the_innermost_scope_counts() {
    let ground = Ground::new().await;
    let [outer, inner] = ["outer", "inner"].map(|client| ground.forewarm.scope_of(client));
    assert_ne!(outer, inner);
    assert_ne!(outer, ground.other.scope_of("outer"));
    let within = outer.run(async {
        let seen = inner.run(async { Scope::current() }).await;
        (seen, Scope::current())
    });
    assert_eq!(within.await, (Some(inner), Some(outer)));
}
