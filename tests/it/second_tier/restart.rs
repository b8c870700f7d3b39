//! What a restart keeps.

use forewarm::{Freshness, Policy, ReadFrom, ReadOptions, TrustOnRestart};

use super::world::{Home, SECOND};

/// C17: what was stored before a restart is there after it, and worth what the policy says.
#[tokio::test]
async fn values_outlive_the_process_and_are_trusted_as_the_policy_says() {
    let cases = [
        (TrustOnRestart::WithinTtl, ReadFrom::L2, Freshness::Fresh, "user 7", 1),
        (TrustOnRestart::StaleOnly, ReadFrom::L2, Freshness::Stale, "user 7", 2),
        (TrustOnRestart::Never, ReadFrom::Source, Freshness::Fresh, "Ada", 2),
    ];
    for (trust_on_restart, from, freshness, name, loads) in cases {
        let home = Home::new();
        let world = home.open(Home::policy()).await;
        world.name(7).await;
        world.close().await;
        home.source.set(7, "Ada");
        home.clock.advance(10 * SECOND);

        let world = home.open(Policy { trust_on_restart, ..Home::policy() }).await;
        let read = world.users.read(&7, &ReadOptions::new()).await.unwrap();
        let found = (read.from, read.freshness, read.value.unwrap().to_string());
        assert_eq!(found, (from, freshness, name.to_owned()), "{trust_on_restart:?}");
        world.forewarm.settled().await;
        assert_eq!(home.source.loads(), loads, "{trust_on_restart:?}");
        // What was served as stale has been renewed behind the reader.
        let later = if loads == 2 { "Ada" } else { "user 7" };
        assert_eq!(world.name(7).await, later, "{trust_on_restart:?}");
        assert_eq!(home.source.loads(), loads, "{trust_on_restart:?}");
    }
}

#[tokio::test]
async fn what_has_expired_meanwhile_is_loaded() {
    let home = Home::new();
    let trusting = TrustOnRestart::WithinTtl;
    let policy = || Policy { trust_on_restart: trusting, stale_if_error: None, ..Home::policy() };
    let world = home.open(policy()).await;
    world.name(7).await;
    world.close().await;
    home.source.set(7, "Ada");
    home.clock.advance(61 * SECOND);
    let world = home.open(policy()).await;
    assert_eq!((world.name(7).await.as_str(), home.source.loads()), ("Ada", 2));
}

/// C18: when the source fails, L2 may still have something.
#[tokio::test]
async fn a_stale_value_of_l2_answers_when_the_source_fails() {
    let home = Home::new();
    let world = home.open(Home::policy()).await;
    world.name(7).await;
    home.clock.advance(61 * SECOND);
    world.forget();
    home.source.fail(true);
    let read = world.users.read(&7, &ReadOptions::new()).await.unwrap();
    assert_eq!((read.freshness, read.value.unwrap().as_str()), (Freshness::Stale, "user 7"));
    home.clock.advance(3_600 * SECOND);
    world.forget();
    assert!(world.users.get(&7).await.is_err());
    home.source.fail(false);
    home.clock.advance(3_600 * SECOND);
    assert_eq!(world.name(7).await, "user 7");
}
