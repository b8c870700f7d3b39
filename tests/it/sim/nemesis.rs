//! What goes wrong in a simulation.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::engine::Settings;
use super::script::Fault;
use super::worker::World;
use super::{Line, SimStore, Weather};

/// Whoever sees to it that things go wrong.
pub(super) struct Nemesis {
    pub(super) world: Arc<World>,
    pub(super) store: SimStore,
    pub(super) settings: Settings,
    pub(super) seed: u64,
    /// How many engines have run.
    pub(super) begun: usize,
}

/// What a line is like when nothing is wrong with it.
pub(super) const FAIR: Weather = Weather {
    latency: Duration::from_millis(3),
    late: 1,
    late_by: Duration::from_millis(700),
    lost: 0,
    unanswered: 1,
    fails: 0,
};

const STORM: Weather = Weather {
    latency: Duration::from_millis(60),
    late: 15,
    late_by: Duration::from_millis(2_000),
    lost: 10,
    unanswered: 15,
    fails: 10,
};

impl Nemesis {
    pub(super) async fn work(mut self, faults: Vec<(Duration, Fault)>) {
        for (pause, fault) in faults {
            sleep(pause).await;
            self.world.history.note(&format!("{fault:?}"));
            self.act(fault).await;
        }
    }

    async fn act(&mut self, fault: Fault) {
        match fault {
            Fault::Cut { engine, lasts } => self.world.engine(engine).line.cut_for(lasts),
            Fault::CutAll { lasts } => {
                let engines = self.world.engines.lock();
                engines.iter().for_each(|engine| engine.line.cut_for(lasts));
            }
            Fault::Storm { engine, lasts } => {
                let line = self.line(engine);
                line.set_weather(STORM);
                sleep(lasts).await;
                line.set_weather(FAIR);
            }
            Fault::NoHints { engine, lasts } => {
                let line = self.line(engine);
                line.bring_hints(false);
                sleep(lasts).await;
                line.bring_hints(true);
            }
            Fault::Leap { engine, by } => {
                self.world.engine(engine).clock.advance(by);
                self.world.truth.catch_up();
            }
            Fault::RestartEngine { engine } => self.restart(engine).await,
            Fault::RestartEmpty => {
                self.store.restart_empty();
                self.world.history.is_forgotten();
            }
            Fault::Snapshot => self.store.take_snapshot(),
            Fault::RollBack => {
                self.store.roll_back();
                self.world.history.is_forgotten();
            }
            Fault::CutLog => self.store.cut_log(),
            Fault::EndPermits => self.store.end_permits(),
            Fault::EvictAll => self.store.evict_all(),
            Fault::SourceDown { lasts } => self.world.truth.go_down(lasts),
            Fault::SourceSlow { lasts } => self.world.truth.be_slow(lasts),
        }
    }

    fn line(&self, engine: usize) -> Line {
        self.world.engine(engine).line.clone()
    }

    /// Replaces an engine by a new one, which knows nothing.
    async fn restart(&mut self, place: usize) {
        let number = self.begun;
        self.begun += 1;
        let seed = self.seed.wrapping_add(number as u64);
        let truth = &self.world.truth;
        let new = Arc::new(self.settings.begin(number, seed, &self.store, truth).await);
        new.line.set_weather(FAIR);
        let old = std::mem::replace(&mut self.world.engines.lock()[place], new);
        old.forewarm.shutdown(Duration::from_millis(50)).await;
        self.world.history.goes_away(old.number);
    }
}
