//! A service that sentinels watch over.

use std::error::Error as _;

use forewarm::lab::{Proxy, Sentinel};
use tokio::time::Instant;

use super::*;

/// A service of its own, and a tier on it.
struct Watched {
    service: Sentinel,
    tier: RedisTier,
}

impl Watched {
    async fn new() -> Self {
        let service = Sentinel::launch(lab::RedisOptions::default(), 3).await.unwrap();
        let place = Place::at(options(&service, service.urls()));
        let tier = place.open().await;
        Self { service, tier }
    }

    async fn is_back(&self) {
        until(async || self.tier.poll(&Cursor::default()).await.is_ok()).await;
    }
}

fn options(service: &Sentinel, urls: Vec<String>) -> RedisOptions {
    let options = RedisOptions::sentinel(service.name(), urls);
    options.response_timeout(Duration::from_millis(500))
}

#[tokio::test]
async fn the_master_is_found_and_used() {
    let watched = Watched::new().await;
    all_work(&watched.tier).await;
    let master = &watched.service.servers()[watched.service.master().await.unwrap()];
    let mut connection = connect(&master.url()).await;
    let size: usize = command("DBSIZE").query_async(&mut connection).await.unwrap();
    assert!(size > 0);
}

#[tokio::test]
async fn a_service_that_nobody_knows_is_reported() {
    let watched = Watched::new().await;
    let options = RedisOptions::sentinel("stranger", watched.service.urls());
    let tier = options.open().await.unwrap();
    let error = tier.poll(&Cursor::default()).await.unwrap_err();
    assert!(error.source().unwrap().to_string().contains("sentinels"), "{error:?}");
}

/// What the replica had not heard of comes back with it, and counts no more.
#[tokio::test]
async fn a_replica_that_lagged_brings_nothing_back() {
    let watched = Watched::new().await;
    let Watched { service, tier } = &watched;
    load(tier, KEY, b"old").await;
    assert_eq!(begin(tier, "p:user:2", 1).await, Begun::Permit);
    let since = caught_up(tier).await;
    let [master, replica] = service.servers() else { panic!("two servers") };
    let mut follower = connect(&replica.url()).await;
    until(async || {
        let size: usize = command("DBSIZE").query_async(&mut follower).await.unwrap();
        size >= 3
    })
    .await;
    // From here on the replica hears nothing, and is promoted all the same.
    replica.freeze().unwrap();
    invalidate(tier, KEY).await.unwrap();
    master.kill().unwrap();
    replica.thaw().unwrap();
    until(async || service.master().await.is_ok_and(|master| master == 1)).await;
    watched.is_back().await;
    assert!(poll(tier, &since).await.is_gap);
    assert_eq!(value(tier, KEY).await, None);
    let filled = in_time(tier.fill(&[fill("p:user:2", 1, b"old")])).await.unwrap();
    assert_eq!(filled, [Filled::Refused]);
    load(tier, "p:user:3", b"new").await;
}

/// A master that was only paused goes on as if nothing had happened.
#[tokio::test]
async fn a_master_that_was_replaced_while_it_was_paused_is_not_used() {
    let watched = Watched::new().await;
    let Watched { service, tier } = &watched;
    let place_of_other = Place::at(options(service, service.urls()));
    let other = place_of_other.open().await;
    load(&other, KEY, b"old").await;
    load(tier, KEY, b"old").await;
    let [master, _] = service.servers() else { panic!("two servers") };
    master.freeze().unwrap();
    until(async || service.master().await.is_ok_and(|master| master == 1)).await;
    watched.is_back().await;
    invalidate(tier, KEY).await.unwrap();
    master.thaw().unwrap();
    // Neither the one who has been asking, nor the one who has not, uses it any more.
    for tier in [tier, &other] {
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(500) {
            if let Ok(begun) = in_time(tier.begin(&[wanting(KEY, 9)], HOUR)).await {
                assert!(!matches!(begun[0], Begun::Hit(_)), "{begun:?}");
            }
            yield_now().await;
        }
    }
}

/// Whoever can reach the old master, and not most sentinels, cannot know whether it is replaced.
#[tokio::test]
async fn whoever_is_cut_off_from_most_sentinels_stops() {
    let service = Sentinel::launch(lab::RedisOptions::default(), 3).await.unwrap();
    let mut proxies = Vec::new();
    for sentinel in service.sentinels() {
        proxies.push(Proxy::start(sentinel.addr()).await.unwrap());
    }
    let urls = proxies.iter().map(|proxy| format!("redis://{}", proxy.addr())).collect();
    let tier = Place::at(options(&service, urls)).open().await;
    load(&tier, KEY, b"Ada").await;
    proxies[0].cut().await;
    all_work(&tier).await;
    proxies[1].block_both();
    assert!(in_time(tier.poll(&Cursor::default())).await.is_err());
    assert!(invalidate(&tier, "p:user:2").await.is_err());
    until(async || tier.begin(&[wanting(KEY, 0)], HOUR).await.is_err()).await;
    proxies[1].heal().await;
    until(async || tier.poll(&Cursor::default()).await.is_ok()).await;
    assert_eq!(value(&tier, KEY).await.unwrap(), b"Ada");
}

/// Nobody polls: what is served is confirmed all the same.
#[tokio::test]
async fn whoever_only_looks_values_up_hears_of_a_new_master_too() {
    let watched = Watched::new().await;
    let Watched { service, tier } = &watched;
    load(tier, KEY, b"old").await;
    // The old master goes on: it is asked to step down, and not stopped.
    let sentinel = &service.sentinels()[0];
    let mut failover = command("SENTINEL FAILOVER");
    failover.arg(service.name());
    failover.exec_async(&mut connect(&sentinel.url()).await).await.unwrap();
    until(async || service.master().await.is_ok_and(|master| master == 1)).await;
    until(async || {
        let begun = tier.begin(&[wanting(KEY, 9)], HOUR).await;
        begun.is_ok_and(|begun| !matches!(begun[0], Begun::Hit(_)))
    })
    .await;
}
