//! A name is taken by one caller.

use std::sync::Arc;

use forewarm::Tier as _;
use tokio::task::JoinSet;

use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(a_name_is_taken_once),
        Case::of(a_name_is_free_again_after_its_time),
        Case::of(a_refused_claim_does_not_prolong_the_time),
        Case::of(names_of_any_text_are_told_apart),
        Case::of(of_a_hundred_who_claim_at_once_one_wins),
        Case::of(a_claim_outlives_a_restart),
    ]
}

async fn a_name_is_taken_once<B: Bed>(world: World<B>) {
    let neighbour = world.neighbour().await;
    assert!(world.tier.claim("job", B::UNIT * 5).await.unwrap());
    assert!(!world.tier.claim("job", B::UNIT * 5).await.unwrap());
    assert!(!neighbour.claim("job", B::UNIT * 5).await.unwrap());
    assert!(neighbour.claim("other", B::UNIT * 5).await.unwrap());
    assert!(!world.tier.claim("other", B::UNIT * 5).await.unwrap());
}

async fn a_name_is_free_again_after_its_time<B: Bed>(world: World<B>) {
    for _ in 0..2 {
        assert!(world.tier.claim("job", B::UNIT * 2).await.unwrap());
        assert!(!world.tier.claim("job", B::UNIT * 2).await.unwrap());
        world.pass(3).await;
    }
}

async fn a_refused_claim_does_not_prolong_the_time<B: Bed>(world: World<B>) {
    assert!(world.tier.claim("job", B::UNIT * 3).await.unwrap());
    world.pass(2).await;
    assert!(!world.tier.claim("job", B::UNIT * 3).await.unwrap());
    world.pass(2).await;
    assert!(world.tier.claim("job", B::UNIT * 3).await.unwrap());
}

async fn names_of_any_text_are_told_apart<B: Bed>(world: World<B>) {
    let long = "x".repeat(500);
    let names = ["job", "Job", "job ", "jo", "%", "_", "*", "'", "\"", "\\", "\u{e9}", "e\u{301}"];
    for name in names.iter().copied().chain([&*long, &long[1..]]) {
        assert!(world.tier.claim(name, B::UNIT * 20).await.unwrap(), "{name:?}");
        assert!(!world.tier.claim(name, B::UNIT * 20).await.unwrap(), "{name:?}");
    }
}

async fn of_a_hundred_who_claim_at_once_one_wins<B: Bed>(world: World<B>) {
    let neighbour = world.neighbour().await;
    let mut tasks = JoinSet::new();
    for nth in 0..100 {
        let tier = Arc::clone(if nth % 2 == 0 { &world.tier } else { &neighbour });
        tasks.spawn(async move { tier.claim("job", B::UNIT * 20).await.unwrap() });
    }
    let mut winners = 0;
    while let Some(has_won) = tasks.join_next().await {
        winners += usize::from(has_won.unwrap());
    }
    assert_eq!(winners, 1);
}

async fn a_claim_outlives_a_restart<B: Bed>(mut world: World<B>) {
    assert!(world.tier.claim("job", B::UNIT * 20).await.unwrap());
    world.restart().await;
    assert!(!world.tier.claim("job", B::UNIT * 20).await.unwrap());
}
