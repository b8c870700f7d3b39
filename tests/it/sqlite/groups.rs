//! What is remembered of the groups that were invalidated, and for how long.

use forewarm::{Fill, Selector, SqliteTier, Tier as _};
use sqlx::query_as;

use super::{HOUR, Home, begin, fill, put_all, value};
use crate::tier_contract::NODE;

/// How many epochs there are of each kind, and the last one.
async fn epochs(home: &Home) -> (i64, i64, i64, i64) {
    let sql = "
        select
            count(*) filter (where kind = 'resource'),
            count(*) filter (where kind = 'tag'),
            count(*) filter (where kind = 'pattern'),
            (select last_epoch from forewarm_meta)
        from forewarm_epoch";
    query_as(sql).fetch_one(&mut home.other().await).await.unwrap()
}

async fn select(tier: &SqliteTier, selectors: &[Selector<'_>]) {
    let selectors: Vec<_> = selectors.iter().map(|selector| (*selector).into()).collect();
    tier.invalidate(NODE, &selectors).await.unwrap();
}

const GROUPS: [Selector<'_>; 4] = [
    Selector::Tag { resource: "p:user", tag: "red" },
    Selector::Pattern { resource: "p:user", pattern: "1*" },
    Selector::Tag { resource: "p:team", tag: "red" },
    Selector::Resource("p:role"),
];

#[tokio::test]
async fn what_is_remembered_goes_when_nothing_older_is_left() {
    let home = Home::new();
    let tier = home.open().await;
    put_all(&tier, &[fill("p:user:2", 0, b"Bob")]).await.unwrap();
    begin(&tier, "p:team:1", 1).await;
    select(&tier, &GROUPS).await;
    assert_eq!(epochs(&home).await, (1, 2, 1, 5));
    tier.sweep(100).await.unwrap();
    assert_eq!(epochs(&home).await, (0, 2, 1, 5), "no role was older");
    // The permit ends, and then the value.
    home.clock.advance(HOUR);
    tier.sweep(100).await.unwrap();
    assert_eq!(epochs(&home).await, (0, 1, 1, 5));
    assert!(value(&tier, "p:user:2").await.is_some());
    home.clock.advance(HOUR);
    tier.sweep(100).await.unwrap();
    assert_eq!(epochs(&home).await, (0, 0, 0, 0));
}

#[tokio::test]
async fn what_is_remembered_goes_when_everything_older_is_renewed() {
    let home = Home::new();
    let tier = home.open().await;
    for round in 0..3 {
        put_all(&tier, &[fill("p:user:2", 0, b"Bob")]).await.unwrap();
        select(&tier, &GROUPS[..2]).await;
        put_all(&tier, &[fill("p:user:2", 0, b"Bob")]).await.unwrap();
        tier.sweep(100).await.unwrap();
        assert_eq!(epochs(&home).await, (0, 0, 0, 0), "{round}");
    }
}

#[tokio::test]
async fn values_of_a_resource_that_was_invalidated_are_swept() {
    let home = Home::new();
    let tier = home.open().await;
    for key in ["p:user:1", "p:user:2", "p:user:3", "p:team:1"] {
        put_all(&tier, &[fill(key, 0, b"Ada")]).await.unwrap();
    }
    select(&tier, &[Selector::Resource("p:user")]).await;
    put_all(&tier, &[fill("p:user:4", 0, b"Eve")]).await.unwrap();
    let swept = tier.sweep(2).await.unwrap();
    assert_eq!((swept.expired, swept.has_more), (2, true));
    let swept = tier.sweep(2).await.unwrap();
    assert_eq!((swept.expired, swept.has_more), (1, false));
    assert_eq!(tier.size().await.unwrap().entries, 2);
    assert_eq!(value(&tier, "p:user:4").await.unwrap(), b"Eve");
    assert_eq!(epochs(&home).await, (0, 0, 0, 0));
}

#[tokio::test]
async fn no_more_than_so_many_tags_and_patterns_are_remembered() {
    let home = Home::new();
    let tier = home.open().await;
    put_all(&tier, &[fill("p:user:1", 0, b"Ada"), fill("p:team:1", 0, b"A")]).await.unwrap();
    let names: Vec<_> = (0..12_000).map(|nth| format!("{nth}")).collect();
    for names in names.chunks(50) {
        let tags = names.iter().map(|tag| Selector::Tag { resource: "p:user", tag });
        let patterns =
            names.iter().map(|text| Selector::Pattern { resource: "p:team", pattern: text });
        select(&tier, &tags.chain(patterns).collect::<Vec<_>>()).await;
        let (_, tags, patterns, _) = epochs(&home).await;
        assert!(tags <= 10_000 && patterns <= 128, "{tags} tags, {patterns} patterns");
    }
    assert_eq!(epochs(&home).await.0, 2);
    assert_eq!(value(&tier, "p:user:1").await, None);
    assert_eq!(value(&tier, "p:team:1").await, None);
}

#[tokio::test]
async fn the_whole_resource_covers_its_tags_and_patterns() {
    let home = Home::new();
    let tier = home.open().await;
    put_all(&tier, &[fill("p:user:1", 0, b"Ada"), fill("p:team:1", 0, b"A")]).await.unwrap();
    select(&tier, &GROUPS).await;
    select(&tier, &[Selector::Resource("p:user")]).await;
    assert_eq!(epochs(&home).await, (2, 1, 0, 7));
}

#[tokio::test]
async fn tags_with_a_nul_are_told_apart() {
    let home = Home::new();
    let tier = home.open().await;
    put_all(&tier, &[Fill { tags: &["red\0x"], ..fill("p:user:1", 0, b"Ada") }]).await.unwrap();
    for (tag, is_void) in [("red", false), ("red\0", false), ("red\0y", false), ("red\0x", true)] {
        select(&tier, &[Selector::Tag { resource: "p:user", tag }]).await;
        assert_eq!(value(&tier, "p:user:1").await.is_none(), is_void, "{tag:?}");
    }
}
