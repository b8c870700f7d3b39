//! Which keys are loaded after a restart, in which order, and what is not in the file.

use forewarm::{Capacity, Origin, Policy, PreloadMode, PreloadPolicy, ReadyBy, Store};

use super::*;
use crate::foresight::source::{others_run, text};

#[tokio::test(start_paused = true)]
async fn a_restart_loads_what_was_read_most_first() {
    let home = Home::new();
    let keys: Vec<_> = (1..=40).map(|key| (key, usize::try_from(key).unwrap())).collect();
    remember(&home, &keys).await;

    let (forewarm, source) = (home.engine().await, Source::new());
    let items = start(&forewarm, one_by_one(), &source).await;
    let ready = forewarm.ready().await;
    assert_eq!((ready.by, ready.wanted, ready.warm), (ReadyBy::Share, 40, 36));
    forewarm.settled().await;
    let best_first: Vec<_> = (1..=40).rev().collect();
    assert_eq!(asked(&source)[..36], best_first[..36]);
    assert_eq!(source.loads_for(Origin::Preload), source.calls().len());
    assert_eq!(text(&items, 40).await, "v1");
    assert_eq!(source.loads_of(&40), 1, "it was there");
    let stats = items.stats();
    assert_eq!((stats.l1_hits, stats.preload_hits), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn scores_go_on_less_what_the_time_between_takes() {
    let day = 20_000 * 86_400;
    let quarter = 900;
    // Half of it goes in each quarter of an hour; a clock that was set back tells of no time between.
    for (later, score) in [(0, 8.0), (quarter, 4.0), (3 * quarter, 1.0), (-quarter, 8.0)] {
        let home = Home::new();
        let first = home.engine_at(day).await;
        let items = start(&first, one_by_one(), &Source::new()).await;
        read_all(&items, &[(1, 8), (2, 4)]).await;
        end(&first).await;

        let second = home.engine_at(day + later).await;
        let items = start(&second, one_by_one(), &Source::new()).await;
        second.ready().await;
        second.settled().await;
        let hot = items.hot_keys(5);
        let [first, other] = &hot[..] else { panic!("{hot:?}") };
        assert_eq!((first.key, other.key), (1, 2));
        assert!((first.score / score - 1.0).abs() < 0.01, "{later}: {hot:?}");
        assert!((other.score / score - 0.5).abs() < 0.01, "{later}: {hot:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_outlives_restarts_in_which_it_is_not_read() {
    let home = Home::new();
    remember(&home, &[(1, 3), (2, 2)]).await;
    for _ in 0..3 {
        let (forewarm, source) = (home.engine().await, Source::new());
        let _items = start(&forewarm, one_by_one(), &source).await;
        forewarm.ready().await;
        forewarm.settled().await;
        assert_eq!(asked(&source), [1, 2]);
        end(&forewarm).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_file_holds_no_values_and_nobody_else_may_read_it() {
    let home = Home::new();
    let forewarm = home.engine().await;
    let names = forewarm.resource::<String, String>("user").policy(one_by_one());
    let names = names
        .load_with(|id| async move { Ok::<_, forewarm::LoadError>(format!("canary of {id}")) })
        .build()
        .unwrap();
    forewarm.start().await.unwrap();
    for id in ["ada@example.org", "bob@example.org"] {
        names.get(id).await.unwrap();
    }
    end(&forewarm).await;
    let bytes = std::fs::read(home.file()).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("ada@example.org") && holds("bob@example.org"));
    assert!(!holds("canary"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for entry in home.0.path().read_dir().unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{entry:?}");
        }
    }
}

/// What must not be remembered of a resource is not in the file, even where others follow it.
#[tokio::test(start_paused = true)]
async fn a_resource_that_loads_nothing_ahead_is_not_remembered() {
    let home = Home::new();
    let off = PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() };
    let observe = PreloadPolicy { mode: PreloadMode::Observe, ..PreloadPolicy::default() };
    for policy in
        [Policy { preload: off, ..one_by_one() }, Policy { store: Store::Nowhere, ..one_by_one() }]
    {
        let forewarm = home.engine().await;
        let items = start(&forewarm, policy, &Source::new()).await;
        read_all(&items, &[(123_456, 3), (654_321, 3)]).await;
        end(&forewarm).await;
        let bytes = std::fs::read(home.file()).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"123456"), "{bytes:?}");
    }
    // What is only watched is remembered, and not loaded.
    remember(&home, &[(1, 3)]).await;
    let (forewarm, source) = (home.engine().await, Source::new());
    let items = start(&forewarm, Policy { preload: observe, ..one_by_one() }, &source).await;
    assert!(forewarm.is_ready());
    forewarm.settled().await;
    assert!(asked(&source).is_empty());
    text(&items, 1).await;
    assert!((items.hot_keys(1)[0].score - 4.0).abs() < 0.1);
}

/// As many as fit, and no guess takes the place of one that was read more.
#[tokio::test(start_paused = true)]
async fn a_smaller_memory_takes_the_hottest() {
    let home = Home::new();
    let keys: Vec<_> = (1..=200).map(|key| (key, 1 + usize::from(key > 100))).collect();
    remember(&home, &keys).await;
    let (forewarm, source) = (home.engine().await, Source::new());
    let policy = Policy { capacity: Capacity::Entries(50), hot_share: 1.0, ..one_by_one() };
    let items = start(&forewarm, policy, &source).await;
    let ready = forewarm.ready().await;
    assert_eq!(ready.by, ReadyBy::Share);
    assert!((49..=50).contains(&ready.warm), "{ready:?}");
    forewarm.settled().await;
    assert!(asked(&source).iter().all(|key| *key > 100));
    assert_eq!(items.stats().preloads_wasted, 0);
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_no_keys_any_more_are_skipped_and_counted() {
    let home = Home::new();
    let forewarm = home.engine().await;
    let load = |id: String| async move { Ok::<_, forewarm::LoadError>(id) };
    let [names, others] = ["item", "gone"].map(|name| {
        let resource = forewarm.resource::<String, String>(name).policy(one_by_one());
        resource.load_with(load).build().unwrap()
    });
    forewarm.start().await.unwrap();
    for id in ["7", "Ada"] {
        names.get(id).await.unwrap();
        others.get(id).await.unwrap();
    }
    others_run().await;
    end(&forewarm).await;

    let (forewarm, source) = (home.engine().await, Source::new());
    let _items = start(&forewarm, one_by_one(), &source).await;
    forewarm.ready().await;
    assert_eq!(asked(&source), [7]);
    // Each twice: as one that is read much, and as one that is followed.
    let mut counts = Counts::of(&forewarm);
    let counts = ["restored", "skipped"].map(|outcome| counts.get("keys", outcome));
    assert_eq!(counts, [2, 6]);
}
