//! Statistics: the seven fields of the older system, and those beside them.

use forewarm::{BreakerState, Capacity, Delivery, Policy, ReadOptions, ResourceStats};
use tokio::runtime::Handle;

use super::source::{Mood, Source, engine, item, plain, predicting, secs, started};

/// The seven fields of the older system, under its names.
fn seven(stats: &ResourceStats) -> serde_json::Value {
    let all = serde_json::to_value(stats).unwrap();
    let names = [
        "total_accesses",
        "tracked_patterns",
        "associations",
        "preload_count",
        "preload_hits",
        "preload_hit_rate",
        "active_tasks",
    ];
    names.map(|name| (name, all[name].clone())).into_iter().collect()
}

/// C35: the seven fields are there, and right at each step of a scripted run.
#[tokio::test(start_paused = true)]
async fn the_seven_fields_are_right_at_each_step() {
    let source = Source::new();
    let (_forewarm, items) = started(predicting(), &source).await;
    let expected = |accesses, tracked, preloads, hits, rate, active| {
        serde_json::json!({
            "total_accesses": accesses,
            "tracked_patterns": tracked,
            "associations": 0,
            "preload_count": preloads,
            "preload_hits": hits,
            "preload_hit_rate": rate,
            "active_tasks": active,
        })
    };
    assert_eq!(seven(&items.stats()), expected(0, 0, 0, 0, 0.0, 0));
    for key in [1, 1, 2] {
        items.get(&key).await.unwrap();
    }
    assert_eq!(seven(&items.stats()), expected(3, 2, 0, 0, 0.0, 0));
    items.preload(&[3, 4, 5, 6]).await;
    assert_eq!(seven(&items.stats()), expected(3, 6, 4, 0, 0.0, 0));
    for key in [3, 3, 4] {
        items.get(&key).await.unwrap();
    }
    assert_eq!(seven(&items.stats()), expected(6, 6, 4, 2, 0.5, 0));
    // A key whose entry has gone is known for its reads; one that nobody read is not.
    assert_eq!(items.invalidate(&1).await, Delivery::Applied);
    assert_eq!(items.invalidate(&6).await, Delivery::Applied);
    assert_eq!(items.stats().entries, 4);
    assert!((items.explain(&1).score - 2.0).abs() < 0.001);
    source.hold();
    let readers: Vec<_> = [7, 8]
        .map(|key| {
            let items = items.clone();
            Handle::current().spawn(async move { items.get(&key).await.map(drop) })
        })
        .into();
    source.asked(8).await;
    assert_eq!(items.stats().active_tasks, 2);
    source.release();
    for reader in readers {
        reader.await.unwrap().unwrap();
    }
    let stats = items.stats();
    assert_eq!((stats.active_tasks, stats.total_accesses), (0, 8));
}

/// C35: clearing forgets what is known of keys, and takes nothing back that was counted.
#[tokio::test(start_paused = true)]
async fn clearing_takes_nothing_back_that_was_counted() {
    let source = Source::new();
    let (forewarm, items) = started(predicting(), &source).await;
    items.preload(&[1]).await;
    items.get(&1).await.unwrap();
    forewarm.clear();
    let stats = items.stats();
    assert_eq!((stats.tracked_patterns, stats.entries, stats.weight), (0, 0, 0));
    assert_eq!((stats.total_accesses, stats.preload_count, stats.preload_hits), (1, 1, 1));
}

/// C35: the figures beside the seven tell where reads were answered, and how loads went.
#[tokio::test(start_paused = true)]
async fn the_figures_tell_where_reads_were_answered() {
    let source = Source::new();
    source.mood(2, Mood::HasNone);
    source.mood(3, Mood::Refuses);
    source.takes(secs(1));
    let policy = Policy {
        stale_while_revalidate: Some(secs(30)),
        stale_if_error: Some(secs(3_600)),
        ..plain()
    };
    let (_forewarm, items) = started(policy, &source).await;
    for key in [1, 1, 2, 2] {
        items.get(&key).await.unwrap();
    }
    items.get(&3).await.unwrap_err();
    items.read(&1, &ReadOptions::new().bypass()).await.unwrap();
    tokio::time::sleep(secs(65)).await;
    items.get(&1).await.unwrap();
    tokio::time::sleep(secs(200)).await;
    source.mood(1, Mood::Refuses);
    items.get(&1).await.unwrap();
    let stats = items.stats();
    assert_eq!(stats.resource, "item");
    assert_eq!(stats.total_accesses, 8);
    assert_eq!((stats.l1_hits, stats.l1_stale, stats.l2_hits), (2, 1, 0));
    assert_eq!((stats.misses, stats.errors, stats.stale_on_error), (2, 1, 1));
    assert_eq!((stats.loads, stats.load_failures, stats.refreshes), (6, 2, 1));
    assert!((stats.hit_ratio() - 3.0 / 8.0).abs() < 1e-9);
    assert!((900.0..1_300.0).contains(&stats.load_time_p95_ms), "{}", stats.load_time_p95_ms);
    assert_eq!((stats.breaker, stats.queued_invalidations), (BreakerState::Closed, 0));
    assert_eq!(stats.entries, 2);
}

/// C35: everything can be written with serde, under the names of the fields.
#[tokio::test(start_paused = true)]
async fn statistics_can_be_written_as_json() {
    let forewarm = engine().await;
    let source = Source::new();
    let items = item(&forewarm, plain(), &source);
    items.get(&1).await.unwrap();
    let json = serde_json::to_value(forewarm.stats()).unwrap();
    assert_eq!(json[0]["resource"], "item");
    assert_eq!(json[0]["misses"], 1);
    assert_eq!(json[0]["breaker"], "closed");
    assert_eq!(json[0]["capacity"], 64 << 20);
}

/// C36: how much an invalidation would void can be asked before it is made.
#[tokio::test(start_paused = true)]
async fn what_an_invalidation_would_void_is_counted() {
    let (forewarm, source) = (engine().await, Source::new());
    source.mood(13, Mood::HasNone);
    let items = forewarm
        .resource("item")
        .policy(Policy { capacity: Capacity::Entries(1_000), ..plain() })
        .tags(|id: &u64, _| vec![if id.is_multiple_of(2) { "even" } else { "odd" }.to_owned()])
        .loader(source)
        .build()
        .unwrap();
    forewarm.start().await.unwrap();
    for key in 1..=20 {
        items.get(&key).await.unwrap();
    }
    let matching = |pattern| items.count_matching(pattern).unwrap();
    let tagged = |tag| items.count_tagged(tag).unwrap();
    assert_eq!((matching("1*"), matching("*"), matching("x")), (11, 20, 0));
    assert_eq!((tagged("even"), tagged("odd"), tagged("none")), (10, 9, 0));

    // What is void already is not counted, whether or not it has left by then.
    assert_eq!(items.invalidate_tag("even").await.unwrap(), Delivery::Applied);
    assert_eq!((matching("1*"), tagged("even"), tagged("odd")), (6, 0, 9));
    items.get(&12).await.unwrap();
    assert_eq!((matching("1*"), tagged("even")), (7, 1));
    assert_eq!(items.count_matching("").unwrap_err().field(), "pattern");
    assert_eq!(items.count_tagged("").unwrap_err().field(), "tag");

    let hot = serde_json::to_value(items.hot_keys(1)).unwrap();
    assert_eq!(hot[0]["key"], items.hot_keys(1)[0].key);
}
