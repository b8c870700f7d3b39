//! C13: what may be asked of a source at a time, how long it may take, and who goes first.

use forewarm::{Config, Error, Forewarm, Policy, PreloadPolicy, ReadOptions, SourcePolicy};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::source::{
    Mood, Source, asking, begun, config, engine, expire, items, millis, others_run, pass, plain,
    resource, secs, value,
};

/// C13: with a limit of 8 and 100 keys, 8 calls are under way and never more.
#[tokio::test(start_paused = true)]
async fn the_limit_of_a_source_is_used_and_never_exceeded() {
    let source = Source::new();
    source.takes(millis(10));
    let policy = asking(SourcePolicy { concurrency: 8, ..plain().source });
    let (_engine, items) = items(policy, &source).await;
    let keys: Vec<u64> = (0..100).collect();
    let began = Instant::now();
    let outcomes = join_all(keys.iter().map(|key| items.get(key))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!((source.loads(), source.most_at_once()), (100, 8));
    // 13 rounds of 8.
    assert!((millis(130)..millis(160)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

/// C13: the limit over all sources holds, whatever each of them may do.
#[tokio::test(start_paused = true)]
async fn the_limit_of_the_engine_holds_over_all_sources() {
    let config = Config { loads_max: 8, ..config() };
    let forewarm = Forewarm::builder().config(config).build().await.unwrap();
    let source = Source::new();
    source.takes(millis(10));
    let policy = asking(SourcePolicy { concurrency: 6, ..plain().source });
    let resources: Vec<_> = ["a", "b", "c"]
        .map(|name| resource(&forewarm, name, policy.clone(), &source))
        .into_iter()
        .collect();
    let keys: Vec<u64> = (0..30).collect();
    let reads = resources.iter().flat_map(|items| keys.iter().map(|key| items.get(key)));
    assert!(join_all(reads).await.iter().all(Result::is_ok));
    assert_eq!((source.loads(), source.most_at_once()), (90, 8));
}

/// C13: a hung loader ends at its deadline, and its slot is free again.
#[tokio::test(start_paused = true)]
async fn a_hung_loader_ends_at_its_deadline() {
    let source = Source::new();
    source.mood(1, Mood::Hangs);
    let terms = SourcePolicy { deadline: secs(5), concurrency: 1, ..plain().source };
    let (_engine, items) = items(asking(terms), &source).await;
    let began = Instant::now();
    let error = items.get(&1).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { deadline, .. } if deadline == secs(5)), "{error:?}");
    assert!(error.is_transient());
    assert!((secs(5)..millis(5_010)).contains(&began.elapsed()), "{:?}", began.elapsed());
    others_run().await;
    assert_eq!(source.under_way(), 0);
    assert_eq!(value(&items, 2).await, 0);
}

/// C13: the wait for a turn counts: nobody waits longer than the deadline for either.
#[tokio::test(start_paused = true)]
async fn a_load_that_never_gets_a_turn_ends_at_its_deadline() {
    let source = Source::new();
    let terms = SourcePolicy { deadline: secs(5), concurrency: 1, ..plain().source };
    let (_engine, items) = items(asking(terms), &source).await;
    let _hold = source.hold();
    let first = begun(items.get(&1));
    pass(secs(2)).await;
    let began = Instant::now();
    // The first one's slot comes free three seconds later; the next holds it from then on.
    let second = begun(items.get(&2));
    let third = begun(items.get(&3));
    for read in [first, second, third] {
        assert!(matches!(read.await, Err(Error::Deadline { .. })));
    }
    assert!((secs(5)..millis(5_010)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(source.keys(), [1, 2], "the third never had a turn");
}

/// C13: demand goes before renewals, and these before preloads, in whatever order they came.
#[tokio::test(start_paused = true)]
async fn the_most_urgent_load_goes_first() {
    let source = Source::new();
    let policy = Policy {
        stale_while_revalidate: Some(secs(60)),
        ..asking(SourcePolicy { concurrency: 1, ..plain().source })
    };
    let (_engine, items) = items(policy, &source).await;
    value(&items, 20).await;
    pass(secs(61)).await;
    let hold = source.hold();
    let first = begun(items.get(&0));
    source.let_pass();
    let preload = begun(items.preload(&[30]));
    let asked_for = begun(items.preload(&[31]));
    assert_eq!(value(&items, 20).await, 0, "served stale, and renewed behind");
    let demand = begun(items.get(&10));
    // A preload that somebody asks for is demand.
    let late = begun(items.get(&31));
    drop(hold);
    assert!(first.await.is_ok() && demand.await.is_ok() && late.await.is_ok());
    assert_eq!((preload.await.loaded, asked_for.await.loaded), (1, 1));
    assert_eq!(source.keys(), [20, 0, 10, 31, 20, 30]);
}

/// C13: preloads have their share of the slots; demand finds the rest free.
#[tokio::test(start_paused = true)]
async fn preloads_that_hang_leave_room_for_demand() {
    let source = Source::new();
    let terms = SourcePolicy { concurrency: 8, preload_share: 0.25, ..plain().source };
    let (_engine, items) = items(asking(terms), &source).await;
    let hold = source.hold();
    let keys: Vec<u64> = (100..150).collect();
    let preload = begun(items.preload(&keys));
    others_run().await;
    assert_eq!(source.under_way(), 2);
    source.let_pass();
    let began = Instant::now();
    for key in 0..20 {
        assert_eq!(value(&items, key).await, 0);
    }
    assert_eq!(began.elapsed(), secs(0), "demand does not wait");
    drop(hold);
    assert_eq!(preload.await.loaded, 50);
}

/// C13: more loads than may wait are refused at once, and there is room again afterwards.
#[tokio::test(start_paused = true)]
async fn more_loads_than_may_wait_are_refused() {
    let source = Source::new();
    let terms = SourcePolicy { flights_max: 5, concurrency: 2, ..plain().source };
    let (_engine, items) = items(asking(terms), &source).await;
    let hold = source.hold();
    let keys: Vec<u64> = (0..5).collect();
    let waiting: Vec<_> = keys.iter().map(|key| begun(items.get(key))).collect();
    let error = items.get(&5).await.unwrap_err();
    assert!(matches!(error, Error::Overloaded { flights: 5, .. }), "{error:?}");
    assert!(error.is_transient());
    let joins = begun(items.get(&4));
    drop(hold);
    assert!(join_all(waiting).await.iter().all(Result::is_ok));
    assert!(joins.await.is_ok());
    assert_eq!(value(&items, 5).await, 0);
}

/// C13: preloads are spread by their rate.
#[tokio::test(start_paused = true)]
async fn the_rate_of_preloads_is_never_exceeded() {
    let source = Source::new();
    let preload = PreloadPolicy { loads_per_second: 10.0, burst: 20, ..plain().preload };
    let (_engine, items) = items(Policy { preload, ..plain() }, &source).await;
    let began = Instant::now();
    let keys: Vec<u64> = (0..120).collect();
    assert_eq!(items.preload(&keys).await.loaded, 120);
    let calls = source.calls();
    for (nth, call) in calls.iter().enumerate() {
        let passed = call.at.duration_since(began).as_secs_f64();
        let allowed = 20.0 + 10.0 * passed;
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let begun = nth as f64 + 1.0;
        assert!(begun <= allowed + 1e-6, "{begun} preloads after {passed} s");
    }
    assert!(began.elapsed() < millis(10_500), "{:?}", began.elapsed());
}

/// C13: renewals of one key keep their distance, however often it is said to be old.
#[tokio::test(start_paused = true)]
async fn renewals_of_a_key_keep_their_spacing() {
    let source = Source::new();
    let policy = Policy {
        stale_while_revalidate: Some(secs(60)),
        refresh_spacing: Some(secs(10)),
        ..plain()
    };
    let (_engine, items) = items(policy, &source).await;
    for _ in 0..100 {
        value(&items, 1).await;
        expire(&items, 1).await;
        pass(secs(1)).await;
    }
    let calls = source.calls();
    for pair in calls.windows(2) {
        let gap = pair[1].at.duration_since(pair[0].at);
        assert!((secs(10)..secs(12)).contains(&gap), "{gap:?}");
    }
    assert_eq!(calls.len(), 10);
    // Whoever insists is not held up by it.
    items.read(&1, &ReadOptions::new().refresh()).await.unwrap();
    assert_eq!(source.loads(), 11);
}

/// C13: engines have limits of their own.
#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_uses_up_no_slot_of_another_engine() {
    let config = Config { loads_max: 1, ..config() };
    let busy = Forewarm::builder().config(config).build().await.unwrap();
    let (hanging, other) = (Source::new(), Source::new());
    let stuck = resource(&busy, "item", plain(), &hanging);
    let _hold = hanging.hold();
    let _stuck = begun(stuck.get(&1));
    let idle = engine().await;
    assert_eq!(value(&resource(&idle, "item", plain(), &other), 1).await, 0);
}
