//! When a snapshot is renewed, and what is told of it.

use forewarm::{Error, Forewarm, SnapshotStatus, Trigger};
use tokio::time::sleep;

use super::{HOUR, MINUTE, SECOND, Source, engine_at, instant};

#[tokio::test(start_paused = true)]
async fn it_is_loaded_at_the_start_and_then_every_day() {
    let (forewarm, source) = (engine_at("2026-03-10T12:00:00Z").await, Source::of(3));
    let sections = source.feeds(forewarm.snapshot("sections").daily_at(0, 0, "UTC"));
    let sections = sections.build().unwrap();
    sleep(HOUR).await;
    assert_eq!((sections.get(), source.loads()), (None, 0));
    assert_eq!(sections.status().last_updated_at, None);

    assert!(!forewarm.is_ready());
    forewarm.start().await.unwrap();
    forewarm.ready().await;
    assert_eq!(*sections.loaded().await.unwrap(), [1, 1, 1]);
    let status = sections.status();
    assert_eq!(status.last_updated_at, Some(instant("2026-03-10T13:00:00Z")));
    assert_eq!(status.next_refresh_at, Some(instant("2026-03-11T00:00:00Z")));
    assert_eq!((status.last_error, status.consecutive_failures), (None, 0));

    sleep(11 * HOUR - SECOND).await;
    assert_eq!(source.loads(), 1);
    sleep(2 * SECOND).await;
    assert_eq!((*sections.get().unwrap()).clone(), [2, 2, 2]);
    sleep(3 * 24 * HOUR).await;
    assert_eq!(source.loads(), 5);
    let status = sections.status();
    assert_eq!(status.last_updated_at, Some(instant("2026-03-14T00:00:00Z")));
    assert_eq!(status.age, Some(SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_failing_source_leaves_the_old_one_and_is_asked_again_soon() {
    let (forewarm, source) = (engine_at("2026-03-10T23:00:00Z").await, Source::of(2));
    let sections = source.feeds(forewarm.snapshot("sections").daily_at(0, 0, "UTC"));
    let sections = sections.build().unwrap();
    forewarm.start().await.unwrap();
    sections.loaded().await.unwrap();
    source.fails(true);
    sleep(2 * HOUR).await;
    assert_eq!((*sections.get().unwrap()).clone(), [1, 1]);
    let status = sections.status();
    assert_eq!(status.age, Some(2 * HOUR));
    assert!(status.consecutive_failures > 5, "{status:?}");
    let error = status.last_error.unwrap();
    assert!(error.contains("the help desk is closed"), "{error}");

    // The slot of the day is not given up: no later than the longest wait after the source is back.
    source.fails(false);
    sleep(10 * MINUTE).await;
    let status = sections.status();
    assert!(status.age < Some(11 * MINUTE), "{status:?}");
    assert_eq!((status.last_error, status.consecutive_failures), (None, 0));
    assert_eq!(status.next_refresh_at, Some(instant("2026-03-12T00:00:00Z")));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_at_the_start_is_asked_until_it_answers() {
    let (forewarm, source) = (engine_at("2026-03-10T12:00:00Z").await, Source::of(1));
    source.fails(true);
    let sections = source.feeds(forewarm.snapshot("sections")).build().unwrap();
    forewarm.start().await.unwrap();
    sleep(MINUTE).await;
    assert_eq!((sections.get(), sections.status().age), (None, None));
    assert!(sections.status().consecutive_failures > 1);
    source.fails(false);
    assert_eq!(sections.loaded().await.unwrap().len(), 1);
    assert_eq!(sections.status().consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_while_it_is_renewed_get_what_that_brings() {
    let (forewarm, source) = (engine_at("2026-03-10T12:00:00Z").await, Source::of(2));
    let sections = source.feeds(forewarm.snapshot("sections")).build().unwrap();
    forewarm.start().await.unwrap();
    sections.loaded().await.unwrap();
    source.takes(SECOND);
    let asking = (0..20).map(|_| sections.refresh());
    let answers = futures_util::future::join_all(asking).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|new| new[0] == 2)));
    assert_eq!(source.loads(), 2);
    // Readers had the old one all the time, and one who goes away ends nothing.
    let mut leaving = Box::pin(sections.refresh());
    assert!(futures_util::poll!(leaving.as_mut()).is_pending());
    drop(leaving);
    sleep(2 * SECOND).await;
    assert_eq!((sections.get().unwrap()[0], source.loads()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_is_the_error_of_who_asked() {
    let (forewarm, source) = (engine_at("2026-03-10T12:00:00Z").await, Source::of(2));
    let sections = source.feeds(forewarm.snapshot("sections")).build().unwrap();
    forewarm.start().await.unwrap();
    sections.loaded().await.unwrap();
    source.fails(true);
    let error = sections.refresh().await.unwrap_err();
    assert!(matches!(error, Error::Load { .. }), "{error:?}");
    assert_eq!(sections.get().unwrap()[0], 1);
    assert_eq!(sections.status().consecutive_failures, 1);
    // It is tried again behind them; and those who come together fail together.
    sleep(11 * MINUTE).await;
    let before = source.loads();
    source.takes(SECOND);
    let answers = futures_util::future::join_all((0..20).map(|_| sections.refresh())).await;
    assert!(answers.iter().all(Result::is_err));
    assert!(source.loads() - before <= 3, "{} loads", source.loads() - before);
    source.fails(false);
    sleep(11 * MINUTE).await;
    assert_eq!(sections.status().consecutive_failures, 0);
    assert!(sections.get().unwrap()[0] > 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_renewal_and_the_wait_for_the_first() {
    let (forewarm, source) = (engine_at("2026-03-10T12:00:00Z").await, Source::of(1));
    source.takes(HOUR);
    let sections = source.feeds(forewarm.snapshot("sections")).build().unwrap();
    forewarm.start().await.unwrap();
    let waiting = sections.loaded();
    let ending = async {
        sleep(SECOND).await;
        forewarm.shutdown(SECOND).await
    };
    let (loaded, in_time) = tokio::join!(waiting, ending);
    assert!(matches!(loaded, Err(Error::ShutDown)), "{loaded:?}");
    assert!(!in_time);
    assert!(matches!(sections.refresh().await, Err(Error::ShutDown)));
}

#[tokio::test(start_paused = true)]
async fn its_job_can_be_seen_triggered_and_paused() {
    let (forewarm, source) = (engine_at("2026-03-10T12:00:01Z").await, Source::of(1));
    let sections = forewarm.snapshot("sections").on(Trigger::every(MINUTE).unwrap());
    let sections = source.feeds(sections).build().unwrap();
    forewarm.start().await.unwrap();
    sections.loaded().await.unwrap();
    let jobs = forewarm.jobs();
    assert_eq!(jobs.iter().map(|job| job.name().to_owned()).collect::<Vec<_>>(), ["sections"]);
    jobs[0].trigger().unwrap();
    sleep(SECOND).await;
    assert_eq!(sections.get().unwrap()[0], 2);
    jobs[0].pause();
    sleep(10 * MINUTE).await;
    assert_eq!(source.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn emptying_the_cache_does_not_empty_it_and_renews_it() {
    let (forewarm, source) = (engine_at("2026-03-10T12:00:00Z").await, Source::of(1));
    let sections = source.feeds(forewarm.snapshot("sections")).build().unwrap();
    forewarm.start().await.unwrap();
    sections.loaded().await.unwrap();
    for expected in [2, 3] {
        if expected == 2 {
            forewarm.clear();
        } else {
            let _delivery = forewarm.invalidate_all().await;
        }
        assert_eq!(sections.get().unwrap()[0], expected - 1);
        sleep(SECOND).await;
        assert_eq!(sections.get().unwrap()[0], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_work_is_named() {
    let forewarm = Forewarm::builder().build().await.unwrap();
    let source = Source::of(1);
    let fed = |builder| source.feeds(builder).build().map(drop).unwrap_err().to_string();
    let error = fed(forewarm.snapshot("a").daily_at(24, 0, "UTC"));
    assert!(error.contains('a') && error.contains("24"), "{error}");
    let error = fed(forewarm.snapshot("b").refuse_shrinking(1.5, Vec::len));
    assert!(error.contains("refuse_shrinking") && error.contains("1.5"), "{error}");
    let error = fed(forewarm.snapshot("c:d"));
    assert!(error.contains("c:d"), "{error}");
    let error = forewarm.snapshot::<String>("e").build().unwrap_err().to_string();
    assert!(error.contains("load_with"), "{error}");
    let _first = source.feeds(forewarm.snapshot("f")).build().unwrap();
    let error = fed(forewarm.snapshot("f"));
    assert!(error.contains("declared twice"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn its_status_is_written_with_iso_times_or_null() {
    let (forewarm, source) = (engine_at("2026-03-10T12:00:00Z").await, Source::of(1));
    let sections = source.feeds(forewarm.snapshot("sections").every(HOUR)).build().unwrap();
    let written = |status: SnapshotStatus| serde_json::to_value(status).unwrap();
    let before = written(sections.status());
    assert!(before["last_updated_at"].is_null() && before["next_refresh_at"].is_null());
    forewarm.start().await.unwrap();
    sections.loaded().await.unwrap();
    let after = written(sections.status());
    assert_eq!(after["last_updated_at"], "2026-03-10T12:00:00Z");
    assert_eq!(after["next_refresh_at"], "2026-03-10T13:00:00Z");
}
