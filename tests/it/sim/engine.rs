//! An engine of the simulation.

use std::time::Duration;

use fastrand::Rng;
use forewarm::{
    Capacity, Clock, Config, EarlyRefresh, Forewarm, L2Config, Partition, Policy, PreloadMode,
    PreloadPolicy, Resource, SourcePolicy,
};
use jiff::Timestamp;

use super::thing::{KINDS, Kind, LAG, Thing, tag};
use super::truth::{Reader, Truth};
use super::{Line, SimStore};

/// What is the same for all engines of a simulation.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) engines: usize,
    pub(super) keys_per_call: usize,
    pub(super) config: Config,
    pub(super) policy: Policy,
    /// Reads that cannot say whether their answers are verified are left out.
    pub(super) must_label: bool,
}

/// An engine at work.
pub(super) struct Running {
    /// The number among all that have run: one that is started anew is another.
    pub(super) number: usize,
    pub(super) forewarm: Forewarm,
    pub(super) clock: Clock,
    pub(super) line: Line,
    shared: Resource<u32, Thing>,
    local: Resource<u32, Thing>,
    lagging: Resource<u32, Thing>,
}

impl Settings {
    /// Some settings, by seed.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let must_label = rng.u8(..6) == 0;
        let window = *rng.choice(&[250, 500, 1_000, 2_000]).as_ref().unwrap();
        let l2 = L2Config {
            window: Duration::from_millis(*window),
            outbox_max: if rng.u8(..4) == 0 { 2 } else { 1_000 },
            breaker_open_for: Duration::from_millis(500),
            share_hot_every: rng.bool().then_some(Duration::from_secs(2)),
            sweep_every: Duration::from_secs(5),
            ..L2Config::default()
        };
        let config = Config { prefix: "sim".into(), summary_every: None, l2, ..Config::default() };
        let policy = Self::policy(rng, must_label);
        let (engines, keys_per_call) = (rng.usize(2..=3), rng.usize(1..=4));
        Self { engines, keys_per_call, config, policy, must_label }
    }

    fn policy(rng: &mut Rng, must_label: bool) -> Policy {
        let is_small = rng.u8(..4) == 0;
        let mode = if rng.bool() { PreloadMode::Predicted } else { PreloadMode::Off };
        let early_refresh = match rng.u8(..3) {
            0 => Some(EarlyRefresh::After(0.5)),
            1 => Some(EarlyRefresh::XFetch { scale: Duration::from_millis(200) }),
            _ => None,
        };
        Policy {
            ttl: Duration::from_secs(rng.u64(1..=8)),
            absent_ttl: Some(Duration::from_secs(rng.u64(1..=4))),
            stale_while_revalidate: rng.bool().then_some(Duration::from_secs(1)),
            stale_if_error: (must_label || rng.bool()).then_some(Duration::from_secs(20)),
            early_refresh,
            refresh_spacing: Some(Duration::from_millis(100)),
            partition: if must_label { Partition::Bounded } else { Partition::Strict },
            // All in the segment whose evictions follow the seed.
            hot_share: 1.0,
            capacity: Capacity::Entries(if is_small { 4 } else { 100 }),
            preload: PreloadPolicy { mode, threshold: 0.1, ..PreloadPolicy::default() },
            source: SourcePolicy {
                attempts: rng.usize(1..=2),
                concurrency: rng.usize(2..=16),
                flights_max: if must_label { 2 } else { 10_000 },
                breaker_failures: 10_000,
                backoff_min: Duration::from_millis(50),
                backoff_max: Duration::from_millis(200),
                ..SourcePolicy::default()
            },
            ..Policy::default()
        }
    }

    /// Begins an engine.
    pub(super) async fn begin(
        &self,
        number: usize,
        seed: u64,
        store: &SimStore,
        truth: &Truth,
    ) -> Running {
        let line = Line::new(seed);
        let clock = Clock::starting_at(Timestamp::from_second(1_800_000_000).unwrap());
        let config = Config { seed: Some(seed), ..self.config.clone() };
        let builder = Forewarm::builder().config(config).clock(clock.clone());
        let forewarm = builder.tier(store.connect_over(&line)).build().await.unwrap();
        let [shared, local, lagging] = KINDS.map(|kind| {
            let builder = match kind {
                Kind::Shared | Kind::Lagging => forewarm.resource::<u32, Thing>(kind.name()),
                Kind::Local => forewarm.memory_resource::<u32, Thing>(kind.name()),
            };
            let replica_lag = (kind == Kind::Lagging).then_some(LAG);
            let policy = Policy { replica_lag, ..self.policy.clone() };
            let keys_per_call = self.keys_per_call;
            let builder = builder.policy(policy).tags(|_, thing| [tag(thing.colour())]);
            builder.loader(Reader { truth: truth.clone(), kind, keys_per_call }).build().unwrap()
        });
        forewarm.start().await.unwrap();
        Running { number, forewarm, clock, line, shared, local, lagging }
    }
}

impl Running {
    pub(super) const fn resource(&self, kind: Kind) -> &Resource<u32, Thing> {
        match kind {
            Kind::Shared => &self.shared,
            Kind::Local => &self.local,
            Kind::Lagging => &self.lagging,
        }
    }

    /// The invalidations that the store has not heard of.
    pub(super) fn queued(&self) -> u64 {
        self.forewarm.stats().iter().map(|stats| stats.queued_invalidations).sum()
    }
}
