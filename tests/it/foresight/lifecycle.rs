//! Engines from the first declaration to the end.

use std::time::Duration;

use forewarm::{
    Delivery, Error, Forewarm, Freshness, Origin, Policy, ReadFrom, ReadOptions, Resource,
};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::scrapes::Scrapes;
use super::source::{
    Mood, Source, config, engine, item, others_run, plain, predicting, secs, started, text,
};

/// A reader of a key, in a task of its own.
fn reader(
    items: &Resource<u64, String>,
    key: u64,
) -> JoinHandle<Result<Option<std::sync::Arc<String>>, Error>> {
    let items = items.clone();
    Handle::current().spawn(async move { items.get(&key).await })
}

/// The tasks that this runtime has.
fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// The setting that an error names.
fn field<T>(refused: Result<T, Error>) -> String {
    match refused {
        Err(Error::Config(error)) => error.field().to_owned(),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was taken"),
    }
}

/// C37: engines in one process share nothing: entries, counters, changes, ends.
#[tokio::test(start_paused = true)]
async fn engines_share_no_state() {
    let (one_source, two_source) = (Source::new(), Source::new());
    let (one, one_items) = started(plain(), &one_source).await;
    let (two, two_items) = started(plain(), &two_source).await;
    for _ in 0..3 {
        one_items.get(&1).await.unwrap();
    }
    assert_eq!(two_items.stats().total_accesses, 0);
    assert!(two_items.peek(&1).is_none());
    assert_eq!(two_items.hot_keys(5), []);
    two_items.get(&1).await.unwrap();
    assert_eq!((one_source.calls().len(), two_source.calls().len()), (1, 1));

    assert_eq!(two_items.invalidate(&1).await, Delivery::Applied);
    assert!(one_items.peek(&1).is_some());
    two.clear();
    assert!(one_items.peek(&1).is_some());
    two_source.usually(Mood::Fails);
    for key in 0..20 {
        two_items.get(&key).await.unwrap_err();
    }
    one_items.get(&2).await.unwrap();
    assert!(two.shutdown(secs(1)).await);
    one_items.get(&3).await.unwrap();
    assert_eq!(one_items.stats().errors, 0);
    assert_eq!(one.stats().len(), 1);
}

/// C37: an engine that waits for its source does not hold up another one.
#[tokio::test(start_paused = true)]
async fn an_engine_that_waits_does_not_hold_up_another() {
    let (slow, quick) = (Source::new(), Source::new());
    let (_one, one_items) = started(plain(), &slow).await;
    let (_two, two_items) = started(plain(), &quick).await;
    slow.hold();
    let waiting: Vec<_> = (0..100).map(|key| reader(&one_items, key)).collect();
    others_run().await;
    assert_eq!(text(&two_items, 1).await, "v1");
    slow.release();
    for reader in waiting {
        reader.await.unwrap().unwrap();
    }
}

/// C37: `start` closes the registration; what is declared later is refused by its name.
#[tokio::test(start_paused = true)]
async fn start_closes_the_registration() {
    let source = Source::new();
    let (forewarm, items) = started(plain(), &source).await;
    let late = forewarm.resource::<u64, String>("late").loader(source.clone()).build();
    assert_eq!(field(late), "resource `late`");
    assert_eq!(field(forewarm.start().await), "start");
    items.get(&1).await.unwrap();
    assert_eq!(forewarm.stats().len(), 1);
}

/// C37: a name belongs to one resource, and has to be one.
#[tokio::test(start_paused = true)]
async fn names_that_are_taken_or_none_are_refused() {
    let forewarm = engine().await;
    let source = Source::<u64>::new();
    let build = |name: &str| {
        forewarm.resource::<u64, String>(name).policy(plain()).loader(source.clone()).build()
    };
    build("item").unwrap();
    build("Item").unwrap();
    build(&"x".repeat(64)).unwrap();
    for name in ["item", "item:", "", ":", "a:b", "tab\t", "line\n", &"x".repeat(65)] {
        let escaped = name.escape_debug();
        let normal = name.strip_suffix(':').filter(|name| !name.is_empty());
        let named = field(build(name));
        assert!(
            named == format!("resource `{escaped}`")
                || normal.is_some_and(|normal| named == format!("resource `{normal}`")),
            "{name:?} is called {named}"
        );
    }
    assert_eq!(forewarm.stats().len(), 3);
}

/// C37: an engine needs a runtime to be built in, and settings that can work.
#[test]
fn an_engine_is_refused_where_it_could_not_work() {
    let refused = futures_util::FutureExt::now_or_never(Forewarm::builder().build());
    assert_eq!(field(refused.unwrap()), "runtime");
    let refused = futures_util::FutureExt::now_or_never(Forewarm::builder().prefix("a:b").build());
    assert_eq!(field(refused.unwrap()), "prefix");
}

/// C37: resources can be read before the start; only the work in the background waits for it.
#[tokio::test(start_paused = true)]
async fn resources_are_read_before_the_start() {
    let (forewarm, source) = (engine().await, Source::new());
    let items = item(&forewarm, predicting(), &source);
    for _ in 0..100 {
        text(&items, 1).await;
        tokio::time::sleep(secs(1)).await;
    }
    assert_eq!(source.loads_for(Origin::Preload), 0);
    assert_eq!(source.calls().len(), 2);
    // A resource may still be added, and what was read before is renewed from now on.
    let more = forewarm.resource::<u64, String>("more").loader(source.clone()).build().unwrap();
    forewarm.start().await.unwrap();
    more.get(&1).await.unwrap();
    for _ in 0..100 {
        text(&items, 1).await;
        tokio::time::sleep(secs(1)).await;
    }
    assert!(source.loads_for(Origin::Preload) >= 1);
}

/// C37: a shutdown lets the loads under way end, within its deadline, and leaves no task.
#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_loads_and_leaves_no_task() {
    let before = tasks();
    let source = Source::new();
    let (forewarm, items) = started(predicting(), &source).await;
    source.takes(secs(5));
    let readers: Vec<_> = (0..10).map(|key| reader(&items, key)).collect();
    source.asked(10).await;
    assert!(forewarm.shutdown(secs(10)).await);
    for reader in readers {
        assert!(reader.await.unwrap().unwrap().is_some());
    }
    others_run().await;
    assert_eq!(tasks(), before);
}

/// C37: what has not ended by the deadline is ended, its readers are told, and no task is left.
#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_what_takes_longer_than_its_deadline() {
    let before = tasks();
    let source = Source::new();
    let (forewarm, items) = started(predicting(), &source).await;
    source.usually(Mood::Hangs);
    let readers: Vec<_> = (0..10).map(|key| reader(&items, key)).collect();
    source.asked(10).await;
    let began = tokio::time::Instant::now();
    assert!(!forewarm.shutdown(secs(3)).await);
    assert_eq!(began.elapsed().as_secs(), 3);
    for reader in readers {
        assert!(matches!(reader.await.unwrap(), Err(Error::ShutDown)));
    }
    others_run().await;
    assert_eq!((tasks(), items.stats().active_tasks), (before, 0));
}

/// C37: a shutdown ends loads that wait for their turn, or for their next attempt, as well.
#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_loads_that_have_not_begun() {
    let before = tasks();
    let source = Source::new();
    let terms = forewarm::SourcePolicy { concurrency: 1, ..plain().source };
    let (forewarm, items) = started(Policy { source: terms, ..plain() }, &source).await;
    source.hold();
    let readers: Vec<_> = (0..5).map(|key| reader(&items, key)).collect();
    source.asked(1).await;
    others_run().await;
    assert!(!forewarm.shutdown(Duration::ZERO).await);
    for reader in readers {
        assert!(matches!(reader.await.unwrap(), Err(Error::ShutDown)));
    }
    source.release();
    others_run().await;
    assert_eq!((tasks(), source.calls().len()), (before, 1));
}

/// C37: after the end, what is in memory is still served, everything else is an error, and nothing
/// comes to life again.
#[tokio::test(start_paused = true)]
async fn after_the_shutdown_reads_are_harmless() {
    let before = tasks();
    let source = Source::new();
    let policy = Policy {
        stale_while_revalidate: Some(secs(30)),
        stale_if_error: Some(secs(600)),
        ..predicting()
    };
    let (forewarm, items) = started(policy, &source).await;
    for key in 0..3 {
        text(&items, key).await;
    }
    assert!(forewarm.shutdown(secs(1)).await);
    assert!(forewarm.shutdown(secs(1)).await, "a second time");
    assert!(matches!(forewarm.start().await, Err(Error::ShutDown)));

    let reads_before = items.stats().total_accesses;
    assert_eq!(text(&items, 1).await, "v1");
    assert!(matches!(items.get(&9).await, Err(Error::ShutDown)));
    let many = items.get_many(&[1, 9]).await;
    assert!(many[0].is_ok() && matches!(many[1], Err(Error::ShutDown)));
    for options in [ReadOptions::new().bypass(), ReadOptions::new().refresh()] {
        assert!(matches!(items.read(&9, &options).await, Err(Error::ShutDown)), "{options:?}");
    }
    assert_eq!(items.stats().total_accesses, reads_before + 6);
    let told = items.preload(&[9, 10]).await;
    assert_eq!((told.loaded, told.refused), (0, 2));

    // Stale, and not renewed.
    tokio::time::sleep(secs(70)).await;
    let read = items.read(&1, &ReadOptions::new()).await.unwrap();
    assert_eq!((read.from, read.freshness), (ReadFrom::L1, Freshness::Stale));
    others_run().await;
    assert_eq!(items.invalidate(&1).await, Delivery::Applied);
    assert_eq!(items.put(&2, "new".to_owned()).await, Delivery::Applied);
    assert_eq!(items.expire(&2).await, Delivery::Applied);
    assert!(items.peek(&1).is_none());
    assert_eq!(text(&items, 2).await, "new");
    assert_eq!((items.hot_keys(3).len(), forewarm.stats().len()), (2, 1));
    assert!(items.explain(&2).held.is_some());
    Scrapes::new().take(&forewarm);
    forewarm.clear();
    forewarm.settled().await;
    others_run().await;
    assert_eq!((source.calls().len(), tasks()), (3, before));
}

/// C37: dropping the engine while it loads leaves nobody waiting, and no task.
#[tokio::test(start_paused = true)]
async fn dropping_the_engine_while_it_loads_leaves_nobody_waiting() {
    for ends in [true, false] {
        let before = tasks();
        let source = Source::new();
        let (forewarm, items) = started(predicting(), &source).await;
        source.usually(if ends { Mood::Answers } else { Mood::Hangs });
        source.hold();
        let readers: Vec<_> = (0..5).map(|key| reader(&items, key)).collect();
        source.asked(5).await;
        drop((forewarm, items));
        others_run().await;
        source.release();
        for reader in readers {
            let read = reader.await.unwrap();
            // A load that never ends is ended by its deadline.
            assert_eq!(read.is_ok(), ends, "{read:?}");
        }
        others_run().await;
        assert_eq!(tasks(), before, "{ends}");
    }
}

/// C37: dropping an engine that was never started, or whose runtime has ended, is no harm.
#[test]
fn an_engine_is_dropped_anywhere() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let source = Source::new();
    let (forewarm, items) = runtime.block_on(async {
        drop(engine().await);
        let (forewarm, items) = started(predicting(), &source).await;
        text(&items, 1).await;
        (forewarm, items)
    });
    drop(runtime);
    assert_eq!(items.stats().misses, 1);
    assert!(items.peek(&1).is_some());
    drop((forewarm, items));
}

/// C37: the work in the background ends with the last handle.
#[tokio::test(start_paused = true)]
async fn the_work_in_the_background_ends_with_the_last_handle() {
    let before = tasks();
    let source = Source::new();
    let (forewarm, items) = started(predicting(), &source).await;
    let handle = forewarm.clone();
    drop(forewarm);
    assert!(tasks() > before);
    text(&items, 1).await;
    drop((handle, items));
    others_run().await;
    assert_eq!(tasks(), before);
}

/// C37: clearing forgets entries and what was learned of keys, and what loads under way bring.
#[tokio::test(start_paused = true)]
async fn clearing_forgets_entries_reads_and_loads_under_way() {
    let source = Source::new();
    let (forewarm, items) = started(predicting(), &source).await;
    for _ in 0..5 {
        text(&items, 1).await;
    }
    source.hold();
    let waiting = reader(&items, 2);
    source.asked(2).await;
    forewarm.clear();
    source.release();
    assert!(waiting.await.unwrap().unwrap().is_some(), "who waited gets what was loaded");
    assert!(items.peek(&1).is_none() && items.peek(&2).is_none());
    assert_eq!(items.hot_keys(5), []);
    assert_eq!(items.explain(&1).score.to_bits(), 0.0_f64.to_bits());
    let stats = items.stats();
    assert_eq!((stats.entries, stats.weight, stats.tracked_patterns), (0, 0, 0));
    assert_eq!(text(&items, 1).await, "v2");
}

/// C37: a handle is an engine's, and clones of it are the same engine.
#[tokio::test(start_paused = true)]
async fn clones_are_the_same_engine() {
    let builder = Forewarm::builder().config(config());
    let forewarm = builder.build().await.unwrap();
    let items = item(&forewarm.clone(), plain(), &Source::new());
    forewarm.clone().start().await.unwrap();
    text(&items.clone(), 1).await;
    assert_eq!(items.stats().misses, 1);
    assert_eq!(field(forewarm.start().await), "start");
}
