//! Resources are invalidated as a whole, and nothing but them.

use forewarm::{Begun, Filled, Selector, Tier as _};

use super::NODE;
use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(all_keys_of_the_resource_are_gone),
        Case::of(resources_with_similar_names_stay),
        Case::of(signs_of_patterns_stand_for_themselves),
        Case::of(loads_that_began_before_are_refused),
        Case::of(renewals_that_began_before_are_refused),
        Case::of(loads_that_begin_after_are_stored),
        Case::of(a_key_whose_load_is_void_is_not_busy),
        Case::of(a_void_permit_stays_void_after_the_next_one),
        Case::of(what_is_put_after_is_served),
        Case::of(a_key_can_be_invalidated_after_its_resource),
        Case::of(a_resource_can_be_invalidated_again_and_again),
        Case::of(a_void_value_does_not_come_back_when_expired),
    ]
}

/// Keys of the resource `p:user`, some with `:` in their text.
const USERS: [&str; 5] = ["p:user:1", "p:user:", "p:user:1:2", "p:user::", "p:user:p:user:1"];

async fn all_keys_of_the_resource_are_gone<B: Bed>(world: World<B>) {
    for key in USERS {
        world.load(key, b"Ada").await;
    }
    world.invalidate_resource("p:user").await;
    for key in USERS {
        world.is_missing(key).await;
    }
}

async fn resources_with_similar_names_stay<B: Bed>(world: World<B>) {
    let others = ["p:user2:1", "p:use:1", "p2:user:1", "q:user:1", "p:team:user", "p:User:1"];
    for key in others {
        world.load(key, key.as_bytes()).await;
    }
    world.invalidate_resource("p:user").await;
    for key in others {
        assert_eq!(world.value(key).await, key.as_bytes());
    }
}

async fn signs_of_patterns_stand_for_themselves<B: Bed>(world: World<B>) {
    world.load("p:user:1", b"Ada").await;
    for pattern in ["p:us%", "p:us_r", "p:*", "p:us?r", "p:use[r]", "%", "*", "p", "p:", ""] {
        world.load("p:us%:1", b"Bob").await;
        world.invalidate_resource(pattern).await;
        assert_eq!(world.value("p:user:1").await, b"Ada", "{pattern}");
        world.invalidate_resource("p:us%").await;
    }
}

async fn loads_that_began_before_are_refused<B: Bed>(world: World<B>) {
    let mut permits = Vec::new();
    for key in USERS {
        permits.push(world.loading(key).await);
    }
    world.invalidate_resource("p:user").await;
    for (key, permit) in USERS.into_iter().zip(permits) {
        assert_eq!(world.fill(key, permit, b"old").await, Filled::Refused, "{key}");
        world.is_missing(key).await;
    }
}

async fn renewals_that_began_before_are_refused<B: Bed>(world: World<B>) {
    world.load("p:user:1", b"Ada").await;
    let permit = world.renewing("p:user:1").await;
    world.invalidate_resource("p:user").await;
    assert_eq!(world.fill("p:user:1", permit, b"old").await, Filled::Refused);
    world.is_missing("p:user:1").await;
}

async fn loads_that_begin_after_are_stored<B: Bed>(world: World<B>) {
    world.load("p:user:1", b"old").await;
    world.invalidate_resource("p:user").await;
    world.load("p:user:1", b"new").await;
    world.load("p:user:2", b"new").await;
    assert_eq!(world.value("p:user:1").await, b"new");
    assert_eq!(world.value("p:user:2").await, b"new");
}

async fn a_key_whose_load_is_void_is_not_busy<B: Bed>(world: World<B>) {
    world.loading("p:user:1").await;
    world.loading("p:team:1").await;
    world.invalidate_resource("p:user").await;
    assert_eq!(world.ask("p:user:1").await, Begun::Permit);
    assert_eq!(world.ask("p:team:1").await, Begun::Busy);
}

async fn a_void_permit_stays_void_after_the_next_one<B: Bed>(world: World<B>) {
    let old = world.loading("p:user:1").await;
    world.invalidate_resource("p:user").await;
    let new = world.loading("p:user:1").await;
    assert_eq!(world.fill("p:user:1", old, b"old").await, Filled::Refused);
    assert_eq!(world.fill("p:user:1", new, b"new").await, Filled::Stored);
}

async fn what_is_put_after_is_served<B: Bed>(world: World<B>) {
    let old = world.loading("p:user:1").await;
    world.invalidate_resource("p:user").await;
    world.put("p:user:1", b"new").await;
    assert_eq!(world.fill("p:user:1", old, b"old").await, Filled::Refused);
    assert_eq!(world.value("p:user:1").await, b"new");
}

async fn a_key_can_be_invalidated_after_its_resource<B: Bed>(world: World<B>) {
    world.invalidate_resource("p:user").await;
    world.load("p:user:1", b"Ada").await;
    world.load("p:user:2", b"Bob").await;
    world.invalidate("p:user:1").await;
    world.is_missing("p:user:1").await;
    assert_eq!(world.value("p:user:2").await, b"Bob");
}

async fn a_resource_can_be_invalidated_again_and_again<B: Bed>(world: World<B>) {
    for _ in 0..3 {
        world.load("p:user:1", b"Ada").await;
        let twice = [Selector::Resource("p:user"), Selector::Resource("p:user")];
        world.tier.invalidate(NODE, &twice.map(Into::into)).await.unwrap();
        assert_eq!(world.ask("p:user:1").await, Begun::Permit);
        world.invalidate("p:user:1").await;
    }
}

async fn a_void_value_does_not_come_back_when_expired<B: Bed>(world: World<B>) {
    world.load("p:user:1", b"Ada").await;
    world.invalidate_resource("p:user").await;
    world.tier.expire(NODE, &["p:user:1"]).await.unwrap();
    world.is_missing("p:user:1").await;
}
