//! Who may use a server, and over what.

use std::error::Error as _;

use super::*;
use crate::l2::log::Log;

async fn with_tls() -> RedisServer {
    RedisServer::launch(lab::RedisOptions::default().tls()).await.unwrap()
}

#[tokio::test]
async fn a_certificate_of_the_given_authority_is_accepted() {
    let server = with_tls().await;
    let options = RedisOptions::new(server.url()).ca_file(server.authority().unwrap());
    let place = Place::at(options);
    let other = place.open().await;
    let tier = place.open().await;
    load(&tier, KEY, b"Ada").await;
    all_work(&tier).await;
    // The one who listens is let in too.
    let mut changed = Box::pin(tier.changed());
    until(async || {
        invalidate(&other, KEY).await.unwrap();
        futures_util::poll!(&mut changed).is_ready()
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_is_not_to_be_trusted_is_refused() {
    let (server, other) = (with_tls().await, with_tls().await);
    let options = RedisOptions::new(server.url());
    for (why, options) in [
        ("of another authority", options.clone().ca_file(other.authority().unwrap())),
        ("of no public authority", options),
    ] {
        let tier = Place::at(options).open().await;
        let error = tier.poll(&Cursor::default()).await.unwrap_err();
        let error = error.source().unwrap().to_string();
        assert!(error.contains("certificate"), "{why}: {error}");
    }
}

/// The error of a tier whose server does not let it in, and what is logged of it.
async fn refused(options: RedisOptions) -> (String, String) {
    let log = Log::new();
    let tier = Place::at(options).open().await;
    all_fail(&tier).await;
    let error = tier.poll(&Cursor::default()).await.unwrap_err();
    (format!("{error:?} {error} {}", error.source().unwrap()), format!("{tier:?} {}", log.text()))
}

#[tokio::test]
async fn a_wrong_password_is_reported_and_shown_nowhere() {
    let options = lab::RedisOptions::default().password("right");
    let server = RedisServer::launch(options).await.unwrap();
    let addr = server.addr();
    for (url, word) in [("redis://:CANARY@", "Password"), ("redis://ada:CANARY@", "WRONGPASS")] {
        let (error, log) = refused(RedisOptions::new(format!("{url}{addr}"))).await;
        assert!(!error.contains("CANARY"), "{error}");
        assert!(!log.contains("CANARY"), "{log}");
        assert!(log.contains("see that user and password are right"), "{word}: {log}");
    }
    let (_error, log) = refused(RedisOptions::new(format!("redis://{addr}"))).await;
    assert!(log.contains("see that user and password are right"), "{log}");
    let tier = RedisTier::open(server.url()).await.unwrap();
    all_work(&tier).await;
}

#[tokio::test]
async fn a_user_without_the_rights_is_reported() {
    let options = lab::RedisOptions::default().user("ada", "on >secret ~* &* +@all -eval -evalsha");
    let server = RedisServer::launch(options).await.unwrap();
    let url = format!("redis://ada:secret@{}", server.addr());
    let (error, log) = refused(RedisOptions::new(url)).await;
    assert!(error.contains("NoPerm"), "{error}");
    assert!(log.contains("acl_rule"), "{log}");
}

#[tokio::test]
async fn neither_keys_nor_values_are_logged() {
    let log = Log::new();
    let world = World::new().await;
    load(&world.tier, "p:user:CANARY", b"CANARY").await;
    invalidate(&world.tier, "p:user:CANARY").await.unwrap();
    world.server.kill().unwrap();
    invalidate(&world.tier, "p:user:CANARY").await.unwrap_err();
    until(async || {
        log.count(&["cannot be used"]) > 0 || invalidate(&world.tier, KEY).await.is_ok()
    })
    .await;
    assert!(!log.text().contains("CANARY"), "{}", log.text());
}

#[tokio::test]
async fn a_server_that_may_evict_anything_is_warned_of_once() {
    for (policy, warnings) in [("allkeys-lru", 1), ("allkeys-random", 1), ("volatile-ttl", 0)] {
        let log = Log::new();
        let options = lab::RedisOptions::default().max_memory(100 << 20, policy);
        let world = World::with(options).await;
        let others = [world.place.open().await, world.place.open().await];
        drop(others);
        let _killed: usize = world.command(&command("CLIENT KILL TYPE normal SKIPME yes")).await;
        world.is_back().await;
        // Each tier says it once.
        assert_eq!(log.count(&["may evict", policy]), 3 * warnings, "{policy}: {}", log.text());
    }
}

#[tokio::test]
async fn two_namespaces_on_one_server_do_not_meet() {
    let world = World::new().await;
    let other = Place::at(RedisOptions::new(world.server.url())).open().await;
    load(&world.tier, KEY, b"one").await;
    load(&other, KEY, b"two").await;
    world.tier.invalidate(NODE, &[Selector::Resource("p:user").into()]).await.unwrap();
    assert_eq!(value(&world.tier, KEY).await, None);
    assert_eq!(value(&other, KEY).await.unwrap(), b"two");
    assert_eq!(world.tier.size().await.unwrap().entries, 0);
    assert_eq!(other.size().await.unwrap().entries, 1);
    assert!(poll(&other, &Cursor::default()).await.changes.is_empty());
}
