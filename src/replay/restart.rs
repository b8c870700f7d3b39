//! What a restart costs, with and without a memory.
//!
//! One engine is read until the restart, and goes on as if there had been none; another one starts
//! cold there, and a third one with what the first has written. All three then get the same
//! requests, so their hits can be compared one by one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::resources;
use super::series::Timeline;
use super::settings::config;
use super::terms::Terms;
use super::trace::{Request, Trace};
use crate::builder::Forewarm;
use crate::clock::Clock;
use crate::config::{Config, MemoryConfig};
use crate::error::{Error, LoadError};
use crate::flight::ReadFrom;
use crate::resource::{ReadOptions, Resource};
use crate::stats::ratio;

/// What a restart costs. Its fields are those of the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Restart {
    pub(crate) trace: String,
    pub(crate) policy: &'static str,
    pub(crate) ttl_s: Option<f64>,
    pub(crate) capacity: Option<u64>,
    /// The requests before the restart.
    pub(crate) before: u64,
    /// The hit ratio over the last tenth of them.
    pub(crate) former_hit_ratio: f64,
    /// The keys that are loaded because they are remembered.
    pub(crate) keys: u64,
    /// The size of the file.
    pub(crate) bytes: u64,
    /// The requests of a window in which hits are counted.
    pub(crate) window: u64,
    pub(crate) kept_on: After,
    pub(crate) cold: After,
    pub(crate) warm: After,
}

/// How an engine does after the restart.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct After {
    pub(crate) requests: u64,
    pub(crate) hit_ratio: f64,
    /// That of the first window.
    pub(crate) first_hit_ratio: f64,
    /// After so many requests, as many as make a window have 95 % of the hits of the engine that was
    /// not restarted.
    pub(crate) back_after: Option<u64>,
    /// After so many requests, the hit ratio of a window is 95 % of that before the restart.
    pub(crate) back_to_former_after: Option<u64>,
}

/// What counts as being back.
const BACK: f64 = 0.95;
/// A window has this part of the requests after the restart, and so many at least.
const WINDOWS: usize = 100;
const WINDOW_MIN: usize = 100;

/// Replays a trace with a restart after this share of its requests.
pub(crate) fn restart(trace: &Trace, terms: &Terms, share: f64) -> Result<Restart, Error> {
    let failed = |error: std::io::Error| Error::Load {
        resource: "replay".into(),
        key: crate::key::KeyLabel::hashed(0),
        source: LoadError::permanent(error),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(failed)?;
    let folder = tempfile::tempdir().map_err(failed)?;
    runtime.block_on(run(trace, terms, share, &folder.path().join("memory")))
}

async fn run(trace: &Trace, terms: &Terms, share: f64, file: &Path) -> Result<Restart, Error> {
    let (before, after) = trace.requests.split_at(at_share(trace.requests.len(), share));
    let first = Engine::start(trace, terms, Some(file)).await?;
    let hits_before = first.read(before).await;
    first.forewarm.write_memory(Instant::now() + Duration::from_hours(1)).await;
    let kept_on = first.read(after).await;
    let cold = Engine::start(trace, terms, None).await?.read(after).await;
    let again = Engine::start(trace, terms, Some(file)).await?;
    let warm = again.read(after).await;

    let last_tenth = hits_before.get(at_share(before.len(), 0.9)..).unwrap_or_default();
    let former_hit_ratio = hit_ratio(last_tenth);
    let window = (after.len() / WINDOWS).max(WINDOW_MIN).min(after.len().max(1));
    let of = |hits: &[bool]| After {
        requests: hits.len() as u64,
        hit_ratio: hit_ratio(hits),
        first_hit_ratio: hits.get(..window).map_or(0.0, hit_ratio),
        back_after: back(hits, window, |nth| {
            kept_on.get(nth..nth + window).map_or(0.0, hit_ratio) * BACK
        }),
        back_to_former_after: back(hits, window, |_| former_hit_ratio * BACK),
    };
    let ready = again.forewarm.ready().await;
    Ok(Restart {
        trace: trace.name.clone(),
        policy: terms.rule.name(),
        ttl_s: terms.ttl.map(|ttl| ttl.as_secs_f64()),
        capacity: terms.capacity,
        before: before.len() as u64,
        former_hit_ratio,
        keys: ready.wanted as u64,
        bytes: std::fs::metadata(file).map_or(0, |file| file.len()),
        window: window as u64,
        kept_on: of(&kept_on),
        cold: of(&cold),
        warm: of(&warm),
    })
}

/// An engine, and what is read of it.
struct Engine {
    forewarm: Forewarm,
    resources: Vec<Resource<u32, ()>>,
}

impl Engine {
    async fn start(trace: &Trace, terms: &Terms, file: Option<&Path>) -> Result<Self, Error> {
        let memory = MemoryConfig { file: file.map(Path::to_owned), ..MemoryConfig::default() };
        let config = Config { memory, ..config(terms.seed) };
        // No time is between them, so that two runs give the same figures.
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        let forewarm = Forewarm::builder().config(config).clock(clock).exact().build().await?;
        let timeline = Arc::new(Timeline::of(trace));
        let resources = resources::declare(&forewarm, trace, terms, &timeline)?;
        forewarm.start().await?;
        // Who restarts an engine waits for it before sending requests.
        forewarm.ready().await;
        Ok(Self { forewarm, resources })
    }

    /// Makes requests, each in its time, and gives which of them were hits.
    async fn read(&self, requests: &[Request]) -> Vec<bool> {
        let mut hits = vec![false; requests.len()];
        let first = requests.first().map(|request| request.at).unwrap_or_default();
        let start = Instant::now();
        let mut waiting = FuturesUnordered::new();
        for (nth, request) in requests.iter().enumerate() {
            let at = start + request.at.saturating_sub(first);
            while Instant::now() < at {
                tokio::select! {
                    biased;
                    Some((nth, is_hit)) = waiting.next() => note(&mut hits, nth, is_hit),
                    () = tokio::time::sleep_until(at) => {}
                }
                tokio::task::yield_now().await;
            }
            let mut reading = Box::pin(self.make(nth, request));
            match reading.as_mut().now_or_never() {
                Some((nth, is_hit)) => note(&mut hits, nth, is_hit),
                None => waiting.push(reading),
            }
        }
        while let Some((nth, is_hit)) = waiting.next().await {
            note(&mut hits, nth, is_hit);
        }
        hits
    }

    async fn make(&self, nth: usize, request: &Request) -> (usize, bool) {
        let Some(resource) = self.resources.get(usize::from(request.resource)) else {
            return (nth, false);
        };
        let options = ReadOptions::new();
        let read = resource.read(&request.key, &options);
        let read = match request.client {
            Some(client) => self.forewarm.scope_of(&client).run(read).await,
            None => read.await,
        };
        (nth, read.is_ok_and(|read| read.from == ReadFrom::L1))
    }
}

fn note(hits: &mut [bool], nth: usize, is_hit: bool) {
    if let Some(hit) = hits.get_mut(nth) {
        *hit = is_hit;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a number of requests"
)]
fn at_share(count: usize, share: f64) -> usize {
    ((count as f64 * share) as usize).min(count)
}

fn hit_ratio(hits: &[bool]) -> f64 {
    ratio(hits.iter().filter(|is_hit| **is_hit).count() as u64, hits.len() as u64)
}

/// The first request from which on a window has at least the hit ratio that is due there.
fn back(hits: &[bool], window: usize, due: impl Fn(usize) -> f64) -> Option<u64> {
    let windows = hits.windows(window).enumerate();
    // A tenth of a window is near enough, and much less to do.
    let mut windows = windows.step_by((window / 10).max(1));
    let is_back = |(nth, hits): &(usize, &[bool])| hit_ratio(hits) >= due(*nth);
    windows.find(is_back).map(|(nth, _)| nth as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::Rule;
    use crate::replay::synthetic::Workload;

    const TERMS: Terms = Terms {
        rule: Rule::Forewarm,
        ttl: None,
        capacity: Some(300),
        ..crate::replay::tests::TERMS
    };

    #[test]
    fn a_restart_with_a_memory_costs_a_fraction_and_two_runs_give_the_same() {
        for name in ["zipf", "sessions", "bundles"] {
            let trace = Workload::named(name).unwrap().trace(20_000, 7);
            let [once, again] = [0, 1].map(|_| restart(&trace, &TERMS, 0.5).unwrap());
            assert_eq!(format!("{once:?}"), format!("{again:?}"), "{name}");
            assert_eq!(once.kept_on.back_after, Some(0));
            assert!(once.warm.first_hit_ratio > once.cold.first_hit_ratio, "{name}: {once:?}");
            let [warm, cold] = [&once.warm, &once.cold].map(|after| after.back_after.unwrap());
            assert!(10 * warm <= cold, "{name}: {once:?}");
        }
    }

    #[test]
    fn it_is_back_with_the_first_window_that_has_what_is_due() {
        let hits: Vec<_> = (0..100).map(|nth| nth >= 30).collect();
        assert_eq!(back(&hits, 10, |_| 0.5), Some(25));
        assert_eq!(back(&hits, 10, |_| 1.1), None);
    }
}
