//! A run in which everything happens that is counted, and what the counters must say of it.

use std::collections::BTreeMap;

use forewarm::{Bytes, Delivery, Error, METRICS, Policy, ReadOptions, Resource, SourcePolicy};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::scrapes::{Series, series};
use super::source::{Mood, Source, others_run, plain, secs};

type Items = Resource<u64, String>;
type Reader = JoinHandle<Result<(), Error>>;

/// Does all that is counted to a resource, step by step: [`SCRIPTED`] tells what it comes to.
pub(crate) async fn script(items: &Items, source: &Source<u64>) {
    for (key, mood) in [
        (1, Mood::Answers),
        (2, Mood::HasNone),
        (3, Mood::Refuses),
        (4, Mood::Panics),
        (5, Mood::Hangs),
        (6, Mood::AnswersLong(2_000)),
        (11, Mood::Refuses),
    ] {
        source.mood(key, mood);
    }
    reads(items).await;
    past_its_ttl(items, source).await;
    not_kept(items, source).await;
    useful_and_wasted(items).await;
    late_failed_and_refused(items, source).await;
    items.clear();
}

/// A load that never ends; a miss and four hits; an absent key; failures; a bypass.
async fn reads(items: &Items) {
    items.get(&5).await.unwrap_err();
    for key in [1, 1, 1, 1, 1, 2, 2, 2] {
        items.get(&key).await.unwrap();
    }
    for key in [3, 4] {
        items.get(&key).await.unwrap_err();
    }
    items.read(&1, &ReadOptions::new().bypass()).await.unwrap();
}

/// Stale and renewed; stale and not renewed; served because the source fails; unchanged.
async fn past_its_ttl(items: &Items, source: &Source<u64>) {
    for (passed, mood) in [(61, Mood::Answers), (61, Mood::Refuses), (60, Mood::Refuses)] {
        tokio::time::sleep(secs(passed)).await;
        source.mood(1, mood);
        items.get(&1).await.unwrap();
    }
    source.mood(1, Mood::Unchanged);
    items.read(&1, &ReadOptions::new().refresh()).await.unwrap();
}

/// Too large to be kept; invalidated while it was loading.
async fn not_kept(items: &Items, source: &Source<u64>) {
    items.get(&6).await.unwrap();
    let reader = held_reader(items, source, 7).await;
    assert_eq!(items.invalidate(&7).await, Delivery::Applied);
    source.release();
    reader.await.unwrap().unwrap();
}

/// A reader of a key whose load is under way, and held.
async fn held_reader(items: &Items, source: &Source<u64>, key: u64) -> Reader {
    source.hold();
    let asked = source.calls().len() + 1;
    let items = items.clone();
    let reader = Handle::current().spawn(async move { items.get(&key).await.map(drop) });
    source.asked(asked).await;
    reader
}

async fn useful_and_wasted(items: &Items) {
    items.preload(&[8, 9]).await;
    items.get(&8).await.unwrap();
    assert_eq!(items.invalidate(&9).await, Delivery::Applied);
}

async fn late_failed_and_refused(items: &Items, source: &Source<u64>) {
    source.hold();
    let preload = Handle::current().spawn({
        let items = items.clone();
        async move { items.preload(&[10]).await }
    });
    others_run().await;
    let reader = Handle::current().spawn({
        let items = items.clone();
        async move { items.get(&10).await.map(drop) }
    });
    others_run().await;
    source.release();
    preload.await.unwrap();
    reader.await.unwrap().unwrap();
    items.preload(&[11]).await;
    items.preload(&[11]).await;
}

/// What [`script`] comes to.
pub(crate) const SCRIPTED: &[(&str, &[&str], u64)] = &[
    (READS, &["l1", "hit"], 4 + 1),
    (READS, &["l1", "absent"], 2),
    (READS, &["l1", "stale"], 2),
    // 1, refreshed 1, 6, 7 and 10.
    (READS, &["source", "hit"], 5),
    (READS, &["source", "absent"], 1),
    (READS, &["source", "error"], 3),
    (READS, &["source", "bypass"], 1),
    (READS, &["source", "stale"], 1),
    // 1, its bypass, 6 and 7.
    (LOADS, &["demand", "found"], 4),
    (LOADS, &["demand", "absent"], 1),
    (LOADS, &["demand", "unchanged"], 1),
    // 3, and 1 when it was past being served stale.
    (LOADS, &["demand", "failed"], 2),
    (LOADS, &["demand", "panicked"], 1),
    (LOADS, &["demand", "deadline"], 1),
    (LOADS, &["refresh", "found"], 1),
    (LOADS, &["refresh", "failed"], 1),
    (LOADS, &["preload", "found"], 3),
    (LOADS, &["preload", "failed"], 1),
    (PRELOADS, &["requested", "useful"], 1),
    (PRELOADS, &["requested", "wasted"], 1),
    (PRELOADS, &["requested", "late"], 1),
    (PRELOADS, &["requested", "failed"], 1),
    (PRELOADS, &["requested", "refused"], 1),
    (REFRESHES, &["done"], 2),
    (REFRESHES, &["failed"], 2),
    (EVICTIONS, &["replaced"], 2),
    (EVICTIONS, &["invalidated"], 1),
    (EVICTIONS, &["cleared"], 4),
    (REFUSED, &["value_size"], 1),
    (REFUSED, &["invalidated"], 1),
];

/// The policy that the script reckons with.
pub(crate) fn scripted_policy() -> Policy {
    Policy {
        capacity: Bytes::mib(1).into(),
        value_bytes_max: 1_000,
        stale_while_revalidate: Some(secs(30)),
        stale_if_error: Some(secs(3_600)),
        source: SourcePolicy { deadline: secs(30), ..plain().source },
        ..plain()
    }
}

/// The reads, by tier and outcome, and so on: what a table says of one resource.
pub(crate) fn expected(resource: &str, table: &[(&str, &[&str], u64)]) -> BTreeMap<Series, u64> {
    let of = |name: &str| METRICS.iter().find(|metric| metric.name == name).unwrap();
    let row = |(name, labels, count): &(&str, &[&str], u64)| {
        let texts = std::iter::once(resource).chain(labels.iter().copied());
        let labels: Vec<_> = of(name).labels.iter().copied().zip(texts).collect();
        (series(name, &labels), *count)
    };
    table.iter().map(row).collect()
}

pub(crate) const READS: &str = "forewarm_reads_total";
pub(crate) const LOADS: &str = "forewarm_loads_total";
pub(crate) const PRELOADS: &str = "forewarm_preloads_total";
pub(crate) const REFRESHES: &str = "forewarm_refreshes_total";
pub(crate) const EVICTIONS: &str = "forewarm_evictions_total";
pub(crate) const REFUSED: &str = "forewarm_fills_refused_total";
