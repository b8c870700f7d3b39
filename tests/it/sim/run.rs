//! A simulation: several engines over one store, on one thread and on paused time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::engine::Settings;
use super::history::{Found, History};
use super::nemesis::{FAIR, Nemesis};
use super::script::{Act, Script, Step};
use super::thing::{KEYS, KINDS};
use super::truth::Truth;
use super::worker::World;
use super::{Removed, SimStore};

/// Does what a seed leads to, with all of the protocol or without some of it.
pub(super) fn simulate(seed: u64, removed: Option<Removed>) -> Found {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let found = runtime.block_on(run(seed, removed));
    runtime.shutdown_background();
    found
}

async fn run(seed: u64, removed: Option<Removed>) -> Found {
    let mut rng = Rng::with_seed(seed);
    let settings = Settings::draw(&mut rng);
    let script = Script::draw(&mut rng, settings.engines);
    let store = SimStore::without(removed);
    let truth = Truth::new(rng.u64(..));
    let window = settings.config.l2.window;
    let history = History::new(truth.clone(), window);
    history.note(&format!("{settings:?}"));
    let mut engines = Vec::new();
    for number in 0..settings.engines {
        let engine = settings.begin(number, seed.wrapping_add(number as u64), &store, &truth).await;
        engine.line.set_weather(FAIR);
        engines.push(Arc::new(engine));
    }
    let keys = KINDS.into_iter().flat_map(|kind| KEYS.map(|key| (kind, key)));
    let locks: BTreeMap<_, _> = keys.map(|key| (key, tokio::sync::Mutex::default())).collect();
    let (engines, must_label) = (Mutex::new(engines), settings.must_label);
    let world = Arc::new(World { truth, history, engines, locks, must_label });
    let mut tasks = JoinSet::new();
    for steps in script.steps {
        tasks.spawn(Arc::clone(&world).work(steps));
    }
    let begun = settings.engines;
    let nemesis = Nemesis { world: Arc::clone(&world), store, settings, seed, begun };
    tasks.spawn(nemesis.work(script.faults));
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    calm(&world, window).await;
    world.history.found()
}

/// In the end nothing is wrong any more: what waits is delivered, and a window later every engine
/// knows of everything.
async fn calm(world: &Arc<World>, window: Duration) {
    let engines = world.engines.lock().clone();
    for engine in &engines {
        engine.line.mend();
        engine.line.set_weather(super::Weather::default());
    }
    world.truth.recover();
    world.history.note("calm");
    let is_delivered = async {
        while engines.iter().any(|engine| engine.queued() > 0) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_delivered).await.expect("all is delivered");
    world.history.all_is_delivered();
    // Also what was late on its way, and what the breakers of the engines hold back.
    sleep(window.max(Duration::from_secs(3))).await;
    let last = |engine, kind, key, act| Step { pause: Duration::ZERO, engine, kind, key, act };
    for engine in 0..engines.len() {
        for kind in KINDS {
            let steps = KEYS.map(|key| last(engine, kind, key, Act::Read));
            Arc::clone(world).work(steps.to_vec()).await;
        }
    }
    for engine in &engines {
        engine.forewarm.shutdown(Duration::from_secs(1)).await;
    }
}
