//! Goal 13: what a miss costs beside the load, and what it costs to wait for somebody else's.

use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use forewarm::{Forewarm, LoadError, Loaded};
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use crate::cpu::cpu_time;
use crate::figure::{Figure, Limits};
use crate::turns::{Case, Effort, Turns, in_turns, per_operation};
use crate::world::{Moka, Value, engine, policy, runtime, spawn, value};

const WAITERS: usize = 1_000;

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let mut figures = misses(effort);
    figures.extend(waiters(effort));
    figures
}

/// A miss whose load is ready at once: what the bookkeeping costs.
fn misses(effort: Effort) -> Vec<Figure> {
    let runtime = runtime();
    let count = effort.reads / 4;
    let batches = Cell::new(0_u64);
    // No two batches have a key in common.
    let keys = || -> Vec<String> {
        let batch = batches.replace(batches.get() + 1);
        (0..count).map(|nth| format!("user:profile:{batch:04}:{nth:08}")).collect()
    };
    let moka = Moka::new(10_000);
    let (_forewarm, resource) = runtime.block_on(engine(policy(10_000)));
    let by_moka = Case::new("moka, try_get_with", Limits::NONE, || {
        let keys = keys();
        let began = cpu_time();
        for key in keys {
            let load = async { Ok::<_, LoadError>(value()) };
            black_box(moka.try_get_with(key, load).now_or_never().unwrap().unwrap());
        }
        per_operation(cpu_time() - began, count)
    });
    let by_get = Case::new("get", Limits::at_most(0.8, 0.3), || {
        let keys = keys();
        let began = cpu_time();
        for key in &keys {
            black_box(resource.get(key.as_str()).now_or_never().unwrap().unwrap());
        }
        per_operation(cpu_time() - began, count)
    });
    let _entered = runtime.enter();
    let turns = Turns { goal: 13, what: "miss, ready loader", unit: "ns", rounds: effort.rounds };
    in_turns(turns, by_moka, vec![by_get])
}

/// A thousand callers who wait for one load.
fn waiters(effort: Effort) -> Vec<Figure> {
    let local = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let moka = Moka::new(10_000);
    let forewarm = local.block_on(async { Forewarm::builder().build().await.unwrap() });
    let resource = forewarm
        .memory_resource::<String, Value>("user")
        .policy(policy(10_000))
        .load_with(|_key| async {
            tokio::task::yield_now().await;
            Ok::<_, LoadError>(Loaded::found(value()))
        })
        .build()
        .unwrap();
    let count = Cell::new(0_u64);
    let next = || format!("key {}", count.replace(count.get() + 1));
    let by_moka = Case::new("moka, try_get_with", Limits::NONE, || {
        let key = next();
        spent(&local, || {
            let (moka, key) = (moka.clone(), key.clone());
            spawn(async move {
                let load = async {
                    tokio::task::yield_now().await;
                    Ok::<_, LoadError>(value())
                };
                moka.try_get_with(key, load).await.unwrap();
            })
        })
    });
    let by_get = Case::new("get", Limits::at_most(1.0, 0.6), || {
        let key = next();
        spent(&local, || {
            let (resource, key) = (resource.clone(), key.clone());
            spawn(async move {
                resource.get(key.as_str()).await.unwrap();
            })
        })
    });
    let what = "1,000 waiters on one key, each";
    let turns = Turns { goal: 13, what, unit: "ns", rounds: effort.rounds };
    in_turns(turns, by_moka, vec![by_get])
}

/// What one of a thousand callers costs, all of whom call before the first is answered.
fn spent<F: Future>(local: &tokio::runtime::Runtime, call: impl Fn() -> F) -> f64 {
    let spent: Duration = local.block_on(async {
        let began = cpu_time();
        let waiting: Vec<_> = (0..WAITERS).map(|_| call()).collect();
        join_all(waiting).await;
        cpu_time() - began
    });
    per_operation(spent, WAITERS)
}
