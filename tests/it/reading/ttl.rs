//! C20: how long entries live, and how the policies of an older system's resources come out.

use std::time::Duration;

use forewarm::{Forewarm, Freshness, Policy, PreloadMode, PreloadPolicy, ReadOptions, Resource};

use super::source::{
    Mood, Source, engine, items, others_run, pass, peeked, plain, put, resource, secs, value,
};

/// How much longer memory holds a key fresh.
fn fresh_for(items: &Resource<u64, u64>, key: u64) -> Duration {
    items.explain(&key).held.unwrap().fresh_for
}

/// C20: 10,000 entries written together expire spread over the jitter, whoever wrote them.
#[tokio::test(start_paused = true)]
async fn entries_written_together_expire_spread_over_the_jitter() {
    const ENTRIES: u64 = 10_000;
    for is_put in [false, true] {
        let source = Source::in_batches(1_000);
        let policy = Policy { ttl: secs(1_000), jitter: 0.2, ..plain() };
        let (_engine, items) = items(policy, &source).await;
        let keys: Vec<u64> = (0..ENTRIES).collect();
        if is_put {
            for key in &keys {
                put(&items, *key, 1).await;
            }
        } else {
            items.get_many(&keys).await;
        }
        // Each bin is 1 % of the span from 800 s to 1,000 s.
        let mut bins = [0_u64; 100];
        for key in keys {
            let left = fresh_for(&items, key);
            assert!((secs(800)..=secs(1_000)).contains(&left), "{left:?}");
            let bin = usize::try_from((left - secs(800)).as_secs() / 2).unwrap();
            bins[bin.min(99)] += 1;
        }
        let (least, most) = (bins.iter().min().unwrap(), bins.iter().max().unwrap());
        assert!(*most <= ENTRIES * 3 / 100, "{most} in 1 % of the span: {bins:?}");
        assert!(*least >= ENTRIES / 500, "{least} in 1 % of the span: {bins:?}");
    }
}

/// C20: without jitter a ttl is what the policy says.
#[tokio::test(start_paused = true)]
async fn a_ttl_without_jitter_is_exact() {
    let source = Source::new();
    let (_engine, items) = items(plain(), &source).await;
    for key in 0..100 {
        value(&items, key).await;
        assert_eq!(fresh_for(&items, key), secs(60));
    }
    tokio::time::sleep(Duration::from_millis(59_999)).await;
    assert!(items.peek(&1).is_some());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(items.peek(&1).is_none());
}

/// C20: a ttl counts from the moment the load began, since the source may have changed while it
/// answered.
#[tokio::test(start_paused = true)]
async fn a_ttl_counts_from_the_begin_of_the_load() {
    let source = Source::new();
    source.takes(secs(10));
    let (_engine, items) = items(plain(), &source).await;
    value(&items, 1).await;
    let left = fresh_for(&items, 1);
    assert!((secs(49)..=secs(50)).contains(&left), "{left:?}");
}

/// C20: an answer may bring its own ttl, shorter or longer, which is spread as any other.
#[tokio::test(start_paused = true)]
async fn an_answer_may_bring_its_own_ttl() {
    for own in [secs(5), secs(600), secs(864_000)] {
        let source = Source::new();
        source.usually(Mood::AnswersFor(own));
        let (_engine, exact) = items(plain(), &source).await;
        value(&exact, 1).await;
        assert_eq!(fresh_for(&exact, 1), own);
        let (_engine, spread) = items(Policy { jitter: 0.5, ..plain() }, &source).await;
        let mut spans = Vec::new();
        for key in 0..100 {
            value(&spread, key).await;
            spans.push(fresh_for(&spread, key));
        }
        spans.sort_unstable();
        assert!(own / 2 <= spans[0] && spans[99] <= own, "{spans:?}");
        assert!(spans[99] - spans[0] > own / 4, "{spans:?}");
    }
}

/// C20: a key that was put lives as a loaded one does.
#[tokio::test(start_paused = true)]
async fn a_key_that_was_put_has_the_ttl_of_the_policy() {
    let source = Source::new();
    let policy = Policy { stale_while_revalidate: Some(secs(10)), ..plain() };
    let (_engine, items) = items(policy, &source).await;
    put(&items, 1, 5).await;
    pass(secs(59)).await;
    let read = items.read(&1, &ReadOptions::new()).await.unwrap();
    assert_eq!((read.freshness, read.age), (Freshness::Fresh, secs(59)));
    pass(secs(1)).await;
    assert_eq!(value(&items, 1).await, 5);
    others_run().await;
    assert_eq!((peeked(&items, 1), source.loads()), (Some(0), 1));
}

/// The resources of system 4 (S4-15 to S4-20), as a configuration file would have them.
const SYSTEM_4: [(&str, u64, u64, &str); 6] = [
    ("projects:list", 7_200, 3_600, r#"{"ttl": "2h", "refresh_every": "1h"}"#),
    ("project:info", 7_200, 3_600, r#"{"ttl": "2h", "refresh_every": "1h"}"#),
    ("project:leaderboard", 3_600, 1_800, r#"{"ttl": "1h", "refresh_every": "30m"}"#),
    ("project:stats", 3_600, 1_800, r#"{"ttl": "1h", "refresh_every": "30m"}"#),
    (
        "project:daily_stats",
        1_800,
        900,
        r#"{"ttl": "30m", "refresh_every": "15m", "ends_at_midnight": "Asia/Shanghai"}"#,
    ),
    ("project:topics", 600, 300, r#"{"ttl": "10m", "refresh_every": "5m"}"#),
];

fn system_4(forewarm: &Forewarm, source: &Source) -> Vec<Resource<u64, u64>> {
    let declare = |(name, _, _, text): &(&str, u64, u64, &str)| {
        let policy: Policy = serde_json::from_str(text).unwrap();
        let policy = Policy { jitter: 0.0, stale_while_revalidate: None, ..policy };
        resource(forewarm, &name.replace(':', "/"), policy, source)
    };
    SYSTEM_4.iter().map(declare).collect()
}

/// C20: the six resources of system 4 get their ttls (S4-15 to S4-20), each twice its refresh
/// interval (S4-22).
#[tokio::test(start_paused = true)]
async fn the_resources_of_system_4_have_their_ttls() {
    let wall = "2024-05-01T03:00:00Z".parse().unwrap();
    let clock = forewarm::Clock::starting_at(wall);
    let builder = Forewarm::builder().clock(clock).config(super::source::config());
    let forewarm = builder.build().await.unwrap();
    let source = Source::new();
    for (items, (name, ttl_secs, every_secs, _)) in
        system_4(&forewarm, &source).iter().zip(SYSTEM_4)
    {
        assert_eq!(ttl_secs, 2 * every_secs, "{name}");
        value(items, 1).await;
        put(items, 2, 1).await;
        for key in [1, 2] {
            assert_eq!(fresh_for(items, key), secs(ttl_secs), "{name}");
        }
        pass(secs(ttl_secs - 1)).await;
        assert!(items.peek(&1).is_some(), "{name}");
        pass(secs(1)).await;
        assert!(items.peek(&1).is_none(), "{name}");
    }
}

/// C20, S4-24: what changes often is renewed often: each resource at its interval, while it is
/// read.
#[tokio::test(start_paused = true)]
async fn the_resources_of_system_4_are_renewed_at_their_intervals() {
    const HOURS: u64 = 4;
    let wall = "2024-05-01T03:00:00Z".parse().unwrap();
    let clock = forewarm::Clock::starting_at(wall);
    let builder = Forewarm::builder().clock(clock).config(super::source::config());
    let forewarm = builder.build().await.unwrap();
    let sources: Vec<_> = SYSTEM_4.iter().map(|_| Source::new()).collect();
    let declared: Vec<_> = SYSTEM_4
        .iter()
        .zip(&sources)
        .map(|((name, _, _, text), source)| {
            let policy: Policy = serde_json::from_str(text).unwrap();
            let policy = Policy { jitter: 0.0, ..policy };
            resource(&forewarm, &name.replace(':', "/"), policy, source)
        })
        .collect();
    forewarm.start().await.unwrap();
    for _ in 0..HOURS * 360 {
        for items in &declared {
            value(items, 1).await;
        }
        tokio::time::sleep(secs(10)).await;
    }
    for ((items, source), (name, _, every_secs, _)) in declared.iter().zip(&sources).zip(SYSTEM_4) {
        let planned = HOURS * 3_600 / every_secs;
        let loads = source.loads() as u64;
        assert!((planned..=planned + 2).contains(&loads), "{name}: {loads}, not {planned}");
        assert_eq!(items.stats().misses, 1, "{name}: only the first reader waits");
    }
}

/// C20: a resource that loads nothing ahead has no use for an interval, and keeps its ttl.
#[tokio::test(start_paused = true)]
async fn an_interval_renews_nothing_where_preloading_is_off() {
    let source = Source::new();
    let forewarm = engine().await;
    let preload = PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() };
    let policy = Policy { refresh_every: Some(secs(10)), preload, ..plain() };
    let items = resource(&forewarm, "item", policy, &source);
    forewarm.start().await.unwrap();
    for _ in 0..59 {
        value(&items, 1).await;
        pass(secs(1)).await;
    }
    assert_eq!(source.loads(), 1);
}

/// C20: jitter spreads renewals too, and makes them earlier and not later.
#[tokio::test(start_paused = true)]
async fn renewals_of_keys_written_together_are_spread() {
    let source = Source::new();
    let forewarm = engine().await;
    let preload = PreloadPolicy { loads_per_second: 1e6, ..PreloadPolicy::default() };
    let policy = Policy {
        ttl: secs(1_000),
        refresh_every: Some(secs(100)),
        jitter: 0.5,
        preload,
        ..plain()
    };
    let items = resource(&forewarm, "item", policy, &source);
    forewarm.start().await.unwrap();
    let began = tokio::time::Instant::now();
    for _ in 0..101 {
        for key in 0..200 {
            value(&items, key).await;
        }
        pass(secs(1)).await;
    }
    let renewed_at = |key| {
        let calls = source.calls();
        let second = calls.iter().filter(|call| call.keys.contains(&key)).nth(1);
        second.expect("renewed at 100 s at the latest").at.duration_since(began)
    };
    let mut seconds: Vec<_> = (0..200).map(|key| renewed_at(key).as_secs()).collect();
    seconds.sort_unstable();
    assert!(49 <= seconds[0] && seconds[199] <= 101, "{seconds:?}");
    let in_one = seconds.chunk_by(|a, b| a == b).map(<[u64]>::len).max();
    assert!(in_one < Some(20), "{in_one:?} of 200 within a second: {seconds:?}");
}
