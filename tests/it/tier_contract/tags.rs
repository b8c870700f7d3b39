//! Values are invalidated by their tags, and nothing but them.

use forewarm::{Begun, Fill, Filled, Permit, Selector, Tier as _};

use super::NODE;
use super::world::{copying, fill, freshening};
use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(a_hit_gives_the_tags_back),
        Case::of(the_most_and_longest_tags_come_back),
        Case::of(a_renewed_value_has_its_own_tags_only),
        Case::of(all_values_with_the_tag_are_gone),
        Case::of(values_with_other_tags_stay),
        Case::of(tags_of_any_text_are_told_apart),
        Case::of(a_void_value_is_given_to_nobody),
        Case::of(a_load_under_way_is_refused_if_it_brings_the_tag),
        Case::of(a_load_that_is_refused_for_its_tag_holds_nobody_up),
        Case::of(a_renewal_under_way_is_refused_if_it_brings_the_tag),
        Case::of(loads_that_begin_after_are_stored),
        Case::of(each_fill_is_judged_by_its_own_tags),
        Case::of(what_is_put_after_is_served),
        Case::of(a_tag_can_be_invalidated_again_and_again),
        Case::of(selectors_of_all_kinds_go_together),
        Case::of(a_void_value_does_not_come_back_when_expired),
        Case::of(a_void_value_does_not_come_back_after_a_sweep),
        Case::of(a_void_load_does_not_come_back_after_a_sweep),
        Case::of(more_tags_than_are_remembered_are_all_void),
        Case::of(of_more_tags_than_are_remembered_only_their_resource_suffers),
    ]
}

const KEY: &str = "p:user:1";

async fn a_hit_gives_the_tags_back<B: Bed>(world: World<B>) {
    world.load_tagged(KEY, &["red", "round"]).await;
    world.load("p:user:2", b"Ada").await;
    world.put_all(&[Fill { tags: &["blue"], ..fill::<B>("p:user:3", Permit(0), b"Eve") }]).await;
    let mut tags = world.stored(KEY).await.tags;
    tags.sort();
    assert_eq!(tags, ["red", "round"]);
    assert_eq!(world.stored("p:user:2").await.tags, [""; 0]);
    assert_eq!(world.stored("p:user:3").await.tags, ["blue"]);
}

async fn the_most_and_longest_tags_come_back<B: Bed>(world: World<B>) {
    let tags: Vec<_> = (100..164).map(|nth| format!("{nth}{}", "x".repeat(253))).collect();
    let tags: Vec<_> = tags.iter().map(String::as_str).collect();
    world.load_tagged(KEY, &tags).await;
    let mut stored = world.stored(KEY).await.tags;
    stored.sort();
    assert_eq!(stored, tags);
    world.invalidate_tag("p:user", tags[63]).await;
    world.is_missing(KEY).await;
}

async fn a_renewed_value_has_its_own_tags_only<B: Bed>(world: World<B>) {
    world.load_tagged(KEY, &["red"]).await;
    let permit = world.renewing(KEY).await;
    assert_eq!(world.fill_tagged(KEY, permit, &["blue"]).await, Filled::Stored);
    assert_eq!(world.stored(KEY).await.tags, ["blue"]);
    world.invalidate_tag("p:user", "red").await;
    assert_eq!(world.stored(KEY).await.tags, ["blue"]);
    world.put(KEY, b"Ada").await;
    world.invalidate_tag("p:user", "blue").await;
    assert_eq!(world.stored(KEY).await.tags, [""; 0]);
}

async fn all_values_with_the_tag_are_gone<B: Bed>(world: World<B>) {
    let values: [(&str, &[&str]); 4] = [
        (KEY, &["red"]),
        ("p:user:2", &["blue", "red"]),
        ("p:user:3", &["red", "round", "blue"]),
        ("p:user:", &["red"]),
    ];
    for (key, tags) in values {
        world.load_tagged(key, tags).await;
    }
    world.invalidate_tag("p:user", "red").await;
    for (key, _) in values {
        world.is_missing(key).await;
    }
}

async fn values_with_other_tags_stay<B: Bed>(world: World<B>) {
    let values: [(&str, &[&str]); 7] = [
        (KEY, &["blue", "round"]),
        ("p:user:2", &["Red"]),
        ("p:user:3", &["red2", "re", "red ", " red", "blue,red", "blue red"]),
        ("p:user:red", &[]),
        ("p:team:1", &["red"]),
        ("p:users:1", &["red"]),
        ("q:user:1", &["red"]),
    ];
    for (key, tags) in values {
        world.load_tagged(key, tags).await;
    }
    world.invalidate_tag("p:user", "red").await;
    for (key, _) in values {
        assert_eq!(world.value(key).await, key.as_bytes());
    }
}

/// Texts that mean something to one store or another, and pairs that some would take for one.
const TEXTS: [&str; 24] = [
    "plain",
    "Plain",
    "plain ",
    "'",
    "\"",
    "\\",
    "\\\\",
    "%",
    "_",
    "*",
    "?",
    "[a-z]",
    "{a}",
    "$1",
    ":1",
    "a,b",
    "a|b",
    "[\"a\"]",
    "null",
    "1",
    "1.0",
    "\u{e9}",
    "e\u{301}",
    "\u{1f600}",
];

async fn tags_of_any_text_are_told_apart<B: Bed>(world: World<B>) {
    let keys: Vec<_> = (0..TEXTS.len()).map(|nth| format!("p:user:{nth}")).collect();
    for (key, text) in keys.iter().zip(TEXTS) {
        world.load_tagged(key, &[text]).await;
    }
    for (key, text) in keys.iter().zip(TEXTS) {
        assert_eq!(world.stored(key).await.tags, [text]);
    }
    for (nth, text) in TEXTS.iter().enumerate() {
        world.invalidate_tag("p:user", text).await;
        let expected: Vec<_> = (0..TEXTS.len()).map(|other| other > nth).collect();
        assert_eq!(world.which(&keys).await, expected, "after {text:?}");
    }
}

async fn a_void_value_is_given_to_nobody<B: Bed>(world: World<B>) {
    world.load_tagged(KEY, &["red"]).await;
    world.invalidate_tag("p:user", "red").await;
    assert_eq!(world.begin(&[copying(KEY)]).await, [Begun::Miss]);
    assert_eq!(world.begin(&[freshening(KEY)]).await, [Begun::Permit]);
    assert_eq!(world.ask(KEY).await, Begun::Busy);
}

async fn a_load_under_way_is_refused_if_it_brings_the_tag<B: Bed>(world: World<B>) {
    let keys = [KEY, "p:user:2", "p:user:3", "p:team:1"];
    let mut permits = Vec::new();
    for key in keys {
        permits.push(world.loading(key).await);
    }
    world.invalidate_tag("p:user", "red").await;
    let tags: [&[&str]; 4] = [&["blue", "red"], &["blue"], &[], &["red"]];
    let filled = [Filled::Refused, Filled::Stored, Filled::Stored, Filled::Stored];
    for nth in 0..keys.len() {
        let (key, tags) = (keys[nth], tags[nth]);
        assert_eq!(world.fill_tagged(key, permits[nth], tags).await, filled[nth], "{key}");
    }
}

async fn a_load_that_is_refused_for_its_tag_holds_nobody_up<B: Bed>(world: World<B>) {
    let old = world.loading(KEY).await;
    world.invalidate_tag("p:user", "red").await;
    assert_eq!(world.ask(KEY).await, Begun::Busy, "its tags are not known yet");
    assert_eq!(world.fill_tagged(KEY, old, &["red"]).await, Filled::Refused);
    world.load_tagged(KEY, &["red"]).await;
    assert_eq!(world.fill_tagged(KEY, old, &["blue"]).await, Filled::Refused);
    assert_eq!(world.stored(KEY).await.tags, ["red"]);
}

async fn a_renewal_under_way_is_refused_if_it_brings_the_tag<B: Bed>(world: World<B>) {
    world.load_tagged(KEY, &["blue"]).await;
    let permit = world.renewing(KEY).await;
    world.invalidate_tag("p:user", "red").await;
    assert_eq!(world.fill_tagged(KEY, permit, &["red"]).await, Filled::Refused);
    assert_eq!(world.stored(KEY).await.tags, ["blue"]);
}

async fn loads_that_begin_after_are_stored<B: Bed>(world: World<B>) {
    world.load_tagged(KEY, &["red"]).await;
    world.invalidate_tag("p:user", "red").await;
    for key in [KEY, "p:user:2"] {
        world.load_tagged(key, &["red"]).await;
        assert_eq!(world.value(key).await, key.as_bytes());
    }
}

async fn each_fill_is_judged_by_its_own_tags<B: Bed>(world: World<B>) {
    let (one, two) = (world.loading(KEY).await, world.loading("p:user:2").await);
    world.invalidate_tag("p:user", "red").await;
    let fills = [
        Fill { tags: &["red"], ..fill::<B>(KEY, one, b"one") },
        Fill { tags: &["blue"], ..fill::<B>("p:user:2", two, b"two") },
    ];
    assert_eq!(world.fill_all(&fills).await, [Filled::Refused, Filled::Stored]);
    assert_eq!(world.value("p:user:2").await, b"two");
}

async fn what_is_put_after_is_served<B: Bed>(world: World<B>) {
    let old = world.loading(KEY).await;
    world.invalidate_tag("p:user", "red").await;
    world.put_all(&[Fill { tags: &["red"], ..fill::<B>(KEY, Permit(0), b"new") }]).await;
    assert_eq!(world.fill_tagged(KEY, old, &["red"]).await, Filled::Refused);
    assert_eq!(world.value(KEY).await, b"new");
    world.invalidate_tag("p:user", "red").await;
    world.is_missing(KEY).await;
}

async fn a_tag_can_be_invalidated_again_and_again<B: Bed>(world: World<B>) {
    for _ in 0..3 {
        world.load_tagged(KEY, &["red"]).await;
        let twice = [Selector::Tag { resource: "p:user", tag: "red" }; 2];
        world.tier.invalidate(NODE, &twice.map(Into::into)).await.unwrap();
        assert_eq!(world.ask(KEY).await, Begun::Permit);
        world.invalidate(KEY).await;
    }
}

async fn selectors_of_all_kinds_go_together<B: Bed>(world: World<B>) {
    let keys = [KEY, "p:user:2", "p:user:3", "p:user:4", "p:team:1", "p:role:1"];
    for key in keys {
        world.load_tagged(key, &[key]).await;
    }
    let selectors = [
        Selector::Key(KEY),
        Selector::Tag { resource: "p:user", tag: "p:user:2" },
        Selector::Pattern { resource: "p:user", pattern: "3*" },
        Selector::Resource("p:team"),
    ];
    world.tier.invalidate(NODE, &selectors.map(Into::into)).await.unwrap();
    let there = world.which(&keys.map(str::to_owned)).await;
    assert_eq!(there, [false, false, false, true, false, true]);
}

async fn a_void_value_does_not_come_back_when_expired<B: Bed>(world: World<B>) {
    world.load_tagged(KEY, &["red"]).await;
    world.invalidate_tag("p:user", "red").await;
    world.tier.expire(NODE, &[KEY]).await.unwrap();
    world.is_missing(KEY).await;
}

async fn a_void_value_does_not_come_back_after_a_sweep<B: Bed>(world: World<B>) {
    world.load_tagged(KEY, &["red"]).await;
    world.load_tagged("p:user:2", &["blue"]).await;
    world.load_tagged("p:user:3", &["green"]).await;
    world.invalidate_tag("p:user", "red").await;
    world.invalidate_pattern("p:user", "2").await;
    // More may be left to do, and what was void may have become so between two sweeps.
    for _ in 0..5 {
        world.tier.sweep(1).await.unwrap();
        world.tier.sweep(100).await.unwrap();
    }
    world.is_missing(KEY).await;
    world.is_missing("p:user:2").await;
    assert_eq!(world.value("p:user:3").await, b"p:user:3");
}

async fn a_void_load_does_not_come_back_after_a_sweep<B: Bed>(world: World<B>) {
    let keys = [KEY, "p:user:2", "p:team:1"];
    let mut permits = Vec::new();
    for key in keys {
        permits.push(world.loading(key).await);
    }
    world.invalidate_tag("p:user", "red").await;
    world.invalidate_pattern("p:user", "2").await;
    world.invalidate_resource("p:team").await;
    for _ in 0..5 {
        world.tier.sweep(100).await.unwrap();
    }
    for (key, permit) in keys.into_iter().zip(permits) {
        assert_eq!(world.fill_tagged(key, permit, &["red"]).await, Filled::Refused, "{key}");
    }
}

async fn more_tags_than_are_remembered_are_all_void<B: Bed>(world: World<B>) {
    let tags: Vec<_> = (0..10_100).map(|nth| format!("tag {nth}")).collect();
    let chosen = [0, 1, 5_000, 9_999, 10_000, 10_099];
    let keys = chosen.map(|nth| format!("p:user:{nth}"));
    for (key, nth) in keys.iter().zip(chosen) {
        world.load_tagged(key, &[&tags[nth]]).await;
    }
    void_in_parts(&world, &tags).await;
    assert_eq!(world.which(&keys).await, [false; 6]);
}

async fn void_in_parts<B: Bed>(world: &World<B>, tags: &[String]) {
    for tags in tags.chunks(2_000) {
        let selector = |tag| Selector::Tag { resource: "p:user", tag };
        let selectors: Vec<_> = tags.iter().map(|tag| selector(tag)).collect();
        world.select_all(&selectors).await;
    }
}

async fn of_more_tags_than_are_remembered_only_their_resource_suffers<B: Bed>(world: World<B>) {
    let tags: Vec<_> = (0..10_100).map(|nth| format!("tag {nth}")).collect();
    let loading = world.loading("p:user:loading").await;
    world.load_tagged("p:team:1", &[&tags[0]]).await;
    void_in_parts(&world, &tags).await;
    assert_eq!(world.fill_tagged("p:user:loading", loading, &[&tags[0]]).await, Filled::Refused);
    assert_eq!(world.value("p:team:1").await, b"p:team:1");
    world.load_tagged("p:user:1", &[&tags[0]]).await;
    assert_eq!(world.value("p:user:1").await, b"p:user:1");
}
