//! A server that has lost what it acknowledged: nothing that is left may be served.

use forewarm::lab::{Data, Persistence};
use forewarm::{Cursor, Filled, Tier as _};

use super::*;

/// What a loss must look like from a tier that had stored a value and begun a load before.
async fn is_noticed(world: &World, since: &Cursor) {
    world.is_back().await;
    assert_eq!(value(&world.tier, KEY).await, None);
    let polled = poll(&world.tier, since).await;
    assert!(polled.is_gap, "{polled:?}");
    let filled = in_time(world.tier.fill(&[fill("p:user:2", 1, b"old")])).await.unwrap();
    assert_eq!(filled, [Filled::Refused]);
    let puts = [fill("p:user:3", 0, b"old")];
    let put = in_time(world.tier.put(NODE, &puts, since)).await.unwrap();
    assert_eq!(put, [Filled::Refused]);

    let since = polled.cursor;
    load(&world.tier, "p:user:4", b"new").await;
    invalidate(&world.tier, "p:user:5").await.unwrap();
    let polled = poll(&world.tier, &since).await;
    assert_eq!((polled.is_gap, polled.changes.len()), (false, 2), "{polled:?}");
}

/// A tier with a value and a load under way, and the cursor of one who has heard of everything.
async fn prepared(options: lab::RedisOptions) -> (World, Cursor) {
    let world = World::with(options).await;
    load(&world.tier, KEY, b"old").await;
    assert_eq!(begin(&world.tier, "p:user:2", 1).await, Begun::Permit);
    let since = caught_up(&world.tier).await;
    (world, since)
}

#[tokio::test]
async fn a_restart_with_nothing_is_noticed() {
    let (world, since) = prepared(lab::RedisOptions::default()).await;
    world.server.kill().unwrap();
    world.server.start(Data::Lost).await.unwrap();
    is_noticed(&world, &since).await;
}

#[tokio::test]
async fn a_restart_with_old_data_is_noticed() {
    let (world, since) = prepared(lab::RedisOptions::default()).await;
    world.server.save().await.unwrap();
    invalidate(&world.tier, KEY).await.unwrap();
    world.server.kill().unwrap();
    world.server.start(Data::Kept).await.unwrap();
    let values: usize = world.command(command("EXISTS").arg(world.name("v:p:user:1"))).await;
    assert_eq!(values, 1, "the old value should have come back");
    is_noticed(&world, &since).await;
}

/// What was on its way to the disk is not known: a restart is a loss, whatever is found again.
#[tokio::test]
async fn a_restart_with_all_data_is_noticed() {
    let options = lab::RedisOptions::default().persistence(Persistence::Aof);
    let (world, since) = prepared(options).await;
    world.server.kill().unwrap();
    world.server.start(Data::Kept).await.unwrap();
    is_noticed(&world, &since).await;
}

#[tokio::test]
async fn what_was_emptied_is_noticed() {
    for words in ["FLUSHALL", "FLUSHDB"] {
        let (world, since) = prepared(lab::RedisOptions::default()).await;
        world.command::<()>(&command(words)).await;
        is_noticed(&world, &since).await;
    }
}

/// As when it is evicted: the values are still there, and what voids them is not.
#[tokio::test]
async fn what_lost_the_memory_of_invalidations_is_noticed() {
    let (world, since) = prepared(lab::RedisOptions::default()).await;
    world.command::<()>(cmd("DEL").arg(world.name("meta"))).await;
    is_noticed(&world, &since).await;
}

#[tokio::test]
async fn a_lost_or_shortened_log_shows_a_gap() {
    for how in ["DEL", "XTRIM"] {
        let world = World::new().await;
        load(&world.tier, KEY, b"Ada").await;
        let since = caught_up(&world.tier).await;
        for _ in 0..3 {
            invalidate(&world.tier, "p:user:2").await.unwrap();
        }
        let mut lose = cmd(how);
        lose.arg(world.name("log"));
        if how == "XTRIM" {
            lose.arg("MAXLEN").arg(1);
        }
        world.command::<()>(&lose).await;
        let polled = poll(&world.tier, &since).await;
        assert_eq!((polled.is_gap, polled.changes.len()), (true, 0), "{how}");
        let put = in_time(world.tier.put(NODE, &[fill("p:user:3", 0, b"old")], &since)).await;
        assert_eq!(put.unwrap(), [Filled::Refused], "{how}");
        // What is stored is not in doubt.
        assert_eq!(value(&world.tier, KEY).await.unwrap(), b"Ada");
        invalidate(&world.tier, KEY).await.unwrap();
        let next = poll(&world.tier, &poll(&world.tier, &since).await.cursor).await;
        assert_eq!((next.is_gap, next.changes.len()), (false, 0), "{how}");
    }
}

/// A log that is ahead of the memory of invalidations, as nothing we do leaves it.
#[tokio::test]
async fn a_log_that_is_out_of_step_shows_a_gap() {
    let world = World::new().await;
    let since = caught_up(&world.tier).await;
    let mut add = cmd("XADD");
    add.arg(world.name("log")).arg("1000-0").arg("change").arg("any");
    world.command::<String>(&add).await;
    invalidate(&world.tier, KEY).await.unwrap();
    let polled = poll(&world.tier, &since).await;
    let is_told = !polled.changes.is_empty();
    assert!(polled.is_gap || is_told, "{polled:?}");
    invalidate(&world.tier, KEY).await.unwrap();
    let polled = poll(&world.tier, &polled.cursor).await;
    assert_eq!((polled.is_gap, polled.changes.len()), (false, 1), "{polled:?}");
}

async fn follow(world: &World, master: Option<&RedisServer>) {
    let mut replicate = cmd("REPLICAOF");
    match master {
        Some(master) => {
            replicate.arg(master.addr().ip().to_string()).arg(master.addr().port());
        }
        None => {
            replicate.arg("NO").arg("ONE");
        }
    }
    world.command::<()>(&replicate).await;
    until(async || {
        let state: String = world.command(&command("INFO replication")).await;
        state.contains("role:master") || state.contains("master_link_status:up")
    })
    .await;
}

/// It keeps its run and its connections, and has taken over what another held.
#[tokio::test]
async fn a_server_that_was_a_copy_meanwhile_is_noticed() {
    let (world, since) = prepared(lab::RedisOptions::default()).await;
    let other = World::new().await;
    follow(&other, Some(&world.server)).await;
    follow(&other, None).await;
    invalidate(&world.tier, KEY).await.unwrap();
    follow(&world, Some(&other.server)).await;
    follow(&world, None).await;
    let values: usize = world.command(command("EXISTS").arg(world.name("v:p:user:1"))).await;
    assert_eq!(values, 1, "the old value should have come back");
    is_noticed(&world, &since).await;
}

#[tokio::test]
async fn a_copy_that_joins_is_no_loss() {
    let (world, since) = prepared(lab::RedisOptions::default()).await;
    let other = World::new().await;
    for _ in 0..2 {
        follow(&other, Some(&world.server)).await;
        assert!(!poll(&world.tier, &since).await.is_gap);
        assert_eq!(value(&world.tier, KEY).await.unwrap(), b"old");
        follow(&other, None).await;
    }
}

/// What is asked of a copy is refused, whether or not it would change anything.
#[tokio::test]
async fn a_copy_is_not_used() {
    let (world, _since) = prepared(lab::RedisOptions::default()).await;
    let other = World::new().await;
    follow(&world, Some(&other.server)).await;
    all_fail(&world.tier).await;
    assert!(in_time(world.tier.begin(&[wanting(KEY, 0)], HOUR)).await.is_err());
}

/// The first to come back notices; the others are told by their own handshakes.
#[tokio::test]
async fn every_tier_notices_a_loss_and_they_agree_afterwards() {
    let world = World::new().await;
    let others = [world.place.open().await, world.place.open().await];
    load(&world.tier, KEY, b"old").await;
    world.server.kill().unwrap();
    world.server.start(Data::Lost).await.unwrap();
    world.is_back().await;
    load(&world.tier, KEY, b"new").await;
    let since = caught_up(&world.tier).await;
    for other in &others {
        until(async || other.poll(&Cursor::default()).await.is_ok()).await;
        assert_eq!(value(other, KEY).await.unwrap(), b"new");
        assert_eq!(caught_up(other).await, since);
    }
}
