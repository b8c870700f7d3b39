//! What is kept on a server, and for how long.

use forewarm::{Invalidation, Lag};

use super::*;

/// The fields of the key in which invalidations are remembered, but for those that are always there.
async fn remembered(world: &World) -> Vec<String> {
    let fields: Vec<Vec<u8>> = world.command(cmd("HKEYS").arg(world.name("meta"))).await;
    let fields = fields.into_iter().map(|field| String::from_utf8_lossy(&field).into_owned());
    fields.filter(|field| field.as_bytes().get(1) == Some(&b':')).collect()
}

async fn invalidate_all_kinds(world: &World) {
    let lag = Some(Lag { lasts: HOUR, min_version: Some(1) });
    let invalidations = [
        Selector::Tag { resource: "p:user", tag: "red" }.into(),
        Selector::Pattern { resource: "p:user", pattern: "1*" }.into(),
        Selector::Resource("p:team").into(),
        Invalidation { selector: Selector::Key("p:user:9"), lag },
    ];
    world.tier.invalidate(NODE, &invalidations).await.unwrap();
}

#[tokio::test]
async fn what_nothing_can_stem_from_before_is_forgotten() {
    let world = World::new().await;
    load(&world.tier, KEY, b"Ada").await;
    load(&world.tier, "p:team:1", b"A").await;
    invalidate_all_kinds(&world).await;
    world.tier.take_run(&any_run(HOUR)).await.unwrap();
    world.tier.sweep(100).await.unwrap();
    let kinds = ["l:", "p:", "r:p:team", "r:p:user", "t:"];
    let fields = remembered(&world).await;
    for kind in kinds {
        assert!(fields.iter().any(|field| field.starts_with(kind)), "{kind} in {fields:?}");
    }

    // Values are kept for two hours.
    world.place.clock.advance(2 * HOUR + Duration::from_secs(1));
    world.tier.sweep(100).await.unwrap();
    let mut fields = remembered(&world).await;
    fields.sort();
    assert_eq!(fields, ["r:p:team", "r:p:user"]);
    let runs: usize = world.command(cmd("HLEN").arg(world.name("runs:p:report"))).await;
    assert_eq!(runs, 0);
    // And nothing is void that came after.
    load(&world.tier, KEY, b"new").await;
    load(&world.tier, "p:team:1", b"new").await;
    assert_eq!(value(&world.tier, KEY).await.unwrap(), b"new");
}

#[tokio::test]
async fn what_is_invalidated_where_nothing_was_ever_kept_is_not_remembered() {
    let world = World::new().await;
    invalidate_all_kinds(&world).await;
    let fields = remembered(&world).await;
    assert_eq!(fields, ["l:p:user:9"], "a lag is for what comes");
    load(&world.tier, KEY, b"Ada").await;
    assert_eq!(value(&world.tier, KEY).await.unwrap(), b"Ada");
}

#[tokio::test]
async fn tags_without_number_take_no_memory_without_end() {
    let world = World::new().await;
    load(&world.tier, KEY, b"Ada").await;
    let tags: Vec<_> = (0..25_000).map(|nth| format!("tag {nth}")).collect();
    for tags in tags.chunks(500) {
        let selectors: Vec<_> =
            tags.iter().map(|tag| Selector::Tag { resource: "p:user", tag }.into()).collect();
        world.tier.invalidate(NODE, &selectors).await.unwrap();
    }
    for _ in 0..100 {
        world.tier.sweep(1).await.unwrap();
    }
    let fields = remembered(&world).await.len();
    assert!(fields <= 10_001, "{fields}");
    let length: usize = world.command(cmd("XLEN").arg(world.name("log"))).await;
    // Whole blocks are cut off, of 100 changes each.
    assert!((10_000..10_200).contains(&length), "{length}");
}

/// More than can be bounded in any other way: everything is void.
#[tokio::test]
async fn a_memory_of_invalidations_that_has_outgrown_all_bounds_is_given_up() {
    let world = World::new().await;
    load(&world.tier, KEY, b"Ada").await;
    let since = caught_up(&world.tier).await;
    let inflate = "for nth = 1, 200000 do redis.call('HSET', KEYS[1], 'l:' .. nth, '') end";
    let mut eval = cmd("EVAL");
    eval.arg(inflate).arg(1).arg(world.name("meta"));
    world.command::<()>(&eval).await;
    invalidate(&world.tier, "p:user:2").await.unwrap_err();
    until(async || invalidate(&world.tier, "p:user:2").await.is_ok()).await;
    assert!(poll(&world.tier, &since).await.is_gap);
    assert_eq!(value(&world.tier, KEY).await, None);
    assert!(remembered(&world).await.len() < 10);
}

#[tokio::test]
async fn what_is_void_is_removed_before_its_time() {
    let world = World::new().await;
    for nth in 0..10 {
        load(&world.tier, &format!("p:user:{nth}"), b"Ada").await;
    }
    load(&world.tier, "p:team:1", b"A").await;
    world.tier.invalidate(NODE, &[Selector::Resource("p:user").into()]).await.unwrap();
    assert_eq!(world.tier.size().await.unwrap().entries, 11);
    let swept = world.tier.sweep(100).await.unwrap();
    assert_eq!((swept.expired, swept.has_more), (10, false));
    assert_eq!(world.tier.size().await.unwrap().entries, 1);
    assert_eq!(value(&world.tier, "p:team:1").await.unwrap(), b"A");
}

/// The server removes by itself what has ended; all else that is left is bounded.
#[tokio::test]
async fn everything_that_belongs_to_a_key_ends_by_itself() {
    let world = World::new().await;
    let (soon, keep_for) = (Duration::from_millis(50), Duration::from_millis(100));
    assert_eq!(world.tier.begin(&[wanting(KEY, 1)], HOUR).await.unwrap(), [Begun::Permit]);
    let short = Fill { fresh_for: soon, keep_for, ..fill(KEY, 1, b"Ada") };
    assert_eq!(world.tier.fill(&[short]).await.unwrap(), [Filled::Stored]);
    world.tier.begin(&[wanting("p:user:2", 1)], soon).await.unwrap();
    world.tier.merge_hot(NODE, "p:user", &[(KEY, 1.0)], soon).await.unwrap();
    until(async || world.command::<usize>(&cmd("DBSIZE")).await == 1).await;
    assert_eq!(remembered(&world).await, ["r:p:user"]);
}

#[tokio::test]
async fn many_values_are_estimated() {
    let world = World::new().await;
    let fills = "for nth = 1, ARGV[1] do redis.call('SET', ARGV[2] .. nth, '') end";
    for (prefix, count) in [(world.name("v:p:user:"), 20_000), ("other:".to_owned(), 20_000)] {
        let mut eval = cmd("EVAL");
        eval.arg(fills).arg(0).arg(count).arg(prefix);
        world.command::<()>(&eval).await;
    }
    let entries = world.tier.size().await.unwrap().entries;
    assert!((18_000..22_000).contains(&entries), "{entries}");
}

/// Texts of keys that would lead astray who writes names in braces, patterns or lines.
const TEXTS: [&str; 14] = [
    "",
    "\0",
    "\0\0",
    "{",
    "}",
    "{}",
    "}{",
    "{place-0.0}:v:p:user:1",
    "*",
    "[a]",
    "\r\n",
    "$5\r\n",
    "\u{7f}\u{80}",
    ":",
];

#[tokio::test]
async fn keys_of_any_bytes_are_kept_apart() {
    let world = World::new().await;
    let keys = TEXTS.map(|text| format!("p:user:{text}"));
    let odd = ["p:user", "p", "", "\0", "p:", "::", ":"].map(str::to_owned);
    let keys: Vec<_> = keys.into_iter().chain(odd).collect();
    for (nth, key) in (0_u8..).zip(&keys) {
        load(&world.tier, key, &[nth, 0, 255]).await;
    }
    for (nth, key) in (0_u8..).zip(&keys) {
        assert_eq!(value(&world.tier, key).await.unwrap(), [nth, 0, 255], "{key:?}");
    }
    for (nth, key) in keys.iter().enumerate() {
        invalidate(&world.tier, key).await.unwrap();
        let asks: Vec<_> =
            keys.iter().map(|key| Ask { want: Want::Copy, ..wanting(key, 0) }).collect();
        let begun = world.tier.begin(&asks, HOUR).await.unwrap();
        let is_there = begun.iter().map(|begun| *begun != Begun::Miss);
        assert!(is_there.eq((0..keys.len()).map(|other| other > nth)), "after {key:?}");
    }
    let polled = poll(&world.tier, &Cursor::default()).await;
    let told: Vec<_> = polled.changes.into_iter().map(|logged| logged.change).collect();
    let expected: Vec<_> =
        keys.into_iter().map(|key| forewarm::Change::Key { key, lag: None }).collect();
    assert_eq!(told, expected);
}
