//! Values age, become stale, and end.

use std::time::Duration;

use forewarm::{Fill, Filled, Permit};

use super::world::{fill, is_about};
use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(an_age_grows_and_the_spans_fall),
        Case::of(a_value_that_is_stale_is_still_there),
        Case::of(a_value_that_has_ended_is_gone),
        Case::of(the_age_at_which_a_value_is_stored_counts),
        Case::of(spans_count_from_when_a_value_is_stored),
        Case::of(a_value_that_is_stored_stale_is_stale),
        Case::of(a_value_that_is_not_to_be_kept_is_not_there),
        Case::of(spans_may_be_without_end),
        Case::of(a_renewed_value_is_young_again),
        Case::of(a_put_value_ages_like_any_other),
    ]
}

const KEY: &str = "p:user:1";

async fn an_age_grows_and_the_spans_fall<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    for units in [0, 3, 6] {
        let stored = world.stored(KEY).await;
        assert!(is_about::<B>(stored.age, units), "{units}: {stored:?}");
        assert!(is_about::<B>(stored.fresh_for, 10 - units), "{units}: {stored:?}");
        assert!(is_about::<B>(stored.keep_for, 20 - units), "{units}: {stored:?}");
        world.pass(3).await;
    }
}

async fn a_value_that_is_stale_is_still_there<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.pass(9).await;
    assert!(!world.stored(KEY).await.fresh_for.is_zero());
    world.pass(2).await;
    let stored = world.stored(KEY).await;
    assert_eq!((&*stored.value, stored.fresh_for), (&b"Ada"[..], Duration::ZERO));
    assert!(is_about::<B>(stored.keep_for, 9), "{stored:?}");
}

async fn a_value_that_has_ended_is_gone<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.pass(19).await;
    assert_eq!(world.value(KEY).await, b"Ada");
    world.pass(2).await;
    world.load(KEY, b"Bob").await;
    assert_eq!(world.value(KEY).await, b"Bob");
}

async fn the_age_at_which_a_value_is_stored_counts<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    let aged = Fill { age: B::UNIT * 3, ..fill::<B>(KEY, permit, b"Ada") };
    assert_eq!(world.fill_all(&[aged]).await, [Filled::Stored]);
    world.pass(2).await;
    let stored = world.stored(KEY).await;
    assert!(is_about::<B>(stored.age, 5), "{stored:?}");
    assert!(is_about::<B>(stored.fresh_for, 8), "{stored:?}");
}

async fn spans_count_from_when_a_value_is_stored<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    world.pass(4).await;
    assert_eq!(world.fill(KEY, permit, b"Ada").await, Filled::Stored);
    let stored = world.stored(KEY).await;
    assert!(is_about::<B>(stored.fresh_for, 10), "{stored:?}");
    assert!(is_about::<B>(stored.keep_for, 20), "{stored:?}");
}

async fn a_value_that_is_stored_stale_is_stale<B: Bed>(world: World<B>) {
    let permit = world.loading(KEY).await;
    let stale = Fill { fresh_for: Duration::ZERO, ..fill::<B>(KEY, permit, b"Ada") };
    assert_eq!(world.fill_all(&[stale]).await, [Filled::Stored]);
    assert_eq!(world.stored(KEY).await.fresh_for, Duration::ZERO);
}

async fn a_value_that_is_not_to_be_kept_is_not_there<B: Bed>(world: World<B>) {
    let (fresh_for, keep_for) = (Duration::ZERO, Duration::ZERO);
    let put = Fill { fresh_for, keep_for, ..fill::<B>(KEY, Permit(0), b"Ada") };
    world.load(KEY, b"old").await;
    world.put_all(&[put]).await;
    world.is_missing(KEY).await;
}

async fn spans_may_be_without_end<B: Bed>(world: World<B>) {
    let (fresh_for, keep_for) = (Duration::MAX, Duration::MAX);
    let put = Fill { fresh_for, keep_for, age: Duration::MAX, ..fill::<B>(KEY, Permit(0), b"Ada") };
    world.put_all(&[put]).await;
    world.pass(20).await;
    let stored = world.stored(KEY).await;
    assert!(stored.fresh_for > B::UNIT * 1000, "{stored:?}");
    assert!(stored.age > B::UNIT * 1000, "{stored:?}");
}

async fn a_renewed_value_is_young_again<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.pass(15).await;
    let permit = world.renewing(KEY).await;
    assert_eq!(world.fill(KEY, permit, b"Bob").await, Filled::Stored);
    world.pass(9).await;
    let stored = world.stored(KEY).await;
    assert!(is_about::<B>(stored.age, 9), "{stored:?}");
    assert!(is_about::<B>(stored.fresh_for, 1), "{stored:?}");
}

async fn a_put_value_ages_like_any_other<B: Bed>(world: World<B>) {
    world.put(KEY, b"Ada").await;
    world.pass(3).await;
    let stored = world.stored(KEY).await;
    assert!(is_about::<B>(stored.age, 3), "{stored:?}");
    assert!(is_about::<B>(stored.fresh_for, 7), "{stored:?}");
    world.pass(18).await;
    world.is_missing(KEY).await;
}
