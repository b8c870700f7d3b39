//! C20: what is too large to be kept is given to those who wait, counted, and kept nowhere.

use forewarm::{
    Bytes, Capacity, Forewarm, LoadError, Loaded, METRICS, Policy, ReadFrom, ReadOptions, Store,
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::source::{Mood, Source, engine, items, pass, peeked, plain, put, secs, value};

const REFUSED: &str = "forewarm_fills_refused_total";

/// How often a value was refused for this reason since the last look.
fn refused(forewarm: &Forewarm, why: &str) -> u64 {
    assert!(METRICS.iter().any(|metric| metric.name == REFUSED));
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || forewarm.publish_metrics());
    let is_it = |key: &metrics::Key| {
        key.name() == REFUSED
            && key.labels().any(|label| label.key() == "why" && label.value() == why)
    };
    let snapshot = recorder.snapshotter().snapshot().into_vec();
    let counts = snapshot.into_iter().filter(|(key, ..)| is_it(key.key())).map(|entry| entry.3);
    counts.map(|value| if let DebugValue::Counter(count) = value { count } else { 0 }).sum()
}

/// C20: limits on the size of a value: refused values are still returned, counted, and not stored.
#[tokio::test(start_paused = true)]
async fn values_that_are_too_large_are_given_and_not_kept() {
    let forewarm = engine().await;
    let load = |length: u64| async move {
        Ok::<_, LoadError>("x".repeat(usize::try_from(length).unwrap()))
    };
    let policy = Policy { value_bytes_max: 1_000, ..plain() };
    let texts = forewarm.resource::<u64, String>("text").policy(policy).load_with(load);
    let texts = texts.build().unwrap();
    for (length, is_kept, count) in [(900, true, 0), (2_000, false, 1), (5_000, false, 1)] {
        let text = texts.get(&length).await.unwrap().unwrap();
        assert_eq!(text.len() as u64, length);
        assert_eq!(texts.peek(&length).is_some(), is_kept, "{length} bytes");
        assert_eq!(refused(&forewarm, "value_size"), count, "{length} bytes");
    }
    assert_eq!(texts.stats().entries, 1);
    for _ in 0..3 {
        let read = texts.read(&2_000, &ReadOptions::new()).await.unwrap();
        assert_eq!(read.from, ReadFrom::Source, "it is loaded each time");
    }
    assert_eq!(refused(&forewarm, "value_size"), 3);
}

/// C20: limits on the length of a key's text.
#[tokio::test(start_paused = true)]
async fn keys_that_are_too_long_are_loaded_and_not_kept() {
    let forewarm = engine().await;
    let load = |key: String| async move { Ok::<_, LoadError>(key.len()) };
    let policy = Policy { key_bytes_max: 16, ..plain() };
    let lengths = forewarm.resource::<String, usize>("length").policy(policy).load_with(load);
    let lengths = lengths.build().unwrap();
    // Bytes count, and not characters.
    for (key, is_kept, count) in
        [("0123456789abcdef", true, 0), ("0123456789abcdefg", false, 1), ("ééééééééé", false, 1)]
    {
        assert_eq!(lengths.get(key).await.unwrap().as_deref(), Some(&key.len()));
        assert_eq!(lengths.peek(key).is_some(), is_kept, "{key}");
        assert_eq!(refused(&forewarm, "key_length"), count, "{key}");
    }
    let delivery = lengths.put("0123456789abcdefg", 1_usize).await;
    assert_eq!(delivery, forewarm::Delivery::Applied);
    assert!(lengths.peek("0123456789abcdefg").is_none());
}

/// C20: what weighs more than the capacity is not kept, and nothing is evicted for it.
#[tokio::test(start_paused = true)]
async fn a_value_that_cannot_fit_displaces_nothing() {
    for capacity in [Capacity::Entries(100), Bytes::kib(64).into()] {
        let forewarm = engine().await;
        let whole = capacity.amount();
        let policy = Policy { capacity, ..plain() };
        let items = forewarm
            .resource::<u64, u64>("item")
            .policy(policy)
            .weigher(move |key, _| if *key == 0 { whole + 1 } else { 1 })
            .load_with(|key| async move { Ok::<_, LoadError>(key) })
            .build()
            .unwrap();
        for key in 1..=20 {
            value(&items, key).await;
        }
        assert_eq!(value(&items, 0).await, 0);
        assert!(items.peek(&0).is_none());
        assert!((1..=20).all(|key| items.peek(&key).is_some()), "{capacity:?}");
        assert_eq!(refused(&forewarm, "value_size"), 1);
    }
}

/// C20, C15: what could not be kept does not leave what was held before in its place.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_kept_does_not_bring_an_older_one_back() {
    let source = Source::new();
    let policy = Policy { stale_if_error: Some(secs(600)), ..plain() };
    let (_engine, items) = items(policy, &source).await;
    value(&items, 1).await;
    let new = source.change();
    source.usually(Mood::AnswersOnce);
    let read = items.read(&1, &ReadOptions::new().refresh()).await.unwrap();
    assert_eq!(read.value.as_deref(), Some(&new));
    assert_eq!(peeked(&items, 1), None);
    assert_eq!(value(&items, 1).await, new);
    source.usually(Mood::Refuses);
    assert!(items.get(&1).await.is_err(), "nothing is left to fall back on");
}

/// C20: values that are larger than before leave nothing of what they were, whoever brings them.
#[tokio::test(start_paused = true)]
async fn a_value_that_has_grown_too_large_is_not_served_as_it_was() {
    for is_put in [false, true] {
        let source = Source::new();
        let forewarm = engine().await;
        let policy = Policy { capacity: Capacity::Entries(100), ..plain() };
        let items = forewarm
            .resource::<u64, u64>("item")
            .policy(policy)
            .weigher(|_, value| if value.is_some_and(|value| *value > 0) { 1_000 } else { 1 })
            .loader(source.clone())
            .build()
            .unwrap();
        value(&items, 1).await;
        let new = source.change();
        if is_put {
            put(&items, 1, new).await;
        } else {
            items.read(&1, &ReadOptions::new().refresh()).await.unwrap();
        }
        assert_eq!((peeked(&items, 1), items.stats().entries), (None, 0), "put: {is_put}");
        assert_eq!(value(&items, 1).await, new, "put: {is_put}");
    }
}

/// C20: a resource that stores nothing still loads once for all who wait.
#[tokio::test(start_paused = true)]
async fn a_resource_that_stores_nothing_keeps_nothing() {
    let source = Source::new();
    let (_engine, items) = items(Policy { store: Store::Nowhere, ..plain() }, &source).await;
    let hold = source.hold();
    let reads = [(); 10].map(|()| super::source::begun(items.get(&1)));
    drop(hold);
    for read in reads {
        assert_eq!(read.await.unwrap().as_deref(), Some(&0));
    }
    source.let_pass();
    assert_eq!(source.loads(), 1);
    for nth in 2..5 {
        value(&items, 1).await;
        put(&items, 1, 9).await;
        assert_eq!((peeked(&items, 1), source.loads()), (None, nth));
        pass(secs(1)).await;
    }
}

/// C20: a loader may say that its answer is not to be kept.
#[tokio::test(start_paused = true)]
async fn a_loader_may_forbid_to_keep_an_answer() {
    let forewarm = engine().await;
    let load = |key: u64| async move {
        Ok::<_, LoadError>(if key == 1 { Loaded::found(key).not_stored() } else { key.into() })
    };
    let items = forewarm.resource::<u64, u64>("item").policy(plain()).load_with(load);
    let items = items.build().unwrap();
    assert_eq!((value(&items, 1).await, value(&items, 2).await), (1, 2));
    assert_eq!((peeked(&items, 1), peeked(&items, 2)), (None, Some(2)));
    assert_eq!(refused(&forewarm, "value_size"), 0);
}
