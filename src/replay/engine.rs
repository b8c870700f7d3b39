//! A trace against the engine, on paused time and on one thread.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::counted::{Counted, Request};
use super::oracle::Oracle;
use super::resources;
use super::series::Timeline;
use super::settings::config;
use super::sums::Sums;
use super::terms::Terms;
use super::trace::{self, Trace};
use crate::builder::Forewarm;
use crate::entry::Origin;
use crate::error::{Error, LoadError};
use crate::flight::ReadFrom;
use crate::resource::{LearnedPair, Read, ReadOptions, Resource};

/// More pairs than these would be no reading.
const PAIRS: usize = 25;

/// Replays a trace against the engine. The engine's tasks have ended when this returns: they are
/// part of what a replay costs.
pub(super) fn run(
    trace: &Trace,
    terms: &Terms,
    progress: &mut impl FnMut(u64),
) -> Result<Counted, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| Error::Load {
            resource: "replay".into(),
            key: crate::key::KeyLabel::hashed(0),
            source: LoadError::permanent(error),
        })?;
    runtime.block_on(run_to_end(trace, terms, progress))
}

/// Assembles an engine, makes the requests, and shuts it down.
async fn run_to_end(
    trace: &Trace,
    terms: &Terms,
    progress: &mut impl FnMut(u64),
) -> Result<Counted, Error> {
    let forewarm = Forewarm::builder().config(config(terms.seed)).exact().build().await?;
    let timeline = Arc::new(Timeline::of(trace));
    let resources = resources::declare(&forewarm, trace, terms, &timeline)?;
    forewarm.start().await?;
    let mut counted = drive(trace, terms, (&forewarm, &resources), timeline, progress).await?;
    // Before the engine forgets them.
    counted.pairs = named(forewarm.learned_pairs(PAIRS), trace);
    counted.rules = forewarm.learned_rules();
    // What was loaded ahead and nobody came for is wasted.
    forewarm.clear();
    counted.after = stats(&resources);
    forewarm.shutdown(Duration::ZERO).await;
    Ok(counted)
}

/// Makes the requests, each in its time.
async fn drive(
    trace: &Trace,
    terms: &Terms,
    (forewarm, resources): (&Forewarm, &[Resource<u32, ()>]),
    timeline: Arc<Timeline>,
    progress: &mut impl FnMut(u64),
) -> Result<Counted, Error> {
    let uncounted = terms.uncounted(trace);
    let start = Instant::now();
    let mut waiting = FuturesUnordered::new();
    let mut counted = Counted { timeline, ..Counted::default() };
    let mut oracle = Oracle::new(terms.rule, trace, start, terms.latency);
    for (nth, request) in trace.requests.iter().enumerate() {
        let at = start + request.at;
        while Instant::now() < at {
            let next = oracle.next_at().map_or(at, |next| next.min(at));
            tokio::select! {
                biased;
                Some(done) = waiting.next() => counted.add(done),
                () = tokio::time::sleep_until(next) => {}
            }
            // What comes due at the same moment goes first.
            tokio::task::yield_now().await;
            oracle.begin_due(resources);
        }
        if nth == uncounted {
            counted.before = stats(resources);
            counted.from = request.at;
        }
        let Some(resource) = resources.get(usize::from(request.resource)) else { continue };
        oracle.begin_for(nth, resources);
        let scope = request.client.map(|client| forewarm.scope_of(&client));
        let reading = make(resource, request, nth >= uncounted);
        let reading = async move {
            match scope {
                Some(scope) => scope.run(reading).await,
                None => reading.await,
            }
        };
        let mut read = Box::pin(reading);
        match read.as_mut().now_or_never() {
            Some(done) => counted.add(done),
            None => waiting.push(read),
        }
        oracle.note(request);
        if nth % 1_000 == 0 {
            progress(nth as u64);
        }
    }
    while let Some(done) = waiting.next().await {
        counted.add(done);
    }
    progress(trace.requests.len() as u64);
    Ok(counted)
}

/// The pairs with the names that their keys have in the trace: the engine knows the numbers.
fn named(mut pairs: Vec<LearnedPair>, trace: &Trace) -> Vec<LearnedPair> {
    for pair in &mut pairs {
        for key in [&mut pair.key, &mut pair.related.key] {
            if let Some(name) = key.parse().ok().and_then(|number| trace.key_names.get(number)) {
                *key = name.into();
            }
        }
    }
    pairs
}

fn stats(resources: &[Resource<u32, ()>]) -> Sums {
    Sums::new(resources.iter().map(Resource::stats).collect())
}

async fn make(resource: &Resource<u32, ()>, request: &trace::Request, is_counted: bool) -> Request {
    let began = Instant::now();
    let read = resource.read(&request.key, &ReadOptions::new()).await;
    let is_from = |read: &Read<()>, from| read.from == from;
    Request {
        asked: began,
        is_counted,
        is_miss: read.as_ref().map_or(true, |read| !is_from(read, ReadFrom::L1)),
        is_late: read.is_ok_and(|read| read.joined == Some(Origin::Preload)),
        is_first_follow_up: request.is_first_follow_up,
        waited: began.elapsed(),
    }
}
