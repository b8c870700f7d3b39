//! Passwords, values, keys and tags, in engines over each L2 that go through what works and what
//! fails, at the finest level of logs.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use forewarm::lab::{self, Data, PostgresServer, RedisServer};
use forewarm::{
    Builder, Config, Delivery, Forewarm, L2Config, LoadError, Loaded, Policy, PostgresOptions,
    ReadFrom, ReadOptions, RedisOptions, Resource, SourcePolicy, SqliteOptions, TrustOnRestart,
};
use metrics_util::debugging::{DebuggingRecorder, Snapshotter};

use super::watch::Watch;

/// Part of whatever must not be said.
const CANARY: &str = "CANARY";

const PASSWORD: &str = "CANARYp4ssword";

/// Bytes of the canary, as those who show bytes show them.
const CANARY_BYTES: &str = "67, 65, 78, 65, 82, 89";

const DEADLINE: Duration = Duration::from_mins(1);

/// What was said so far, but for the log.
#[derive(Default)]
struct Said(String);

impl Said {
    fn note(&mut self, said: &dyn Debug) {
        self.0 += &format!("{said:?} {said:#?}\n");
    }

    /// An error, and all that it is because of.
    fn error(&mut self, error: &dyn StdError) {
        let mut cause = Some(error);
        while let Some(error) = cause {
            self.0 += &format!("{error} {error:?} {error:#?}\n");
            cause = error.source();
        }
    }
}

/// What is told of engines, but for the values to those who ask for them.
struct Stage {
    snapshotter: Snapshotter,
    log: Watch,
    log_bytes: Watch,
    said: Said,
}

impl Stage {
    fn new(recorder: &DebuggingRecorder) -> Self {
        let (log, log_bytes) = (Watch::of(CANARY), Watch::of(CANARY_BYTES));
        Self { snapshotter: recorder.snapshotter(), log, log_bytes, said: Said::default() }
    }

    /// Shows everything there is to be shown of an engine.
    fn look_at<V: Send + Sync + Debug + 'static>(
        &mut self,
        forewarm: &Forewarm,
        things: &Resource<String, V>,
    ) {
        forewarm.publish_metrics();
        self.said.note(forewarm);
        self.said.note(things);
        self.said.note(&forewarm.stats());
        for (key, _unit, help, value) in self.snapshotter.snapshot().into_vec() {
            self.said.note(&(key, help, value));
        }
    }

    /// Says what was found where nothing must be.
    fn end(self) {
        let lines = [self.log.lines(), self.log_bytes.lines()].concat();
        assert!(lines.is_empty(), "{lines:#?}");
        for canary in [CANARY, CANARY_BYTES] {
            let found = self.said.0.lines().find(|line| line.contains(canary));
            assert_eq!(found, None);
        }
        assert!(Watch::looked_through() > 0);
    }
}

/// What the loader does.
#[derive(Clone, Default)]
struct Source {
    fails: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
}

fn config() -> Config {
    let l2 = L2Config { breaker_failures: 1_000, ..L2Config::default() };
    Config {
        prefix: "shop".into(),
        summary_every: Some(Duration::from_millis(50)),
        l2,
        ..Config::default()
    }
}

fn policy() -> Policy {
    let source = SourcePolicy { attempts: 1, breaker_failures: 1_000, ..SourcePolicy::default() };
    let trust_on_restart = TrustOnRestart::WithinTtl;
    Policy { value_bytes_max: 10_000, trust_on_restart, source, ..Policy::default() }
}

async fn engine(builder: Builder, source: &Source) -> (Forewarm, Resource<String, String>) {
    let forewarm = builder.config(config()).build().await.unwrap();
    let source = source.clone();
    let things = forewarm.resource::<String, String>("thing").policy(policy());
    let things = things.load_with(move |key: String| {
        let source = source.clone();
        async move {
            assert!(!source.panics.load(SeqCst), "the source of a test panics");
            if source.fails.load(SeqCst) {
                return Err(LoadError::permanent("it is down"));
            }
            let length = if key.ends_with("long") { 20_000 } else { 10 };
            Ok(Loaded::from(format!("CANARYvalue{}", "x".repeat(length))).tags(["CANARYtag"]))
        }
    });
    let things = things.build().unwrap();
    forewarm.start().await.unwrap();
    (forewarm, things)
}

/// Reads, writes and invalidates in every way, whether or not that succeeds.
async fn use_all(stage: &mut Stage, forewarm: &Forewarm, things: &Resource<String, String>) {
    for key in ["CANARYkey1", "CANARYkey2", "CANARYlong"] {
        match things.read(key, &ReadOptions::new()).await {
            // Who has a value may show it.
            Ok(read) => stage.said.note(&(read.from, read.freshness)),
            Err(error) => stage.said.error(&error),
        }
        forewarm.settled().await;
        stage.said.note(&things.put(key, "CANARYput".to_owned()).await);
        stage.said.note(&things.expire(key).await);
        stage.said.note(&things.invalidate(key).await);
    }
    stage.said.note(&things.invalidate_tag("CANARYtag").await);
    stage.said.note(&things.invalidate_tag(&"CANARY".repeat(100)).await);
    stage.said.note(&things.invalidate_matching("CANARY*").await.map_err(|_refused| ()));
    let ahead = vec!["CANARYkey1".to_owned(), "CANARYkey3".to_owned()];
    things.preload(&ahead).await;
    stage.said.note(&things.invalidate_all().await);
    forewarm.settled().await;
    stage.look_at(forewarm, things);
}

/// All that an engine can meet by itself: what works, and a source that fails and panics.
async fn works(stage: &mut Stage, builder: Builder, is_shared: bool) {
    let source = Source::default();
    let (forewarm, things) = engine(builder, &source).await;
    use_all(stage, &forewarm, &things).await;
    for flag in [&source.fails, &source.panics] {
        flag.store(true, SeqCst);
        use_all(stage, &forewarm, &things).await;
        flag.store(false, SeqCst);
    }
    if is_shared {
        // What the next one finds and cannot read.
        things.get("CANARYkey1").await.unwrap();
        forewarm.settled().await;
    }
    assert!(forewarm.shutdown(DEADLINE).await);
    stage.look_at(&forewarm, &things);
}

/// The same values, taken for something that they are not.
async fn misreads(stage: &mut Stage, builder: Builder) {
    let forewarm = builder.config(config()).build().await.unwrap();
    let things = forewarm.resource::<String, (u64, Vec<Option<String>>)>("thing").policy(policy());
    let things = things.load_with(|_key: String| async { Ok::<_, LoadError>((7, Vec::new())) });
    let things = things.build().unwrap();
    forewarm.start().await.unwrap();
    let read = things.read("CANARYkey1", &ReadOptions::new()).await.unwrap();
    assert_eq!(read.from, ReadFrom::Source, "it can be read");
    forewarm.settled().await;
    stage.look_at(&forewarm, &things);
    assert!(forewarm.shutdown(DEADLINE).await);
}

/// An L2 that does not answer, or not as it should.
async fn suffers(stage: &mut Stage, forewarm: &Forewarm, things: &Resource<String, String>) {
    use_all(stage, forewarm, things).await;
    assert_eq!(things.invalidate("CANARYkey1").await, Delivery::Queued);
    use_all(stage, forewarm, things).await;
}

async fn recovers(things: &Resource<String, String>) {
    let recovered = async {
        while things.invalidate("CANARYkey1").await != Delivery::Applied {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, recovered).await.unwrap();
}

#[tokio::test]
async fn over_an_sqlite_file_nothing_is_said_that_must_not_be() {
    let recorder = DebuggingRecorder::new();
    let mut stage = Stage::new(&recorder);
    let _guard = metrics::set_default_local_recorder(&recorder);
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("l2.sqlite");
    let options = SqliteOptions::new(&path);
    stage.said.note(&options);
    let open = async || options.clone().open().await.unwrap();
    works(&mut stage, Forewarm::builder().tier(open().await), true).await;
    misreads(&mut stage, Forewarm::builder().tier(open().await)).await;

    let tier = open().await;
    let (forewarm, things) = engine(Forewarm::builder().tier(tier), &Source::default()).await;
    use_all(&mut stage, &forewarm, &things).await;
    // No database, but a file in which there is a canary.
    for name in ["l2.sqlite", "l2.sqlite-wal", "l2.sqlite-shm"] {
        std::fs::remove_file(home.path().join(name)).unwrap();
    }
    std::fs::write(&path, "CANARYfile ".repeat(1_000)).unwrap();
    suffers(&mut stage, &forewarm, &things).await;
    std::fs::remove_file(&path).unwrap();
    recovers(&things).await;
    assert!(forewarm.shutdown(DEADLINE).await);
    stage.end();
}

#[tokio::test]
async fn over_a_postgres_server_nothing_is_said_that_must_not_be() {
    let recorder = DebuggingRecorder::new();
    let mut stage = Stage::new(&recorder);
    let _guard = metrics::set_default_local_recorder(&recorder);
    let options = lab::PostgresOptions::default().password(PASSWORD).tls();
    let server = PostgresServer::launch(options.clone()).await.unwrap();
    stage.said.note(&options);
    stage.said.note(&server);
    let open = async |url: &str| {
        let options = PostgresOptions::new(url).unwrap();
        let shown = format!("{options:?}");
        let tier = options.open().await.unwrap();
        (format!("{shown} {tier:?}"), tier)
    };
    let authority = server.authority().unwrap();
    let url = format!("{}?sslmode=verify-full&sslrootcert={}", server.url(), authority.display());
    let (shown, tier) = open(&url).await;
    stage.said.note(&shown);
    works(&mut stage, Forewarm::builder().tier(tier), true).await;
    misreads(&mut stage, Forewarm::builder().tier(open(&url).await.1)).await;

    // One that nobody lets in, and one that asks whom it must not.
    let unverified = format!("{}?sslmode=verify-full", server.url());
    for wrong in [url.replace(PASSWORD, "CANARYwrong"), unverified] {
        let (shown, tier) = open(&wrong).await;
        stage.said.note(&shown);
        let (forewarm, things) =
            engine(Forewarm::builder().tier(tier.clone()), &Source::default()).await;
        suffers(&mut stage, &forewarm, &things).await;
        stage.said.error(&forewarm::Tier::size(&tier).await.unwrap_err());
        assert!(forewarm.shutdown(DEADLINE).await);
    }
    let url = format!("postgres://user:{PASSWORD}@127.0.0.1:port/database");
    stage.said.error(&PostgresOptions::new(&url).unwrap_err());

    let (_, tier) = open(&server.url()).await;
    let builder = Forewarm::builder().tier(tier.clone());
    let (forewarm, things) = engine(builder, &Source::default()).await;
    use_all(&mut stage, &forewarm, &things).await;
    server.kill().unwrap();
    suffers(&mut stage, &forewarm, &things).await;
    stage.said.error(&forewarm::Tier::size(&tier).await.unwrap_err());
    server.start(Data::Kept).await.unwrap();
    recovers(&things).await;
    assert!(forewarm.shutdown(DEADLINE).await);
    stage.end();
}

#[tokio::test]
async fn over_a_redis_server_nothing_is_said_that_must_not_be() {
    let recorder = DebuggingRecorder::new();
    let mut stage = Stage::new(&recorder);
    let _guard = metrics::set_default_local_recorder(&recorder);
    let options = lab::RedisOptions::default().password(PASSWORD).tls();
    let server = RedisServer::launch(options.clone()).await.unwrap();
    stage.said.note(&options);
    stage.said.note(&server);
    let authority = server.authority().unwrap();
    let right = RedisOptions::new(server.url()).ca_file(&authority);
    stage.said.note(&right);
    let tier = right.clone().open().await.unwrap();
    stage.said.note(&tier);
    works(&mut stage, Forewarm::builder().tier(tier), true).await;
    misreads(&mut stage, Forewarm::builder().tier(right.clone().open().await.unwrap())).await;

    let wrong = RedisOptions::new(server.url().replace(PASSWORD, "CANARYwrong"));
    for wrong in [
        wrong.ca_file(&authority),
        right.clone().credentials("somebody", "CANARYwrong"),
        RedisOptions::new(server.url()),
    ] {
        stage.said.note(&wrong);
        let tier = wrong.open().await.unwrap();
        stage.said.note(&tier);
        let (forewarm, things) = engine(Forewarm::builder().tier(tier), &Source::default()).await;
        suffers(&mut stage, &forewarm, &things).await;
        assert!(forewarm.shutdown(DEADLINE).await);
    }
    let nowhere = RedisOptions::new(format!("redis://user:{PASSWORD}@localhost:port"));
    stage.said.note(&nowhere);
    stage.said.error(&nowhere.open().await.unwrap_err());

    let builder = Forewarm::builder().tier(right.open().await.unwrap());
    let (forewarm, things) = engine(builder, &Source::default()).await;
    use_all(&mut stage, &forewarm, &things).await;
    server.kill().unwrap();
    suffers(&mut stage, &forewarm, &things).await;
    server.start(Data::Kept).await.unwrap();
    recovers(&things).await;
    assert!(forewarm.shutdown(DEADLINE).await);
    stage.end();
}
