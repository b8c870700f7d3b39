//! What a server carries out late does no harm.

use super::*;

/// A put that waits for a connection while a later one overtakes it.
#[tokio::test]
async fn a_put_that_is_carried_out_late_does_not_bring_its_value_back() {
    for later in [None, Some(Selector::Key(KEY)), Some(Selector::Resource("p:user"))] {
        let world = World::new().await;
        let since = caught_up(&world.tier).await;
        let _killed: usize = world.command(&command("CLIENT KILL TYPE normal SKIPME yes")).await;
        until(async || world.tier.poll(&since).await.is_err()).await;
        let (old, new) = ([fill(KEY, 0, b"old")], [fill(KEY, 0, b"new")]);
        let mut overtaken = Box::pin(world.tier.put(NODE, &old, &since));
        // Until it has its turn, and waits for a connection that is being made.
        until(async || {
            let is_waiting = futures_util::poll!(&mut overtaken).is_pending();
            if !is_waiting {
                overtaken = Box::pin(world.tier.put(NODE, &old, &since));
            }
            is_waiting
        })
        .await;
        match later {
            None => {
                let put = in_time(world.tier.put(NODE, &new, &since)).await.unwrap();
                assert_eq!(put, [Filled::Stored]);
            }
            Some(selector) => {
                in_time(world.tier.invalidate(NODE, &[selector.into()])).await.unwrap();
            }
        }
        assert_eq!(in_time(overtaken).await.unwrap(), [Filled::Refused], "{later:?}");
        assert_eq!(value(&world.tier, KEY).await, None, "{later:?}");
    }
}

/// What is sent to a frozen server is carried out when it goes on, on connections that have been
/// given up.
#[tokio::test]
async fn what_a_frozen_server_carries_out_later_is_never_stale() {
    let server = RedisServer::launch(lab::RedisOptions::default()).await.unwrap();
    let patience = Duration::from_millis(50);
    let place = Place::at(RedisOptions::new(server.url()).response_timeout(patience));
    let tiers = [place.open().await, place.open().await];
    let world = World { server, tier: place.open().await, place };
    for round in 0..5 {
        let permit = 100 + round;
        assert_eq!(begin(&world.tier, KEY, permit).await, Begun::Permit);
        let since = caught_up(&world.tier).await;
        world.server.freeze().unwrap();
        let (fills, puts) = ([fill(KEY, permit, b"old")], [fill("p:user:2", 0, b"old")]);
        assert!(in_time(world.tier.fill(&fills)).await.is_err());
        assert!(in_time(tiers[0].put(NODE, &puts, &since)).await.is_err());
        for key in [KEY, "p:user:2"] {
            assert!(invalidate(&tiers[1], key).await.is_err());
        }
        world.server.thaw().unwrap();
        for key in [KEY, "p:user:2"] {
            until(async || tiers[1].invalidate(NODE, &[Selector::Key(key).into()]).await.is_ok())
                .await;
        }
        for tier in [&world.tier, &tiers[0], &tiers[1]] {
            until(async || tier.poll(&Cursor::default()).await.is_ok()).await;
            for key in [KEY, "p:user:2"] {
                let asks = [Ask { want: Want::Copy, ..wanting(key, 0) }];
                let begun = in_time(tier.begin(&asks, HOUR)).await.unwrap();
                assert_eq!(begun, [Begun::Miss], "{key} in round {round}");
            }
        }
        in_time(world.tier.release(&[(KEY, Permit(permit))])).await.unwrap();
    }
}

/// A permit that a begin takes after its caller has gone holds nobody up.
#[tokio::test]
async fn a_begin_that_is_carried_out_late_takes_no_permit() {
    let world = World::new().await;
    world.server.freeze().unwrap();
    let asks = [wanting(KEY, 1)];
    let short = Duration::from_millis(200);
    let begun = tokio::time::timeout(short, world.tier.begin(&asks, short)).await;
    assert!(begun.is_err(), "a frozen server answers nothing");
    // Longer than the permit would last.
    tokio::time::sleep(short).await;
    world.server.thaw().unwrap();
    world.is_back().await;
    let permits: usize = world.command(cmd("EXISTS").arg(world.name("p:p:user:1"))).await;
    assert_eq!(permits, 0);
    assert_eq!(begin(&world.tier, KEY, 2).await, Begun::Permit);
}

/// The time under way counts: what is stored late is as old as it is.
#[tokio::test]
async fn a_fill_that_is_carried_out_late_makes_nothing_younger() {
    let world = World::new().await;
    assert_eq!(begin(&world.tier, KEY, 1).await, Begun::Permit);
    world.server.freeze().unwrap();
    let fills = [fill(KEY, 1, b"Ada")];
    let mut late = Box::pin(world.tier.fill(&fills));
    assert!(futures_util::poll!(&mut late).is_pending());
    let under_way = Duration::from_millis(500);
    tokio::time::sleep(under_way).await;
    world.server.thaw().unwrap();
    assert_eq!(in_time(late).await.unwrap(), [Filled::Stored]);
    let Begun::Hit(stored) = begin(&world.tier, KEY, 2).await else { panic!("it is not there") };
    assert!(stored.age >= under_way - Duration::from_millis(50), "{:?}", stored.age);
    assert!(stored.fresh_for <= HOUR - under_way + Duration::from_millis(50));
}
