//! A server that fails, and a way to it that does.

use std::pin::pin;

use forewarm::Node;
use forewarm::lab::{Data, Proxy, Way};
use tokio::time::{Instant, timeout};

use super::*;

/// How long the tiers of these tests wait for their server.
const PATIENCE: Duration = Duration::from_millis(300);

/// A server, a proxy before it, and a tier behind that.
struct Distant {
    world: World,
    proxy: Proxy,
}

impl Distant {
    async fn new() -> Self {
        let server = RedisServer::launch(lab::RedisOptions::default()).await.unwrap();
        let proxy = Proxy::start(server.addr()).await.unwrap();
        let options = RedisOptions::new(server.url_at(proxy.addr())).response_timeout(PATIENCE);
        let place = Place::at(options);
        let tier = place.open().await;
        Self { world: World { server, place, tier }, proxy }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_used_when_it_comes() {
    let server = RedisServer::launch(lab::RedisOptions::default()).await.unwrap();
    server.kill().unwrap();
    let place = Place::at(RedisOptions::new(server.url()));
    let tier = in_time(place.open()).await;
    all_fail(&tier).await;
    server.start(Data::Lost).await.unwrap();
    until(async || tier.size().await.is_ok()).await;
    all_work(&tier).await;
}

#[tokio::test]
async fn a_server_that_is_down_is_not_waited_for() {
    let world = World::new().await;
    world.server.kill().unwrap();
    let began = Instant::now();
    for _ in 0..20 {
        all_fail(&world.tier).await;
    }
    // Some attempts to connect are among them, which are refused at once.
    let mean = began.elapsed() / 200;
    assert!(mean < Duration::from_millis(20), "{mean:?} a call");
}

#[tokio::test]
async fn a_frozen_server_holds_nobody_up_for_long_and_is_used_when_it_goes_on() {
    let server = RedisServer::launch(lab::RedisOptions::default()).await.unwrap();
    let place = Place::at(RedisOptions::new(server.url()).response_timeout(PATIENCE));
    let world = World { server, tier: place.open().await, place };
    load(&world.tier, KEY, b"Ada").await;
    world.server.freeze().unwrap();
    all_fail(&world.tier).await;
    // While an attempt to connect hangs, nobody waits for its end.
    let mut longest = Duration::ZERO;
    for _ in 0..10 {
        for _ in 0..10 {
            let began = Instant::now();
            assert!(in_time(world.tier.poll(&Cursor::default())).await.is_err());
            longest = longest.max(began.elapsed());
        }
        tokio::time::sleep(PATIENCE / 5).await;
    }
    assert!(longest < PATIENCE, "{longest:?}");
    world.server.thaw().unwrap();
    world.is_back().await;
    assert_eq!(value(&world.tier, KEY).await.unwrap(), b"Ada");
    all_work(&world.tier).await;
}

/// Callers give up before the tier does, so that nobody is left who would notice the silence.
#[tokio::test]
async fn a_silent_connection_is_given_up_though_no_caller_waits_so_long() {
    let distant = Distant::new().await;
    let Distant { world, proxy } = &distant;
    load(&world.tier, KEY, b"Ada").await;
    // Connections made from now on work: only a new one gets through.
    proxy.lose_replies(1);
    let short = PATIENCE / 10;
    let answered = async || {
        timeout(short, world.tier.poll(&Cursor::default())).await.is_ok_and(|poll| poll.is_ok())
    };
    assert!(!answered().await);
    let connections = proxy.traffic().connections;
    until(answered).await;
    assert_eq!(proxy.traffic().connections, connections + 1);
    assert_eq!(value(&world.tier, KEY).await.unwrap(), b"Ada");
}

#[tokio::test]
async fn a_cut_way_is_used_again_when_it_is_mended() {
    let distant = Distant::new().await;
    let Distant { world, proxy } = &distant;
    load(&world.tier, KEY, b"Ada").await;
    let since = caught_up(&world.tier).await;
    for _ in 0..3 {
        proxy.cut().await;
        all_fail(&world.tier).await;
        proxy.heal().await;
        world.is_back().await;
        assert_eq!(value(&world.tier, KEY).await.unwrap(), b"Ada");
    }
    let polled = poll(&world.tier, &since).await;
    assert!(!polled.is_gap, "the server has lost nothing");
}

#[tokio::test]
async fn a_partition_is_no_loss() {
    for way in [Way::ToServer, Way::ToClient] {
        let distant = Distant::new().await;
        let Distant { world, proxy } = &distant;
        load(&world.tier, KEY, b"Ada").await;
        let since = caught_up(&world.tier).await;
        proxy.block(way);
        all_fail(&world.tier).await;
        proxy.heal().await;
        world.is_back().await;
        let polled = poll(&world.tier, &since).await;
        assert!(!polled.is_gap);
        // It may have come through all the same.
        let is_there = value(&world.tier, KEY).await.is_some();
        assert!(is_there, "{way:?}");
    }
}

#[tokio::test]
async fn killed_connections_are_made_anew() {
    let world = World::new().await;
    load(&world.tier, KEY, b"Ada").await;
    for _ in 0..5 {
        let _killed: usize = world.command(&command("CLIENT KILL TYPE normal SKIPME yes")).await;
        let _killed: usize = world.command(&command("CLIENT KILL TYPE pubsub")).await;
        world.is_back().await;
        assert_eq!(value(&world.tier, KEY).await.unwrap(), b"Ada");
    }
    all_work(&world.tier).await;
}

#[tokio::test]
async fn a_lost_subscription_is_made_anew_and_the_change_meanwhile_is_hinted_at() {
    let world = World::new().await;
    let other = world.place.open().await;
    let is_subscribed = async || {
        let counts: (String, usize) = world
            .command(cmd("PUBSUB").arg("NUMSUB").arg(format!("{}:changed", world.place.namespace)))
            .await;
        counts.1 == 2
    };
    until(is_subscribed).await;
    // What there is to hear of the beginning is heard.
    while timeout(PATIENCE, world.tier.changed()).await.is_ok() {}
    let _killed: usize = world.command(&command("CLIENT KILL TYPE pubsub")).await;
    invalidate(&other, KEY).await.unwrap();
    in_time(world.tier.changed()).await;
    until(is_subscribed).await;
    while timeout(PATIENCE, world.tier.changed()).await.is_ok() {}
    let mut changed = pin!(world.tier.changed());
    assert!(timeout(PATIENCE, &mut changed).await.is_err());
    invalidate(&other, KEY).await.unwrap();
    in_time(changed).await;
}

#[tokio::test]
async fn nobody_is_woken_by_what_they_do_themselves() {
    let world = World::new().await;
    while timeout(PATIENCE, world.tier.changed()).await.is_ok() {}
    for by in [NODE, Node::NONE] {
        world.tier.invalidate(by, &[Selector::Key(KEY).into()]).await.unwrap();
    }
    assert!(timeout(PATIENCE, world.tier.changed()).await.is_err());
}

/// A server that is full and removes nothing refuses what would take memory, and nothing else.
#[tokio::test]
async fn a_full_server_still_serves_and_forgets() {
    let world = World::new().await;
    load(&world.tier, KEY, b"Ada").await;
    load(&world.tier, "p:user:2", b"Bob").await;
    let since = caught_up(&world.tier).await;
    // Less than an empty server takes.
    world.command::<()>(&command("CONFIG SET maxmemory 1000")).await;
    assert_eq!(value(&world.tier, KEY).await.unwrap(), b"Ada");
    assert_eq!(begin(&world.tier, "p:user:3", 1).await, Begun::Permit);
    assert!(in_time(world.tier.fill(&[fill("p:user:3", 1, b"Eve")])).await.is_err());
    invalidate(&world.tier, "p:user:2").await.unwrap();
    assert_eq!(begin(&world.tier, "p:user:2", 1).await, Begun::Permit);
    let put = in_time(world.tier.put(NODE, &[fill(KEY, 0, b"new")], &since)).await.unwrap();
    assert_eq!(put, [Filled::Refused]);
    assert_eq!(begin(&world.tier, KEY, 1).await, Begun::Permit);
    assert_eq!(poll(&world.tier, &since).await.changes.len(), 2);
}

#[tokio::test]
async fn a_closed_tier_leaves_no_connection_behind() {
    let world = World::new().await;
    load(&world.tier, KEY, b"Ada").await;
    let clients = async || {
        let list: String = world.command(&command("CLIENT LIST")).await;
        // One asks.
        list.lines().count() - 1
    };
    until(async || clients().await == 2).await;
    in_time(world.tier.close()).await;
    until(async || clients().await == 0).await;
    all_fail(&world.tier).await;
    let dropped = world.place.open().await;
    until(async || clients().await == 2).await;
    drop(dropped);
    until(async || clients().await == 0).await;
}
