//! What one of each costs the L2 that engines share: from these figures, multiplied, follows what a
//! hundred engines or a billion keys would cost (`ARCHITECTURE.md`).
//!
//! It starts servers of its own. Times of a server are processor time of its process and of those that
//! it has started; those of SQLite, which has no server, are processor time of this process.
//!
//! ```sh
//! cargo bench --features service --bench units
//! ```
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]
#![expect(clippy::cast_precision_loss, reason = "figures of a benchmark")]

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use forewarm::lab::{self, PostgresServer, RedisServer};
use forewarm::{
    Ask, Begun, Cursor, Fill, Invalidation, Node, Permit, PostgresOptions, RedisOptions, Selector,
    SqliteTier, Tier, Want,
};
use tokio::time::Instant;

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    /// The values stored.
    rows: usize,
    /// How often each thing is done.
    times: usize,
    /// The other engines that have noted what is hot there.
    engines: u64,
}

const FULL: Size = Size { rows: 1_000_000, times: 2_000, engines: 99 };
/// To see that it works: `-- --test`.
const SMALL: Size = Size { rows: 256, times: 4, engines: 2 };

/// The values that are stored at a time.
const BATCH: usize = 1_000;
/// The rows that a sweep removes at most.
const SWEPT: usize = 500;
/// The keys of which an engine tells that they are hot.
const HOT: usize = 100;
const VALUE: [u8; 200] = [7; 200];
const LONG: Duration = Duration::from_hours(10);
const HERE: Node = Node(0);
const THERE: Node = Node(1);

fn main() {
    let is_trial = std::env::args().any(|argument| argument == "--test");
    let size = if is_trial { SMALL } else { FULL };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("l2.sqlite");
        let sqlite = SqliteTier::open(&path).await.unwrap();
        measure("sqlite", &sqlite, Processes::OfThis, home.path(), size).await;

        let server = PostgresServer::launch(lab::PostgresOptions::default()).await.unwrap();
        let tier = PostgresOptions::new(&server.url()).unwrap().open().await.unwrap();
        let processes = Processes::Of(server.pid().unwrap());
        measure("postgres", &tier, processes, server.directory(), size).await;

        let server = RedisServer::launch(lab::RedisOptions::default()).await.unwrap();
        let tier = RedisOptions::new(server.url()).open().await.unwrap();
        let processes = Processes::Of(server.pid().unwrap());
        measure("redis", &tier, processes, server.directory(), size).await;
    });
}

/// Prints what each thing costs one L2.
async fn measure(l2: &str, tier: &impl Tier, processes: Processes, home: &Path, size: Size) {
    let before = (processes.resident(), on_disk(home));
    for batch in 0..size.rows.div_ceil(BATCH) {
        let count = BATCH.min(size.rows - batch * BATCH);
        store(tier, &names(batch * BATCH..batch * BATCH + count)).await;
    }
    let after = (processes.resident(), on_disk(home));
    let per_row = |before: u64, after: u64| after.saturating_sub(before) as f64 / size.rows as f64;
    let (memory, files) = (per_row(before.0, after.0), per_row(before.1, after.1));
    let what = "a row of 200 bytes";
    println!("{l2:10} {what:34} {memory:9.0} bytes of memory {files:9.0} bytes of files");

    let meter = Meter { l2, processes, times: size.times };
    // Keys that are far apart, and stored.
    let place = Cell::new(0);
    let next = || {
        place.set((place.get() + 7_919) % size.rows);
        format!("p:user:{:012}", place.get())
    };
    reads(tier, meter, &next).await;
    changes(tier, meter, &next).await;
    sweeps(tier, Meter { times: size.times.div_ceil(100), ..meter }).await;
    hot_keys(tier, Meter { times: size.times.div_ceil(20), ..meter }, size.engines).await;
}

async fn reads(tier: &impl Tier, meter: Meter<'_>, next: &impl Fn() -> String) {
    let find = async || {
        let begun = tier.begin(&[ask(&next(), Want::Value)], LONG).await.unwrap();
        assert!(matches!(begun.first(), Some(Begun::Hit(_))));
    };
    meter.measure("a read that finds it", find).await;
    let find_many = async || {
        let keys: Vec<_> = (0..64).map(|_| next()).collect();
        let asks: Vec<_> = keys.iter().map(|key| ask(key, Want::Value)).collect();
        tier.begin(&asks, LONG).await.unwrap();
    };
    meter.measure("64 reads in one call", find_many).await;
    let mut count = 0;
    let miss = async || {
        count += 1;
        store(tier, &[format!("p:user:new:{count}")]).await;
    };
    meter.measure("a read that does not, and its fill", miss).await;
}

async fn changes(tier: &impl Tier, meter: Meter<'_>, next: &impl Fn() -> String) {
    let invalidate = async |by: Node| {
        let key = next();
        tier.invalidate(by, &[Invalidation::from(Selector::Key(&key))]).await.unwrap();
    };
    meter.measure("an invalidation", async || invalidate(HERE).await).await;
    let mut cursor = Cursor::default();
    loop {
        let polled = tier.poll(&cursor).await.unwrap();
        cursor = polled.cursor;
        if !polled.has_more {
            break;
        }
    }
    let mut poll = async || cursor = tier.poll(&cursor).await.unwrap().cursor;
    meter.measure("a poll that tells nothing", &mut poll).await;
    let both = async || {
        invalidate(THERE).await;
        poll().await;
    };
    meter.measure("an invalidation, and a poll of it", both).await;
}

/// What has ended is removed, where the server does not do that by itself.
async fn sweeps(tier: &impl Tier, meter: Meter<'_>) {
    for sweep in 0..meter.times {
        let keys: Vec<_> = (0..SWEPT).map(|nth| format!("p:user:old:{sweep}:{nth}")).collect();
        store_for(tier, &keys, Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let removed = Cell::new(0);
    let sweep = async || {
        let swept = tier.sweep(u32::try_from(SWEPT).unwrap()).await.unwrap();
        removed.set(removed.get() + swept.expired);
    };
    meter.measure("a sweep of 500 rows that have ended", sweep).await;
    println!("{:10} of them removed: {}", meter.l2, removed.get());
}

async fn hot_keys(tier: &impl Tier, meter: Meter<'_>, engines: u64) {
    let hot = names(0..HOT);
    let hot: Vec<_> = hot.iter().map(|key| (key.as_str(), 1.5)).collect();
    for engine in 0..engines {
        tier.merge_hot(Node(engine + 2), "p:user", &hot, LONG).await.unwrap();
    }
    let tell = async || drop(tier.merge_hot(HERE, "p:user", &hot, LONG).await.unwrap());
    meter.measure(&format!("hot keys told, beside {engines} others"), tell).await;
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|nth| format!("p:user:{nth:012}")).collect()
}

fn ask(key: &str, want: Want) -> Ask<'_> {
    Ask { key, permit: Permit(fastrand::u64(1..)), want }
}

fn fill(key: &str, permit: Permit, keep_for: Duration) -> Fill<'_> {
    let (value, age, tags) = (&VALUE[..], Duration::ZERO, &[][..]);
    Fill { key, permit, value, age, fresh_for: keep_for, keep_for, tags, version: None }
}

/// Reads keys that are not there, and stores them.
async fn store(tier: &impl Tier, keys: &[String]) {
    store_for(tier, keys, LONG).await;
}

async fn store_for(tier: &impl Tier, keys: &[String], keep_for: Duration) {
    let asks: Vec<_> = keys.iter().map(|key| ask(key, Want::Permit)).collect();
    tier.begin(&asks, LONG).await.unwrap();
    let fills: Vec<_> =
        asks.iter().map(|Ask { key, permit, .. }| fill(key, *permit, keep_for)).collect();
    tier.fill(&fills).await.unwrap();
}

/// Measures what things cost an L2.
#[derive(Clone, Copy)]
struct Meter<'a> {
    l2: &'a str,
    processes: Processes,
    times: usize,
}

impl Meter<'_> {
    async fn measure(&self, what: &str, mut once: impl AsyncFnMut()) {
        let (began, spent) = (Instant::now(), self.processes.spent());
        for _ in 0..self.times {
            once().await;
        }
        let micros = |span: Duration| span.as_secs_f64() * 1e6 / self.times as f64;
        let (took, spent) = (began.elapsed(), self.processes.spent() - spent);
        let (took, spent) = (micros(took), micros(spent));
        println!("{:10} {what:34} {spent:9.1} us of processor {took:9.1} us", self.l2);
    }
}

/// The processes whose time counts.
#[derive(Clone, Copy)]
enum Processes {
    OfThis,
    /// This one and those it has started.
    Of(u32),
}

impl Processes {
    fn all(self) -> Vec<u32> {
        let Self::Of(root) = self else { return vec![std::process::id()] };
        let of_root = |process: &u32| *process == root || parent(*process) == Some(root);
        let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        processes.filter(of_root).collect()
    }

    /// The processor time that they have taken so far.
    fn spent(self) -> Duration {
        let of = |process: u32| {
            // In nanoseconds; one line for each thread.
            let threads = std::fs::read_dir(format!("/proc/{process}/task")).ok()?;
            let nanos = threads.filter_map(|thread| {
                let schedstat = thread.ok()?.path().join("schedstat");
                std::fs::read_to_string(schedstat).ok()?.split(' ').next()?.parse::<u64>().ok()
            });
            Some(Duration::from_nanos(nanos.sum()))
        };
        self.all().into_iter().filter_map(of).sum()
    }

    /// The memory that is theirs alone, in bytes.
    fn resident(self) -> u64 {
        let of = |process: u32| {
            let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
            let mut pages = statm.split(' ').skip(1).map_while(|field| field.parse::<u64>().ok());
            Some((pages.next()? - pages.next()?) * 4_096)
        };
        self.all().into_iter().filter_map(of).sum()
    }
}

fn parent(process: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// The bytes of the files in a directory.
fn on_disk(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let bytes = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        Some(if metadata.is_dir() { on_disk(&entry.path()) } else { metadata.len() })
    });
    bytes.sum()
}
