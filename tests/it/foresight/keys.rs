//! Typed keys, and what they are called outside.

use std::fmt;
use std::slice::from_ref;
use std::str::FromStr;

use forewarm::{Forewarm, FullKey, Segments};
use proptest::prelude::{ProptestConfig, prop, proptest};
use proptest::prop_assert_eq;

use super::source::{Source, config, engine, plain};
use crate::sim::SimStore;

/// What the keys of one user's data are called: one place that both those who load ahead and those
/// who read use.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct PersonKey {
    platform: String,
    user: u64,
}

impl fmt::Display for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Segments::new([self.platform.as_str(), &self.user.to_string()]))
    }
}

impl FromStr for PersonKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let segments: Segments = text.parse().map_err(|_not_segments| "no segments")?;
        let parts: Vec<_> = segments.iter().collect();
        let [platform, user] = parts[..] else { return Err("not two parts") };
        let user = user.parse().map_err(|_no_number| "no user")?;
        Ok(Self { platform: platform.to_owned(), user })
    }
}

/// What the keys of an engine are called in L2.
async fn full_keys(prefix: &str, keys: &[Segments]) -> Vec<String> {
    let store = SimStore::new();
    let builder = Forewarm::builder().config(config()).prefix(prefix).tier(store.connect());
    let forewarm = builder.build().await.unwrap();
    let resource = forewarm.resource::<Segments, String>("project").policy(plain());
    let projects = resource.loader(Source::new()).build().unwrap();
    for key in keys {
        projects.get(key).await.unwrap();
    }
    forewarm.settled().await;
    store.keys()
}

/// C02: `zsxq` and `zsxq:` are the same prefix.
#[tokio::test(start_paused = true)]
async fn a_prefix_with_and_without_colon_gives_equal_keys() {
    let key = Segments::new(["42", "daily_stats"]);
    let keys = [full_keys("zsxq", from_ref(&key)).await, full_keys("zsxq:", from_ref(&key)).await];
    assert_eq!(keys, [["zsxq:project:42:daily_stats"], ["zsxq:project:42:daily_stats"]]);
}

/// C02: two engines whose prefixes differ never see each other's entries, and two with the same
/// prefix do.
#[tokio::test(start_paused = true)]
async fn engines_share_what_has_the_same_prefix_and_nothing_else() {
    let store = SimStore::new();
    let source = Source::new();
    for (prefix, loads) in [("shop", 1), ("shop:", 1), ("blog", 2), ("shop2", 3)] {
        let builder = Forewarm::builder().config(config()).prefix(prefix).tier(store.connect());
        let forewarm = builder.build().await.unwrap();
        let resource = forewarm.resource::<u64, String>("user").policy(plain());
        let users = resource.loader(source.clone()).build().unwrap();
        users.get(&1).await.unwrap();
        forewarm.settled().await;
        assert_eq!(source.loads_of(&1), loads, "{prefix}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// C02: whatever a key's parts hold, its name in L2 leads back to them, and to nothing else.
    #[test]
    fn any_parts_are_named_in_l2_and_found_again(
        parts in prop::collection::hash_set(prop::collection::vec(r"[:\\a\n é]{0,4}", 1..4), 1..8),
    ) {
        let mut keys: Vec<_> = parts.iter().map(Segments::new).collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let full = runtime.block_on(full_keys("shop", &keys));
        let split = full.iter().map(|full| FullKey::parse(full).unwrap());
        let mut found: Vec<Segments> = split.map(|full| full.text.parse().unwrap()).collect();
        keys.sort();
        found.sort();
        prop_assert_eq!(found, keys);
        prop_assert_eq!(full.iter().filter(|full| full.starts_with("shop:project:")).count(), full.len());
    }
}

/// C02: the keys that are loaded ahead are those that the readers ask for, since both are made by
/// one type.
#[tokio::test(start_paused = true)]
async fn what_is_loaded_ahead_under_a_typed_key_is_what_its_reader_finds() {
    let forewarm = engine().await;
    let source = Source::new();
    let resource = forewarm.resource::<PersonKey, String>("person").policy(plain());
    let people = resource.loader(source.clone()).build().unwrap();
    let person = |platform: &str, user| PersonKey { platform: platform.to_owned(), user };
    let bundle = [person("qq", 7), person("a:b", 7), person("a", 7)];
    assert_eq!(people.preload(&bundle).await.loaded, 3);
    for key in &bundle {
        assert!(people.get(key).await.unwrap().is_some());
        assert_eq!(source.loads_of(key), 1, "{key}");
    }
    let stats = people.stats();
    assert_eq!((stats.preload_hits, stats.l1_hits, stats.misses), (3, 3, 0));
}

/// C02: every part of a key tells it from others.
#[tokio::test(start_paused = true)]
async fn keys_that_differ_in_any_part_have_values_of_their_own() {
    let forewarm = engine().await;
    let source = Source::new();
    let resource = forewarm.resource::<Segments, String>("message").policy(plain());
    let messages = resource.loader(source.clone()).build().unwrap();
    let keys = [
        Segments::new(["1", "50"]),
        Segments::new(["1", "20"]),
        Segments::new(["1:50"]),
        Segments::new(["1", "50", ""]),
        Segments::new(["", "1", "50"]),
    ];
    for key in &keys {
        messages.get(key).await.unwrap();
        messages.get(key).await.unwrap();
        assert_eq!(source.loads_of(key), 1, "{key}");
    }
}

/// C02: a key is looked up by any borrowed form of its type.
#[tokio::test(start_paused = true)]
async fn a_text_key_is_read_by_a_borrowed_text() {
    let forewarm = engine().await;
    let source = Source::new();
    let resource = forewarm.resource::<String, String>("page").policy(plain());
    let pages = resource.loader(source.clone()).build().unwrap();
    for _ in 0..2 {
        pages.get("start").await.unwrap();
        pages.get(&"start".to_owned()).await.unwrap();
    }
    assert_eq!(source.loads_of(&"start".to_owned()), 1);
}
