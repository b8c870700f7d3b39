//! New datasets that do not replace the old one.

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{HOUR, MINUTE, Source, engine_at};

#[tokio::test(start_paused = true)]
async fn one_that_has_shrunk_too_much_is_refused_until_somebody_wants_it() {
    let (forewarm, source) = (engine_at("2026-03-10T12:00:01Z").await, Source::of(10));
    let sections = forewarm.snapshot("sections").every(HOUR).refuse_shrinking(0.3, Vec::len);
    let sections = source.feeds(sections).build().unwrap();
    forewarm.start().await.unwrap();
    sections.loaded().await.unwrap();

    source.has(7);
    sleep(HOUR).await;
    assert_eq!(sections.get().unwrap().len(), 7);
    for parts in [4, 0] {
        source.has(parts);
        let error = sections.refresh().await.unwrap_err();
        sleep(HOUR).await;
        assert_eq!(sections.get().unwrap().len(), 7, "{error}");
        let told = sections.status().last_error.unwrap();
        assert!(
            told.contains(&format!("has {parts} parts")) && told.contains("held has 7"),
            "{told}"
        );
    }
    source.has(1);
    assert_eq!(sections.refresh_unchecked().await.unwrap().len(), 1);
    assert_eq!(sections.status().last_error, None);
    // From now on that is what others are compared with.
    sleep(2 * HOUR).await;
    assert_eq!(sections.get().unwrap().len(), 1);
    assert_eq!(sections.status().consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_to_be_taken_unchecked_and_failed_is_checked_again_later() {
    let (forewarm, source) = (engine_at("2026-03-10T12:00:01Z").await, Source::of(10));
    let sections = forewarm.snapshot("sections").every(HOUR).refuse_shrinking(0.5, Vec::len);
    let sections = source.feeds(sections).build().unwrap();
    forewarm.start().await.unwrap();
    sections.loaded().await.unwrap();
    source.fails(true);
    assert!(sections.refresh_unchecked().await.is_err());
    source.fails(false);
    source.has(0);
    sleep(3 * HOUR).await;
    assert_eq!(sections.get().unwrap().len(), 10);
    assert!(sections.status().last_error.unwrap().contains("has 0 parts"));
}

#[tokio::test(start_paused = true)]
async fn a_check_of_ones_own_sees_the_new_one_beside_the_old_one() {
    let (forewarm, source) = (engine_at("2026-03-10T12:00:01Z").await, Source::of(2));
    let sections = forewarm.snapshot::<Vec<u32>>("sections").check(|new, held| match held {
        Some(held) if new.len() % 2 != held.len() % 2 => Err("it is odd".to_owned()),
        _ => Ok(()),
    });
    let sections = source.feeds(sections.every(MINUTE)).build().unwrap();
    forewarm.start().await.unwrap();
    sections.loaded().await.unwrap();
    source.has(3);
    sleep(5 * MINUTE).await;
    assert_eq!(sections.get().unwrap().len(), 2);
    assert!(sections.status().last_error.unwrap().contains("it is odd"));
    source.has(4);
    sleep(10 * MINUTE).await;
    assert_eq!(sections.get().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_never_see_parts_of_two_versions() {
    let forewarm = forewarm::Forewarm::builder().build().await.unwrap();
    let source = Source::of(1_000);
    let sections = source.feeds(forewarm.snapshot("sections")).build().unwrap();
    forewarm.start().await.unwrap();
    sections.loaded().await.unwrap();
    let mut reading = JoinSet::new();
    for _ in 0..3 {
        let sections = sections.clone();
        reading.spawn(async move {
            let mut newest = 0;
            while newest < 200 {
                let parts = sections.get().unwrap();
                assert!(parts.iter().all(|part| *part == parts[0]));
                assert!(parts[0] >= newest, "a reader went back in time");
                newest = parts[0];
                tokio::task::yield_now().await;
            }
        });
    }
    while source.loads() < 200 {
        sections.refresh().await.unwrap();
    }
    while let Some(reader) = reading.join_next().await {
        reader.unwrap();
    }
}
