//! Goal 15: how well the keys are chosen that will be read most, while what is read most changes.
//!
//! A day of reads by Zipf's law, in which 2 % of the most read keys give their places to others
//! every six minutes. Each choice is judged by the share of the next six minutes' reads that it
//! covers, of what the best choice would cover. All of it is counted, so no figure depends on the
//! machine.

use std::time::Duration;

use forewarm::{Capacity, Clock, Forewarm, LoadError, Loaded, Policy, Resource};
use futures_util::FutureExt as _;
use tokio::runtime::Runtime;

use crate::figure::{Figure, Limits, Yardstick};
use crate::turns::Effort;

/// How many keys are chosen.
const CHOSEN: [usize; 2] = [100, 1_000];
const LIMITS: Limits = Limits::at_least(-0.02, -0.005);

const INTERVAL: Duration = Duration::from_mins(6);
/// Choices are judged from then on.
const FIRST_JUDGED: usize = 40;
const JUDGED_EVERY: usize = 5;
/// The ranks that change, and how many of them do at a time.
const TOP: usize = 2_000;
const SWAPS: usize = 40;

/// The half-life of the yardstick.
const HALF_LIFE: Duration = Duration::from_mins(30);
/// Ours: the default, which is judged, and others.
const HALF_LIVES: [Option<Duration>; 4] = [
    None,
    Some(Duration::from_mins(30)),
    Some(Duration::from_mins(15)),
    Some(Duration::from_mins(10)),
];

/// How much happens.
#[derive(Clone, Copy)]
struct Size {
    keys: usize,
    reads: usize,
    intervals: usize,
}

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let size = if effort.is_trial {
        Size { keys: 4_000, reads: 500, intervals: 50 }
    } else {
        Size { keys: 200_000, reads: 20_000, intervals: 240 }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let engines = HALF_LIVES.map(|half_life| Engine::new(&runtime, half_life, size));
    let mut choosers: Vec<Box<dyn Chooser + '_>> =
        vec![Box::new(Exact::new(size)), Box::new(Last::new(size))];
    for engine in &engines {
        choosers.push(Box::new(engine));
    }
    let covered = runtime.block_on(async { follow(size, &mut choosers) });
    let figures = CHOSEN.iter().zip(covered).flat_map(|(count, covered)| {
        let [exact, last] = [covered[0], covered[1]];
        let yardstick = Yardstick {
            name: if exact >= last { "exact, decayed" } else { "the last interval's own" }
                .to_owned(),
            value: exact.max(last),
            to_itself: 1.0,
        };
        let engines = engines.iter().zip(covered.into_iter().skip(2));
        engines.map(move |(engine, covered)| engine.figure(*count, covered, &yardstick))
    });
    figures.collect()
}

/// What each of the choosers covers in the mean, for each number of keys that are chosen.
fn follow(size: Size, choosers: &mut [Box<dyn Chooser + '_>]) -> Vec<Vec<f64>> {
    let mut sums = vec![vec![0.0; choosers.len()]; CHOSEN.len()];
    let (mut world, mut judged) = (World::new(size), 0.0);
    for interval in 0..size.intervals {
        let reads = world.next_interval();
        if interval >= FIRST_JUDGED && interval % JUDGED_EVERY == 0 {
            let counts = counted(&reads, size.keys);
            for (sums, count) in sums.iter_mut().zip(CHOSEN) {
                let best: u32 =
                    hottest(&counts, count).iter().map(|key| counts[*key as usize]).sum();
                for (sum, chooser) in sums.iter_mut().zip(choosers.iter_mut()) {
                    let chosen = chooser.choose(count);
                    let covered: u32 = chosen.iter().map(|key| counts[*key as usize]).sum();
                    *sum += f64::from(covered) / f64::from(best);
                }
            }
            judged += 1.0;
        }
        for chooser in choosers.iter_mut() {
            chooser.read(&reads);
        }
    }
    sums.into_iter().map(|sums| sums.into_iter().map(|sum| sum / judged).collect()).collect()
}

/// Who reads what.
struct World {
    size: Size,
    /// The key of each rank.
    keys: Vec<u32>,
    /// The shares of all ranks up to each.
    sums: Vec<f64>,
    random: fastrand::Rng,
}

impl World {
    fn new(size: Size) -> Self {
        let mut random = fastrand::Rng::with_seed(99);
        let mut keys: Vec<_> = (0..u32::try_from(size.keys).unwrap()).collect();
        random.shuffle(&mut keys);
        let shares = (1..=size.keys).scan(0.0, |sum, rank| {
            *sum += (rank as f64).powf(-0.99);
            Some(*sum)
        });
        Self { size, keys, sums: shares.collect(), random }
    }

    fn next_interval(&mut self) -> Vec<u32> {
        for _ in 0..SWAPS {
            let (top, any) = (self.random.usize(..TOP), self.random.usize(..self.size.keys));
            self.keys.swap(top, any);
        }
        let all = self.sums[self.size.keys - 1];
        let mut draw = || {
            let drawn = self.random.f64() * all;
            self.keys[self.sums.partition_point(|sum| *sum < drawn).min(self.size.keys - 1)]
        };
        (0..self.size.reads).map(|_| draw()).collect()
    }
}

/// What tells the keys that will be read most.
trait Chooser {
    /// Takes in the reads of an interval, which are spread evenly over it.
    fn read(&mut self, reads: &[u32]);
    fn choose(&mut self, count: usize) -> Vec<u32>;
}

/// A decayed count of every key.
struct Exact {
    counts: Vec<f64>,
    now: Duration,
}

impl Exact {
    fn new(size: Size) -> Self {
        Self { counts: vec![0.0; size.keys], now: Duration::ZERO }
    }
}

impl Chooser for Exact {
    fn read(&mut self, reads: &[u32]) {
        for key in reads {
            self.now += INTERVAL / u32::try_from(reads.len()).unwrap();
            self.counts[*key as usize] += self.now.div_duration_f64(HALF_LIFE).exp2();
        }
    }

    fn choose(&mut self, count: usize) -> Vec<u32> {
        hottest(&self.counts, count)
    }
}

/// What was read most in the last interval.
struct Last {
    counts: Vec<u32>,
}

impl Last {
    fn new(size: Size) -> Self {
        Self { counts: vec![0; size.keys] }
    }
}

impl Chooser for Last {
    fn read(&mut self, reads: &[u32]) {
        self.counts = counted(reads, self.counts.len());
    }

    fn choose(&mut self, count: usize) -> Vec<u32> {
        hottest(&self.counts, count)
    }
}

/// The hot keys of an engine that holds them all.
struct Engine {
    half_life: Option<Duration>,
    clock: Clock,
    resource: Resource<u32, u64>,
    _forewarm: Forewarm,
}

impl Engine {
    fn new(runtime: &Runtime, half_life: Option<Duration>, size: Size) -> Self {
        runtime.block_on(async {
            let clock = Clock::system();
            let forewarm = Forewarm::builder().clock(clock.clone()).build().await.unwrap();
            let default = Policy::default();
            let policy = Policy {
                capacity: Capacity::Entries(4 * size.keys as u64),
                // Nothing ends within the day.
                ttl: Duration::from_hours(240),
                half_life: half_life.unwrap_or(default.half_life),
                ..default
            };
            let resource = forewarm
                .memory_resource::<u32, u64>("thing")
                .policy(policy)
                .load_with(|key| async move { Ok::<_, LoadError>(Loaded::found(u64::from(key))) })
                .build()
                .unwrap();
            forewarm.start().await.unwrap();
            Self { half_life, clock, resource, _forewarm: forewarm }
        })
    }

    fn figure(&self, count: usize, covered: f64, yardstick: &Yardstick) -> Figure {
        let which = self.half_life.map_or_else(
            || "default half-life".to_owned(),
            |half_life| format!("half-life {} min", half_life.as_secs() / 60),
        );
        let name = format!("top {count} under drift, {which}");
        let of_yardstick = format!("{}: {:.3}", yardstick.name, yardstick.value);
        let figure = Figure::new(15, name, covered - yardstick.value, "")
            .noting(format!("covers {covered:.3}; {of_yardstick}"));
        if self.half_life.is_none() { figure.judged(LIMITS) } else { figure }
    }
}

impl Chooser for &Engine {
    fn read(&mut self, reads: &[u32]) {
        for key in reads {
            self.clock.advance(INTERVAL / u32::try_from(reads.len()).unwrap());
            self.resource.get(key).now_or_never().unwrap().unwrap();
        }
    }

    fn choose(&mut self, count: usize) -> Vec<u32> {
        self.resource.hot_keys(count).into_iter().map(|hot| hot.key).collect()
    }
}

fn counted(reads: &[u32], keys: usize) -> Vec<u32> {
    let mut counts = vec![0; keys];
    reads.iter().for_each(|key| counts[*key as usize] += 1);
    counts
}

/// The keys with the highest figures.
fn hottest<T: Copy + PartialOrd + Default>(of_keys: &[T], count: usize) -> Vec<u32> {
    let mut keys: Vec<_> = (0..u32::try_from(of_keys.len()).unwrap()).collect();
    keys.retain(|key| of_keys[*key as usize] > T::default());
    keys.sort_unstable_by(|a, b| {
        let [a, b] = [a, b].map(|key| of_keys[*key as usize]);
        b.partial_cmp(&a).unwrap()
    });
    keys.truncate(count);
    keys
}
