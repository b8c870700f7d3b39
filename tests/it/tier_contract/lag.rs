//! A source that lags behind does not bring an old value back.

use forewarm::{Begun, Fill, Filled, Invalidation, Lag, Permit, Selector, Tier as _};

use super::NODE;
use super::world::{fill, renewing};
use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(a_fill_is_refused_while_it_lasts),
        Case::of(a_fill_that_is_new_enough_is_stored),
        Case::of(a_fill_is_stored_after_it_has_ended),
        Case::of(a_load_that_began_while_it_lasted_is_refused_after_it_too),
        Case::of(a_lag_of_a_key_is_for_that_key_only),
        Case::of(a_lag_of_no_length_is_none),
        Case::of(a_lag_that_is_told_again_lasts_longer),
        Case::of(a_longer_lag_is_not_ended_by_a_shorter_one),
        Case::of(a_lag_is_not_ended_by_an_invalidation_without_one),
        Case::of(a_version_must_be_new_enough_for_each_of_two_lags),
        Case::of(a_put_value_is_served_while_it_lasts),
        Case::of(a_version_may_be_any_number),
    ]
}

const KEY: &str = "p:user:1";

/// Invalidates the key, whose source lags behind for so many units.
async fn lagging<B: Bed>(world: &World<B>, units: u32, min_version: Option<u64>) {
    let lag = Some(Lag { lasts: B::UNIT * units, min_version });
    let invalidation = Invalidation { selector: Selector::Key(KEY), lag };
    world.tier.invalidate(NODE, &[invalidation]).await.unwrap();
}

/// Loads the key, and brings a value of this version.
async fn loaded<B: Bed>(world: &World<B>, version: Option<u64>) -> Filled {
    let ask = renewing(KEY);
    assert_eq!(world.begin(&[ask]).await, [Begun::Permit]);
    let filled = fill_in(world, ask.permit, version).await;
    // What was refused may have left its permit behind.
    world.tier.release(&[(KEY, ask.permit)]).await.unwrap();
    filled
}

async fn fill_in<B: Bed>(world: &World<B>, permit: Permit, version: Option<u64>) -> Filled {
    let fill = Fill { version, ..fill::<B>(KEY, permit, b"Ada") };
    world.fill_all(&[fill]).await.remove(0)
}

async fn a_fill_is_refused_while_it_lasts<B: Bed>(world: World<B>) {
    world.load(KEY, b"old").await;
    lagging(&world, 5, None).await;
    for version in [None, Some(7), Some(u64::MAX)] {
        assert_eq!(loaded(&world, version).await, Filled::Refused, "{version:?}");
    }
    world.is_missing(KEY).await;
}

async fn a_fill_that_is_new_enough_is_stored<B: Bed>(world: World<B>) {
    for (version, filled) in [
        (None, Filled::Refused),
        (Some(0), Filled::Refused),
        (Some(6), Filled::Refused),
        (Some(7), Filled::Stored),
        (Some(8), Filled::Stored),
    ] {
        lagging(&world, 5, Some(7)).await;
        assert_eq!(loaded(&world, version).await, filled, "{version:?}");
    }
    assert_eq!(world.value(KEY).await, b"Ada");
}

async fn a_fill_is_stored_after_it_has_ended<B: Bed>(world: World<B>) {
    lagging(&world, 2, Some(7)).await;
    assert_eq!(loaded(&world, Some(6)).await, Filled::Refused);
    world.pass(3).await;
    assert_eq!(loaded(&world, None).await, Filled::Stored);
    assert_eq!(world.value(KEY).await, b"Ada");
}

async fn a_load_that_began_while_it_lasted_is_refused_after_it_too<B: Bed>(world: World<B>) {
    lagging(&world, 2, Some(7)).await;
    let permit = world.loading(KEY).await;
    world.pass(3).await;
    assert_eq!(fill_in(&world, permit, Some(6)).await, Filled::Refused);
    assert_eq!(fill_in(&world, permit, None).await, Filled::Refused);
    assert!(!matches!(world.ask(KEY).await, Begun::Hit(_)));
}

async fn a_lag_of_a_key_is_for_that_key_only<B: Bed>(world: World<B>) {
    lagging(&world, 5, None).await;
    for key in ["p:user:2", "p:user:11", "p:team:1"] {
        world.load(key, key.as_bytes()).await;
    }
}

async fn a_lag_of_no_length_is_none<B: Bed>(world: World<B>) {
    lagging(&world, 0, Some(7)).await;
    world.pass(1).await;
    assert_eq!(loaded(&world, None).await, Filled::Stored);
}

async fn a_lag_that_is_told_again_lasts_longer<B: Bed>(world: World<B>) {
    lagging(&world, 3, None).await;
    world.pass(2).await;
    lagging(&world, 3, None).await;
    world.pass(2).await;
    assert_eq!(loaded(&world, None).await, Filled::Refused);
    world.pass(2).await;
    assert_eq!(loaded(&world, None).await, Filled::Stored);
}

async fn a_longer_lag_is_not_ended_by_a_shorter_one<B: Bed>(world: World<B>) {
    lagging(&world, 5, None).await;
    lagging(&world, 1, None).await;
    world.pass(3).await;
    assert_eq!(loaded(&world, None).await, Filled::Refused);
    world.pass(3).await;
    assert_eq!(loaded(&world, None).await, Filled::Stored);
}

async fn a_lag_is_not_ended_by_an_invalidation_without_one<B: Bed>(world: World<B>) {
    lagging(&world, 5, Some(7)).await;
    world.invalidate(KEY).await;
    assert_eq!(loaded(&world, Some(6)).await, Filled::Refused);
    assert_eq!(loaded(&world, Some(7)).await, Filled::Stored);
}

async fn a_version_must_be_new_enough_for_each_of_two_lags<B: Bed>(world: World<B>) {
    lagging(&world, 5, Some(9)).await;
    lagging(&world, 5, Some(7)).await;
    assert_eq!(loaded(&world, Some(8)).await, Filled::Refused);
    assert_eq!(loaded(&world, Some(9)).await, Filled::Stored);
    lagging(&world, 5, None).await;
    lagging(&world, 5, Some(7)).await;
    assert_eq!(loaded(&world, Some(100)).await, Filled::Refused);
}

/// Whoever puts a value does not have it from a copy that lags behind.
async fn a_put_value_is_served_while_it_lasts<B: Bed>(world: World<B>) {
    lagging(&world, 5, None).await;
    world.put(KEY, b"Ada").await;
    assert_eq!(world.value(KEY).await, b"Ada");
    assert_eq!(loaded(&world, None).await, Filled::Refused);
    assert_eq!(world.value(KEY).await, b"Ada");
}

async fn a_version_may_be_any_number<B: Bed>(world: World<B>) {
    // Numbers that a float or a signed integer would take for others.
    let versions = [0, 1, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, i64::MAX as u64];
    let versions = [&versions[..], &[1 << 63, u64::MAX - 1, u64::MAX]].concat();
    for (nth, min_version) in versions.iter().enumerate() {
        for (other, version) in versions.iter().enumerate() {
            lagging(&world, 5, Some(*min_version)).await;
            let expected = if other >= nth { Filled::Stored } else { Filled::Refused };
            let filled = loaded(&world, Some(*version)).await;
            assert_eq!(filled, expected, "{version} for {min_version}");
        }
    }
}
