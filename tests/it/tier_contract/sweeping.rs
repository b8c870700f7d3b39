//! What is of no more use is removed, and counted.

use forewarm::{Swept, Tier as _};

use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(nothing_is_swept_where_nothing_has_ended),
        Case::of(what_has_ended_is_swept_and_counted),
        Case::of(what_can_still_be_served_stays),
        Case::of(a_sweep_removes_no_more_than_it_may),
        Case::of(a_permit_that_stands_is_not_swept),
        Case::of(the_entries_are_counted),
        Case::of(the_bytes_grow_with_the_values),
    ]
}

async fn nothing_is_swept_where_nothing_has_ended<B: Bed>(world: World<B>) {
    assert_eq!(world.tier.sweep(100).await.unwrap(), Swept::default());
    world.put("p:user:1", b"Ada").await;
    assert_eq!(world.tier.sweep(100).await.unwrap(), Swept::default());
    assert_eq!(world.value("p:user:1").await, b"Ada");
}

async fn what_has_ended_is_swept_and_counted<B: Bed>(world: World<B>) {
    for key in ["p:user:1", "p:user:2", "p:user:3"] {
        world.put(key, b"Ada").await;
    }
    world.pass(21).await;
    let swept = world.tier.sweep(100).await.unwrap();
    assert_eq!(swept, Swept { expired: 3, evicted: 0, has_more: false });
    assert_eq!(world.tier.size().await.unwrap().entries, 0);
    assert_eq!(world.tier.sweep(100).await.unwrap(), Swept::default());
}

async fn what_can_still_be_served_stays<B: Bed>(world: World<B>) {
    world.put("p:user:1", b"ended").await;
    world.pass(5).await;
    world.put("p:user:2", b"stale").await;
    world.pass(10).await;
    world.put("p:user:3", b"fresh").await;
    world.pass(6).await;
    assert_eq!(world.tier.sweep(100).await.unwrap().expired, 1);
    assert_eq!(world.value("p:user:2").await, b"stale");
    assert_eq!(world.value("p:user:3").await, b"fresh");
    world.is_missing("p:user:1").await;
}

async fn a_sweep_removes_no_more_than_it_may<B: Bed>(world: World<B>) {
    for nth in 0..5 {
        world.put(&format!("p:user:{nth}"), b"Ada").await;
    }
    world.pass(21).await;
    let mut expired = 0;
    for expected in [Some(true), None, Some(false), Some(false)] {
        let swept = world.tier.sweep(2).await.unwrap();
        assert!(swept.expired <= 2, "{swept:?}");
        expired += swept.expired;
        assert!(expected.is_none_or(|has_more| swept.has_more == has_more), "{swept:?}");
    }
    assert_eq!(expired, 5);
}

async fn a_permit_that_stands_is_not_swept<B: Bed>(world: World<B>) {
    let permit = world.loading("p:user:1").await;
    world.tier.sweep(100).await.unwrap();
    assert_eq!(world.fill("p:user:1", permit, b"Ada").await, forewarm::Filled::Stored);
}

async fn the_entries_are_counted<B: Bed>(world: World<B>) {
    assert_eq!(world.tier.size().await.unwrap().entries, 0);
    world.put("p:user:1", b"Ada").await;
    world.load("p:user:2", b"Bob").await;
    world.put("p:user:1", b"Eve").await;
    assert_eq!(world.tier.size().await.unwrap().entries, 2);
    world.invalidate("p:user:1").await;
    assert_eq!(world.tier.size().await.unwrap().entries, 1);
}

async fn the_bytes_grow_with_the_values<B: Bed>(world: World<B>) {
    let before = world.tier.size().await.unwrap().bytes;
    world.put("p:user:1", &[7; 100_000]).await;
    let after = world.tier.size().await.unwrap().bytes;
    // Not quite all of it: a store may have had some room to spare.
    assert!(after >= before + 50_000, "{before} to {after} bytes");
}
