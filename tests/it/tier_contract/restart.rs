//! What outlives the use of a store.

use forewarm::{Begun, Cursor, Filled, Permit, Selector, Tier as _};

use super::NODE;
use super::runs::{any_end, any_renewal, any_run};
use super::world::{fill, is_about, wanting};
use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(a_value_is_still_there_and_marked),
        Case::of(a_value_that_is_stored_afterwards_is_not_marked),
        Case::of(a_restored_value_that_is_renewed_is_no_longer_marked),
        Case::of(the_time_between_counts),
        Case::of(a_value_that_ended_in_between_is_gone),
        Case::of(what_was_invalidated_stays_gone),
        Case::of(a_resource_that_was_invalidated_stays_gone),
        Case::of(a_tag_and_a_pattern_that_were_invalidated_stay_gone),
        Case::of(what_is_restored_can_be_invalidated),
        Case::of(what_is_restored_can_be_invalidated_by_its_tag),
        Case::of(a_load_from_before_that_was_invalidated_is_refused),
        Case::of(a_load_from_before_whose_resource_was_invalidated_is_refused),
        Case::of(a_store_that_is_closed_does_nothing),
        Case::of(a_store_can_be_closed_again),
    ]
}

const KEY: &str = "p:user:1";

async fn a_value_is_still_there_and_marked<B: Bed>(mut world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.put("p:user:2", b"Bob").await;
    world.restart().await;
    for (key, value) in [(KEY, b"Ada"), ("p:user:2", b"Bob")] {
        let stored = world.stored(key).await;
        assert_eq!(&*stored.value, value, "{key}");
        assert_eq!(stored.is_restored, B::MARKS_RESTORED, "{key}");
    }
}

async fn a_value_that_is_stored_afterwards_is_not_marked<B: Bed>(mut world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.restart().await;
    world.load("p:user:2", b"Bob").await;
    assert!(!world.stored("p:user:2").await.is_restored);
    assert_eq!(world.stored(KEY).await.is_restored, B::MARKS_RESTORED);
}

async fn a_restored_value_that_is_renewed_is_no_longer_marked<B: Bed>(mut world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.load("p:user:2", b"Bob").await;
    world.restart().await;
    let permit = world.renewing(KEY).await;
    assert_eq!(world.fill(KEY, permit, b"Eve").await, Filled::Stored);
    world.put("p:user:2", b"Eve").await;
    for key in [KEY, "p:user:2"] {
        let stored = world.stored(key).await;
        assert_eq!((&*stored.value, stored.is_restored), (&b"Eve"[..], false), "{key}");
    }
}

async fn the_time_between_counts<B: Bed>(mut world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.tier.close().await;
    world.pass(12).await;
    world.restart().await;
    let stored = world.stored(KEY).await;
    assert!(is_about::<B>(stored.age, 12), "{stored:?}");
    assert!(stored.fresh_for.is_zero(), "{stored:?}");
    assert!(is_about::<B>(stored.keep_for, 8), "{stored:?}");
}

async fn a_value_that_ended_in_between_is_gone<B: Bed>(mut world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.tier.close().await;
    world.pass(21).await;
    world.restart().await;
    world.is_missing(KEY).await;
}

async fn what_was_invalidated_stays_gone<B: Bed>(mut world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.invalidate(KEY).await;
    world.restart().await;
    world.is_missing(KEY).await;
}

async fn a_resource_that_was_invalidated_stays_gone<B: Bed>(mut world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.load("p:team:1", b"A").await;
    world.invalidate_resource("p:user").await;
    world.load("p:user:2", b"Bob").await;
    world.restart().await;
    world.is_missing(KEY).await;
    assert_eq!(world.value("p:user:2").await, b"Bob");
    assert_eq!(world.value("p:team:1").await, b"A");
}

async fn a_tag_and_a_pattern_that_were_invalidated_stay_gone<B: Bed>(mut world: World<B>) {
    for key in [KEY, "p:user:2", "p:user:3"] {
        world.load_tagged(key, &[key]).await;
    }
    world.invalidate_tag("p:user", KEY).await;
    world.invalidate_pattern("p:user", "?2").await;
    world.invalidate_pattern("p:user", "2").await;
    world.restart().await;
    world.is_missing(KEY).await;
    world.is_missing("p:user:2").await;
    assert_eq!(world.stored("p:user:3").await.tags, ["p:user:3"]);
}

async fn what_is_restored_can_be_invalidated_by_its_tag<B: Bed>(mut world: World<B>) {
    world.load_tagged(KEY, &["red"]).await;
    world.load_tagged("p:user:2", &["blue"]).await;
    world.restart().await;
    world.invalidate_tag("p:user", "red").await;
    world.is_missing(KEY).await;
    assert_eq!(world.value("p:user:2").await, b"p:user:2");
}

async fn what_is_restored_can_be_invalidated<B: Bed>(mut world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.load("p:team:1", b"A").await;
    world.restart().await;
    world.invalidate(KEY).await;
    world.invalidate_resource("p:team").await;
    world.is_missing(KEY).await;
    world.is_missing("p:team:1").await;
}

async fn a_load_from_before_that_was_invalidated_is_refused<B: Bed>(mut world: World<B>) {
    let before = world.loading(KEY).await;
    world.restart().await;
    world.invalidate(KEY).await;
    assert_eq!(world.fill(KEY, before, b"old").await, Filled::Refused);
    world.is_missing(KEY).await;
}

async fn a_load_from_before_whose_resource_was_invalidated_is_refused<B: Bed>(mut world: World<B>) {
    let before = world.loading(KEY).await;
    world.invalidate_resource("p:user").await;
    world.restart().await;
    assert_eq!(world.fill(KEY, before, b"old").await, Filled::Refused);
    world.is_missing(KEY).await;
}

async fn a_store_that_is_closed_does_nothing<B: Bed>(mut world: World<B>) {
    let permit = world.loading(KEY).await;
    world.load("p:user:2", b"Bob").await;
    world.tier.close().await;
    let refused = refused(&world, permit).await;
    let calls = "begin, fill, put, invalidate, expire, sweep, size, poll, merge_hot";
    assert_eq!(refused, [true; 9], "{calls}");
    assert_eq!(refused_of_runs(&world).await, [true; 6]);
    world.restart().await;
    assert!(!matches!(world.ask(KEY).await, Begun::Hit(_)));
    assert!(!world.stored("p:user:2").await.fresh_for.is_zero());
}

/// Makes every call there is, and gives which of them were refused.
async fn refused<B: Bed>(world: &World<B>, permit: Permit) -> [bool; 9] {
    let fills = [fill::<B>(KEY, permit, b"Ada")];
    let selectors = [Selector::Key("p:user:2")];
    [
        world.tier.begin(&[wanting(KEY)], B::UNIT).await.is_err(),
        world.tier.fill(&fills).await.is_err(),
        world.tier.put(NODE, &fills, &Cursor::default()).await.is_err(),
        world.tier.invalidate(NODE, &selectors.map(Into::into)).await.is_err(),
        world.tier.expire(NODE, &["p:user:2"]).await.is_err(),
        world.tier.sweep(1).await.is_err(),
        world.tier.size().await.is_err(),
        world.tier.poll(&Cursor::default()).await.is_err(),
        world.tier.merge_hot(NODE, "p:user", &[(KEY, 1.0)], B::UNIT).await.is_err(),
    ]
}

async fn refused_of_runs<B: Bed>(world: &World<B>) -> [bool; 6] {
    let jobs = ["p:job"];
    [
        world.tier.meet_jobs(&jobs, jiff::Timestamp::UNIX_EPOCH).await.is_err(),
        world.tier.take_run(&any_run(B::UNIT)).await.is_err(),
        world.tier.renew_runs(&[any_renewal()]).await.is_err(),
        world.tier.end_run(&any_end()).await.is_err(),
        world.tier.runs("p:job", 1).await.is_err(),
        world.tier.lapsed_runs(&jobs).await.is_err(),
    ]
}

async fn a_store_can_be_closed_again<B: Bed>(mut world: World<B>) {
    world.load(KEY, b"Ada").await;
    world.tier.close().await;
    world.tier.close().await;
    world.restart().await;
    assert_eq!(world.value(KEY).await, b"Ada");
}
