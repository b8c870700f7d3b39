//! What follows is there before it is asked for; and no more than that.

use forewarm::{Delivery, LoadError, Origin, Policy, PreloadPolicy, ReadFrom, ReadOptions};
use tokio::time::sleep;

use super::super::source::{Source, engine, others_run, plain, secs, started, text};
use super::{REST, followers, learning, read, read_in_turn, resource};

/// C09, C33: after a read of A, B is in memory before anybody asks for it, and counts as useful once
/// somebody does.
#[tokio::test(start_paused = true)]
async fn what_follows_is_there_before_it_is_asked_for() {
    let source = Source::new();
    let (_forewarm, items) = started(learning(), &source).await;
    read_in_turn(&items, &[1, 2], 5).await;
    let (loads, hits) = (source.loads_of(&2), items.stats().preload_hits);

    items.get(&1).await.unwrap();
    others_run().await;
    assert_eq!(source.loads_of(&2), loads + 1);
    assert_eq!(source.calls().last().unwrap().origin, Origin::Preload);
    assert!(items.peek(&2).is_some());
    assert_eq!(items.stats().preload_hits, hits);

    let read = items.read(&2, &ReadOptions::new()).await.unwrap();
    assert_eq!(read.from, ReadFrom::L1);
    assert_eq!(source.loads_of(&2), loads + 1);
    assert_eq!(items.stats().preload_hits, hits + 1);
}

/// C09: what follows is loaded from the second time on, whether A was a hit or a miss.
#[tokio::test(start_paused = true)]
async fn it_takes_one_time_to_learn_what_follows() {
    for a_is_held in [false, true] {
        let source = Source::new();
        let (_forewarm, items) = started(learning(), &source).await;
        read_in_turn(&items, &[1, 2], 1).await;
        if a_is_held {
            assert_eq!(items.put(&1, "put".to_owned()).await, Delivery::Applied);
        }
        assert_eq!(items.peek(&1).is_some(), a_is_held);
        items.get(&1).await.unwrap();
        others_run().await;
        assert!(items.peek(&2).is_some(), "{a_is_held}");
    }
}

/// C09: one read lets at most 4 keys load, however many are likely.
#[tokio::test(start_paused = true)]
async fn one_read_lets_at_most_four_load() {
    let preload = PreloadPolicy { threshold: 0.2, ..learning().preload };
    let source = Source::new();
    let (_forewarm, items) = started(Policy { preload, ..learning() }, &source).await;
    let mut random = fastrand::Rng::with_seed(7);
    let mut most = 0;
    for _ in 0..200 {
        let loads = source.loads_for(Origin::Preload);
        read(&items, 1).await;
        most = most.max(source.loads_for(Origin::Preload) - loads);
        let mut likely: Vec<u64> = (10..18).collect();
        random.shuffle(&mut likely);
        for key in &likely[..4] {
            read(&items, *key).await;
        }
        sleep(REST).await;
    }
    assert_eq!(items.related(&1).len(), 8);
    assert_eq!(most, 4);
}

/// C09: what is loaded ahead lets nothing load: A and B that follow each other do not load each
/// other without end.
#[tokio::test(start_paused = true)]
async fn keys_that_follow_each_other_do_not_load_each_other_without_end() {
    // Demand alone would make as many loads: one a minute for each key; one for each read.
    for (pause, rounds, loads_max, preloads_min) in [(secs(0), 600, 40, 0), (secs(99), 30, 60, 25)]
    {
        let source = Source::new();
        let (_forewarm, items) = started(learning(), &source).await;
        for _ in 0..rounds {
            read(&items, 1).await;
            read(&items, 2).await;
            sleep(pause).await;
        }
        assert_eq!(followers(&items, 1), ["2"]);
        assert_eq!(followers(&items, 2), ["1"]);
        assert!(source.calls().len() <= loads_max, "{pause:?}: {} loads", source.calls().len());
        let preloads = source.loads_for(Origin::Preload);
        assert!(preloads >= preloads_min, "{pause:?}: {preloads} preloads");

        sleep(REST).await;
        let loads = source.calls().len();
        items.get(&1).await.unwrap();
        sleep(secs(3_600)).await;
        assert_eq!(source.calls().len(), loads + 2, "{pause:?}");
    }
}

/// C09: what is in memory and fresh, or loading, is not loaded.
#[tokio::test(start_paused = true)]
async fn what_is_there_already_is_not_loaded() {
    let source = Source::new();
    let (_forewarm, items) = started(learning(), &source).await;
    read_in_turn(&items, &[1, 2], 5).await;
    assert_eq!(items.put(&2, "put".to_owned()).await, Delivery::Applied);
    let loads = source.loads_of(&2);
    read(&items, 1).await;
    assert_eq!(source.loads_of(&2), loads);
    assert_eq!(text(&items, 2).await, "put");

    sleep(REST).await;
    source.hold();
    let readers: Vec<_> = [2, 1]
        .map(|key| {
            let items = items.clone();
            tokio::runtime::Handle::current().spawn(async move { text(&items, key).await })
        })
        .into();
    others_run().await;
    source.release();
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(source.loads_of(&2), loads + 1);
}

/// C08, C09: what follows may be of another resource and have another key: the image of a page.
#[tokio::test(start_paused = true)]
async fn what_follows_may_be_of_another_resource() {
    let (pages, images) = (Source::new(), Source::<String>::new());
    let forewarm = engine().await;
    let page = resource(&forewarm, "page", learning(), &pages);
    let image = resource(&forewarm, "image", learning(), &images);
    forewarm.start().await.unwrap();
    for _ in 0..5 {
        for (key, shown) in [(1, "logo.png"), (2, "map.png")] {
            read(&page, key).await;
            read(&image, shown.to_owned()).await;
            sleep(REST).await;
        }
    }
    let related = page.related(&1);
    assert_eq!(related.len(), 1);
    assert_eq!((&*related[0].resource, &*related[0].key), ("image", "logo.png"));
    assert!(related[0].confidence > 0.99, "{related:?}");

    let loads = [images.loads_of(&"logo.png".into()), images.loads_of(&"map.png".into())];
    read(&page, 1).await;
    assert!(image.peek("logo.png").is_some() && image.peek("map.png").is_none());
    let now = [images.loads_of(&"logo.png".into()), images.loads_of(&"map.png".into())];
    assert_eq!(now, [loads[0] + 1, loads[1]]);
    let hits = image.stats().preload_hits;
    read(&image, "logo.png".to_owned()).await;
    assert_eq!(image.stats().preload_hits, hits + 1);
}

/// C09: what a resource's policy does not let associations load is learned, and not loaded.
#[tokio::test(start_paused = true)]
async fn without_associations_nothing_is_loaded_for_them() {
    let preload = PreloadPolicy { associations: false, ..learning().preload };
    let source = Source::new();
    let (_forewarm, items) = started(Policy { preload, ..learning() }, &source).await;
    read_in_turn(&items, &[1, 2], 10).await;
    assert_eq!(source.loads_for(Origin::Preload), 0);
    assert_eq!(followers(&items, 1), ["2"]);
}

/// C08: what a loader reads comes with the load, and is not learned from; what its caller reads is.
#[tokio::test(start_paused = true)]
async fn what_a_loader_reads_is_not_learned_from() {
    for loader_reads in [true, false] {
        let source = Source::new();
        let forewarm = engine().await;
        let part = resource(&forewarm, "part", learning(), &source);
        let parts = part.clone();
        let load = move |key: u64| {
            let parts = parts.clone();
            async move {
                if loader_reads {
                    parts.get(&(key + 100)).await.map_err(LoadError::transient)?;
                }
                Ok::<_, LoadError>(format!("whole {key}"))
            }
        };
        let whole = forewarm.resource::<u64, String>("whole").policy(learning());
        let whole = whole.load_with(load).build().unwrap();
        forewarm.start().await.unwrap();
        for _ in 0..5 {
            read(&whole, 1).await;
            if !loader_reads {
                read(&part, 101).await;
            }
            sleep(REST).await;
        }
        let learned = forewarm.learned_pairs(10).len();
        assert_eq!((learned, whole.related(&1).len()), if loader_reads { (0, 0) } else { (1, 1) });
        assert!(source.loads_of(&101) >= 5);
    }
}

/// C09: reads before `start` are not learned from, and harm nothing.
#[tokio::test(start_paused = true)]
async fn reads_before_the_start_are_not_learned_from() {
    assert_eq!(plain().ttl, secs(60));
    let source = Source::new();
    let forewarm = engine().await;
    let items = resource(&forewarm, "item", learning(), &source);
    read_in_turn(&items, &[1, 2], 5).await;
    assert_eq!(items.related(&1), []);
    forewarm.start().await.unwrap();
    assert_eq!(items.related(&1), []);
    read_in_turn(&items, &[1, 2], 1).await;
    assert_eq!(followers(&items, 1), ["2"]);
}
