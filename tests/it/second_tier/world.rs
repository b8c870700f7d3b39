//! An engine over a file, with a source that changes and counts.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use forewarm::{
    Clock, Config, Forewarm, L2Config, LoadContext, LoadError, Loaded, Loader, Policy, Resource,
    SqliteOptions, SqliteTier,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, query, query_scalar};
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};

use super::told::Told;

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// The names of users, which change; it counts who asks, and can be held up.
#[derive(Clone, Debug, Default)]
pub(super) struct Source(Arc<State>);

#[derive(Debug)]
struct State {
    names: Mutex<HashMap<u64, String>>,
    absent: Mutex<HashSet<u64>>,
    loads: AtomicU64,
    calls: AtomicU64,
    /// Loads take their value, and then wait here before they bring it.
    is_held: watch::Sender<bool>,
    begun: Semaphore,
    fails: AtomicBool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            names: Mutex::default(),
            absent: Mutex::default(),
            loads: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            is_held: watch::Sender::new(false),
            begun: Semaphore::new(0),
            fails: AtomicBool::new(false),
        }
    }
}

impl Source {
    pub(super) fn set(&self, key: u64, name: &str) {
        self.0.names.lock().insert(key, name.to_owned());
    }

    pub(super) fn remove(&self, key: u64) {
        self.0.absent.lock().insert(key);
    }

    /// The keys asked for.
    pub(super) fn loads(&self) -> u64 {
        self.0.loads.load(SeqCst)
    }

    /// The calls that asked for them.
    pub(super) fn calls(&self) -> u64 {
        self.0.calls.load(SeqCst)
    }

    /// From now on loads have taken their value and wait.
    pub(super) fn hold(&self) {
        self.0.is_held.send_replace(true);
    }

    /// Waits until another load has taken its value.
    pub(super) async fn has_begun(&self) {
        self.0.begun.acquire().await.unwrap().forget();
    }

    pub(super) fn let_go(&self) {
        self.0.is_held.send_replace(false);
    }

    pub(super) fn fail(&self, fails: bool) {
        self.0.fails.store(fails, SeqCst);
    }

    fn name(&self, key: u64) -> Result<Loaded<String>, LoadError> {
        self.0.loads.fetch_add(1, SeqCst);
        if self.0.fails.load(SeqCst) {
            return Err(LoadError::permanent("told to fail"));
        }
        if self.0.absent.lock().contains(&key) {
            return Ok(Loaded::absent());
        }
        let name = self.0.names.lock().get(&key).cloned();
        Ok(Loaded::found(name.unwrap_or_else(|| format!("user {key}"))))
    }

    async fn wait(&self) {
        self.0.calls.fetch_add(1, SeqCst);
        self.0.begun.add_permits(1);
        drop(self.0.is_held.subscribe().wait_for(|is_held| !is_held).await.unwrap());
    }
}

impl Loader<u64, String> for Source {
    async fn load(
        &self,
        key: &u64,
        _cx: &LoadContext<String>,
    ) -> Result<Loaded<String>, LoadError> {
        let name = self.name(*key);
        self.wait().await;
        name
    }

    fn keys_per_call(&self) -> usize {
        1_000
    }

    async fn load_many(
        &self,
        keys: &[(u64, LoadContext<String>)],
    ) -> Vec<Result<Loaded<String>, LoadError>> {
        let names = keys.iter().map(|(key, _)| self.name(*key)).collect();
        self.wait().await;
        names
    }
}

/// A directory with a file in it, a clock that only tests move ahead, and a source.
pub(super) struct Home {
    directory: TempDir,
    pub(super) clock: Clock,
    pub(super) source: Source,
    pub(super) told: Told,
}

/// An engine in use.
pub(super) struct World {
    pub(super) forewarm: Forewarm,
    pub(super) users: Resource<u64, String>,
}

impl Home {
    pub(super) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: Clock::starting_at(Timestamp::from_second(1_800_000_000).unwrap()),
            source: Source::default(),
            told: Told::default(),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("cache.db")
    }

    pub(super) fn options(&self) -> SqliteOptions {
        SqliteOptions::new(self.path()).clock(self.clock.clone())
    }

    /// Values live a minute to the dot.
    pub(super) fn policy() -> Policy {
        Policy { ttl: 60 * SECOND, jitter: 0.0, stale_while_revalidate: None, ..Policy::default() }
    }

    /// Limits that no machine is too slow for, and a breaker that opens at the third failure.
    pub(super) fn config() -> Config {
        let l2 = L2Config {
            read_timeout: 60 * SECOND,
            write_timeout: 60 * SECOND,
            breaker_failures: 3,
            ..L2Config::default()
        };
        Config { l2, ..Config::default() }
    }

    pub(super) async fn open(&self, policy: Policy) -> World {
        self.open_with(policy, Self::config(), self.options().open().await.unwrap()).await
    }

    pub(super) async fn open_with(
        &self,
        policy: Policy,
        config: Config,
        tier: SqliteTier,
    ) -> World {
        let builder = Forewarm::builder().config(config).clock(self.clock.clone());
        let forewarm = builder.tier(self.told.tier(tier)).build().await.unwrap();
        let users = forewarm.resource::<u64, String>("user").policy(policy);
        let users = users.loader(self.source.clone()).build().unwrap();
        forewarm.start().await.unwrap();
        World { forewarm, users }
    }

    /// A connection that is not the tier's.
    pub(super) async fn other(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.path()).connect().await.unwrap()
    }

    /// The rows of the file.
    pub(super) async fn rows(&self) -> i64 {
        let count = "select count(*) from forewarm_entry";
        query_scalar(count).fetch_one(&mut self.other().await).await.unwrap()
    }

    /// Puts these bytes in the place of every stored value.
    pub(super) async fn spoil(&self, value: &[u8]) {
        let update = "update forewarm_entry set value = ?1";
        query(update).bind(value).execute(&mut self.other().await).await.unwrap();
    }
}

impl World {
    pub(super) async fn name(&self, key: u64) -> String {
        let name = self.users.get(&key).await.unwrap();
        self.forewarm.settled().await;
        name.unwrap().to_string()
    }

    /// Forgets what memory holds.
    pub(super) fn forget(&self) {
        self.users.clear();
    }

    pub(super) async fn close(self) {
        assert!(self.forewarm.shutdown(60 * SECOND).await);
    }
}
