//! What was stored is there, and nothing else.

use forewarm::{Begun, Filled};

use super::world::fill;
use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(a_key_that_was_never_stored_is_missing),
        Case::of(a_value_that_was_filled_is_hit),
        Case::of(every_byte_of_a_value_comes_back),
        Case::of(an_empty_value_is_a_value),
        Case::of(empty_values_are_told_from_others_beside_them),
        Case::of(a_value_may_have_a_mebibyte),
        Case::of(a_renewed_value_takes_the_place_of_the_old_one),
        Case::of(a_value_is_put_where_nothing_was),
        Case::of(a_value_is_put_in_the_place_of_another),
        Case::of(the_last_of_two_values_put_at_once_stays),
    ]
}

async fn a_key_that_was_never_stored_is_missing<B: Bed>(world: World<B>) {
    assert_eq!(world.ask("p:user:1").await, Begun::Permit);
}

async fn a_value_that_was_filled_is_hit<B: Bed>(world: World<B>) {
    world.load("p:user:1", b"Ada").await;
    let stored = world.stored("p:user:1").await;
    assert_eq!((stored.value, stored.is_restored), (b"Ada".to_vec(), false));
}

async fn every_byte_of_a_value_comes_back<B: Bed>(world: World<B>) {
    let value: Vec<u8> = (0..=255).cycle().take(1000).collect();
    world.load("p:user:1", &value).await;
    assert_eq!(world.value("p:user:1").await, value);
}

async fn an_empty_value_is_a_value<B: Bed>(world: World<B>) {
    world.load("p:user:1", b"").await;
    world.put("p:user:2", b"").await;
    assert_eq!(world.value("p:user:1").await, b"");
    assert_eq!(world.value("p:user:2").await, b"");
}

async fn empty_values_are_told_from_others_beside_them<B: Bed>(world: World<B>) {
    let values: [(&str, &[u8]); 4] =
        [("p:user:1", b""), ("p:user:2", b"two"), ("p:user:3", b""), ("p:user:4", b"four")];
    let mut fills = Vec::new();
    for (key, value) in values {
        fills.push(fill::<B>(key, world.loading(key).await, value));
    }
    assert_eq!(world.fill_all(&fills).await, [Filled::Stored; 4]);
    for (key, value) in values {
        assert_eq!(world.value(key).await, value, "{key}");
    }
}

async fn a_value_may_have_a_mebibyte<B: Bed>(world: World<B>) {
    let value: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
    world.load("p:user:1", &value).await;
    assert!(world.value("p:user:1").await == value);
    world.put("p:user:1", &value[1..]).await;
    assert!(world.value("p:user:1").await == value[1..]);
}

async fn a_renewed_value_takes_the_place_of_the_old_one<B: Bed>(world: World<B>) {
    world.load("p:user:1", b"old and long").await;
    let permit = world.renewing("p:user:1").await;
    assert_eq!(world.fill("p:user:1", permit, b"new").await, Filled::Stored);
    assert_eq!(world.value("p:user:1").await, b"new");
}

async fn a_value_is_put_where_nothing_was<B: Bed>(world: World<B>) {
    world.put("p:user:1", b"Ada").await;
    let stored = world.stored("p:user:1").await;
    assert_eq!((stored.value, stored.is_restored), (b"Ada".to_vec(), false));
}

async fn a_value_is_put_in_the_place_of_another<B: Bed>(world: World<B>) {
    world.load("p:user:1", b"old").await;
    world.load("p:user:2", b"other").await;
    world.put("p:user:1", b"new").await;
    assert_eq!(world.value("p:user:1").await, b"new");
    assert_eq!(world.value("p:user:2").await, b"other");
}

async fn the_last_of_two_values_put_at_once_stays<B: Bed>(world: World<B>) {
    let permit = forewarm::Permit(0);
    let puts = [fill::<B>("p:user:1", permit, b"first"), fill::<B>("p:user:1", permit, b"last")];
    world.put_all(&puts).await;
    assert_eq!(world.value("p:user:1").await, b"last");
}
