//! How long a restart takes: 10,000 remembered keys over a source that answers in a millisecond,
//! under the default policy, while readers come.
//!
//! `cargo bench --bench restart`; `-- --test` remembers fewer keys.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints what it measures")]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures time as it is, and its readers are its own"
)]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use forewarm::{Config, Forewarm, LoadError, MemoryConfig, Resource};

const KEYS: u64 = 10_000;
const LATENCY: Duration = Duration::from_millis(1);
/// The goal: nine in ten within this time.
const GOAL: Duration = Duration::from_secs(5);

/// The reads beside it, at most.
const READS_MAX: u64 = 2_000;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let keys = if is_test { KEYS / 100 } else { KEYS };
    let runtime = tokio::runtime::Runtime::new();
    let measured = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(measure(keys)));
    match measured {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(keys: u64) -> Outcome<bool> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("memory");
    let (forewarm, items) = engine(&file, Duration::ZERO).await?;
    for key in 0..keys {
        for _ in 0..=key % 5 {
            items.get(&key).await?;
        }
    }
    let began = Instant::now();
    forewarm.shutdown(Duration::from_secs(10)).await;
    println!("write at shutdown   {:>8.1} ms", millis(began.elapsed()));
    println!("file                {:>8.1} KiB", std::fs::metadata(&file)?.len() as f64 / 1024.0);

    let began = Instant::now();
    let (forewarm, items) = engine(&file, LATENCY).await?;
    println!("start               {:>8.1} ms", millis(began.elapsed()));
    let (warming, others) = (forewarm.clone(), items.clone());
    let reader =
        tokio::spawn(async move { read_others(&others, keys, || warming.is_ready()).await });
    let ready = forewarm.ready().await;
    let took = began.elapsed();
    println!("{} of {} warm     {:>8.1} ms", ready.warm, ready.wanted, millis(took));
    let during = reader.await?;
    let after = read_others(&items, 2 * keys, || false).await;
    say("meanwhile", during);
    say("after it", after);
    let is_good = ready.warm as u64 * 10 >= keys * 9 && took <= GOAL;
    println!("90 % warm within {GOAL:?}: {}", if is_good { "yes" } else { "no" });
    forewarm.shutdown(Duration::from_secs(1)).await;
    Ok(is_good)
}

async fn engine(file: &Path, latency: Duration) -> Outcome<(Forewarm, Resource<u64, String>)> {
    let memory = MemoryConfig { file: Some(file.to_owned()), ..MemoryConfig::default() };
    let config = Config { memory, ..Config::default() };
    let forewarm = Forewarm::builder().config(config).build().await?;
    let items = forewarm.resource::<u64, String>("item").load_with(move |id| async move {
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        Ok::<_, LoadError>(format!("item {id}"))
    });
    let items = items.build()?;
    forewarm.start().await?;
    Ok((forewarm, items))
}

/// Reads some keys that nobody remembers, until it is over; gives how long each took.
async fn read_others(
    items: &Resource<u64, String>,
    from: u64,
    is_over: impl Fn() -> bool,
) -> Vec<Duration> {
    let mut waits = Vec::new();
    for key in from..from + READS_MAX {
        if is_over() {
            break;
        }
        let began = Instant::now();
        if items.get(&key).await.is_ok() {
            waits.push(began.elapsed());
        }
    }
    waits
}

fn say(when: &str, mut waits: Vec<Duration>) {
    waits.sort_unstable();
    let wait = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or_default();
    let (count, half, most) = (waits.len(), millis(wait(50)), millis(wait(99)));
    println!("{count} other reads {when}: p50 {half:.1} ms, p99 {most:.1} ms");
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
