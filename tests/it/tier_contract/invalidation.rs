//! What was invalidated is gone, and does not come back.

use std::time::Duration;

use forewarm::{Begun, Filled, Selector, Tier as _};

use super::NODE;
use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(an_invalidated_value_is_gone),
        Case::of(other_keys_stay),
        Case::of(a_load_under_way_is_refused),
        Case::of(the_next_one_need_not_wait_for_a_load_that_is_void),
        Case::of(a_void_permit_stays_void_after_the_next_one),
        Case::of(a_void_permit_stays_void_after_the_next_fill),
        Case::of(invalidating_again_changes_nothing),
        Case::of(what_is_not_there_can_be_invalidated),
        Case::of(several_are_invalidated_at_once),
        Case::of(a_key_that_is_named_twice_is_invalidated),
        Case::of(a_renewal_under_way_is_refused),
        Case::of(a_put_refuses_the_load_under_way),
        Case::of(a_put_leaves_the_loads_of_other_keys),
        Case::of(an_expired_value_is_stale_and_stays),
        Case::of(expiring_voids_the_permit),
        Case::of(expiring_leaves_other_keys),
        Case::of(expiring_what_is_not_there_stores_nothing),
        Case::of(expiring_again_changes_nothing),
        Case::of(an_expired_value_can_be_renewed),
        Case::of(an_expired_value_can_be_invalidated),
    ]
}

const KEY: &str = "p:user:1";

async fn an_invalidated_value_is_gone<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.invalidate(KEY).await;
    world.is_missing(KEY).await;
}

async fn other_keys_stay<B: Bed>(world: World<B>) {
    for key in [KEY, "p:user:10", "p:user:", "p:user:1:x", "p:users:1"] {
        world.load(key, key.as_bytes()).await;
    }
    let loading = world.loading("p:user:2").await;
    world.invalidate(KEY).await;
    for key in ["p:user:10", "p:user:", "p:user:1:x", "p:users:1"] {
        assert_eq!(world.value(key).await, key.as_bytes());
    }
    assert_eq!(world.fill("p:user:2", loading, b"Bob").await, Filled::Stored);
}

async fn a_load_under_way_is_refused<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    world.invalidate(KEY).await;
    assert_eq!(world.fill(KEY, permit, b"old").await, Filled::Refused);
    world.is_missing(KEY).await;
}

async fn the_next_one_need_not_wait_for_a_load_that_is_void<B: Bed>(world: World<B>) {
    world.loading(KEY).await;
    world.invalidate(KEY).await;
    world.load(KEY, b"new").await;
}

async fn a_void_permit_stays_void_after_the_next_one<B: Bed>(world: World<B>) {
    let old = world.loading(KEY).await;
    world.invalidate(KEY).await;
    let new = world.loading(KEY).await;
    assert_eq!(world.fill(KEY, old, b"old").await, Filled::Refused);
    assert_eq!(world.fill(KEY, new, b"new").await, Filled::Stored);
    assert_eq!(world.value(KEY).await, b"new");
}

async fn a_void_permit_stays_void_after_the_next_fill<B: Bed>(world: World<B>) {
    let old = world.loading(KEY).await;
    world.invalidate(KEY).await;
    world.load(KEY, b"new").await;
    assert_eq!(world.fill(KEY, old, b"old").await, Filled::Refused);
    assert_eq!(world.value(KEY).await, b"new");
}

async fn invalidating_again_changes_nothing<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    for _ in 0..3 {
        world.invalidate(KEY).await;
    }
    world.load(KEY, b"Bob").await;
    assert_eq!(world.value(KEY).await, b"Bob");
}

async fn what_is_not_there_can_be_invalidated<B: Bed>(world: World<B>) {
    world.invalidate(KEY).await;
    world.invalidate_resource("p:user").await;
    world.load(KEY, b"Ada").await;
    assert_eq!(world.value(KEY).await, b"Ada");
}

async fn several_are_invalidated_at_once<B: Bed>(world: World<B>) {
    let keys = [KEY, "p:user:2", "p:team:1", "p:team:2", "p:role:1"];
    for key in keys {
        world.load(key, b"Ada").await;
    }
    let selectors = [Selector::Key(KEY), Selector::Resource("p:team"), Selector::Key("p:role:1")];
    world.tier.invalidate(NODE, &selectors.map(Into::into)).await.unwrap();
    for key in [KEY, "p:team:1", "p:team:2", "p:role:1"] {
        world.is_missing(key).await;
    }
    assert_eq!(world.value("p:user:2").await, b"Ada");
}

async fn a_key_that_is_named_twice_is_invalidated<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    let selectors =
        [Selector::Key(KEY), Selector::Key(KEY), Selector::Resource("p:user"), Selector::Key(KEY)];
    world.tier.invalidate(NODE, &selectors.map(Into::into)).await.unwrap();
    world.load(KEY, b"Bob").await;
    assert_eq!(world.value(KEY).await, b"Bob");
}

async fn a_renewal_under_way_is_refused<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    let permit = world.renewing(KEY).await;
    world.invalidate(KEY).await;
    assert_eq!(world.fill(KEY, permit, b"old").await, Filled::Refused);
    world.is_missing(KEY).await;
}

async fn a_put_refuses_the_load_under_way<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    world.put(KEY, b"new").await;
    assert_eq!(world.fill(KEY, permit, b"old").await, Filled::Refused);
    assert_eq!(world.value(KEY).await, b"new");
}

async fn a_put_leaves_the_loads_of_other_keys<B: Bed>(world: World<B>) {
    let permit = world.loading("p:user:2").await;
    world.put(KEY, b"Ada").await;
    assert_eq!(world.fill("p:user:2", permit, b"Bob").await, Filled::Stored);
}

async fn an_expired_value_is_stale_and_stays<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.tier.expire(NODE, &[KEY]).await.unwrap();
    let stored = world.stored(KEY).await;
    assert_eq!((&*stored.value, stored.fresh_for), (&b"Ada"[..], Duration::ZERO));
    assert!(super::world::is_about::<B>(stored.keep_for, 20), "{:?}", stored.keep_for);
}

async fn expiring_voids_the_permit<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    let renewing = world.renewing(KEY).await;
    let loading = world.loading("p:user:2").await;
    world.tier.expire(NODE, &[KEY, "p:user:2"]).await.unwrap();
    assert_eq!(world.fill(KEY, renewing, b"Bob").await, Filled::Refused);
    assert_eq!(world.fill("p:user:2", loading, b"Bob").await, Filled::Refused);
    assert_eq!(world.value(KEY).await, b"Ada");
    world.is_missing("p:user:2").await;
}

async fn expiring_leaves_other_keys<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.load("p:user:2", b"Bob").await;
    world.tier.expire(NODE, &[KEY]).await.unwrap();
    assert!(!world.stored("p:user:2").await.fresh_for.is_zero());
}

async fn expiring_what_is_not_there_stores_nothing<B: Bed>(world: World<B>) {
    world.tier.expire(NODE, &[KEY]).await.unwrap();
    assert_eq!(world.ask(KEY).await, Begun::Permit);
}

async fn expiring_again_changes_nothing<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    for _ in 0..3 {
        world.tier.expire(NODE, &[KEY]).await.unwrap();
        world.pass(5).await;
    }
    let stored = world.stored(KEY).await;
    assert_eq!(stored.fresh_for, Duration::ZERO);
    assert!(super::world::is_about::<B>(stored.keep_for, 5), "{:?}", stored.keep_for);
}

async fn an_expired_value_can_be_renewed<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.tier.expire(NODE, &[KEY]).await.unwrap();
    let permit = world.renewing(KEY).await;
    assert_eq!(world.fill(KEY, permit, b"Bob").await, Filled::Stored);
    let stored = world.stored(KEY).await;
    assert_eq!((&*stored.value, stored.fresh_for.is_zero()), (&b"Bob"[..], false));
}

async fn an_expired_value_can_be_invalidated<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.tier.expire(NODE, &[KEY]).await.unwrap();
    world.invalidate(KEY).await;
    world.is_missing(KEY).await;
}
