//! Several use one store.

use std::pin::pin;
use std::time::Duration;

use forewarm::{Begun, Change, Filled, Selector, Tier as _};
use tokio::time::timeout;

use super::reader::Reader;
use super::world::{OTHER, fill, wanting};
use super::{Bed, Case, NODE, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(what_another_has_stored_is_not_marked),
        Case::of(while_one_goes_on_there_is_no_restart),
        Case::of(one_permit_is_given_among_all),
        Case::of(what_another_invalidates_is_gone_for_all),
        Case::of(each_hears_of_what_the_others_change),
        Case::of(whoever_waits_is_woken_by_what_another_changes),
        Case::of(the_end_of_one_is_not_the_end_of_the_others),
    ]
}

const KEY: &str = "p:user:1";

async fn what_another_has_stored_is_not_marked<B: Bed>(world: World<B>) {
    world.load(KEY, b"Ada").await;
    let neighbour = world.neighbour().await;
    let ask = wanting("p:user:2");
    assert_eq!(neighbour.begin(&[ask], B::UNIT * 5).await.unwrap(), [Begun::Permit]);
    let fills = [fill::<B>("p:user:2", ask.permit, b"Bob")];
    assert_eq!(neighbour.fill(&fills).await.unwrap(), [Filled::Stored]);
    for tier in [&world.tier, &neighbour] {
        let begun = tier.begin(&[wanting(KEY), wanting("p:user:2")], B::UNIT * 5).await.unwrap();
        for (begun, value) in begun.into_iter().zip([b"Ada", b"Bob"]) {
            let Begun::Hit(stored) = begun else { panic!("{begun:?}") };
            assert_eq!((&*stored.value, stored.is_restored), (&value[..], false));
        }
    }
}

async fn while_one_goes_on_there_is_no_restart<B: Bed>(mut world: World<B>) {
    world.load(KEY, b"Ada").await;
    for _ in 0..3 {
        let neighbour = world.neighbour().await;
        world.tier.close().await;
        world.tier = neighbour;
        assert!(!world.stored(KEY).await.is_restored);
    }
    world.restart().await;
    assert_eq!(world.stored(KEY).await.is_restored, B::MARKS_RESTORED);
}

async fn one_permit_is_given_among_all<B: Bed>(world: World<B>) {
    let neighbour = world.neighbour().await;
    let permit = world.loading(KEY).await;
    assert_eq!(neighbour.begin(&[wanting(KEY)], B::UNIT * 5).await.unwrap(), [Begun::Busy]);
    // Whoever knows the permit may use it.
    let fills = [fill::<B>(KEY, permit, b"Ada")];
    assert_eq!(neighbour.fill(&fills).await.unwrap(), [Filled::Stored]);
    assert_eq!(world.value(KEY).await, b"Ada");
}

async fn what_another_invalidates_is_gone_for_all<B: Bed>(world: World<B>) {
    let neighbour = world.neighbour().await;
    for selector in [
        Selector::Key(KEY),
        Selector::Resource("p:user"),
        Selector::Tag { resource: "p:user", tag: "red" },
        Selector::Pattern { resource: "p:user", pattern: "?" },
    ] {
        world.load_tagged(KEY, &["red"]).await;
        let loading = world.loading("p:user:2").await;
        neighbour.invalidate(OTHER, &[selector.into()]).await.unwrap();
        world.is_missing(KEY).await;
        let filled = world.fill_tagged("p:user:2", loading, &["red"]).await;
        let is_other = selector == Selector::Key(KEY);
        assert_eq!(filled == Filled::Stored, is_other, "{selector:?}");
        world.tier.invalidate(NODE, &[Selector::Resource("p:user").into()]).await.unwrap();
    }
}

async fn each_hears_of_what_the_others_change<B: Bed>(world: World<B>) {
    let neighbour = world.neighbour().await;
    let mut readers = [Reader::new(&*world.tier).await, Reader::new(&*neighbour).await];
    world.invalidate(KEY).await;
    neighbour.expire(OTHER, &["p:user:2"]).await.unwrap();
    for (reader, tier) in readers.iter_mut().zip([&world.tier, &neighbour]) {
        let changes = reader.changes(&**tier).await;
        assert!(changes.contains(&Change::Key { key: KEY.into(), lag: None }), "{changes:?}");
        assert!(changes.contains(&Change::Expired { key: "p:user:2".into() }), "{changes:?}");
        assert_eq!(changes.len(), 2, "{changes:?}");
    }
}

async fn whoever_waits_is_woken_by_what_another_changes<B: Bed>(world: World<B>) {
    let neighbour = world.neighbour().await;
    for selector in [Selector::Key(KEY), Selector::Tag { resource: "p:user", tag: "red" }] {
        let mut changed = pin!(neighbour.changed());
        let mut is_woken = false;
        // It is a hint, and may be missed by one who does not wait yet.
        for _ in 0..100 {
            world.select(selector).await;
            if timeout(Duration::from_millis(100), &mut changed).await.is_ok() {
                is_woken = true;
                break;
            }
        }
        assert!(is_woken, "it slept for 10 s after {selector:?}");
    }
}

async fn the_end_of_one_is_not_the_end_of_the_others<B: Bed>(world: World<B>) {
    let neighbour = world.neighbour().await;
    let mut reader = Reader::new(&*world.tier).await;
    world.load(KEY, b"Ada").await;
    neighbour.close().await;
    assert_eq!(world.value(KEY).await, b"Ada");
    world.invalidate(KEY).await;
    assert_eq!(reader.changes(&*world.tier).await.len(), 1);
    world.load(KEY, b"Bob").await;
}
