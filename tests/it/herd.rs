//! Thirty thousand readers of one cold key, on three engines over an L2 that is real.
//!
//! What is promised: one load on each engine, however many wait; and, while L2 answers in time, one
//! over all of them, unless it takes longer than the others are willing to wait (`l2.busy_wait`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use forewarm::lab::{self, PostgresServer, RedisServer};
use forewarm::{
    Config, Forewarm, L2Config, LoadContext, LoadError, Loaded, Loader, Policy, PostgresOptions,
    RedisOptions, Resource, SourcePolicy, SqliteOptions, Tier,
};
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::sync::Semaphore;

const ENGINES: usize = 3;
const READERS: usize = 10_000;

/// Long enough for anything that comes at all, however busy the machine is.
const IN_TIME: Duration = Duration::from_mins(1);

const KEY: u32 = 7;
const NAME: &str = "seven";

/// A source that answers once it is let.
#[derive(Clone)]
struct Source(Arc<Gate>);

struct Gate {
    loads: AtomicUsize,
    may_answer: Semaphore,
}

impl Source {
    fn new() -> Self {
        Self(Arc::new(Gate { loads: AtomicUsize::new(0), may_answer: Semaphore::new(0) }))
    }
}

impl Loader<u32, String> for Source {
    async fn load(
        &self,
        key: &u32,
        _cx: &LoadContext<String>,
    ) -> Result<Loaded<String>, LoadError> {
        assert_eq!(*key, KEY);
        self.0.loads.fetch_add(1, SeqCst);
        let permit = self.0.may_answer.acquire().await;
        permit.map_err(LoadError::permanent)?.forget();
        Ok(Loaded::from(Some(NAME.to_owned())))
    }
}

/// An engine with one resource.
struct Engine {
    forewarm: Forewarm,
    names: Resource<u32, String>,
}

impl Engine {
    /// Begins an engine that waits for others as long as it takes, and for L2 as long as is said.
    async fn over(tier: impl Tier, source: &Source, timeout: Duration) -> Self {
        let (busy_wait, read_timeout, write_timeout) = (IN_TIME, timeout, timeout);
        let l2 = L2Config { busy_wait, read_timeout, write_timeout, ..L2Config::default() };
        let config = Config { summary_every: None, l2, ..Config::default() };
        let forewarm = Forewarm::builder().config(config).tier(tier).build().await.unwrap();
        let source_policy = SourcePolicy { deadline: 2 * IN_TIME, ..SourcePolicy::default() };
        let policy = Policy { source: source_policy, ..Policy::default() };
        let names = forewarm.resource::<u32, String>("name").policy(policy);
        let names = names.loader(source.clone()).build().unwrap();
        forewarm.start().await.unwrap();
        Self { forewarm, names }
    }

    async fn read(&self, begun: &AtomicUsize) -> String {
        begun.fetch_add(1, SeqCst);
        self.names.get(&KEY).await.unwrap().unwrap().to_string()
    }
}

/// Has the key read by all at once on all engines, and the source answer when they all wait and
/// `loads_expected` loads have begun; gives how many loads there were in the end.
async fn loads_of_a_herd(engines: &[Engine], source: &Source, loads_expected: usize) -> usize {
    let begun = AtomicUsize::new(0);
    let readers = (0..READERS).flat_map(|_| engines).map(|engine| engine.read(&begun));
    let herd = join_all(readers);
    let answer = async {
        while begun.load(SeqCst) < ENGINES * READERS || source.0.loads.load(SeqCst) < loads_expected
        {
            tokio::task::yield_now().await;
        }
        // Those that should not be there could answer as well, and would be counted.
        source.0.may_answer.add_permits(ENGINES * READERS);
    };
    let both = async { tokio::join!(herd, answer) };
    let (names, ()) = tokio::time::timeout(2 * IN_TIME, both).await.unwrap();
    assert_eq!(names.len(), ENGINES * READERS);
    assert!(names.iter().all(|name| name == NAME));
    for engine in engines {
        assert!(engine.forewarm.shutdown(IN_TIME).await);
    }
    source.0.loads.load(SeqCst)
}

/// What an L2 is made of. It ends when it is dropped.
enum Store {
    File(TempDir),
    Postgres(PostgresServer),
    Redis(RedisServer),
}

impl Store {
    fn file() -> Self {
        Self::File(tempfile::tempdir().unwrap())
    }

    async fn postgres() -> Self {
        Self::Postgres(PostgresServer::launch(lab::PostgresOptions::default()).await.unwrap())
    }

    async fn redis() -> Self {
        Self::Redis(RedisServer::launch(lab::RedisOptions::default()).await.unwrap())
    }

    /// Begins the engines, each with connections of its own.
    async fn engines(&self, source: &Source, timeout: Duration) -> Vec<Engine> {
        let mut engines = Vec::new();
        for _ in 0..ENGINES {
            engines.push(match self {
                Self::File(home) => {
                    // That another engine writes for long is not what is tried here.
                    let options = SqliteOptions::new(home.path().join("l2.sqlite"));
                    let tier = options.busy_timeout(timeout).open().await.unwrap();
                    Engine::over(tier, source, timeout).await
                }
                Self::Postgres(server) => {
                    let tier = PostgresOptions::new(&server.url()).unwrap().open().await.unwrap();
                    Engine::over(tier, source, timeout).await
                }
                Self::Redis(server) => {
                    let tier = RedisOptions::new(server.url()).open().await.unwrap();
                    Engine::over(tier, source, timeout).await
                }
            });
        }
        engines
    }

    /// Takes it away, and does not give it back.
    fn take_away(&self) {
        match self {
            Self::File(home) => std::fs::remove_dir_all(home.path()).unwrap(),
            Self::Postgres(server) => server.kill().unwrap(),
            Self::Redis(server) => server.kill().unwrap(),
        }
    }

    async fn leads_to_one_load(self) {
        let source = Source::new();
        let engines = self.engines(&source, IN_TIME).await;
        assert_eq!(loads_of_a_herd(&engines, &source, 1).await, 1);
    }

    async fn leads_to_one_load_on_each_engine_when_it_is_gone(self) {
        let source = Source::new();
        let engines = self.engines(&source, L2Config::default().read_timeout).await;
        self.take_away();
        assert_eq!(loads_of_a_herd(&engines, &source, ENGINES).await, ENGINES);
    }
}

#[tokio::test]
async fn a_herd_on_three_engines_leads_to_one_load_with_sqlite() {
    Store::file().leads_to_one_load().await;
}

#[tokio::test]
async fn a_herd_on_three_engines_leads_to_one_load_with_postgres() {
    Store::postgres().await.leads_to_one_load().await;
}

#[tokio::test]
async fn a_herd_on_three_engines_leads_to_one_load_with_redis() {
    Store::redis().await.leads_to_one_load().await;
}

#[tokio::test]
async fn a_herd_leads_to_one_load_on_each_engine_when_the_sqlite_file_is_gone() {
    Store::file().leads_to_one_load_on_each_engine_when_it_is_gone().await;
}

#[tokio::test]
async fn a_herd_leads_to_one_load_on_each_engine_when_the_postgres_server_is_gone() {
    Store::postgres().await.leads_to_one_load_on_each_engine_when_it_is_gone().await;
}

#[tokio::test]
async fn a_herd_leads_to_one_load_on_each_engine_when_the_redis_server_is_gone() {
    Store::redis().await.leads_to_one_load_on_each_engine_when_it_is_gone().await;
}
