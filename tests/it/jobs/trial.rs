//! Three processes on one store, one of which is killed every so often: each instant of each job has
//! one row, is done at least once, and never more at a time than may be.
//!
//! Every run of the tests tries it for some seconds on each store; `scripts/jobs` for longer.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::node::{Node, Orders};
use super::verdict::Verdict;
use super::witness::{self, Attempts, now};
use super::{Kind, Store};

/// How long it is tried, and how hard.
pub(super) struct Terms {
    pub(super) jobs: usize,
    pub(super) every_secs: Vec<u64>,
    pub(super) jitter: Duration,
    pub(super) lease_secs: u64,
    pub(super) lasts: Duration,
    pub(super) kill_every: Duration,
}

impl Terms {
    fn short() -> Self {
        Self {
            jobs: 40,
            every_secs: vec![2, 3, 4, 5],
            jitter: Duration::from_millis(500),
            lease_secs: 3,
            lasts: Duration::from_secs(16),
            kill_every: Duration::from_secs(5),
        }
    }

    fn long(lasts: Duration) -> Self {
        Self {
            jobs: 1_000,
            every_secs: vec![10, 15, 20, 30, 60],
            jitter: Duration::from_secs(8),
            lease_secs: 10,
            lasts,
            kill_every: Duration::from_secs(30),
        }
    }

    /// Tries it on a store.
    pub(super) async fn run(self, kind: Kind) -> Verdict {
        let store = Store::launch(kind).await;
        let home = tempfile::tempdir().unwrap();
        let orders = Orders {
            kind,
            url: store.url.clone(),
            jobs: self.jobs,
            every_secs: self.every_secs.clone(),
            jitter_millis: u64::try_from(self.jitter.as_millis()).unwrap(),
            lease_secs: self.lease_secs,
        };
        let mut lives = 0;
        let mut start = || {
            lives += 1;
            Node::start(&orders, home.path().join(format!("{lives}.notes")))
        };
        let mut nodes = vec![start(), start(), start()];
        let from = Timestamp::now();
        let (began, mut ended) = (now(), Vec::new());
        let passed = |began| Duration::from_micros(now() - began);
        while passed(began) + self.kill_every < self.lasts {
            sleep(self.kill_every).await;
            // The oldest one.
            ended.push(nodes.remove(0).kill());
            sleep(Duration::from_secs(1)).await;
            nodes.push(start());
        }
        sleep(self.lasts.saturating_sub(passed(began))).await;
        let until = Timestamp::now();
        let kills = ended.len();
        let done = Verdict::settled(&store, &orders, (from, until)).await;
        ended.extend(nodes.into_iter().map(Node::stop));
        let mut attempts = Attempts::new();
        for (notes, ended_at) in &ended {
            witness::read(notes, *ended_at, &mut attempts);
        }
        Verdict::of(&orders, (from, until), kills, &done, &attempts)
    }
}

/// Says how long it is tried, such as `10m`, and on which store.
const LASTS: &str = "FOREWARM_JOBS_LASTS";
const STORE: &str = "FOREWARM_JOBS_STORE";

#[expect(clippy::print_stdout, reason = "figures that somebody may want to see")]
async fn holds(kind: Kind) {
    let verdict = match (std::env::var(LASTS), std::env::var(STORE)) {
        (Ok(_), Ok(store)) if store != format!("{kind:?}").to_lowercase() => return,
        (Ok(lasts), _) => {
            let lasts: jiff::SignedDuration = lasts.parse().unwrap();
            Terms::long(lasts.unsigned_abs()).run(kind).await
        }
        _ => Terms::short().run(kind).await,
    };
    println!("{kind:?}: {verdict:#?}");
    verdict.must_be_good();
}

#[tokio::test]
async fn each_instant_is_done_whoever_is_killed_on_an_sqlite_file() {
    holds(Kind::Sqlite).await;
}

#[tokio::test]
async fn each_instant_is_done_whoever_is_killed_on_a_postgres_server() {
    holds(Kind::Postgres).await;
}

#[tokio::test]
async fn each_instant_is_done_whoever_is_killed_on_a_redis_server() {
    holds(Kind::Redis).await;
}
