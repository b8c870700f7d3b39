//! A cluster, over which the keys are spread.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;

use forewarm::lab::{Data, RedisCluster};

use super::*;

/// A namespace of its own on a cluster that all share.
struct Sharded(Place);

impl Bed for Sharded {
    type Tier = RedisTier;

    const UNIT: Duration = HOUR;
    const MARKS_RESTORED: bool = false;

    /// One case at a time has the cluster for itself: there is one database only.
    async fn new() -> Self {
        static CLUSTER: OnceCell<RedisCluster> = OnceCell::const_new();
        let launch = async || RedisCluster::launch(lab::RedisOptions::default()).await.unwrap();
        let urls = CLUSTER.get_or_init(launch).await.urls();
        for url in &urls {
            command("FLUSHALL").exec_async(&mut connect(url).await).await.unwrap();
        }
        let place = Place::at(RedisOptions::cluster(urls.clone()));
        Self(place.with_user(&urls).await)
    }

    async fn open(&self) -> RedisTier {
        self.0.open().await
    }

    async fn pass(&self, span: Duration) {
        self.0.pass(span).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_of_a_tier_holds() {
    tier_contract::holds_for::<Sharded>().await;
}

/// A cluster of its own, and a tier on it.
struct Spread {
    cluster: RedisCluster,
    place: Place,
    tier: RedisTier,
}

const KEYS: usize = 48;

impl Spread {
    /// With this many keys stored.
    async fn new() -> Self {
        let cluster = RedisCluster::launch(lab::RedisOptions::default()).await.unwrap();
        let options = RedisOptions::cluster(cluster.urls());
        let place = Place::at(options.response_timeout(Duration::from_millis(300)));
        let tier = place.open().await;
        for key in keys() {
            load(&tier, &key, b"Ada").await;
        }
        Self { cluster, place, tier }
    }

    /// What becomes of all keys when they are asked for.
    async fn begin_all(&self) -> Vec<Begun> {
        let keys = keys();
        let asks: Vec<_> = keys.iter().map(|key| wanting(key, 2)).collect();
        in_time(self.tier.begin(&asks, HOUR)).await.unwrap()
    }

    async fn is_back(&self) {
        until(async || self.tier.poll(&Cursor::default()).await.is_ok()).await;
    }
}

fn keys() -> Vec<String> {
    (0..KEYS).map(|nth| format!("p:user:{nth}")).collect()
}

fn hits(begun: &[Begun]) -> usize {
    begun.iter().filter(|begun| matches!(begun, Begun::Hit(_))).count()
}

#[tokio::test]
async fn every_node_has_a_share() {
    let spread = Spread::new().await;
    for url in spread.cluster.urls() {
        let size: usize = command("DBSIZE").query_async(&mut connect(&url).await).await.unwrap();
        assert!(size > KEYS / 10, "{size} keys at {url}");
    }
    assert_eq!(spread.tier.size().await.unwrap().entries, KEYS as u64);
}

#[tokio::test]
async fn a_tier_finds_all_nodes_from_any_of_them() {
    let spread = Spread::new().await;
    for url in spread.cluster.urls() {
        let options = RedisOptions::cluster([url]).namespace(&spread.place.namespace);
        let tier = options.open().await.unwrap();
        for key in keys() {
            assert_eq!(value(&tier, &key).await.unwrap(), b"Ada");
        }
    }
}

#[tokio::test]
async fn a_group_is_void_on_all_nodes_and_told_once() {
    let spread = Spread::new().await;
    let since = caught_up(&spread.tier).await;
    for selector in [
        Selector::Pattern { resource: "p:user", pattern: "1*" },
        Selector::Tag { resource: "p:user", tag: "red" },
        Selector::Resource("p:user"),
    ] {
        spread.tier.invalidate(NODE, &[selector.into()]).await.unwrap();
    }
    assert_eq!(hits(&spread.begin_all().await), 0);
    assert_eq!(poll(&spread.tier, &since).await.changes.len(), 3);
}

#[tokio::test]
async fn a_node_that_is_down_does_not_take_the_others_with_it() {
    for how in ["killed", "frozen"] {
        let spread = Spread::new().await;
        let since = caught_up(&spread.tier).await;
        let node = &spread.cluster.nodes()[1];
        // The others would take the cluster for lost with it, and serve nothing.
        for node in spread.cluster.nodes() {
            let mut connection = connect(&node.url()).await;
            command("CONFIG SET cluster-require-full-coverage no")
                .exec_async(&mut connection)
                .await
                .unwrap();
        }
        if how == "killed" {
            node.kill().unwrap();
        } else {
            node.freeze().unwrap();
        }
        let mut begun = Vec::new();
        until(async || {
            begun = spread.begin_all().await;
            begun.contains(&Begun::Miss)
        })
        .await;
        let (hits, misses) = (hits(&begun), begun.iter().filter(|begun| **begun == Begun::Miss));
        assert!(hits > KEYS / 3 && hits + misses.count() == KEYS, "{how}: {begun:?}");
        // What is for all nodes, or asked of all, has to wait.
        let resource = [Selector::Resource("p:team").into()];
        assert!(in_time(spread.tier.invalidate(NODE, &resource)).await.is_err(), "{how}");
        assert!(in_time(spread.tier.poll(&since)).await.is_err(), "{how}");
        let served = keys().into_iter().zip(&begun).find(|(_, begun)| **begun != Begun::Miss);
        until(async || invalidate(&spread.tier, &served.clone().unwrap().0).await.is_ok()).await;

        if how == "killed" {
            node.start(Data::Lost).await.unwrap();
        } else {
            node.thaw().unwrap();
        }
        spread.is_back().await;
        let polled = poll(&spread.tier, &since).await;
        assert_eq!(polled.is_gap, how == "killed", "{how}: {polled:?}");
        until(async || !spread.begin_all().await.contains(&Begun::Miss)).await;
    }
}

/// The slot of a domain, and the nodes from and to which it moves.
async fn move_slot(spread: &Spread, domain: usize) {
    let tag = format!("{{{}.{domain}}}", spread.place.namespace);
    let mut nodes = Vec::new();
    for node in spread.cluster.nodes() {
        let mut connection = connect(&node.url()).await;
        let id: String = command("CLUSTER MYID").query_async(&mut connection).await.unwrap();
        nodes.push((node.addr().port(), id, connection));
    }
    let mut keyslot = command("CLUSTER KEYSLOT");
    let slot: u16 = keyslot.arg(tag).query_async(&mut nodes[0].2).await.unwrap();
    let mut from = 0;
    for (nth, (_, _, connection)) in nodes.iter_mut().enumerate() {
        let mut count = command("CLUSTER COUNTKEYSINSLOT");
        let count: usize = count.arg(slot).query_async(connection).await.unwrap();
        if count > 0 {
            from = nth;
        }
    }
    let to = (from + 1) % nodes.len();
    let (from_id, to_id, to_port) = (nodes[from].1.clone(), nodes[to].1.clone(), nodes[to].0);
    let set = |how: &str, id: &str| command(&format!("CLUSTER SETSLOT {slot} {how} {id}"));
    set("IMPORTING", &from_id).exec_async(&mut nodes[to].2).await.unwrap();
    set("MIGRATING", &to_id).exec_async(&mut nodes[from].2).await.unwrap();
    let from_node = &mut nodes[from].2;
    let mut keys = command("CLUSTER GETKEYSINSLOT");
    let keys: Vec<Vec<u8>> = keys.arg(slot).arg(1000).query_async(from_node).await.unwrap();
    let mut migrate = command(&format!("MIGRATE 127.0.0.1 {to_port}"));
    migrate.arg("").arg(0).arg(5000).arg("KEYS").arg(keys);
    migrate.exec_async(from_node).await.unwrap();
    for nth in [to, from, (to + 1) % 3] {
        set("NODE", &to_id).exec_async(&mut nodes[nth].2).await.unwrap();
    }
}

/// Keys that move come to a server that did not acknowledge what is known of them.
#[tokio::test]
async fn keys_that_move_to_another_node_are_followed_and_void() {
    let spread = Spread::new().await;
    let since = caught_up(&spread.tier).await;
    let domain = 5;
    move_slot(&spread, domain).await;
    spread.is_back().await;
    let polled = poll(&spread.tier, &since).await;
    assert!(polled.is_gap);
    let moved = polled.cursor.0.iter().zip(&since.0).enumerate();
    let moved: Vec<_> = moved.filter(|(_, (one, two))| one != two).map(|(nth, _)| nth).collect();
    assert_eq!(moved, [domain]);
    let begun = spread.begin_all().await;
    let hits = hits(&begun);
    assert!(hits < KEYS && hits > KEYS / 2, "{hits}");
    let lost = keys().into_iter().zip(begun).find(|(_, begun)| *begun == Begun::Permit);
    let filled = spread.tier.fill(&[fill(&lost.unwrap().0, 2, b"new")]).await.unwrap();
    assert_eq!(filled, [Filled::Stored]);
}

#[tokio::test]
async fn whoever_lays_the_keys_out_in_another_way_is_refused() {
    let spread = Spread::new().await;
    for domains in [1, 8, 32] {
        let options = spread.place.options.clone().domains(domains);
        let tier = options.open().await.unwrap();
        let error = tier.poll(&Cursor::default()).await.unwrap_err();
        let error = error.source().unwrap().to_string();
        assert!(error.contains("1/16"), "{domains}: {error}");
    }
    assert_eq!(hits(&spread.begin_all().await), KEYS);
}

/// Wherever it is asked, a key is in the same place: others may have stored it.
#[tokio::test]
async fn the_place_of_a_key_does_not_change() {
    let spread = Spread::new().await;
    let mut found = BTreeSet::new();
    for url in spread.cluster.urls() {
        let mut keys = command("KEYS");
        keys.arg("{*}:v:p:user:1?");
        let keys: Vec<String> = keys.query_async(&mut connect(&url).await).await.unwrap();
        found.extend(keys);
    }
    let places = found.iter().filter_map(|key| key.split_once('.')?.1.split_once("}:v:p:user:"));
    let places: BTreeMap<_, _> = places.map(|(domain, key)| (key, domain)).collect();
    let expected = [("10", "8"), ("11", "13"), ("12", "6"), ("13", "5"), ("14", "7")];
    let others = [("15", "7"), ("16", "14"), ("17", "7"), ("18", "4"), ("19", "8")];
    assert_eq!(places, BTreeMap::from_iter(expected.into_iter().chain(others)));
}
