//! Which way a read goes: memory, the second tier, the source.

use std::time::Duration;

use forewarm::{Freshness, Policy, ReadFrom, ReadOptions, Store};

use super::told::Mood;
use super::world::{Home, SECOND};

const ANY: ReadOptions = ReadOptions::new();

/// C15: memory, then L2, then the source; whoever answers fills what lies before it.
#[tokio::test]
async fn a_value_is_looked_for_in_memory_in_l2_and_at_the_source() {
    let home = Home::new();
    let world = home.open(Home::policy()).await;
    let mut from = Vec::new();
    for forgets in [false, false, true, false] {
        if forgets {
            world.forget();
        }
        let read = world.users.read(&7, &ANY).await.unwrap();
        assert_eq!(read.value.unwrap().as_str(), "user 7");
        from.push(read.from);
        world.forewarm.settled().await;
    }
    assert_eq!(from, [ReadFrom::Source, ReadFrom::L1, ReadFrom::L2, ReadFrom::L1]);
    let stats = world.users.stats();
    assert_eq!((stats.misses, stats.l2_hits, stats.l1_hits, stats.loads), (1, 1, 2, 1));
    assert_eq!((home.told.calls().begin, home.rows().await), (2, 1));
}

/// C39: 100 keys with 30 misses are one query of L2 and one batch load, in order.
#[tokio::test]
async fn thirty_misses_of_a_hundred_keys_are_one_query_and_one_load() {
    let home = Home::new();
    let world = home.open(Home::policy()).await;
    let keys: Vec<u64> = (0..100).rev().collect();
    let held: Vec<u64> = keys.iter().copied().filter(|key| key % 10 > 2).collect();
    assert_eq!(held.len(), 70);
    drop(world.users.get_many(&held).await);
    world.forewarm.settled().await;
    let (begun, loads, calls) = (home.told.calls(), home.source.loads(), home.source.calls());

    let names = world.users.get_many(&keys).await;
    for (key, name) in keys.iter().zip(names) {
        assert_eq!(name.unwrap().unwrap().as_str(), format!("user {key}"));
    }
    let after = home.told.calls();
    assert_eq!((after.begin - begun.begin, after.keys_begun - begun.keys_begun), (1, 30));
    assert_eq!((home.source.loads() - loads, home.source.calls() - calls), (30, 1));

    world.forewarm.settled().await;
    world.forget();
    drop(world.users.get_many(&keys).await);
    assert_eq!((home.source.loads() - loads, home.told.calls().begin - after.begin), (30, 1));
}

/// C17: the time in L2 counts: a value that comes back from there is as old as it is.
#[tokio::test]
async fn a_value_gets_no_younger_by_going_through_l2() {
    let home = Home::new();
    let world = home.open(Home::policy()).await;
    world.name(7).await;
    home.clock.advance(40 * SECOND);
    world.forget();
    let read = world.users.read(&7, &ANY).await.unwrap();
    assert_eq!((read.from, read.freshness), (ReadFrom::L2, Freshness::Fresh));
    assert!(read.age.abs_diff(40 * SECOND) < SECOND, "{:?}", read.age);
    home.clock.advance(25 * SECOND);
    let read = world.users.read(&7, &ANY).await.unwrap();
    assert_eq!((read.from, home.source.loads()), (ReadFrom::Source, 2));
}

/// C19: that the source has no such thing is kept in L2 too.
#[tokio::test]
async fn an_absent_value_is_found_absent_in_l2() {
    let home = Home::new();
    let world = home.open(Home::policy()).await;
    home.source.remove(7);
    for _ in 0..3 {
        assert_eq!(world.users.get(&7).await.unwrap(), None);
        world.forewarm.settled().await;
        world.forget();
    }
    assert_eq!(home.source.loads(), 1);
    home.clock.advance(31 * SECOND);
    assert_eq!(world.users.get(&7).await.unwrap(), None);
    assert_eq!(home.source.loads(), 2);
}

/// C40: what may not leave the process does not.
#[tokio::test]
async fn what_is_for_memory_only_never_reaches_l2() {
    let home = Home::new();
    for store in [Store::Memory, Store::Nowhere] {
        let world = home.open(Policy { store, ..Home::policy() }).await;
        world.name(7).await;
        let _delivery = world.users.put(&8, "Ada".to_owned()).await;
        let _delivery = world.users.invalidate(&7).await;
        world.forewarm.settled().await;
        assert_eq!((home.told.calls().all, home.rows().await), (0, 0), "{store:?}");
        world.close().await;
    }
}

/// C20: values over the limit are given and not stored.
#[tokio::test]
async fn a_value_over_the_limit_is_stored_nowhere() {
    let home = Home::new();
    home.source.set(7, &"x".repeat(2_000));
    let world = home.open(Policy { value_bytes_max: 1_000, ..Home::policy() }).await;
    for _ in 0..2 {
        assert_eq!(world.name(7).await.len(), 2_000);
    }
    assert_eq!((home.source.loads(), home.rows().await), (2, 0));
}

/// C23: a row of another version, of another key, or of no sense is a miss, and then renewed.
#[tokio::test]
async fn what_cannot_be_read_is_a_miss_and_is_replaced() {
    let garbage: [&[u8]; 4] =
        [b"", b"\0", b"no envelope at all, not even a short one", &[0xff; 500]];
    for bytes in garbage {
        let home = Home::new();
        let world = home.open(Home::policy()).await;
        world.name(7).await;
        home.spoil(bytes).await;
        world.forget();
        assert_eq!(world.name(7).await, "user 7");
        assert_eq!(home.source.loads(), 2, "{bytes:?}");
        world.forget();
        assert_eq!(world.name(7).await, "user 7");
        assert_eq!(home.source.loads(), 2, "{bytes:?} was not replaced");
    }

    let home = Home::new();
    let world = home.open(Home::policy()).await;
    world.name(7).await;
    world.close().await;
    let trusting = forewarm::TrustOnRestart::WithinTtl;
    let policy = Policy { schema: 1, trust_on_restart: trusting, ..Home::policy() };
    let world = home.open(policy).await;
    assert_eq!((world.name(7).await.as_str(), home.source.loads()), ("user 7", 2));
}

/// C12: the engines of one file load a key once; who comes second copies what the first brought.
#[tokio::test]
async fn two_engines_on_one_file_load_a_key_once() {
    let home = Home::new();
    let first = home.open(Home::policy()).await;
    let trusting = forewarm::TrustOnRestart::WithinTtl;
    let policy = Policy { trust_on_restart: trusting, ..Home::policy() };
    let second = home.open(policy).await;
    home.source.hold();
    let (one, two, ()) = tokio::join!(first.users.get(&7), second.users.get(&7), async {
        home.source.has_begun().await;
        home.source.let_go();
    });
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(home.source.loads(), 1);
}

/// C22: an L2 that does not answer costs a reader its limit, and after a few of them nothing.
#[tokio::test(start_paused = true)]
async fn a_hanging_l2_is_waited_for_a_few_times_only() {
    let home = Home::new();
    let tier = super::told::Silent(home.told.clone());
    let forewarm = forewarm::Forewarm::builder().tier(tier).build().await.unwrap();
    let users = forewarm.resource::<u64, String>("user").policy(Home::policy());
    let users = users.loader(home.source.clone()).build().unwrap();
    home.told.reads(Mood::Hangs);
    home.told.writes(Mood::Hangs);
    let mut waits = Vec::new();
    for key in 0..20 {
        let began = tokio::time::Instant::now();
        assert_eq!(users.get(&key).await.unwrap().unwrap().as_str(), format!("user {key}"));
        waits.push(began.elapsed());
    }
    let config = forewarm::L2Config::default();
    assert_eq!(config.breaker_failures, 5);
    let waited = |wait: &&Duration| **wait >= config.read_timeout;
    assert_eq!(waits.iter().filter(waited).count(), 5);
    assert!(waits.iter().skip(5).all(Duration::is_zero), "{waits:?}");
    assert_eq!(home.told.calls().begin, 5);

    // When the time is over, one call tries it again.
    tokio::time::advance(config.breaker_open_for).await;
    drop(tokio::join!(users.get(&100), users.get(&101)));
    assert_eq!(home.told.calls().begin, 6);
    home.told.reads(Mood::Works);
    tokio::time::advance(config.breaker_open_for).await;
    for key in 200..210 {
        users.get(&key).await.unwrap();
    }
    assert_eq!(home.told.calls().begin, 16);
}
