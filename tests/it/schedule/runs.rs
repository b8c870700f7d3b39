//! How a run goes: attempts, deadline, panics, the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use forewarm::{JobError, JobPolicy, METRICS, Run, RunOutcome, RunReason, Trigger};
use tokio::time::sleep;

use super::{HOUR, MINUTE, SECOND, engine_at, instant};

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_is_tried_again_and_is_one_row() {
    let (forewarm, _clock) = engine_at("2026-03-10T12:00:00Z").await;
    let job = forewarm.job("flaky").on(Trigger::at_start()).run_with(|context| async move {
        if context.attempt() < 3 {
            Err(std::io::Error::other(format!("attempt {}", context.attempt())))?;
        }
        Ok(())
    });
    let job = job.build().unwrap();
    forewarm.start().await.unwrap();
    sleep(MINUTE).await;
    let [run] = &job.runs(10).await[..] else { panic!("there is one row") };
    assert_eq!((run.attempts, run.outcome), (3, Some(RunOutcome::Succeeded)));
    assert_eq!((run.reason, &run.error), (RunReason::Due, &None));
    assert_eq!(run.scheduled, instant("2026-03-10T12:00:00Z"));
    // It waits one second, then two, and up to as much again each time.
    let took = run.took.unwrap();
    assert!(took >= 3 * SECOND && took < 6 * SECOND, "{took:?}");
    assert_eq!(job.status().last_success, run.ended);
}

#[tokio::test(start_paused = true)]
async fn each_way_to_fail_is_told_and_the_next_run_comes() {
    let (forewarm, _clock) = engine_at("2026-03-10T12:00:00Z").await;
    type Case = (&'static str, RunOutcome, usize, &'static str);
    let cases: [Case; 4] = [
        ("transient", RunOutcome::Failed, 3, "no route"),
        ("permanent", RunOutcome::Failed, 1, "no such table"),
        ("hangs", RunOutcome::Deadline, 1, "it took longer than 600s"),
        ("panics", RunOutcome::Panicked, 1, "it panicked"),
    ];
    let mut jobs = Vec::new();
    for (name, ..) in cases {
        let job = forewarm.job(name).every(HOUR).run_with(move |context| async move {
            match context.job() {
                "transient" => Err(JobError::transient("no route")),
                "permanent" => Err(JobError::permanent("no such table")),
                "hangs" => std::future::pending().await,
                _ => panic!("as it should"),
            }
        });
        jobs.push(job.build().unwrap());
    }
    forewarm.start().await.unwrap();
    sleep(2 * HOUR + 11 * MINUTE).await;
    for ((name, outcome, attempts, error), job) in cases.into_iter().zip(jobs) {
        let runs = job.runs(10).await;
        assert_eq!(runs.len(), 3, "{name}");
        let told = |run: &Run| (run.outcome, run.attempts, run.error.clone());
        let expected = (Some(outcome), attempts, Some(error.to_owned()));
        assert!(runs.iter().all(|run| told(run) == expected), "{name}: {runs:?}");
        assert!(runs.windows(2).all(|pair| pair[0].scheduled > pair[1].scheduled), "{name}");
        assert_eq!(job.status().consecutive_failures, 3, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_told_what_it_is_about_and_when_to_end() {
    let (forewarm, _clock) = engine_at("2026-03-10T12:00:00Z").await;
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    let job = forewarm.job("long").run_with(move |context| {
        let counted = Arc::clone(&counted);
        async move {
            assert!(!context.is_cancelled());
            assert_eq!((context.time_left(), context.attempt()), (10 * MINUTE, 1));
            context.cancelled().await;
            counted.fetch_add(1, SeqCst);
            Ok(())
        }
    });
    let job = job.build().unwrap();
    let deaf = forewarm.job("deaf").run_with(|_| std::future::pending()).build().unwrap();
    forewarm.start().await.unwrap();
    job.trigger().unwrap();
    deaf.trigger().unwrap();
    sleep(SECOND).await;
    assert_eq!((job.status().running, deaf.status().running), (1, 1));
    assert!(!forewarm.shutdown(5 * SECOND).await);
    assert_eq!(ended.load(SeqCst), 1);
    assert_eq!(job.runs(1).await[0].outcome, Some(RunOutcome::Succeeded));
    assert_eq!(deaf.runs(1).await[0].outcome, Some(RunOutcome::Aborted));
    assert!(job.trigger().is_err(), "it is shut down");
}

#[tokio::test(start_paused = true)]
async fn the_log_keeps_a_day_of_runs_and_a_thousand() {
    let (forewarm, _clock) = engine_at("2026-03-10T12:00:00Z").await;
    let rare = forewarm.job("rare").every(HOUR).run_with(|_| async { Ok(()) }).build().unwrap();
    let often = forewarm.job("often").every(SECOND).run_with(|_| async { Ok(()) }).build().unwrap();
    forewarm.start().await.unwrap();
    sleep(30 * HOUR + MINUTE).await;
    assert_eq!(rare.runs(2_000).await.len(), 24);
    let runs = often.runs(2_000).await;
    assert_eq!(runs.len(), 1_000);
    assert!(runs.windows(2).all(|pair| pair[0].scheduled - SECOND == pair[1].scheduled));
    assert_eq!(often.runs(10).await, runs[..10]);
}

#[tokio::test(start_paused = true)]
async fn wrong_declarations_name_the_job_and_what_is_wrong() {
    let (forewarm, _clock) = engine_at("2026-03-10T12:00:00Z").await;
    let job = |name: &str| forewarm.job(name).run_with(|_| async { Ok(()) });
    let wrong_policy = JobPolicy { attempts: 0, ..JobPolicy::default() };
    let taken = job("taken").build().unwrap();
    let cases = [
        (job("a").daily_at(24, 0, "UTC"), "`a.daily_at` is `24:00`"),
        (job("a").cron("0 0 31 2 *", "UTC"), "`a.cron` is `0 0 31 2 *`, which never comes"),
        (job("a").cron("* * * * *", "Mars/Dome"), "`a.zone` is `Mars/Dome`"),
        (job("a").every(Duration::ZERO), "`a.every` is 0ns"),
        (job("a").policy(wrong_policy), "`a.attempts` is 0"),
        (job("a:b"), "`job `a:b`` contains a `:`"),
        (job("taken"), "`job `taken`` is declared twice"),
        (forewarm.job("idle"), "`job `idle`` has nothing to do"),
    ];
    for (job, said) in cases {
        let error = job.build().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(taken.trigger().unwrap_err().to_string().contains("start the engine first"));
    forewarm.start().await.unwrap();
    let late = job("late").build().unwrap_err().to_string();
    assert!(late.contains("declared after `start`"), "{late}");
    let names: Vec<_> = forewarm.jobs().iter().map(|job| job.name().to_owned()).collect();
    assert_eq!(names, ["taken"]);
}

#[tokio::test(start_paused = true)]
async fn runs_are_counted_by_job_and_outcome() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    let (forewarm, _clock) = engine_at("1970-01-01T00:00:00Z").await;
    let job = forewarm.job("hourly").every(HOUR).run_with(|_| async { Ok(()) });
    job.build().unwrap();
    forewarm.start().await.unwrap();
    sleep(2 * HOUR + MINUTE).await;
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || forewarm.publish_metrics());
    let mut found = Vec::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let name = key.key().name();
        if !name.starts_with("forewarm_job_") {
            continue;
        }
        let metric = METRICS.iter().find(|metric| metric.name == name).unwrap();
        let labels: Vec<_> = key.key().labels().map(|label| label.key().to_owned()).collect();
        assert_eq!(labels, metric.labels);
        let value = match value {
            DebugValue::Counter(count) => count.to_string(),
            DebugValue::Gauge(value) => value.to_string(),
            DebugValue::Histogram(_) => panic!("no job has one"),
        };
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        if value != "0" {
            found.push(format!("{name} {} {value}", labels.join(" ")));
        }
    }
    found.sort();
    let expected = [
        "forewarm_job_interval_seconds hourly 3600",
        "forewarm_job_last_success_timestamp_seconds hourly 7200",
        "forewarm_job_runs_total hourly succeeded 3",
    ];
    assert_eq!(found, expected);
}
