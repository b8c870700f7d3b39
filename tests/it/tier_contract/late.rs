//! Calls whose callers have gone, or that are made again, do no harm.

use forewarm::{Begun, Filled, Permit, Selector, Tier as _};
use futures_util::FutureExt as _;

use super::NODE;
use super::world::{fill, wanting};
use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(an_invalidation_that_comes_again_costs_a_load_at_most),
        Case::of(a_fill_that_comes_again_after_an_invalidation_is_refused),
        Case::of(a_begin_whose_caller_went_away_holds_nobody_up_for_longer_than_its_permit),
        Case::of(a_fill_whose_caller_went_away_is_stored_or_not),
        Case::of(an_invalidation_whose_caller_went_away_can_be_repeated),
        Case::of(calls_that_were_dropped_do_not_disturb_those_after_them),
    ]
}

const KEY: &str = "p:user:1";

async fn an_invalidation_that_comes_again_costs_a_load_at_most<B: Bed>(world: World<B>) {
    world.invalidate(KEY).await;
    let permit = world.loading(KEY).await;
    world.invalidate(KEY).await;
    assert_eq!(world.fill(KEY, permit, b"Ada").await, Filled::Refused);
    world.load(KEY, b"Ada").await;
    world.invalidate_resource("p:user").await;
    world.load(KEY, b"Ada").await;
    assert_eq!(world.value(KEY).await, b"Ada");
}

async fn a_fill_that_comes_again_after_an_invalidation_is_refused<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    assert_eq!(world.fill(KEY, permit, b"old").await, Filled::Stored);
    world.invalidate(KEY).await;
    assert_eq!(world.fill(KEY, permit, b"old").await, Filled::Refused);
    world.is_missing(KEY).await;
}

async fn a_begin_whose_caller_went_away_holds_nobody_up_for_longer_than_its_permit<B: Bed>(
    world: World<B>,
) {
    drop(world.tier.begin(&[wanting(KEY)], B::UNIT * 5).now_or_never());
    world.pass(6).await;
    world.load(KEY, b"Ada").await;
}

async fn a_fill_whose_caller_went_away_is_stored_or_not<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    drop(world.tier.fill(&[fill::<B>(KEY, permit, b"Ada")]).now_or_never());
    // What is asked next comes after it, so that by now it has been decided.
    world.invalidate("p:user:2").await;
    match world.ask(KEY).await {
        Begun::Hit(stored) => assert_eq!(stored.value, b"Ada"),
        other => assert_eq!(other, Begun::Busy),
    }
}

async fn an_invalidation_whose_caller_went_away_can_be_repeated<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    drop(world.tier.invalidate(NODE, &[Selector::Key(KEY).into()]).now_or_never());
    world.invalidate(KEY).await;
    assert_eq!(world.fill(KEY, permit, b"old").await, Filled::Refused);
    world.is_missing(KEY).await;
}

async fn calls_that_were_dropped_do_not_disturb_those_after_them<B: Bed>(world: World<B>) {
    world.load("p:user:2", b"Bob").await;
    for _ in 0..50 {
        let fills = [fill::<B>(KEY, Permit(1), b"Ada")];
        drop(world.tier.begin(&[wanting(KEY), wanting("p:user:2")], B::UNIT).now_or_never());
        drop(world.tier.fill(&fills).now_or_never());
        drop(world.tier.invalidate(NODE, &[Selector::Key(KEY).into()]).now_or_never());
        drop(world.tier.expire(NODE, &[KEY]).now_or_never());
        drop(world.tier.size().now_or_never());
        assert_eq!(world.value("p:user:2").await, b"Bob");
    }
    world.invalidate(KEY).await;
    world.load(KEY, b"Ada").await;
    assert_eq!(world.value(KEY).await, b"Ada");
}
