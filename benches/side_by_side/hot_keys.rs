//! Goal 8: what it costs to ask for the hottest keys of a million, and what readers notice of it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use forewarm::{Policy, Resource};
use futures_util::FutureExt as _;
use rustix::time::{ClockId, clock_gettime};

use crate::cpu::cpu_time;
use crate::figure::{Figure, Limits};
use crate::keys::{names, zipf};
use crate::turns::{Effort, median};
use crate::world::{Value, engine, policy, runtime};

const KEYS: usize = 1_000_000;
const HOTTEST: usize = 1_000;

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let keys = effort.scaled(KEYS);
    let names = names(keys);
    let stream = zipf(keys, effort.reads, 7);
    let shares = [
        ("all in hot", policy(4 * keys as u64), Limits::at_most(15.0, 2.0)),
        // The hot segment is full, and moka holds the rest.
        ("default shares, full", policy(keys as u64), Limits::NONE),
    ];
    let mut figures = Vec::new();
    for (shares, policy, limits) in shares {
        let world = World::new(&names, &stream, policy);
        let (cost, slowest) = world.measure(effort, &names, &stream);
        let name = format!("hot_keys(1000) of {keys}, {shares}");
        figures.push(Figure::new(8, name, cost, "ms").judged(limits));
        let name = format!("slowest read meanwhile on another thread, {shares}");
        let note = "time that passed, not processor time: the system may take the core away";
        figures.push(Figure::new(8, name, slowest, "us").noting(note));
    }
    figures
}

struct World {
    resource: Resource<String, Value>,
    _forewarm: forewarm::Forewarm,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new(names: &[String], stream: &[u32], policy: Policy) -> Self {
        let runtime = runtime();
        let (forewarm, resource) = runtime.block_on(engine(policy));
        runtime.block_on(async {
            for name in names {
                resource.get(name.as_str()).await.unwrap();
            }
            for place in stream {
                resource.get(names[*place as usize].as_str()).await.unwrap();
            }
        });
        Self { resource, _forewarm: forewarm, runtime }
    }

    /// Milliseconds of a question, and microseconds of the slowest hit meanwhile.
    fn measure(&self, effort: Effort, names: &[String], stream: &[u32]) -> (f64, f64) {
        let is_done = AtomicBool::new(false);
        let _entered = self.runtime.enter();
        std::thread::scope(|scope| {
            let slowest = || {
                let mut slowest = Duration::ZERO;
                for place in stream.iter().cycle() {
                    let key = names[*place as usize].as_str();
                    let began = now();
                    drop(black_box(self.resource.get(key).now_or_never()));
                    slowest = slowest.max(now() - began);
                    if is_done.load(Relaxed) {
                        break;
                    }
                }
                slowest.as_secs_f64() * 1e6
            };
            let handle = self.runtime.handle();
            let reader = scope.spawn(move || {
                let _entered = handle.enter();
                slowest()
            });
            let ask = |_round: usize| {
                let began = cpu_time();
                black_box(self.resource.hot_keys(HOTTEST));
                (cpu_time() - began).as_secs_f64() * 1e3
            };
            let cost = median((0..effort.rounds).map(ask).collect());
            is_done.store(true, Relaxed);
            (cost, reader.join().unwrap())
        })
    }
}

fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap()
}
