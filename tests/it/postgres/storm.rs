//! Loads, writes and transactions at once, while the log is cut: no hit is older than a write that
//! was acknowledged before it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use tokio::task::JoinSet;

use super::*;

const KEYS: usize = 3;
const READERS: usize = 6;
const WRITERS: usize = 3;
const WRITES: usize = 60;

/// A table with numbers that only grow, and engines before it.
struct Source {
    home: Home,
    tiers: [PostgresTier; 2],
    /// The newest number of each key whose write has been acknowledged.
    acknowledged: [AtomicU64; KEYS],
    hits: AtomicU64,
    fills: AtomicU64,
    stale_hits: AtomicU64,
    is_over: AtomicBool,
}

fn key(nth: usize) -> String {
    format!("p:user:{nth}")
}

impl Source {
    async fn new() -> Self {
        let home = Home::at(shared().await.new_database().await.unwrap());
        let tiers = [home.tier().await, home.tier().await];
        let mut db = home.other().await;
        query("create table source (nth bigint, number bigint)").execute(&mut db).await.unwrap();
        let rows = "insert into source select nth, 0 from generate_series(0, 2) as nth";
        query(rows).execute(&mut db).await.unwrap();
        let zero = || AtomicU64::new(0);
        Self {
            home,
            tiers,
            acknowledged: std::array::from_fn(|_| zero()),
            hits: zero(),
            fills: zero(),
            stale_hits: zero(),
            is_over: AtomicBool::new(false),
        }
    }

    async fn read(&self, tier: &PostgresTier, db: &mut PgConnection, nth: usize) {
        let (key, acknowledged) = (key(nth), self.acknowledged[nth].load(SeqCst));
        match begin(tier, &key).await {
            (Begun::Hit(stored), _) => {
                let number = u64::from_le_bytes(stored.value.try_into().unwrap());
                self.hits.fetch_add(1, SeqCst);
                if number < acknowledged {
                    self.stale_hits.fetch_add(1, SeqCst);
                }
            }
            (Begun::Permit, permit) => {
                let load = "select number from source where nth = $1";
                let load = query_scalar(load).bind(i64::try_from(nth).unwrap());
                let number: i64 = load.fetch_one(db).await.unwrap();
                tokio::time::sleep(Duration::from_micros(fastrand::u64(..3_000))).await;
                let filled = fill_in(tier, &key, permit, &number.to_le_bytes()).await;
                self.fills.fetch_add(u64::from(filled == Filled::Stored), SeqCst);
            }
            _ => tokio::task::yield_now().await,
        }
    }

    /// Writes a number, and invalidates what names it: in the same transaction or after it.
    async fn write(&self, tier: &PostgresTier, db: &mut PgConnection, nth: usize) {
        let key = key(nth);
        let pattern = format!("{nth}*");
        let selector = match fastrand::u8(..4) {
            0 => Selector::Resource("p:user"),
            1 => Selector::Tag { resource: "p:user", tag: "red" },
            2 => Selector::Pattern { resource: "p:user", pattern: &pattern },
            _ => Selector::Key(&key),
        };
        let is_joined = fastrand::bool();
        let mut transaction = db.begin().await.unwrap();
        let number: i64 =
            query_scalar("update source set number = number + 1 where nth = $1 returning number")
                .bind(i64::try_from(nth).unwrap())
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
        if is_joined {
            invalidate_in(tier, &mut transaction, &[selector]).await;
        }
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..5_000))).await;
        if is_joined && fastrand::u8(..4) == 0 {
            return transaction.rollback().await.unwrap();
        }
        transaction.commit().await.unwrap();
        if !is_joined {
            invalidate(tier, selector).await;
        }
        self.acknowledged[nth].fetch_max(u64::try_from(number).unwrap(), SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hit_is_older_than_an_acknowledged_write() {
    let source = Arc::new(Source::new().await);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let source = Arc::clone(&source);
        writers.spawn(async move {
            let mut db = source.home.other().await;
            for write in 0..WRITES {
                let tier = &source.tiers[(writer + write) % 2];
                source.write(tier, &mut db, fastrand::usize(..KEYS)).await;
            }
        });
    }
    let mut others = JoinSet::new();
    for reader in 0..READERS {
        let source = Arc::clone(&source);
        others.spawn(async move {
            let mut db = source.home.other().await;
            while !source.is_over.load(SeqCst) {
                source.read(&source.tiers[reader % 2], &mut db, fastrand::usize(..KEYS)).await;
            }
        });
    }
    let sweeper = Arc::clone(&source);
    others.spawn(async move {
        while !sweeper.is_over.load(SeqCst) {
            sweeper.home.clock.advance(20 * SECOND);
            sweeper.tiers[0].sweep(100).await.unwrap();
        }
    });
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    source.is_over.store(true, SeqCst);
    while let Some(ended) = others.join_next().await {
        ended.unwrap();
    }
    let [hits, fills, stale] =
        [&source.hits, &source.fills, &source.stale_hits].map(|count| count.load(SeqCst));
    assert_eq!(stale, 0, "of {hits} hits, after {fills} fills");
    assert!(hits > 0 && fills > 0, "{hits} hits and {fills} fills show little");
}
