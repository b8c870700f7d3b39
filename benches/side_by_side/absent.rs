//! Goal 6: what it costs to record a read of a key that is not resident, of a million tracked.

use forewarm::measured::{Recording, record_absent};
use forewarm::{Policy, Resource};
use tokio::runtime::Runtime;

use crate::cpu::cpu_time;
use crate::figure::{Figure, Limits};
use crate::keys::{uniform, zipf};
use crate::turns::{Effort, median, on_threads, per_operation, threads_in_words};
use crate::world::{Value, engine, policy, runtime};

const TRACKED: usize = 1_000_000;
const GOAL: u8 = 6;

/// An order in which a million keys are read.
type Stream = fn(usize, usize, u64) -> Vec<u32>;

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let tracked = effort.scaled(TRACKED);
    let streams: [(&str, Stream); 2] = [("zipf 0.99", zipf), ("uniform", uniform)];
    let mut figures = Vec::new();
    for (order, stream) in streams {
        figures.push(alone(effort, tracked, order, stream));
    }
    let runtime = runtime();
    let policy = Policy { tracked_keys: tracked, ..policy(1_000) };
    let (_forewarm, resource) = runtime.block_on(engine(policy));
    for (order, stream) in streams {
        for threads in [1, 2] {
            let streams: Vec<_> =
                (0..threads as u64).map(|seed| stream(tracked, effort.reads, seed)).collect();
            let what = format!("through the lock, {order}, {}", threads_in_words(threads));
            figures.push(locked(effort, &runtime, &resource, &what, &streams));
        }
    }
    figures
}

/// Without the lock of the shard.
fn alone(effort: Effort, tracked: usize, order: &str, stream: Stream) -> Figure {
    let mut recording = Recording::new(tracked);
    let hashes = hashes(tracked);
    hashes.iter().for_each(|hash| recording.read_absent(*hash));
    // Whoever misses has the hash at hand.
    let stream = in_order(&hashes, &stream(tracked, effort.reads, 7));
    let rate = |_round: usize| {
        let began = cpu_time();
        stream.iter().for_each(|hash| recording.read_absent(*hash));
        1e3 / per_operation(cpu_time() - began, stream.len())
    };
    let rate = median((0..effort.rounds).map(rate).collect());
    Figure::new(GOAL, format!("recording alone, {order}, 1 thread"), rate, "M/s")
        .judged(Limits::at_least(15.0, 50.0))
}

/// As a miss does it.
fn locked(
    effort: Effort,
    runtime: &Runtime,
    resource: &Resource<String, Value>,
    what: &str,
    streams: &[Vec<u32>],
) -> Figure {
    let hashes = hashes(effort.scaled(TRACKED));
    let _entered = runtime.enter();
    hashes.iter().for_each(|hash| record_absent(resource, *hash));
    let streams: Vec<_> = streams.iter().map(|stream| in_order(&hashes, stream)).collect();
    let rate = |_round: usize| {
        let cost = on_threads(streams.len(), effort.reads, |thread| {
            streams[thread].iter().for_each(|hash| record_absent(resource, *hash));
        });
        1e3 / cost
    };
    let rate = median((0..effort.rounds).map(rate).collect());
    Figure::new(GOAL, what, rate, "M/s each").judged(Limits::NONE)
}

fn hashes(keys: usize) -> Vec<u64> {
    let mut random = fastrand::Rng::with_seed(11);
    (0..keys).map(|_| random.u64(..)).collect()
}

fn in_order(hashes: &[u64], places: &[u32]) -> Vec<u64> {
    places.iter().map(|place| hashes[*place as usize]).collect()
}
