//! forewarm beside its yardsticks, in one process and in turns, so that whatever else the machine
//! does touches both. Prints ratios of medians; `--json` prints them as an array.
//!
//! Times are processor time of the measuring threads. Each yardstick is measured twice, and its
//! ratio to itself shows what the figures can be trusted for.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on has nothing to say"
)]

use std::cell::Cell;
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use forewarm::measured::Recording;
use forewarm::{Capacity, Forewarm, LoadError, Policy, Resource, SourcePolicy};
use futures_util::FutureExt as _;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use tokio::runtime::Runtime;

type Value = [u8; 200];
type Moka = moka::future::Cache<String, Arc<Value>>;

/// How often each case is measured.
const ROUNDS: usize = 21;
/// Reads of one measurement.
const READS: usize = 200_000;

#[derive(Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    yardstick: String,
    ratio: f64,
    gate: Option<f64>,
    ok: bool,
}

fn main() {
    let wants_json = std::env::args().any(|argument| argument == "--json");
    let is_trial = std::env::args().any(|argument| argument == "--test");
    let effort = if is_trial {
        Effort { rounds: 1, reads: 1_000 }
    } else {
        Effort { rounds: ROUNDS, reads: READS }
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut figures = Vec::new();
    for keys in [100_000, 1_000] {
        for threads in [1, 2] {
            figures.extend(hits(&runtime, effort, keys, threads));
        }
    }
    figures.extend(misses(&runtime, effort));
    figures.extend(waiters(effort));
    if wants_json {
        println!("{}", serde_json::to_string_pretty(&figures).unwrap());
    } else {
        print_table(&figures);
    }
    let failed = figures.iter().any(|figure| !figure.ok);
    std::process::exit(i32::from(failed && !is_trial));
}

#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    reads: usize,
}

/// A way to do something; gives the nanoseconds that one time took.
struct Case<'a> {
    name: &'static str,
    gate: Option<f64>,
    measure: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Case<'a> {
    fn new(name: &'static str, gate: Option<f64>, measure: impl FnMut() -> f64 + 'a) -> Self {
        Self { name, gate, measure: Box::new(measure) }
    }
}

/// Measures all cases in turns; the first one is the yardstick.
fn in_turns(
    what: &str,
    rounds: usize,
    unit: &'static str,
    mut cases: Vec<Case<'_>>,
) -> Vec<Figure> {
    for case in &mut cases {
        (case.measure)();
    }
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..rounds {
        for (times, case) in times.iter_mut().zip(&mut cases) {
            times.push((case.measure)());
        }
    }
    let yardstick = times[0].clone();
    let figure = |(case, times): (Case<'_>, Vec<f64>)| {
        let ratios =
            times.iter().zip(&yardstick).map(|(time, yardstick)| time / yardstick).collect();
        let ratio = median(ratios);
        Figure {
            name: format!("{what}: {}", case.name),
            value: median(times),
            unit,
            yardstick: format!("{what}: moka"),
            ratio,
            gate: case.gate,
            ok: case.gate.is_none_or(|gate| ratio <= gate),
        }
    };
    cases.into_iter().zip(times).map(figure).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

/// Runs `work` on this many threads at once; gives processor nanoseconds per operation.
fn on_threads(threads: usize, operations: usize, work: impl Fn(usize) + Sync) -> f64 {
    let start = Barrier::new(threads);
    let spent: Duration = std::thread::scope(|scope| {
        let run = |thread: usize| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                let began = cpu_time();
                work(thread);
                cpu_time() - began
            })
        };
        let threads: Vec<_> = (0..threads).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    spent.as_secs_f64() * 1e9 / (threads * operations) as f64
}

fn names(keys: usize) -> Vec<String> {
    (0..keys).map(|nth| format!("user:profile:{nth:08}")).collect()
}

/// Reads whose ranks are distributed as in Zipf's law with exponent 0.99.
fn zipf(keys: usize, count: usize, seed: u64) -> Vec<u32> {
    let mut sums = Vec::with_capacity(keys);
    let mut sum = 0.0;
    for rank in 1..=keys {
        sum += (rank as f64).powf(-0.99);
        sums.push(sum);
    }
    // Neighbours in rank are not neighbours in memory.
    let mut random = fastrand::Rng::with_seed(seed);
    let mut places: Vec<u32> = (0..u32::try_from(keys).unwrap()).collect();
    random.shuffle(&mut places);
    let mut draw = || places[sums.partition_point(|upto| *upto < random.f64() * sum).min(keys - 1)];
    (0..count).map(|_| draw()).collect()
}

fn value() -> Arc<Value> {
    Arc::new([7; 200])
}

fn policy(entries: u64) -> Policy {
    Policy {
        capacity: Capacity::Entries(entries),
        absent_ttl: None,
        source: SourcePolicy {
            concurrency: 1 << 16,
            flights_max: 1 << 20,
            ..SourcePolicy::default()
        },
        ..Policy::default()
    }
}

/// An engine with everything on, and one resource whose loader is ready at once.
async fn engine(entries: u64) -> (Forewarm, Resource<String, Value>) {
    let forewarm = Forewarm::builder().build().await.unwrap();
    let resource = forewarm
        .memory_resource::<String, Value>("user")
        .policy(policy(entries))
        .load_with(|_key| async { Ok::<_, LoadError>(forewarm::Loaded::found(value())) })
        .build()
        .unwrap();
    forewarm.start().await.unwrap();
    (forewarm, resource)
}

/// A hit with everything on against a bare hit of moka.
fn hits(runtime: &Runtime, effort: Effort, keys: usize, threads: usize) -> Vec<Figure> {
    let names = names(keys);
    let streams: Vec<_> =
        (0..threads).map(|thread| zipf(keys, effort.reads, 7 + thread as u64)).collect();
    let moka = Moka::builder().max_capacity(4 * keys as u64).build();
    let (_forewarm, resource) = runtime.block_on(engine(4 * keys as u64));
    runtime.block_on(async {
        for name in &names {
            moka.insert(name.clone(), value()).await;
            resource.get(name.as_str()).await.unwrap();
        }
        moka.run_pending_tasks().await;
    });
    let read = |thread: usize, read: &dyn Fn(&str)| {
        for place in &streams[thread] {
            read(&names[*place as usize]);
        }
    };
    let by_moka = || {
        on_threads(threads, effort.reads, |thread| {
            read(thread, &|key| drop(black_box(moka.get(key).now_or_never().unwrap())));
        })
    };
    let by_get = || {
        on_threads(threads, effort.reads, |thread| {
            read(thread, &|key| drop(black_box(resource.get(key).now_or_never().unwrap())));
        })
    };
    let by_with = || {
        on_threads(threads, effort.reads, |thread| {
            read(thread, &|key| {
                let first = resource.with(key, |value| value.map(|value| value[0]));
                drop(black_box(first.now_or_never().unwrap()));
            });
        })
    };
    let by_peek = || {
        on_threads(threads, effort.reads, |thread| {
            read(thread, &|key| drop(black_box(resource.peek(key))));
        })
    };
    let recording = Recording::new(keys);
    let by_recording = || {
        on_threads(threads, effort.reads, |thread| {
            streams[thread].iter().for_each(|place| recording.read_resident(*place as usize));
        })
    };
    let what = format!("hit, {keys} keys, {threads} thread{}", if threads == 1 { "" } else { "s" });
    let cases = vec![
        Case::new("moka", None, by_moka),
        Case::new("moka again", None, by_moka),
        Case::new("get", Some(0.5), by_get),
        Case::new("with", Some(0.5), by_with),
        Case::new("peek (no recording)", None, by_peek),
        Case::new("recording alone", None, by_recording),
    ];
    runtime.block_on(async { in_turns(&what, effort.rounds, "ns", cases) })
}

/// A miss whose load is ready at once: what the bookkeeping costs.
fn misses(runtime: &Runtime, effort: Effort) -> Vec<Figure> {
    let count = effort.reads / 4;
    let batches = Cell::new(0_u64);
    // No two batches have a key in common.
    let keys = || -> Vec<String> {
        let batch = batches.replace(batches.get() + 1);
        (0..count).map(|nth| format!("user:profile:{batch:04}:{nth:08}")).collect()
    };
    let moka = Moka::new(10_000);
    let (_forewarm, resource) = runtime.block_on(engine(10_000));
    let moka = &moka;
    let per_key = |spent: Duration| spent.as_secs_f64() * 1e9 / count as f64;
    let by_moka = |keys: Vec<String>| {
        let began = cpu_time();
        for key in keys {
            let load = async { Ok::<_, LoadError>(value()) };
            black_box(moka.try_get_with(key, load).now_or_never().unwrap().unwrap());
        }
        per_key(cpu_time() - began)
    };
    let cases = vec![
        Case::new("moka", None, || by_moka(keys())),
        Case::new("moka again", None, || by_moka(keys())),
        Case::new("get", Some(1.0), || {
            let keys = keys();
            let began = cpu_time();
            for key in &keys {
                black_box(resource.get(key.as_str()).now_or_never().unwrap().unwrap());
            }
            per_key(cpu_time() - began)
        }),
    ];
    let guard = runtime.enter();
    let figures = in_turns("miss, ready loader", effort.rounds, "ns", cases);
    drop(guard);
    figures
}

/// A thousand callers who wait for one load.
fn waiters(effort: Effort) -> Vec<Figure> {
    const WAITERS: usize = 1_000;
    let local = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let moka = Moka::new(10_000);
    let forewarm = local.block_on(async { Forewarm::builder().build().await.unwrap() });
    let resource = forewarm
        .memory_resource::<String, Value>("user")
        .policy(policy(10_000))
        .load_with(|_key| async {
            tokio::task::yield_now().await;
            Ok::<_, LoadError>(forewarm::Loaded::found(value()))
        })
        .build()
        .unwrap();
    let count = Cell::new(0_u64);
    let next = || format!("key {}", count.replace(count.get() + 1));
    let per_waiter = |spent: Duration| spent.as_secs_f64() * 1e9 / WAITERS as f64;
    let (local, moka, resource) = (&local, &moka, &resource);
    let by_moka = move |key: String| {
        local.block_on(async {
            let began = cpu_time();
            let wait = |_| {
                let (moka, key) = (moka.clone(), key.clone());
                spawn(async move {
                    let load = async {
                        tokio::task::yield_now().await;
                        Ok::<_, LoadError>(value())
                    };
                    moka.try_get_with(key, load).await.unwrap();
                })
            };
            let waiting: Vec<_> = (0..WAITERS).map(wait).collect();
            futures_util::future::join_all(waiting).await;
            per_waiter(cpu_time() - began)
        })
    };
    let by_get = move |key: String| {
        local.block_on(async {
            let began = cpu_time();
            let wait = |_| {
                let (resource, key) = (resource.clone(), key.clone());
                spawn(async move {
                    resource.get(key.as_str()).await.unwrap();
                })
            };
            let waiting: Vec<_> = (0..WAITERS).map(wait).collect();
            futures_util::future::join_all(waiting).await;
            per_waiter(cpu_time() - began)
        })
    };
    let cases = vec![
        Case::new("moka", None, || by_moka(next())),
        Case::new("moka again", None, || by_moka(next())),
        Case::new("get", Some(1.0), || by_get(next())),
    ];
    in_turns("1,000 waiters on one key, each", effort.rounds, "ns", cases)
}

/// Spawns on the runtime that is running.
#[expect(clippy::disallowed_methods, reason = "the callers of a cache are tasks of their own")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) -> impl Future<Output = ()> {
    let task = tokio::spawn(work);
    async { task.await.unwrap() }
}

fn print_table(figures: &[Figure]) {
    println!("{:56} {:>10} {:>8} {:>6}", "", "median", "ratio", "gate");
    for figure in figures {
        let gate = figure.gate.map_or_else(String::new, |gate| format!("{gate:.2}"));
        let verdict = if figure.ok { "" } else { "  MISSED" };
        let Figure { name, value, unit, ratio, .. } = figure;
        println!("{name:56} {value:7.1} {unit} {ratio:8.3} {gate:>6}{verdict}");
    }
}
