//! Goals 1 to 4: what a hit costs with everything on, beside a bare hit of moka.

use std::hint::black_box;

use forewarm::measured::is_hot;
use forewarm::{Forewarm, Policy, Resource};
use futures_util::FutureExt as _;
use tokio::runtime::Runtime;

use crate::figure::{Figure, Limits};
use crate::keys::{names, uniform, zipf};
use crate::turns::{Case, Effort, Turns, in_turns, on_threads, threads_in_words};
use crate::world::{Moka, Value, engine, policy, runtime, value};

const KEYS: usize = 100_000;

/// Goal 1: as many entries as there are keys, so that the hot segment holds nine of ten.
pub(crate) fn default_shares(effort: Effort) -> Vec<Figure> {
    let entries = u64::try_from(KEYS).unwrap();
    let world = World::new(KEYS, policy(entries));
    let judged = [("get", Limits::at_most(0.30, 0.15)), ("with", Limits::NONE)];
    let figures = [1, 2].map(|threads| {
        let streams = streams(threads, |seed| zipf(KEYS, effort.reads, seed));
        let what = format!("hit, 100,000 keys, {}", threads_in_words(threads));
        world.measure(&Measured { goal: 1, what, streams, judged: &judged }, effort)
    });
    let mut figures = figures.concat();
    figures.push(world.hot_share());
    figures
}

/// Goal 2: room for four times the keys, so that all are in the hot segment.
pub(crate) fn all_hot(effort: Effort) -> Vec<Figure> {
    let judged =
        [("get", Limits::at_most(0.20, 0.10)), ("with", Limits::NONE), ("peek", Limits::NONE)];
    let mut figures = Vec::new();
    for (keys, in_words) in [(KEYS, "100,000"), (1_000, "1,000")] {
        let world = World::new(keys, policy(4 * keys as u64));
        for threads in [1, 2] {
            let streams = streams(threads, |seed| zipf(keys, effort.reads, seed));
            let what = format!("hit in hot, {in_words} keys, {}", threads_in_words(threads));
            let measured = &Measured { goal: 2, what, streams, judged: &judged };
            figures.extend(world.measure(measured, effort));
        }
    }
    figures
}

/// Goal 3: the worst case, in which all hits are in moka's segment: the least share that the hot
/// segment can have, and keys that are all read alike.
pub(crate) fn in_main(effort: Effort) -> Vec<Figure> {
    let entries = KEYS as u64 / 10 * 13;
    let world = World::new(KEYS, Policy { hot_share: 0.05, ..policy(entries) });
    let places = world.places(|is_hot| !is_hot);
    let judged = [("get", Limits::at_most(1.15, 1.0)), ("with", Limits::NONE)];
    let figures = [1, 2].map(|threads| {
        let streams = streams(threads, |seed| {
            let nth = uniform(places.len(), effort.reads, seed);
            nth.into_iter().map(|nth| places[nth as usize]).collect()
        });
        let what = format!("hit in main, {} keys, {}", places.len(), threads_in_words(threads));
        world.measure(&Measured { goal: 3, what, streams, judged: &judged }, effort)
    });
    figures.concat()
}

/// Goal 4: two threads that read the same two keys.
pub(crate) fn two_keys(effort: Effort) -> Vec<Figure> {
    let world = World::new(2, policy(1_000));
    let streams = streams(2, |seed| uniform(2, effort.reads, seed));
    let judged = [("with", Limits::at_most(0.10, 0.03)), ("get", Limits::NONE)];
    let what = "hit, 2 hot keys, 2 threads".to_owned();
    world.measure(&Measured { goal: 4, what, streams, judged: &judged }, effort)
}

/// What is measured of a world.
struct Measured<'a> {
    goal: u8,
    what: String,
    /// The keys that each thread reads.
    streams: Vec<Vec<u32>>,
    /// Ways to read.
    judged: &'a [(&'static str, Limits)],
}

/// The same keys in both caches, all of them in memory.
struct World {
    names: Vec<String>,
    moka: Moka,
    resource: Resource<String, Value>,
    _forewarm: Forewarm,
    runtime: Runtime,
}

impl World {
    fn new(keys: usize, policy: Policy) -> Self {
        let runtime = runtime();
        let names = names(keys);
        let moka = Moka::builder().max_capacity(4 * keys as u64).build();
        let (forewarm, resource) = runtime.block_on(engine(policy));
        runtime.block_on(async {
            for name in &names {
                moka.insert(name.clone(), value()).await;
                resource.get(name.as_str()).await.unwrap();
            }
            moka.run_pending_tasks().await;
        });
        Self { names, moka, resource, _forewarm: forewarm, runtime }
    }

    fn measure(&self, measured: &Measured<'_>, effort: Effort) -> Vec<Figure> {
        let Measured { goal, what, streams, judged } = measured;
        let (goal, rounds) = (*goal, effort.rounds);
        let read = |way: &'static str| {
            move || {
                on_threads(streams.len(), effort.reads, |thread| self.read(way, &streams[thread]))
            }
        };
        let yardstick = Case::new("moka", Limits::NONE, read("moka"));
        let cases = judged.iter().map(|(way, limits)| Case::new(*way, *limits, read(way)));
        // Whoever renews an entry spawns a task.
        let _entered = self.runtime.enter();
        in_turns(Turns { goal, what, unit: "ns", rounds }, yardstick, cases.collect())
    }

    /// Reads the keys at these places in one of the ways, one after the other, as an async function
    /// does.
    fn read(&self, way: &str, places: &[u32]) {
        let Self { moka, resource, .. } = self;
        let keys = places.iter().map(|place| self.names[*place as usize].as_str());
        let reading = async {
            match way {
                "moka" => {
                    for key in keys {
                        black_box(moka.get(key).await);
                    }
                }
                "get" => {
                    for key in keys {
                        black_box(resource.get(key).await.unwrap());
                    }
                }
                "peek" => keys.for_each(|key| drop(black_box(resource.peek(key)))),
                _ => {
                    for key in keys {
                        let first = resource.with(key, |value| value.map(|value| value[0]));
                        black_box(first.await.unwrap());
                    }
                }
            }
        };
        reading.now_or_never().unwrap();
    }

    /// The keys in memory of which `is_wanted`, told whether they are in the hot segment, is true.
    fn places(&self, is_wanted: impl Fn(bool) -> bool) -> Vec<u32> {
        let is_one = |place: &u32| {
            let name = self.names[*place as usize].as_str();
            self.resource.peek(name).is_some() && is_wanted(is_hot(&self.resource, name))
        };
        (0..u32::try_from(self.names.len()).unwrap()).filter(is_one).collect()
    }

    /// Which part of the reads of Zipf's law the hot segment answers.
    fn hot_share(&self) -> Figure {
        // Other reads than those that were measured, again and again.
        let stream = zipf(self.names.len(), 100_000, 99);
        let is_hot = |place: &&u32| is_hot(&self.resource, &self.names[**place as usize]);
        let share = stream.iter().filter(is_hot).count() as f64 / stream.len() as f64;
        Figure::new(1, "share of these reads that the hot segment answers", share, "")
    }
}

fn streams(threads: usize, stream: impl Fn(u64) -> Vec<u32>) -> Vec<Vec<u32>> {
    (0..threads as u64).map(|thread| stream(7 + thread)).collect()
}
