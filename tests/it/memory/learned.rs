//! What was learned of keys that follow each other holds after a restart.

use tokio::time::sleep;

use super::*;
use crate::foresight::source::{others_run, secs};

/// Longer than reads belong together, and longer than the ttl.
const REST: Duration = secs(400);

fn learning() -> Policy {
    Policy { ttl: secs(60), ..one_by_one() }
}

async fn read(items: &Resource<u64, String>, key: u64) {
    items.get(&key).await.unwrap();
    others_run().await;
    sleep(secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_usually_follows_is_loaded_without_being_learned_again() {
    let home = Home::new();
    let forewarm = home.engine().await;
    let items = start(&forewarm, learning(), &Source::new()).await;
    for _ in 0..20 {
        read(&items, 1).await;
        read(&items, 2).await;
        sleep(REST).await;
    }
    let before = forewarm.learned_pairs(5);
    end(&forewarm).await;

    let (forewarm, source) = (home.engine().await, Source::new());
    let items = start(&forewarm, learning(), &source).await;
    let after = forewarm.learned_pairs(5);
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before.key, &before.related.key), (&after.key, &after.related.key));
        let change = before.related.confidence - after.related.confidence;
        assert!(change.abs() < 0.01, "{before:?} {after:?}");
    }
    forewarm.ready().await;
    // What was loaded for the restart has expired.
    sleep(REST).await;
    let loads = source.loads_of(&2);
    read(&items, 1).await;
    assert_eq!(source.loads_of(&2), loads + 1);
    let hits = items.stats().preload_hits;
    read(&items, 2).await;
    assert_eq!(items.stats().preload_hits, hits + 1);
}

#[tokio::test(start_paused = true)]
async fn a_rule_holds_for_ids_that_were_never_read_after_a_restart_in_another_order() {
    let home = Home::new();
    for (nth, names) in [["user", "permission"], ["permission", "user"]].iter().enumerate() {
        let forewarm = home.engine().await;
        let source = Source::new();
        let mut declared = names.map(|name| {
            let resource = forewarm.resource::<u64, String>(name).policy(learning());
            resource.loader(source.clone()).build().unwrap()
        });
        if nth == 1 {
            declared.reverse();
        }
        let [users, permissions] = declared;
        forewarm.start().await.unwrap();
        if nth == 0 {
            for id in 0..50 {
                read(&users, id).await;
                read(&permissions, id).await;
                sleep(REST).await;
            }
        } else {
            read(&users, 1_000).await;
            assert!(permissions.peek(&1_000).is_some());
            assert!(users.related(&1_000).is_empty());
        }
        end(&forewarm).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_fades_over_the_time_between() {
    let day = 86_400;
    for (days, left) in [(0, 1.0), (7, 0.5), (14, 0.25)] {
        let home = Home::new();
        let forewarm = home.engine_at(20_000 * day).await;
        let items = start(&forewarm, learning(), &Source::new()).await;
        for _ in 0..16 {
            read(&items, 1).await;
            read(&items, 2).await;
        }
        let before = forewarm.learned_pairs(1)[0].related.weight;
        end(&forewarm).await;
        let forewarm = home.engine_at((20_000 + days) * day).await;
        let _items = start(&forewarm, learning(), &Source::new()).await;
        let after = forewarm.learned_pairs(1)[0].related.weight;
        assert!((after / before / left - 1.0).abs() < 0.02, "{days} days: {before} {after}");
    }
}
