//! Goal 17: how the time of a hit, of a recorded miss and of a tick grows with the keys.

use std::fmt::Write as _;
use std::hint::black_box;

use forewarm::measured::Recording;
use forewarm::{Forewarm, LoadError, Loaded, Resource};
use futures_util::FutureExt as _;

use crate::ageing::{TTL_SECS, World};
use crate::cpu::cpu_time;
use crate::figure::Figure;
use crate::keys::{uniform, zipf};
use crate::turns::{Effort, median, per_operation};
use crate::world::{policy, runtime};

const GOAL: u8 = 17;
const KEYS: [usize; 4] = [10_000, 100_000, 1_000_000, 5_000_000];
/// The longest bar of the plot.
const WIDTH: f64 = 40.0;

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let keys: Vec<usize> = KEYS.iter().map(|keys| effort.scaled(*keys).max(300)).collect();
    let (zipf, uniform): (Vec<_>, Vec<_>) = keys.iter().map(|keys| hits(effort, *keys)).unzip();
    let misses = keys.iter().map(|keys| recorded_miss(effort, *keys));
    let ticks = keys.iter().map(|keys| tick(effort, *keys));
    zipf.into_iter().chain(uniform).chain(misses).chain(ticks).collect()
}

/// Among so many keys, all of them in the hot segment, in both orders.
fn hits(effort: Effort, keys: usize) -> (Figure, Figure) {
    let runtime = runtime();
    let (_forewarm, resource) = runtime.block_on(engine(keys));
    let _entered = runtime.enter();
    let read = |stream: Vec<u32>| {
        let cost = |_round: usize| {
            let began = cpu_time();
            for key in &stream {
                drop(black_box(resource.get(&u64::from(*key)).now_or_never()));
            }
            per_operation(cpu_time() - began, stream.len())
        };
        median((0..effort.rounds).map(cost).collect())
    };
    (
        Figure::new(GOAL, name("hit, zipf 0.99", keys), read(zipf(keys, effort.reads, 7)), "ns"),
        Figure::new(GOAL, name("hit, uniform", keys), read(uniform(keys, effort.reads, 7)), "ns"),
    )
}

async fn engine(keys: usize) -> (Forewarm, Resource<u64, u64>) {
    let forewarm = Forewarm::builder().build().await.unwrap();
    let resource = forewarm
        .memory_resource::<u64, u64>("number")
        .policy(policy(4 * keys as u64))
        .load_with(|key| async move { Ok::<_, LoadError>(Loaded::found(key)) })
        .build()
        .unwrap();
    forewarm.start().await.unwrap();
    for key in 0..keys as u64 {
        resource.get(&key).await.unwrap();
    }
    (forewarm, resource)
}

/// The record of a read of one of so many keys that are not resident.
fn recorded_miss(effort: Effort, keys: usize) -> Figure {
    let mut random = fastrand::Rng::with_seed(11);
    let hashes: Vec<u64> = (0..keys).map(|_| random.u64(..)).collect();
    let mut recording = Recording::new(keys);
    hashes.iter().for_each(|hash| recording.read_absent(*hash));
    let places = uniform(keys, effort.reads, 7);
    let stream: Vec<u64> = places.iter().map(|place| hashes[*place as usize]).collect();
    let cost = |_round: usize| {
        let began = cpu_time();
        stream.iter().for_each(|hash| recording.read_absent(*hash));
        per_operation(cpu_time() - began, stream.len())
    };
    let cost = median((0..effort.rounds).map(cost).collect());
    Figure::new(GOAL, name("recorded miss, uniform", keys), cost, "ns")
}

/// A second of the preloader, in which one of 300 keys comes due: by key, since there are more of
/// them the more there are.
fn tick(effort: Effort, keys: usize) -> Figure {
    let mut world = World::new(keys as u64, 1);
    let due = (keys as u64 / TTL_SECS).max(1);
    let cost = |_round: usize| world.pass_a_second().as_secs_f64() * 1e9 / due as f64;
    let cost = median((0..effort.rounds).map(cost).collect());
    Figure::new(GOAL, name("tick, for each key that is due", keys), cost, "ns")
}

fn name(what: &str, keys: usize) -> String {
    format!("{what}, {keys} keys")
}

/// The figures of this goal as bars, those of a kind to the same scale.
pub(crate) fn plot(figures: &[Figure]) -> String {
    let of_goal: Vec<&Figure> =
        figures.iter().filter(|figure| figure.goal == GOAL && !figure.value.is_nan()).collect();
    let mut text = String::new();
    for kind in of_goal.chunk_by(|a, b| kind(a) == kind(b)) {
        let most = kind.iter().map(|figure| figure.value).fold(0.0, f64::max);
        for figure in kind {
            let bar = "#".repeat((figure.value / most * WIDTH).round() as usize);
            let Figure { name, value, unit, .. } = figure;
            writeln!(text, "{name:48} {bar} {value:.1} {unit}").unwrap();
        }
    }
    text
}

/// What a figure is about, without the number of keys.
fn kind(figure: &Figure) -> Option<&str> {
    figure.name.rsplit_once(", ").map(|(kind, _)| kind)
}
