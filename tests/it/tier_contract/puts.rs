//! A value is put only if nobody has changed its key meanwhile.

use forewarm::{Change, Cursor, Fill, Filled, Mark, Node, Permit, Selector, Tier};

use super::reader::Reader;
use super::world::{OTHER, fill};
use super::{Bed, Case, NODE, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(a_value_is_put_if_nothing_has_happened),
        Case::of(what_one_changed_oneself_is_not_overwritten_either),
        Case::of(what_another_changed_meanwhile_is_not_overwritten),
        Case::of(what_another_did_to_other_keys_is_no_hindrance),
        Case::of(what_one_has_heard_of_is_no_hindrance),
        Case::of(what_nobody_in_particular_changed_concerns_everybody),
        Case::of(whoever_has_heard_of_nothing_only_invalidates),
        Case::of(a_cursor_of_another_life_is_worth_nothing),
        Case::of(each_put_is_judged_by_itself),
        Case::of(a_refused_put_invalidates_all_the_same),
        Case::of(of_two_who_put_at_once_the_second_is_refused),
    ]
}

const KEY: &str = "p:user:1";

/// A value with a tag, put by one of the engines.
async fn put<B: Bed>(tier: &B::Tier, by: Node, since: &Cursor) -> Filled {
    let put = Fill { tags: &["red"], ..fill::<B>(KEY, Permit(0), b"put") };
    tier.put(by, &[put], since).await.unwrap().remove(0)
}

async fn select(tier: &impl Tier, by: Node, selector: Selector<'_>) {
    tier.invalidate(by, &[selector.into()]).await.unwrap();
}

async fn a_value_is_put_if_nothing_has_happened<B: Bed>(world: World<B>) {
    let since = world.caught_up().await;
    assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Stored);
    assert_eq!(world.value(KEY).await, b"put");
    world.invalidate("p:user:2").await;
    let since = world.caught_up().await;
    assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Stored);
}

/// A put may be executed late, after a newer change by the same engine.
#[expect(clippy::cognitive_complexity, reason = "one case after the other")]
async fn what_one_changed_oneself_is_not_overwritten_either<B: Bed>(world: World<B>) {
    for selector in [
        Selector::Key(KEY),
        Selector::Resource("p:user"),
        Selector::Tag { resource: "p:user", tag: "red" },
        Selector::Pattern { resource: "p:user", pattern: "*" },
    ] {
        let since = world.caught_up().await;
        world.select(selector).await;
        assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Refused, "{selector:?}");
        world.is_missing(KEY).await;
    }
    let since = world.caught_up().await;
    assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Stored);
    assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Refused);
    world.is_missing(KEY).await;
    let since = world.caught_up().await;
    world.tier.expire(NODE, &[KEY]).await.unwrap();
    assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Refused);
    world.is_missing(KEY).await;
}

async fn what_another_changed_meanwhile_is_not_overwritten<B: Bed>(world: World<B>) {
    for selector in [
        Selector::Key(KEY),
        Selector::Resource("p:user"),
        Selector::Tag { resource: "p:user", tag: "red" },
        Selector::Pattern { resource: "p:user", pattern: "?" },
    ] {
        let since = world.caught_up().await;
        select(&*world.tier, OTHER, selector).await;
        // What happens later does not hide it.
        world.select(selector).await;
        assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Refused, "{selector:?}");
        world.is_missing(KEY).await;
    }
    let since = world.caught_up().await;
    world.tier.expire(OTHER, &[KEY]).await.unwrap();
    assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Refused);
    world.is_missing(KEY).await;
}

async fn what_another_did_to_other_keys_is_no_hindrance<B: Bed>(world: World<B>) {
    let since = world.caught_up().await;
    for selector in [
        Selector::Key("p:user:2"),
        Selector::Key("p:user:"),
        Selector::Resource("p:team"),
        Selector::Resource("p:use"),
        Selector::Tag { resource: "p:user", tag: "blue" },
        Selector::Tag { resource: "p:team", tag: "red" },
        Selector::Pattern { resource: "p:team", pattern: "*" },
    ] {
        select(&*world.tier, OTHER, selector).await;
    }
    world.tier.expire(OTHER, &["p:user:2"]).await.unwrap();
    assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Stored);
    assert_eq!(world.value(KEY).await, b"put");
}

async fn what_one_has_heard_of_is_no_hindrance<B: Bed>(world: World<B>) {
    select(&*world.tier, OTHER, Selector::Key(KEY)).await;
    select(&*world.tier, OTHER, Selector::Resource("p:user")).await;
    let since = world.caught_up().await;
    assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Stored);
    assert_eq!(world.value(KEY).await, b"put");
}

async fn what_nobody_in_particular_changed_concerns_everybody<B: Bed>(world: World<B>) {
    for by in [NODE, Node::NONE] {
        let since = world.caught_up().await;
        select(&*world.tier, Node::NONE, Selector::Key(KEY)).await;
        assert_eq!(put::<B>(&world.tier, by, &since).await, Filled::Refused, "{by:?}");
    }
}

async fn whoever_has_heard_of_nothing_only_invalidates<B: Bed>(world: World<B>) {
    world.load(KEY, b"old").await;
    assert_eq!(put::<B>(&world.tier, NODE, &Cursor::default()).await, Filled::Refused);
    world.is_missing(KEY).await;
}

async fn a_cursor_of_another_life_is_worth_nothing<B: Bed>(world: World<B>) {
    let since = world.caught_up().await;
    assert!(!since.0.is_empty(), "an empty cursor stands before everything");
    for since in strangers(&since) {
        world.put(KEY, b"old").await;
        assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Refused, "{since:?}");
        world.is_missing(KEY).await;
    }
}

/// Cursors that cannot stem from this life of the store.
pub(super) fn strangers(since: &Cursor) -> Vec<Cursor> {
    let other = |mark: &Mark| Mark { incarnation: mark.incarnation ^ 1, ..*mark };
    let others = Cursor(since.0.iter().map(other).collect());
    let longer = Cursor([&since.0[..], &since.0[..]].concat());
    vec![others, longer]
}

async fn each_put_is_judged_by_itself<B: Bed>(world: World<B>) {
    let since = world.caught_up().await;
    select(&*world.tier, OTHER, Selector::Key("p:user:2")).await;
    let keys = [KEY, "p:user:2", "p:user:3", "p:user:3"];
    let puts = keys.map(|key| fill::<B>(key, Permit(0), key.as_bytes()));
    let filled = world.tier.put(NODE, &puts, &since).await.unwrap();
    assert_eq!(filled, [Filled::Stored, Filled::Refused, Filled::Stored, Filled::Stored]);
    assert_eq!(world.value(KEY).await, KEY.as_bytes());
    assert_eq!(world.value("p:user:3").await, b"p:user:3");
    world.is_missing("p:user:2").await;
}

async fn a_refused_put_invalidates_all_the_same<B: Bed>(world: World<B>) {
    let mut reader = Reader::new(&*world.tier).await;
    let since = world.caught_up().await;
    select(&*world.tier, OTHER, Selector::Key(KEY)).await;
    world.load(KEY, b"old").await;
    let renewing = world.renewing(KEY).await;
    reader.news(&*world.tier).await;
    assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Refused);
    assert_eq!(world.fill(KEY, renewing, b"old").await, Filled::Refused);
    world.is_missing(KEY).await;
    let news = reader.news(&*world.tier).await;
    let [logged] = &news[..] else { panic!("{news:?}") };
    assert_eq!((logged.by, &logged.change), (NODE, &Change::Key { key: KEY.into(), lag: None }));
}

async fn of_two_who_put_at_once_the_second_is_refused<B: Bed>(world: World<B>) {
    let neighbour = world.neighbour().await;
    let since = world.caught_up().await;
    assert_eq!(put::<B>(&neighbour, OTHER, &since).await, Filled::Stored);
    assert_eq!(put::<B>(&world.tier, NODE, &since).await, Filled::Refused);
    world.is_missing(KEY).await;
    let since = world.caught_up().await;
    assert_eq!(put::<B>(&neighbour, OTHER, &since).await, Filled::Stored);
    assert_eq!(world.value(KEY).await, b"put");
}
