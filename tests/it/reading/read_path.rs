//! C15: what a read gives, where from, and what each kind of read leaves alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use forewarm::{Error, Freshness, Origin, Policy, Read, ReadFrom, ReadOptions};

use super::source::{
    Mood, Source, begun, copied, engine, items, others_run, pass, peeked, plain, secs, value,
};

fn told(read: &Read<u64>) -> (Option<u64>, ReadFrom, Freshness, u64, Option<Origin>) {
    let value = read.value.as_deref().copied();
    (value, read.from, read.freshness, read.age.as_secs(), read.joined)
}

/// C15: a read tells who answered, how old the value is, and whether it is fresh.
#[tokio::test(start_paused = true)]
async fn a_read_tells_where_its_value_comes_from() {
    let source = Source::new();
    let policy = Policy {
        stale_while_revalidate: Some(secs(30)),
        stale_if_error: Some(secs(300)),
        ..plain()
    };
    let (_engine, items) = items(policy, &source).await;
    let options = ReadOptions::new();
    let read = async || told(&items.read(&1, &options).await.unwrap());
    assert_eq!(read().await, (Some(0), ReadFrom::Source, Freshness::Fresh, 0, None));
    pass(secs(59)).await;
    assert_eq!(read().await, (Some(0), ReadFrom::L1, Freshness::Fresh, 59, None));
    pass(secs(2)).await;
    source.usually(Mood::Refuses);
    assert_eq!(read().await, (Some(0), ReadFrom::L1, Freshness::Stale, 61, None));
    pass(secs(60)).await;
    assert_eq!(read().await, (Some(0), ReadFrom::L1, Freshness::Stale, 121, None));
    let stats = items.stats();
    let reads = (stats.misses, stats.l1_hits, stats.l1_stale, stats.stale_on_error, stats.errors);
    assert_eq!(reads, (1, 1, 1, 1, 0));
    assert_eq!(stats.total_accesses, 4);
    source.usually(Mood::HasNone);
    pass(secs(600)).await;
    assert_eq!(read().await, (None, ReadFrom::Source, Freshness::Fresh, 0, None));
    assert_eq!(read().await, (None, ReadFrom::L1, Freshness::Fresh, 0, None));
}

/// C15: who waits for a load that somebody else began is told so; the age counts from its begin.
#[tokio::test(start_paused = true)]
async fn a_read_tells_whose_load_it_waited_for() {
    let source = Source::new();
    source.takes(secs(10));
    let (_engine, items) = items(plain(), &source).await;
    let options = ReadOptions::new();
    let first = begun(items.read(&1, &options));
    others_run().await;
    pass(secs(4)).await;
    let second = begun(items.read(&1, &options));
    let fresh = (Some(0), ReadFrom::Source, Freshness::Fresh, 10);
    let (first, second) = (told(&first.await.unwrap()), told(&second.await.unwrap()));
    assert_eq!(first, (fresh.0, fresh.1, fresh.2, fresh.3, None));
    assert_eq!(second, (fresh.0, fresh.1, fresh.2, fresh.3, Some(Origin::Demand)));
    assert_eq!(source.loads(), 1);
}

/// C15: `read_held` is a read that memory answers, and nothing at all where it cannot.
#[tokio::test(start_paused = true)]
async fn what_is_held_is_read_without_waiting() {
    let source = Source::new();
    let policy = Policy { stale_while_revalidate: Some(secs(30)), ..plain() };
    let (_engine, items) = items(policy, &source).await;
    let options = ReadOptions::new();
    assert!(items.read_held(&1, &options).is_none());
    others_run().await;
    assert_eq!((items.stats().total_accesses, source.loads()), (0, 0));
    items.get(&1).await.unwrap();
    pass(secs(5)).await;
    let held = items.read_held(&1, &options).unwrap();
    assert_eq!(told(&held), (Some(0), ReadFrom::L1, Freshness::Fresh, 5, None));
    assert_eq!(held.fresh_for, secs(55));
    for refused in [options.max_age(secs(4)), options.refresh(), options.bypass()] {
        assert!(items.read_held(&1, &refused).is_none(), "{refused:?}");
    }
    assert!(items.read_held(&1, &options.max_age(secs(6))).is_some());
    let stats = items.stats();
    assert_eq!((stats.total_accesses, stats.l1_hits, source.loads()), (3, 2, 1));
    // What is stale is given as well, and renewed behind the reader.
    pass(secs(60)).await;
    assert!(items.read_held(&1, &options.fresh_only()).is_none());
    let stale = items.read_held(&1, &options).unwrap();
    assert_eq!(told(&stale), (Some(0), ReadFrom::L1, Freshness::Stale, 65, None));
    others_run().await;
    assert_eq!((items.stats().l1_stale, source.loads()), (1, 2));
}

/// C15: `peek` neither loads nor counts nor records, and shows only what may be served.
#[tokio::test(start_paused = true)]
async fn a_peek_changes_no_statistic() {
    let source = Source::new();
    let policy = Policy { stale_if_error: Some(secs(600)), ..plain() };
    let (_engine, items) = items(policy, &source).await;
    value(&items, 1).await;
    items.preload(&[2]).await;
    pass(secs(10)).await;
    let seen = || (items.stats(), items.explain(&1), items.explain(&2), items.explain(&3));
    let before = seen();
    for _ in 0..1_000 {
        assert_eq!(told(&items.peek(&1).unwrap()).3, 10);
        assert_eq!(peeked(&items, 2), Some(0));
        assert!(items.peek(&3).is_none());
    }
    assert_eq!(seen(), before);
    assert_eq!(source.loads(), 2);
    // What is kept for the case of an error only may not be served now.
    pass(secs(51)).await;
    assert!(items.peek(&1).is_none());
}

/// C15: a bypass asks the source, sees nothing of the cache, and leaves nothing in it.
#[tokio::test(start_paused = true)]
async fn a_bypass_neither_reads_nor_writes() {
    let source = Source::new();
    let (_engine, items) = items(plain(), &source).await;
    let bypass = ReadOptions::new().bypass();
    let read = items.read(&1, &bypass).await.unwrap();
    assert_eq!(told(&read), (Some(0), ReadFrom::Source, Freshness::Fresh, 0, None));
    assert!(items.peek(&1).is_none(), "it writes nothing");
    value(&items, 1).await;
    let new = source.change();
    let read = items.read(&1, &bypass).await.unwrap();
    assert_eq!(read.value.as_deref(), Some(&new), "it reads nothing");
    assert_eq!(source.calls()[2].held, None);
    assert_eq!(peeked(&items, 1), Some(0), "what is held stays");
    let hold = source.hold();
    let options = ReadOptions::new().refresh();
    let load = begun(items.read(&1, &options));
    source.let_pass();
    items.read(&1, &bypass).await.unwrap();
    assert_eq!(source.loads(), 5, "it joins nobody");
    drop(hold);
    assert!(load.await.is_ok());
    source.usually(Mood::Refuses);
    assert!(matches!(items.read(&1, &bypass).await, Err(Error::Load { .. })));
    assert_eq!(value(&items, 1).await, new);
}

/// C15: what a reader accepts, and what it then gets.
#[tokio::test(start_paused = true)]
async fn a_reader_gets_what_it_accepts() {
    const KEPT: bool = false;
    const LOADED: bool = true;
    let options = ReadOptions::new();
    let cases = [
        (10, "normal", options, KEPT),
        (70, "normal", options, KEPT),
        (10, "fresh only", options.fresh_only(), KEPT),
        (70, "fresh only", options.fresh_only(), LOADED),
        (10, "at most 11 s old", options.max_age(secs(11)), KEPT),
        (10, "less than 10 s old", options.max_age(secs(10)), LOADED),
        (70, "at most 80 s old", options.max_age(secs(80)), KEPT),
        (70, "at most 20 s old", options.max_age(secs(20)), LOADED),
        (0, "refreshed", options.refresh(), LOADED),
        (10, "refreshed", options.refresh(), LOADED),
    ];
    for (age_secs, name, options, expected) in cases {
        let source = Source::new();
        let policy = Policy { stale_while_revalidate: Some(secs(60)), ..plain() };
        let (_engine, items) = items(policy, &source).await;
        value(&items, 1).await;
        pass(secs(age_secs)).await;
        let new = source.change();
        let read = items.read(&1, &options).await.unwrap();
        let is_loaded = read.value.as_deref() == Some(&new);
        let case = format!("{name}, {age_secs} s old: {read:?}");
        assert_eq!(is_loaded, expected, "{case}");
        assert_eq!(read.from == ReadFrom::Source, expected, "{case}");
        if is_loaded {
            assert_eq!(peeked(&items, 1), Some(new), "{case}: others see it too");
        }
    }
}

/// C15: who accepts nothing old gets an error rather than something old.
#[tokio::test(start_paused = true)]
async fn a_reader_is_not_given_what_it_does_not_accept_when_the_source_fails() {
    let options = ReadOptions::new();
    let cases = [
        ("normal", options, true),
        ("at most 100 s old", options.max_age(secs(100)), true),
        ("at most 20 s old", options.max_age(secs(20)), false),
        ("fresh only", options.fresh_only(), false),
        ("refreshed", options.refresh(), false),
    ];
    for (name, options, is_served) in cases {
        let source = Source::new();
        let policy = Policy { stale_if_error: Some(secs(600)), ..plain() };
        let (_engine, items) = items(policy, &source).await;
        value(&items, 1).await;
        pass(secs(70)).await;
        source.usually(Mood::Refuses);
        // The second time, the key is known to be failing.
        for attempt in 0..2 {
            let read = items.read(&1, &options).await;
            assert_eq!(read.is_ok(), is_served, "{name}, attempt {attempt}: {read:?}");
        }
    }
}

/// C15: who asks for a renewal does not get what a load brings that began before.
#[tokio::test(start_paused = true)]
async fn a_refresh_waits_for_a_load_that_began_after_it_was_asked_for() {
    let source = Source::new();
    let (_engine, items) = items(plain(), &source).await;
    let hold = source.hold();
    let early = begun(items.get(&1));
    others_run().await;
    pass(secs(1)).await;
    let new = source.change();
    source.let_pass();
    let options = ReadOptions::new().refresh();
    let refreshed = begun(items.read(&1, &options));
    drop(hold);
    assert_eq!(early.await.unwrap().as_deref(), Some(&0));
    assert_eq!(refreshed.await.unwrap().value.as_deref(), Some(&new));
    assert_eq!((value(&items, 1).await, source.loads()), (new, 2));
}

/// C15: a list without elements is a value like any other.
#[tokio::test(start_paused = true)]
async fn an_empty_list_is_a_hit() {
    let forewarm = engine().await;
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    let load = move |_key: u64| {
        counted.fetch_add(1, SeqCst);
        async { Ok(Vec::new()) }
    };
    let lists = forewarm.resource::<u64, Vec<u64>>("list").policy(plain()).load_with(load);
    let lists = lists.build().unwrap();
    for _ in 0..10 {
        assert_eq!(*lists.get(&1).await.unwrap().unwrap(), [0; 0]);
    }
    let stats = lists.stats();
    assert_eq!((loads.load(SeqCst), stats.misses, stats.l1_hits), (1, 1, 9));
}

/// C15: every way to read gives the same, and counts the same.
#[tokio::test(start_paused = true)]
async fn all_ways_to_read_agree() {
    let source = Source::new();
    source.mood(2, Mood::HasNone);
    let (_engine, items) = items(plain(), &source).await;
    for (key, expected) in [(1, Some(0)), (2, None), (1, Some(0)), (2, None)] {
        let got = items.get(&key).await.unwrap().as_deref().copied();
        let seen = items.with(&key, copied).await.unwrap();
        let read = items.read(&key, &ReadOptions::new()).await.unwrap();
        let many = items.get_many(&[key]).await.remove(0).unwrap();
        let all = [got, seen, read.value.as_deref().copied(), many.as_deref().copied()];
        assert_eq!(all, [expected; 4], "key {key}");
    }
    let stats = items.stats();
    assert_eq!((stats.total_accesses, stats.misses, stats.l1_hits), (16, 2, 14));
    assert_eq!(source.loads(), 2);
}
