//! Which keys are found to follow which, how surely, and for how long.

use std::time::Duration;

use forewarm::PreloadMode;
use tokio::time::sleep;

use super::super::source::{Source, item, plain, secs, started};
use super::{
    REST, confidence, engine_forgetting_in, followers, learning, read, read_in_turn, resource,
};

/// C08: where B follows A eight times of ten, B is what follows A first, with a confidence of 0.8.
#[tokio::test(start_paused = true)]
async fn what_usually_follows_comes_first_with_its_share() {
    for seed in 0..3 {
        let mut random = fastrand::Rng::with_seed(seed);
        let source = Source::new();
        let (_forewarm, items) = started(learning(), &source).await;
        for _ in 0..1_000 {
            read(&items, 1).await;
            let follower = if random.f64() < 0.8 { 2 } else { random.u64(1_000..3_000) };
            read(&items, follower).await;
            // Enough that one time is not taken for a part of the next.
            for _ in 0..4 {
                read(&items, random.u64(1_000..3_000)).await;
            }
        }
        assert_eq!(followers(&items, 1)[0], "2", "seed {seed}");
        let found = confidence(&items, 1, 2);
        assert!((found - 0.8).abs() <= 0.05, "seed {seed}: {found}");
        // It goes one way.
        assert!(confidence(&items, 2, 1) < 0.05, "seed {seed}");
    }
}

/// C08: of 3,000 different followers no more than 8 are remembered. (The older system: all.)
#[tokio::test(start_paused = true)]
async fn of_many_followers_eight_are_remembered() {
    let source = Source::new();
    let (forewarm, items) = started(learning(), &source).await;
    for follower in 0..3_000 {
        read(&items, 1).await;
        read(&items, 1_000 + follower).await;
        assert!(items.related(&1).len() <= 8);
    }
    assert_eq!(items.related(&1).len(), 8);
    let of_one = forewarm.learned_pairs(usize::MAX).into_iter().filter(|pair| &*pair.key == "1");
    assert_eq!(of_one.count(), 8);
    assert!(items.stats().associations <= 8 * 3_001);
}

/// C08: a pattern that has ended fades within a few half-lives, and is not acted on any more.
#[tokio::test(start_paused = true)]
async fn a_pattern_that_has_ended_fades() {
    let forewarm = engine_forgetting_in(Duration::from_hours(1)).await;
    let source = Source::new();
    let items = item(&forewarm, learning(), &source);
    forewarm.start().await.unwrap();
    read_in_turn(&items, &[1, 2], 60).await;
    assert!(confidence(&items, 1, 2) > 0.95);

    // 9 times an hour, for three half-lives.
    read_in_turn(&items, &[1, 3], 27).await;
    assert_eq!(followers(&items, 1)[0], "3");
    let left = confidence(&items, 1, 2);
    assert!(left < 0.2, "{left}");
    let loads = source.loads_of(&2);
    read_in_turn(&items, &[1, 3], 9).await;
    assert_eq!(source.loads_of(&2), loads);
}

/// C08: `learned_pairs` gives the pairs that were seen most often first.
#[tokio::test(start_paused = true)]
async fn the_pairs_seen_most_often_come_first() {
    let source = Source::new();
    let (forewarm, items) = started(learning(), &source).await;
    for (keys, times) in [([1, 2], 3), ([3, 4], 9), ([5, 6], 6)] {
        read_in_turn(&items, &keys, times).await;
    }
    let pairs = forewarm.learned_pairs(2);
    let told: Vec<_> = pairs.iter().map(|pair| (&*pair.key, &*pair.related.key)).collect();
    assert_eq!(told, [("3", "4"), ("5", "6")]);
    assert!(
        pairs.iter().all(|pair| (&*pair.resource, &*pair.related.resource) == ("item", "item"))
    );
    assert_eq!(items.stats().associations, 3);
}

/// C08: reads further apart than `learning.idle` do not belong together.
#[tokio::test(start_paused = true)]
async fn reads_far_apart_do_not_belong_together() {
    for (apart, is_found) in [(secs(298), true), (secs(301), false)] {
        let source = Source::new();
        let (_forewarm, items) = started(learning(), &source).await;
        for _ in 0..5 {
            read(&items, 1).await;
            sleep(apart - secs(1)).await;
            read(&items, 2).await;
            sleep(REST).await;
        }
        assert_eq!(!items.related(&1).is_empty(), is_found, "{apart:?}");
    }
}

/// C08, C37: `clear` forgets what was learned, and it is not acted on any more.
#[tokio::test(start_paused = true)]
async fn clear_forgets_what_was_learned() {
    let (users, permissions) = (Source::new(), Source::new());
    let forewarm = super::super::source::engine().await;
    let user = resource(&forewarm, "user", learning(), &users);
    let permission = resource(&forewarm, "permission", learning(), &permissions);
    forewarm.start().await.unwrap();
    for key in [1, 2, 3, 1, 2, 3] {
        read(&user, key).await;
        read(&permission, key).await;
        sleep(REST).await;
    }
    assert_eq!(followers(&user, 1), ["1"]);
    assert_eq!(forewarm.learned_rules().len(), 1);

    forewarm.clear();
    assert_eq!(user.related(&1), []);
    assert_eq!(forewarm.learned_pairs(10), []);
    assert_eq!(forewarm.learned_rules(), []);
    assert_eq!(user.stats().associations, 0);
    let loads = permissions.calls().len();
    for key in [1, 2, 3, 4] {
        read(&user, key).await;
    }
    assert_eq!(permissions.calls().len(), loads);
}

/// C08: nothing is learned of a resource whose preloading is off.
#[tokio::test(start_paused = true)]
async fn with_preloading_off_nothing_is_learned() {
    assert_eq!(plain().preload.mode, PreloadMode::Off);
    let source = Source::new();
    let (forewarm, items) = started(plain(), &source).await;
    read_in_turn(&items, &[1, 2], 10).await;
    assert_eq!(items.related(&1), []);
    assert_eq!(forewarm.learned_pairs(10), []);
    assert_eq!(items.stats().associations, 0);
    // 20 reads, each more than a ttl after the last of its key.
    assert_eq!(source.calls().len(), 20);
}
