//! Engines over one simulated store, in paused time.

use std::collections::BTreeMap;
use std::time::Duration;

use forewarm::{
    Capacity, Clock, Config, Delivery, Forewarm, L2Config, Policy, PreloadMode, PreloadPolicy,
    Read, ReadFrom, ReadOptions, Resource, SourcePolicy,
};
use jiff::Timestamp;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::sleep;

use super::source::Source;
use crate::sim::{Line, SimStore};

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
/// How long after an invalidation others may not have heard of it.
pub(super) const WINDOW: Duration = Duration::from_secs(2);

/// A store and a source, which engines share.
#[derive(Clone)]
pub(super) struct World {
    pub(super) store: SimStore,
    pub(super) source: Source,
    pub(super) config: Config,
    pub(super) policy: Policy,
    /// What every value is tagged with, whoever brings it.
    pub(super) tags: &'static [&'static str],
}

/// An engine with one resource.
pub(super) struct Engine {
    pub(super) forewarm: Forewarm,
    pub(super) users: Resource<u32, String>,
    pub(super) clock: Clock,
    pub(super) line: Line,
}

impl World {
    /// Users 1 to 9; nothing at random, and nothing loaded ahead.
    pub(super) fn new() -> Self {
        let source = Source::default();
        for id in 1..10 {
            source.set(id, "old");
        }
        let l2 = L2Config { window: WINDOW, share_hot_every: None, ..L2Config::default() };
        let config = Config { prefix: "shop".into(), summary_every: None, l2, ..Config::default() };
        let preload = PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() };
        let (capacity, jitter) = (Capacity::Entries(1_000), 0.0);
        let source_policy =
            SourcePolicy { attempts: 1, breaker_failures: 100, ..SourcePolicy::default() };
        let policy =
            Policy { capacity, jitter, preload, source: source_policy, ..Policy::default() };
        Self { store: SimStore::new(), source, config, policy, tags: &[] }
    }

    /// Begins an engine, which has heard of everything by then.
    pub(super) async fn engine(&self) -> Engine {
        self.engine_over(&Line::new(0)).await
    }

    pub(super) async fn engine_over(&self, line: &Line) -> Engine {
        let (line, tags) = (line.clone(), self.tags);
        let clock = Clock::starting_at(Timestamp::from_second(1_800_000_000).unwrap());
        let builder = Forewarm::builder().config(self.config.clone()).clock(clock.clone());
        let forewarm = builder.tier(self.store.connect_over(&line)).build().await.unwrap();
        let users = forewarm.resource::<u32, String>("user").policy(self.policy.clone());
        let users = users.tags(move |_, _| tags.iter().copied());
        let users = users.loader(self.source.clone()).build().unwrap();
        forewarm.start().await.unwrap();
        sleep(MILLISECOND).await;
        Engine { forewarm, users, clock, line }
    }

    pub(super) async fn engines<const COUNT: usize>(&self) -> [Engine; COUNT] {
        let mut engines = Vec::new();
        for _ in 0..COUNT {
            engines.push(self.engine().await);
        }
        engines.try_into().ok().unwrap()
    }
}

impl Engine {
    /// The name of a user, whoever knows it.
    pub(super) async fn get(&self, id: u32) -> String {
        self.users.get(&id).await.unwrap().unwrap().to_string()
    }

    pub(super) async fn read(&self, id: u32) -> Read<String> {
        self.users.read(&id, &ReadOptions::new()).await.unwrap()
    }

    /// The name of a user, and who knew it.
    pub(super) async fn named(&self, id: u32) -> (String, ReadFrom) {
        let read = self.read(id).await;
        (read.value.unwrap().to_string(), read.from)
    }

    /// Invalidates a user, and L2 hears of it.
    pub(super) async fn invalidate(&self, id: u32) {
        assert_eq!(self.users.invalidate(&id).await, Delivery::Applied);
    }

    /// The same for the users with a tag.
    pub(super) async fn invalidate_tag(&self, tag: &str) {
        assert_eq!(self.users.invalidate_tag(tag).await.unwrap(), Delivery::Applied);
    }

    /// What was counted under this name since the last call, whatever its labels.
    pub(super) fn counted(&self, metric: &str) -> u64 {
        self.counts()
            .into_iter()
            .filter(|(name, _)| name.starts_with(metric))
            .map(|(_, count)| count)
            .sum()
    }

    /// What was counted since the last call: `name label label` and how often.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let recorder = DebuggingRecorder::new();
        metrics::with_local_recorder(&recorder, || self.forewarm.publish_metrics());
        let mut counts = BTreeMap::new();
        for (key, _, _, value) in recorder.snapshotter().snapshot().into_vec() {
            if let DebugValue::Counter(count @ 1..) = value {
                let labels = key.key().labels().map(metrics::Label::value).collect::<Vec<_>>();
                *counts.entry(format!("{} {}", key.key().name(), labels.join(" "))).or_default() +=
                    count;
            }
        }
        counts
    }
}
