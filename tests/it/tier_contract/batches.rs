//! Many keys in one go.

use forewarm::{Begun, Filled, Permit, Selector, Tier as _};

use super::NODE;
use super::world::{fill, renewing, wanting};
use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(nothing_is_done_for_no_keys),
        Case::of(the_answers_are_in_the_order_of_the_keys),
        Case::of(a_thousand_keys_are_begun_and_filled),
        Case::of(a_thousand_keys_are_put_and_invalidated),
        Case::of(a_missing_key_that_is_asked_for_twice_is_loaded_once),
        Case::of(a_value_that_is_asked_for_twice_is_given_twice),
        Case::of(the_first_of_two_fills_of_a_key_is_stored),
        Case::of(each_fill_is_judged_by_itself),
        Case::of(values_and_permits_are_asked_for_together),
    ]
}

async fn nothing_is_done_for_no_keys<B: Bed>(world: World<B>) {
    world.load("p:user:1", b"Ada").await;
    assert_eq!(world.begin(&[]).await, []);
    assert_eq!(world.fill_all(&[]).await, []);
    world.put_all(&[]).await;
    world.tier.invalidate(NODE, &[]).await.unwrap();
    world.tier.expire(NODE, &[]).await.unwrap();
    assert!(!world.stored("p:user:1").await.fresh_for.is_zero());
}

async fn the_answers_are_in_the_order_of_the_keys<B: Bed>(world: World<B>) {
    world.load("p:user:9", b"nine").await;
    world.load("p:user:1", b"one").await;
    world.loading("p:user:5").await;
    let keys = ["p:user:9", "p:user:7", "p:user:5", "p:user:1", "p:user:0"];
    let begun = world.begin(&keys.map(wanting)).await;
    let words: Vec<_> = begun
        .iter()
        .map(|begun| match begun {
            Begun::Hit(stored) => str::from_utf8(&stored.value).unwrap(),
            Begun::Permit => "permit",
            Begun::Busy => "busy",
            Begun::Miss => "miss",
        })
        .collect();
    assert_eq!(words, ["nine", "permit", "busy", "one", "permit"]);
}

fn thousand() -> Vec<String> {
    // An order that no index has.
    (0..1000).map(|nth| format!("p:user:{}", nth * 7919 % 1000)).collect()
}

async fn a_thousand_keys_are_begun_and_filled<B: Bed>(world: World<B>) {
    let keys = thousand();
    let asks: Vec<_> = keys.iter().map(|key| wanting(key)).collect();
    assert!(world.begin(&asks).await.iter().all(|begun| *begun == Begun::Permit));
    let fills: Vec<_> =
        asks.iter().map(|ask| fill::<B>(ask.key, ask.permit, ask.key.as_bytes())).collect();
    assert!(world.fill_all(&fills).await.iter().all(|filled| *filled == Filled::Stored));
    for (key, begun) in keys.iter().zip(world.begin(&asks).await) {
        match begun {
            Begun::Hit(stored) => assert_eq!(stored.value, key.as_bytes()),
            other => panic!("{key}: {other:?}"),
        }
    }
}

async fn a_thousand_keys_are_put_and_invalidated<B: Bed>(world: World<B>) {
    let keys = thousand();
    let puts: Vec<_> = keys.iter().map(|key| fill::<B>(key, Permit(0), key.as_bytes())).collect();
    world.put_all(&puts).await;
    assert_eq!(world.value("p:user:999").await, b"p:user:999");
    let selectors: Vec<_> = keys[..999].iter().map(|key| Selector::Key(key).into()).collect();
    world.tier.invalidate(NODE, &selectors).await.unwrap();
    for key in &keys[..999] {
        world.is_missing(key).await;
    }
    assert_eq!(world.value(&keys[999]).await, keys[999].as_bytes());
}

async fn a_missing_key_that_is_asked_for_twice_is_loaded_once<B: Bed>(world: World<B>) {
    let asks = [wanting("p:user:1"), wanting("p:user:2"), wanting("p:user:1")];
    let begun = world.begin(&asks).await;
    assert_eq!(begun, [Begun::Permit, Begun::Permit, Begun::Busy]);
    assert_eq!(world.fill("p:user:1", asks[2].permit, b"Ada").await, Filled::Refused);
    assert_eq!(world.fill("p:user:1", asks[0].permit, b"Ada").await, Filled::Stored);
}

async fn a_value_that_is_asked_for_twice_is_given_twice<B: Bed>(world: World<B>) {
    world.load("p:user:1", b"Ada").await;
    let begun = world.begin(&[wanting("p:user:1"), wanting("p:user:1")]).await;
    for begun in begun {
        assert!(matches!(begun, Begun::Hit(stored) if stored.value == b"Ada"));
    }
}

async fn the_first_of_two_fills_of_a_key_is_stored<B: Bed>(world: World<B>) {
    let permit = world.loading("p:user:1").await;
    let wrong = Permit(permit.0 ^ 1);
    let fills = [
        fill::<B>("p:user:1", wrong, b"wrong"),
        fill::<B>("p:user:1", permit, b"first"),
        fill::<B>("p:user:1", permit, b"second"),
    ];
    let filled = world.fill_all(&fills).await;
    assert_eq!(filled, [Filled::Refused, Filled::Stored, Filled::Refused]);
    assert_eq!(world.value("p:user:1").await, b"first");
}

async fn each_fill_is_judged_by_itself<B: Bed>(world: World<B>) {
    let permits = [
        world.loading("p:user:1").await,
        world.loading("p:user:2").await,
        world.loading("p:user:3").await,
    ];
    world.invalidate("p:user:2").await;
    let fills = [
        fill::<B>("p:user:3", permits[2], b"three"),
        fill::<B>("p:user:2", permits[1], b"two"),
        fill::<B>("p:user:1", permits[0], b"one"),
    ];
    let filled = world.fill_all(&fills).await;
    assert_eq!(filled, [Filled::Stored, Filled::Refused, Filled::Stored]);
    assert_eq!(world.value("p:user:1").await, b"one");
    assert_eq!(world.value("p:user:3").await, b"three");
    world.is_missing("p:user:2").await;
}

async fn values_and_permits_are_asked_for_together<B: Bed>(world: World<B>) {
    for key in ["p:user:1", "p:user:2", "p:user:3"] {
        world.load(key, b"Ada").await;
    }
    world.renewing("p:user:3").await;
    let asks = [
        renewing("p:user:1"),
        wanting("p:user:2"),
        renewing("p:user:3"),
        wanting("p:user:4"),
        renewing("p:user:5"),
    ];
    let begun = world.begin(&asks).await;
    assert!(matches!(&begun[1], Begun::Hit(_)), "{begun:?}");
    assert_eq!(begun[0], Begun::Permit);
    assert_eq!(begun[2..], [Begun::Busy, Begun::Permit, Begun::Permit]);
}
