//! What is published, against what was done.

use std::collections::BTreeMap;

use forewarm::{Capacity, METRICS, MetricKind, Policy};
use tokio::runtime::Handle;

use super::scrapes::{Scrapes, series};
use super::script::{EVICTIONS, LOADS, READS, SCRIPTED, expected, script, scripted_policy};
use super::source::{Mood, Source, engine, item, others_run, plain, predicting, secs};

/// C32: after a scripted run every counter is what the script says, and no other counter counts.
#[tokio::test(start_paused = true)]
async fn every_counter_equals_the_script() {
    let (forewarm, source) = (engine().await, Source::new());
    let items = item(&forewarm, scripted_policy(), &source);
    let mut scrapes = Scrapes::new();
    scrapes.start(&forewarm);
    script(&items, &source).await;
    scrapes.take(&forewarm);
    assert_eq!(scrapes.counted(), expected("item", SCRIPTED));
    // One sample of time for each call of the loader.
    for (origin, calls) in [("demand", 10), ("refresh", 2), ("preload", 4)] {
        let labels = [("resource", "item"), ("origin", origin)];
        assert_eq!(scrapes.samples[&series("forewarm_load_seconds", &labels)], calls, "{origin}");
    }
    assert_eq!(source.calls().len(), 16);
}

/// C32: publishing again adds nothing, and no counter ever falls, not even when all is cleared.
#[tokio::test(start_paused = true)]
async fn counters_do_not_fall_however_often_they_are_published() {
    let (forewarm, source) = (engine().await, Source::new());
    let items = item(&forewarm, scripted_policy(), &source);
    let mut scrapes = Scrapes::new();
    scrapes.start(&forewarm);
    let mut before = BTreeMap::new();
    for round in 1..=3 {
        script(&items, &source).await;
        // The keys that failed may be tried again.
        tokio::time::sleep(secs(60)).await;
        scrapes.take(&forewarm);
        let first = scrapes.counters.clone();
        scrapes.take(&forewarm);
        forewarm.clear();
        scrapes.take(&forewarm);
        assert_eq!(scrapes.counters, first, "round {round}");
        for (series, count) in &before {
            assert!(first[series] >= *count, "{series}");
        }
        before = first;
    }
    let bypasses = [("resource", "item"), ("tier", "source"), ("outcome", "bypass")];
    assert_eq!(scrapes.counter(READS, &bypasses), 3);
}

/// C32: a recorder that comes late gets what was counted before it came.
#[tokio::test(start_paused = true)]
async fn what_was_counted_before_the_first_scrape_is_not_lost() {
    let (forewarm, source) = (engine().await, Source::new());
    let items = item(&forewarm, scripted_policy(), &source);
    forewarm.start().await.unwrap();
    script(&items, &source).await;
    let mut scrapes = Scrapes::new();
    scrapes.take(&forewarm);
    assert_eq!(scrapes.counted(), expected("item", SCRIPTED));
}

/// C32: two engines publish their own figures, and neither those of the other.
#[tokio::test(start_paused = true)]
async fn two_engines_publish_each_its_own_figures() {
    let source = Source::new();
    let (one, two) = (engine().await, engine().await);
    let items = item(&one, scripted_policy(), &source);
    let other = two.resource::<u64, String>("other").policy(plain()).loader(source.clone());
    let other = other.build().unwrap();
    let mut scrapes = Scrapes::new();
    scrapes.start(&one);
    scrapes.start(&two);
    for _ in 0..3 {
        other.get(&1).await.unwrap();
    }
    scrapes.take(&two);
    let of_other = [
        (READS, &["source", "hit"][..], 1),
        (READS, &["l1", "hit"], 2),
        (LOADS, &["demand", "found"], 1),
    ];
    assert_eq!(scrapes.counted(), expected("other", &of_other));
    script(&items, &source).await;
    scrapes.take(&one);
    let mut both = expected("other", &of_other);
    assert!(scrapes.counted().len() > both.len());
    let of_item = scrapes.counted().into_iter().filter(|(series, _)| series.contains("=item"));
    both.extend(of_item);
    assert_eq!(scrapes.counted(), both);
}

/// C32: every name that is published is in the list, of the kind and with the labels it says, and
/// means something; no label holds a key.
#[tokio::test(start_paused = true)]
async fn all_that_is_published_is_listed_and_explained() {
    const EMAIL: &str = "ada@example.org";
    let (forewarm, source) = (engine().await, Source::new());
    let items = item(&forewarm, scripted_policy(), &source);
    let people = forewarm.resource::<String, String>("person").policy(predicting());
    let people = people.loader(Source::<String>::new()).build().unwrap();
    let mut scrapes = Scrapes::new();
    scrapes.start(&forewarm);
    script(&items, &source).await;
    people.preload([EMAIL]).await;
    people.get(EMAIL).await.unwrap();
    scrapes.take(&forewarm);

    let kinds = [
        (MetricKind::Counter, scrapes.counters.keys().collect::<Vec<_>>()),
        (MetricKind::Gauge, scrapes.gauges.keys().collect()),
        (MetricKind::Histogram, scrapes.samples.keys().collect()),
    ];
    for (kind, published) in kinds {
        for series in published {
            let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap();
            let metric = METRICS.iter().find(|metric| metric.name == name);
            let metric = metric.unwrap_or_else(|| panic!("{name} is not listed"));
            assert_eq!(metric.kind, kind, "{name}");
            assert_eq!(scrapes.help[name], metric.help);
            assert!(!metric.help.is_empty(), "{name}");
            let names = labels.split(',').filter(|label| !label.is_empty());
            let mut names: Vec<_> = names.map(|label| label.split('=').next().unwrap()).collect();
            let mut listed = metric.labels.to_vec();
            names.sort_unstable();
            listed.sort_unstable();
            assert_eq!(names, listed, "{name}");
        }
    }
    // Without L2, memory, jobs and the service, everything in the list but what concerns them is published.
    let l2 = ["forewarm_l2_up", "forewarm_l2_entries", "forewarm_l2_bytes", "forewarm_l2_seconds"];
    let more = [
        "forewarm_l2_failures_total",
        "forewarm_outbox_length",
        "forewarm_coherence_lag_seconds",
        "forewarm_coherence_gaps_total",
        "forewarm_changes_heard_total",
    ];
    for metric in METRICS {
        let of_l2 = l2.contains(&metric.name) || more.contains(&metric.name);
        let of_others = ["forewarm_memory_", "forewarm_job_", "forewarm_http_"];
        let is_absent = of_l2 || of_others.iter().any(|others| metric.name.starts_with(others));
        assert_eq!(scrapes.help.contains_key(metric.name), !is_absent, "{}", metric.name);
    }
    for (name, label, text) in &scrapes.labels {
        assert!(!text.contains("ada") && !text.contains('@'), "{name} {label}");
        let is_number = text.parse::<u64>().is_ok();
        assert!(!is_number, "{name} {label}: {text}");
    }
}

/// C32: labels come from the configuration alone, so their number does not grow with the keys.
#[tokio::test(start_paused = true)]
async fn series_do_not_grow_with_the_keys() {
    let (forewarm, source) = (engine().await, Source::new());
    let items = item(&forewarm, predicting(), &source);
    let mut scrapes = Scrapes::new();
    scrapes.start(&forewarm);
    items.get(&0).await.unwrap();
    scrapes.take(&forewarm);
    let before = (scrapes.counters.len(), scrapes.gauges.len(), scrapes.samples.len());
    for key in 0..5_000 {
        items.get(&key).await.unwrap();
    }
    scrapes.take(&forewarm);
    let after = (scrapes.counters.len(), scrapes.gauges.len(), scrapes.samples.len());
    assert_eq!(before, after);
}

/// C32: gauges tell the state at the moment of the scrape.
#[tokio::test(start_paused = true)]
async fn gauges_tell_the_state_of_the_moment() {
    let (forewarm, source) = (engine().await, Source::new());
    let policy = Policy { capacity: Capacity::Entries(100), ..predicting() };
    let items = item(&forewarm, policy, &source);
    let mut scrapes = Scrapes::new();
    scrapes.start(&forewarm);
    for key in 0..500 {
        items.get(&key).await.unwrap();
    }
    items.preload(&[1_000, 1_001]).await;
    source.hold();
    let readers: Vec<_> = (2_000..2_003)
        .map(|key| {
            let items = items.clone();
            Handle::current().spawn(async move { items.get(&key).await.map(drop) })
        })
        .collect();
    others_run().await;
    scrapes.take(&forewarm);
    let of = ("resource", "item");
    let stats = items.stats();
    let entries = |segment| scrapes.gauge("forewarm_l1_entries", &[of, ("segment", segment)]);
    let segments = ["hot", "staging", "main"].map(|name| entries(name).parse::<u64>().unwrap());
    assert_eq!((segments[1], segments.iter().sum()), (2, stats.entries));
    let evicted = scrapes.counter(EVICTIONS, &[of, ("cause", "capacity")]);
    assert_eq!(evicted, 502 - stats.entries);
    let tracked = (stats.tracked_patterns - stats.entries).to_string();
    for (name, value) in [
        ("forewarm_l1_capacity", "100"),
        ("forewarm_flights", "3"),
        ("forewarm_threshold", "0.5"),
        ("forewarm_breaker_state", "0"),
        ("forewarm_tracked_keys", &tracked),
    ] {
        assert_eq!(scrapes.gauge(name, &[of]), value, "{name}");
    }
    source.release();
    for reader in readers {
        reader.await.unwrap().unwrap();
    }
    source.usually(Mood::Fails);
    for key in 3_000..3_005 {
        items.get(&key).await.unwrap_err();
    }
    scrapes.take(&forewarm);
    assert_eq!(scrapes.gauge("forewarm_breaker_state", &[of]), "2");
    assert_eq!(scrapes.gauge("forewarm_flights", &[of]), "0");
}
