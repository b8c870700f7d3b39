//! A value gets in by a permit that stands, and by no other way.

use forewarm::{Begun, Filled, Permit, Tier as _};

use super::NODE;
use super::world::{copying, freshening, renewing, wanting};
use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(a_key_that_is_being_loaded_is_busy),
        Case::of(a_permit_that_is_asked_for_again_is_given_again),
        Case::of(a_wrong_permit_is_refused),
        Case::of(a_refused_fill_leaves_the_permit_that_stands),
        Case::of(a_fill_that_nobody_began_is_refused),
        Case::of(a_permit_is_good_for_one_fill),
        Case::of(a_permit_is_good_for_its_own_key_only),
        Case::of(a_permit_that_has_ended_is_refused),
        Case::of(a_permit_lasts_until_its_end),
        Case::of(a_permit_that_has_ended_is_given_to_the_next),
        Case::of(a_permit_that_was_replaced_is_refused),
        Case::of(a_hit_takes_no_permit),
        Case::of(a_permit_to_renew_leaves_the_value),
        Case::of(a_value_that_is_being_renewed_is_hit),
        Case::of(a_value_is_renewed_by_one_at_a_time),
        Case::of(a_filled_key_can_be_renewed_at_once),
        Case::of(a_permit_of_no_length_is_not_held),
        Case::of(a_fresh_value_answers_whoever_wants_it_fresh),
        Case::of(a_stale_value_is_renewed_by_whoever_wants_it_fresh),
        Case::of(a_stale_value_that_is_being_renewed_is_busy_for_whoever_wants_it_fresh),
        Case::of(an_expired_value_is_renewed_by_whoever_wants_it_fresh),
        Case::of(a_missing_value_is_loaded_by_whoever_wants_it_fresh),
        Case::of(a_copy_is_of_a_fresh_value),
        Case::of(a_copy_takes_no_permit_and_waits_for_none),
    ]
}

const KEY: &str = "p:user:1";

async fn a_key_that_is_being_loaded_is_busy<B: Bed>(world: World<B>) {
    world.loading(KEY).await;
    assert_eq!(world.ask(KEY).await, Begun::Busy);
    assert_eq!(world.ask("p:user:2").await, Begun::Permit);
}

async fn a_permit_that_is_asked_for_again_is_given_again<B: Bed>(world: World<B>) {
    let ask = wanting(KEY);
    assert_eq!(world.begin(&[ask]).await, [Begun::Permit]);
    assert_eq!(world.begin(&[ask]).await, [Begun::Permit]);
    assert_eq!(world.fill(KEY, ask.permit, b"Ada").await, Filled::Stored);
    assert_eq!(world.fill(KEY, ask.permit, b"Bob").await, Filled::Refused);
}

async fn a_wrong_permit_is_refused<B: Bed>(world: World<B>) {
    let Permit(right) = world.loading(KEY).await;
    for wrong in [right ^ 1, right ^ (1 << 63), !right, 0] {
        assert_eq!(world.fill(KEY, Permit(wrong), b"Ada").await, Filled::Refused, "{wrong:x}");
    }
    assert_eq!(world.ask(KEY).await, Begun::Busy);
}

async fn a_refused_fill_leaves_the_permit_that_stands<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    assert_eq!(world.fill(KEY, Permit(permit.0 ^ 1), b"wrong").await, Filled::Refused);
    assert_eq!(world.fill(KEY, permit, b"right").await, Filled::Stored);
    assert_eq!(world.value(KEY).await, b"right");
}

async fn a_fill_that_nobody_began_is_refused<B: Bed>(world: World<B>) {
    assert_eq!(world.fill(KEY, Permit(7), b"Ada").await, Filled::Refused);
    world.is_missing(KEY).await;
}

async fn a_permit_is_good_for_one_fill<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    assert_eq!(world.fill(KEY, permit, b"first").await, Filled::Stored);
    assert_eq!(world.fill(KEY, permit, b"second").await, Filled::Refused);
    assert_eq!(world.value(KEY).await, b"first");
}

async fn a_permit_is_good_for_its_own_key_only<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    world.loading("p:user:2").await;
    assert_eq!(world.fill("p:user:2", permit, b"Ada").await, Filled::Refused);
    assert_eq!(world.fill("p:user:3", permit, b"Ada").await, Filled::Refused);
    assert_eq!(world.fill(KEY, permit, b"Ada").await, Filled::Stored);
}

async fn a_permit_that_has_ended_is_refused<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    world.pass(6).await;
    assert_eq!(world.fill(KEY, permit, b"Ada").await, Filled::Refused);
    world.is_missing(KEY).await;
}

async fn a_permit_lasts_until_its_end<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    world.pass(4).await;
    assert_eq!(world.ask(KEY).await, Begun::Busy);
    assert_eq!(world.fill(KEY, permit, b"Ada").await, Filled::Stored);
}

async fn a_permit_that_has_ended_is_given_to_the_next<B: Bed>(world: World<B>) {
    world.loading(KEY).await;
    world.pass(6).await;
    world.load(KEY, b"Ada").await;
    assert_eq!(world.value(KEY).await, b"Ada");
}

async fn a_permit_that_was_replaced_is_refused<B: Bed>(world: World<B>) {
    let slow = world.loading(KEY).await;
    world.pass(6).await;
    let quick = world.loading(KEY).await;
    assert_eq!(world.fill(KEY, slow, b"slow").await, Filled::Refused);
    assert_eq!(world.fill(KEY, quick, b"quick").await, Filled::Stored);
    assert_eq!(world.fill(KEY, slow, b"slow").await, Filled::Refused);
    assert_eq!(world.value(KEY).await, b"quick");
}

async fn a_hit_takes_no_permit<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.value(KEY).await;
    world.renewing(KEY).await;
}

async fn a_permit_to_renew_leaves_the_value<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.renewing(KEY).await;
    assert_eq!(world.value(KEY).await, b"Ada");
}

async fn a_value_that_is_being_renewed_is_hit<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    let permit = world.renewing(KEY).await;
    assert_eq!(world.value(KEY).await, b"Ada");
    assert_eq!(world.fill(KEY, permit, b"Bob").await, Filled::Stored);
    assert_eq!(world.value(KEY).await, b"Bob");
}

async fn a_value_is_renewed_by_one_at_a_time<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.renewing(KEY).await;
    assert_eq!(world.begin(&[renewing(KEY)]).await, [Begun::Busy]);
}

async fn a_filled_key_can_be_renewed_at_once<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    for value in [b"Bob", b"Eve"] {
        let permit = world.renewing(KEY).await;
        assert_eq!(world.fill(KEY, permit, value).await, Filled::Stored);
    }
    assert_eq!(world.value(KEY).await, b"Eve");
}

async fn a_permit_of_no_length_is_not_held<B: Bed>(world: World<B>) {
    use forewarm::Tier as _;
    let ask = wanting(KEY);
    let begun = world.tier.begin(&[ask], std::time::Duration::ZERO).await.unwrap();
    assert_eq!(begun, [Begun::Permit]);
    assert_eq!(world.fill(KEY, ask.permit, b"Ada").await, Filled::Refused);
    world.loading(KEY).await;
}

async fn a_fresh_value_answers_whoever_wants_it_fresh<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    let begun = world.begin(&[freshening(KEY)]).await.remove(0);
    assert!(matches!(begun, Begun::Hit(stored) if stored.value == b"Ada"));
    // It gave no permit, so that the key can be renewed at once.
    world.renewing(KEY).await;
}

async fn a_stale_value_is_renewed_by_whoever_wants_it_fresh<B: Bed>(world: World<B>) {
    world.load(KEY, b"old").await;
    world.pass(12).await;
    let ask = freshening(KEY);
    assert_eq!(world.begin(&[ask]).await, [Begun::Permit]);
    assert_eq!(world.value(KEY).await, b"old");
    assert_eq!(world.fill(KEY, ask.permit, b"new").await, Filled::Stored);
    assert_eq!(world.value(KEY).await, b"new");
}

async fn a_stale_value_that_is_being_renewed_is_busy_for_whoever_wants_it_fresh<B: Bed>(
    world: World<B>,
) {
    world.load(KEY, b"old").await;
    world.pass(12).await;
    world.renewing(KEY).await;
    assert_eq!(world.begin(&[freshening(KEY)]).await, [Begun::Busy]);
    assert_eq!(world.value(KEY).await, b"old");
}

async fn an_expired_value_is_renewed_by_whoever_wants_it_fresh<B: Bed>(world: World<B>) {
    world.load(KEY, b"old").await;
    world.tier.expire(NODE, &[KEY]).await.unwrap();
    assert_eq!(world.begin(&[freshening(KEY)]).await, [Begun::Permit]);
    assert_eq!(world.value(KEY).await, b"old");
}

async fn a_missing_value_is_loaded_by_whoever_wants_it_fresh<B: Bed>(world: World<B>) {
    let ask = freshening(KEY);
    assert_eq!(world.begin(&[ask]).await, [Begun::Permit]);
    assert_eq!(world.begin(&[freshening(KEY)]).await, [Begun::Busy]);
    assert_eq!(world.fill(KEY, ask.permit, b"Ada").await, Filled::Stored);
}

async fn a_copy_is_of_a_fresh_value<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    let begun = world.begin(&[copying("p:user:2"), copying(KEY), wanting("p:user:3")]).await;
    let [Begun::Miss, Begun::Hit(stored), Begun::Permit] = &begun[..] else { panic!("{begun:?}") };
    assert_eq!(stored.value, b"Ada");
    world.pass(12).await;
    assert_eq!(world.begin(&[copying(KEY)]).await, [Begun::Miss]);
}

async fn a_copy_takes_no_permit_and_waits_for_none<B: Bed>(world: World<B>) {
    assert_eq!(world.begin(&[copying(KEY)]).await, [Begun::Miss]);
    let permit = world.loading(KEY).await;
    assert_eq!(world.begin(&[copying(KEY)]).await, [Begun::Miss]);
    assert_eq!(world.fill(KEY, permit, b"Ada").await, Filled::Stored);
}
