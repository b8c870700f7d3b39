//! An engine over a second tier, with everything in reach that a test wants to move.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use forewarm::{
    Capacity, Clock, Config, Forewarm, L2Config, Policy, PreloadMode, PreloadPolicy, Read,
    ReadOptions, Resource, SourcePolicy, SqliteOptions, Tier, TrustOnRestart,
};
use jiff::Timestamp;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use parking_lot::Mutex;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, query, query_as};
use tempfile::TempDir;

use super::faulty::{Faulty, Mode, Op, Remote};
use super::source::Source;
use crate::waiting::until;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
/// How long a value is fresh in these tests; then 30 s while it is renewed, and an hour if that
/// fails.
pub(super) const TTL: Duration = Duration::from_mins(10);

/// A file, a clock and a source, which outlive the engines over them.
pub(super) struct World {
    pub(super) home: TempDir,
    pub(super) clock: Clock,
    pub(super) source: Source,
}

/// What is particular to an engine.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) policy: Policy,
}

/// An engine with one resource over a tier.
pub(super) struct Run {
    pub(super) forewarm: Forewarm,
    pub(super) users: Resource<u32, String>,
    pub(super) tier: Remote,
    /// What was counted and not yet asked for.
    counted: Mutex<BTreeMap<String, u64>>,
}

impl Setup {
    /// Nothing at random, nothing loaded ahead, and no limit of time that a slow machine could
    /// reach.
    pub(super) fn new() -> Self {
        let l2 = L2Config {
            read_timeout: MINUTE,
            write_timeout: MINUTE,
            busy_wait: MINUTE,
            window: MINUTE,
            share_hot_every: None,
            breaker_failures: 3,
            breaker_open_for: SECOND,
            sweep_every: Duration::from_hours(1),
            compress_over_bytes: 1 << 20,
            ..L2Config::default()
        };
        let config = Config { prefix: "shop".into(), summary_every: None, l2, ..Config::default() };
        let policy = Policy {
            ttl: TTL,
            absent_ttl: Some(MINUTE),
            jitter: 0.0,
            capacity: Capacity::Entries(10_000),
            refresh_spacing: Some(Duration::from_millis(1)),
            preload: PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() },
            source: SourcePolicy {
                attempts: 1,
                breaker_failures: 1_000,
                backoff_min: Duration::from_millis(1),
                backoff_max: Duration::from_millis(1),
                ..SourcePolicy::default()
            },
            ..Policy::default()
        };
        Self { config, policy }
    }

    /// The same with real limits of time, for paused time.
    pub(super) fn timed() -> Self {
        let mut setup = Self::new();
        let times = L2Config::default();
        setup.config.l2.read_timeout = times.read_timeout;
        setup.config.l2.write_timeout = times.write_timeout;
        setup.config.l2.busy_wait = times.busy_wait;
        setup
    }

    pub(super) fn trusting(trust: TrustOnRestart) -> Self {
        let mut setup = Self::new();
        setup.policy.trust_on_restart = trust;
        setup
    }

    /// Begins an engine over a tier.
    pub(super) async fn begin(self, clock: Option<Clock>, source: &Source, tier: impl Tier) -> Run {
        let (tier, remote) = Faulty::new(tier);
        let builder = Forewarm::builder().config(self.config).tier(tier);
        let builder = match clock {
            Some(clock) => builder.clock(clock),
            None => builder,
        };
        let forewarm = builder.build().await.unwrap();
        let users = forewarm.resource::<u32, String>("user").policy(self.policy);
        let users = users.loader(source.clone()).build().unwrap();
        forewarm.start().await.unwrap();
        Run { forewarm, users, tier: remote, counted: Mutex::default() }
    }
}

impl World {
    pub(super) fn new() -> Self {
        let clock = Clock::starting_at(Timestamp::from_second(1_800_000_000).unwrap());
        Self { home: tempfile::tempdir().unwrap(), clock, source: Source::new() }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.file("cache.db")
    }

    /// However busy the machine is, engines that write at once wait for each other.
    pub(super) fn options(&self) -> SqliteOptions {
        SqliteOptions::new(self.path()).clock(self.clock.clone()).busy_timeout(MINUTE)
    }

    /// Those of an engine that does not wait long for others.
    pub(super) fn hasty_options(&self) -> SqliteOptions {
        self.options().busy_timeout(Duration::from_millis(50))
    }

    /// Begins an engine over the file.
    pub(super) async fn run(&self, setup: Setup) -> Run {
        self.run_over(setup, self.options()).await
    }

    pub(super) async fn run_over(&self, setup: Setup, options: SqliteOptions) -> Run {
        let tier = options.open().await.unwrap();
        setup.begin(Some(self.clock.clone()), &self.source, tier).await
    }

    /// Ends a run, and lets time pass before the next: its clock starts anew.
    pub(super) async fn end(&mut self, run: Run, pause: Duration) {
        assert!(run.forewarm.shutdown(MINUTE).await);
        self.clock = Clock::starting_at(self.clock.wall() + pause);
    }

    /// What the file holds of a user: its value, or `None` for "there is no such user".
    pub(super) async fn row(&self, id: u32) -> Option<Option<String>> {
        let rows = rows_of(&self.path()).await;
        rows.get(&format!("shop:user:{id}")).map(|envelope| text_in(envelope))
    }

    pub(super) async fn rows(&self) -> usize {
        rows_of(&self.path()).await.len()
    }

    /// Changes the stored bytes of a user.
    pub(super) async fn set_row(&self, id: u32, envelope: &[u8]) {
        let mut other = self.other().await;
        let sql = "update forewarm_entry set value = ? where key = ?";
        let key = format!("shop:user:{id}");
        let done = query(sql).bind(envelope).bind(key).execute(&mut other).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
        other.close().await.unwrap();
    }

    /// The stored bytes of a user.
    pub(super) async fn envelope(&self, id: u32) -> Vec<u8> {
        rows_of(&self.path()).await.remove(&format!("shop:user:{id}")).unwrap()
    }

    /// A connection that is not the tier's.
    pub(super) async fn other(&self) -> SqliteConnection {
        self.other_options().connect().await.unwrap()
    }

    pub(super) fn other_options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new().filename(self.path()).create_if_missing(true)
    }
}

async fn rows_of(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut other = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let sql = "select key, value from forewarm_entry";
    let rows: Vec<(String, Vec<u8>)> = query_as(sql).fetch_all(&mut other).await.unwrap();
    other.close().await.unwrap();
    rows.into_iter().collect()
}

/// The text in an envelope: 24 bytes of header, the text's length, the text, 8 bytes of checksum.
fn text_in(envelope: &[u8]) -> Option<String> {
    let body = &envelope[24..envelope.len() - 8];
    (!body.is_empty()).then(|| String::from_utf8_lossy(&body[1..]).into_owned())
}

impl Run {
    /// The value of a user, however old.
    pub(super) async fn get(&self, id: u32) -> Option<String> {
        self.users.get(&id).await.unwrap().map(|user| (*user).clone())
    }

    pub(super) async fn read(&self, id: u32) -> Read<String> {
        self.users.read(&id, &ReadOptions::new()).await.unwrap()
    }

    /// Empties memory, when everything is in L2 that is to get there.
    pub(super) async fn forget(&self) {
        self.forewarm.settled().await;
        self.forewarm.clear();
    }

    /// Loads a user, so that both tiers have it.
    pub(super) async fn load(&self, id: u32) {
        assert!(self.get(id).await.is_some());
        self.forewarm.settled().await;
    }

    /// What was counted since the last call: `metric{label values}` and how often.
    pub(super) fn counted(&self) -> BTreeMap<String, u64> {
        self.publish();
        std::mem::take(&mut *self.counted.lock())
    }

    /// Adds up what is published, and gives the gauges.
    fn publish(&self) -> BTreeMap<String, f64> {
        let recorder = DebuggingRecorder::new();
        metrics::with_local_recorder(&recorder, || self.forewarm.publish_metrics());
        let (mut counted, mut gauges) = (self.counted.lock(), BTreeMap::new());
        for (key, _, _, value) in recorder.snapshotter().snapshot().into_vec() {
            let name = key.key().name();
            let labels = key.key().labels().filter(|label| label.key() != "resource");
            let labels: Vec<_> = labels.map(|label| label.value().to_owned()).collect();
            match value {
                DebugValue::Counter(count @ 1..) => {
                    let name = name.trim_start_matches("forewarm_").trim_end_matches("_total");
                    *counted.entry(format!("{name} {}", labels.join(" "))).or_default() += count;
                }
                DebugValue::Gauge(value) => {
                    gauges.insert(name.to_owned(), value.into_inner());
                }
                DebugValue::Counter(_) | DebugValue::Histogram(_) => {}
            }
        }
        gauges
    }

    /// The counts of one metric since the last call.
    pub(super) fn counted_of(&self, metric: &str) -> Vec<(String, u64)> {
        let of = |(name, count): (String, u64)| {
            Some((name.strip_prefix(metric)?.trim_start().to_owned(), count))
        };
        self.counted().into_iter().filter_map(of).collect()
    }

    /// What is published of whether L2 answers.
    pub(super) fn is_l2_up(&self) -> bool {
        self.publish()["forewarm_l2_up"] > 0.5
    }

    /// Waits until the engine has heeded what it heard of L2 after this call began.
    pub(super) async fn has_followed(&self) {
        // The answer of one has been heeded before the next one begins.
        let polls = self.tier.calls(Op::Poll);
        self.tier.begun(Op::Poll, polls + 2).await;
    }

    /// Mends the tier, and waits until what is queued has been delivered.
    pub(super) async fn recover(&self, clock: &Clock) {
        self.tier.set_all(Mode::Works);
        // The breaker lets one call try it.
        clock.advance(SECOND);
        let is_told = async || self.users.stats().queued_invalidations == 0;
        until("all is delivered", is_told).await;
    }
}
