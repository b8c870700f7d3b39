//! A node: a process with an engine of its own, which reads and changes what others read and change
//! as well, and writes down what it did.

use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counters::Counters;
use super::history::{Log, Member};
use super::loads::{Loads, TTL, tag_of};
use super::pace::{Pace, Rates};
use super::place::Place;
use super::reader::Reader;
use super::rows::Rows;
use super::samples::Samples;
use super::totals::Totals;
use super::writer::Writer;
use crate::builder::Forewarm;
use crate::config::{Config, L2Config};
use crate::policy::{Capacity, Partition, Policy, SourcePolicy, TrustOnRestart};
use crate::resource::Resource;
use crate::service::console::Failure;
use crate::task::Tasks;

/// What a node is told when it is started: in a line of its standard input, since a URL may have a
/// password in it.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Orders {
    pub(super) member: Member,
    pub(super) place: Place,
    pub(super) prefix: String,
    pub(super) window: Duration,
    pub(super) keys: u32,
    pub(super) seed: u64,
    /// What this node is to do of all.
    pub(super) rates: Rates,
    /// Whether the tier does what it promises.
    pub(super) is_fenced: bool,
    /// Where the counters are, and where the node writes.
    pub(super) folder: PathBuf,
}

impl Orders {
    /// Where the node writes down what it did.
    pub(super) fn log(&self) -> PathBuf {
        self.file("log")
    }

    /// Where the node writes its figures.
    pub(super) fn totals(&self) -> PathBuf {
        self.file("totals")
    }

    /// Where the node writes what it takes of the machine.
    pub(super) fn samples(&self) -> PathBuf {
        self.file("samples")
    }

    fn file(&self, what: &str) -> PathBuf {
        let Member { node, life } = self.member;
        self.folder.join(format!("node-{node}-{life}.{what}"))
    }

    /// Random numbers of the node's own; `what` tells its tasks apart.
    fn random(&self, what: u64) -> fastrand::Rng {
        let Member { node, life } = self.member;
        let who = u64::from(node) << 48 | u64::from(life) << 32 | what;
        fastrand::Rng::with_seed(self.seed ^ who.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

/// What the tasks of a node share.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) resource: Resource<u32, u64>,
    pub(super) counters: Arc<Counters>,
    pub(super) log: Arc<Log>,
    pub(super) rows: Rows,
    pub(super) keys: u32,
    pub(super) tasks: Tasks,
    pub(super) read_pace: Option<Pace>,
    pub(super) change_pace: Option<Pace>,
    /// The changes made so far.
    pub(super) changes: AtomicU64,
}

/// How many read and change, where no rate is said.
const READERS: u64 = 16;
const WRITERS: u64 = 4;
/// How many do where one is: so many for each one who does it so often in a second, so that the rate
/// is kept while each has to wait for something.
const READS_EACH: f64 = 100.0;
const CHANGES_EACH: f64 = 10.0;
const TASKS_MAX: u64 = 128;

/// Between two writes of figures and of what was done.
const NOTE_EVERY: Duration = Duration::from_millis(50);

/// After so many of them, what the node takes of the machine is written as well.
const NOTES_PER_SAMPLE: u64 = 5;

/// How long what is under way at the end may take.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Runs a node until its standard input ends, as it does when the one who started it wants it to
/// end, and when that one dies.
pub(in crate::service) fn run() -> Result<(), Failure> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let orders: Orders = serde_json::from_str(&line)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(serve(&orders));
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

async fn serve(orders: &Orders) -> Result<(), Failure> {
    let log = Arc::new(Log::create(&orders.log())?);
    let counters = Arc::new(Counters::open(&orders.folder)?);
    let engine = engine(orders).await?;
    let resource = declare(orders, &engine, Arc::clone(&counters))?;
    engine.start().await?;
    let tasks = Tasks::of_this_runtime().ok_or("there is no runtime")?;
    let Rates { reads, changes } = orders.rates;
    let work = Arc::new(Work {
        resource,
        counters,
        rows: Rows::new(Arc::clone(&log)),
        log,
        keys: orders.keys,
        tasks,
        read_pace: reads.map(Pace::new),
        change_pace: changes.map(Pace::new),
        changes: AtomicU64::new(0),
    });
    let readers = tasks_for(reads, READS_EACH, READERS);
    for nth in 0..readers {
        let reader = Reader::new(Arc::clone(&work), orders.random(nth));
        work.tasks.spawn_loop(reader.run());
    }
    for nth in 0..tasks_for(changes, CHANGES_EACH, WRITERS) {
        let writer = Writer::new(Arc::clone(&work), orders.random(readers + nth));
        work.tasks.spawn_loop(writer.run());
    }
    let ended = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin().lock(), &mut io::sink()));
    let totals = orders.totals();
    let samples = Samples::create(&orders.samples())?;
    tokio::select! {
        // However it ends, it is time to go.
        _ = ended => {}
        () = note(&work, &totals, samples) => {}
    }
    work.tasks.shut_down(END_WITHIN).await;
    engine.shutdown(END_WITHIN).await;
    work.rows.write();
    work.log.flush();
    work.totals().write(&totals)?;
    Ok(())
}

/// How many tasks it takes to do something so often, if each does it `each` times a second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of tasks that is bounded"
)]
fn tasks_for(rate: Option<f64>, each: f64, least: u64) -> u64 {
    rate.map_or(least, |rate| ((rate / each) as u64).clamp(least, TASKS_MAX))
}

impl Work {
    fn totals(&self) -> Totals {
        Totals::of(&self.resource.stats(), self.changes.load(Relaxed))
    }
}

/// Lets others see how it goes, and what was done so far; ends if that cannot be written.
async fn note(work: &Work, totals: &Path, mut samples: Samples) {
    let mut notes = 0_u64;
    while work.totals().write(totals).is_ok() {
        work.log.flush();
        if notes.is_multiple_of(NOTES_PER_SAMPLE) {
            samples.take();
        }
        notes += 1;
        tokio::time::sleep(NOTE_EVERY).await;
    }
}

async fn engine(orders: &Orders) -> Result<Forewarm, Failure> {
    let is_even = orders.member.node.is_multiple_of(2);
    let l2 = L2Config {
        window: orders.window,
        share_hot_every: Some(Duration::from_secs(2)),
        sweep_every: Duration::from_secs(3),
        // So that it overflows on some nodes and not on others.
        outbox_max: if is_even { 32 } else { L2Config::default().outbox_max },
        ..L2Config::default()
    };
    let prefix = orders.prefix.clone();
    let config = Config { prefix, summary_every: None, l2, ..Config::default() };
    let permits = orders.random(u64::from(u32::MAX)).u64(..);
    let builder = Forewarm::builder().config(config);
    let builder = orders.place.open(builder, orders.is_fenced, permits).await?;
    Ok(builder.build().await?)
}

fn declare(
    orders: &Orders,
    engine: &Forewarm,
    counters: Arc<Counters>,
) -> Result<Resource<u32, u64>, Failure> {
    let loader = Loads::new(counters, orders.random(u64::from(u32::MAX) - 1));
    let resource = engine.resource::<u32, u64>("counter").policy(policy(orders)).loader(loader);
    Ok(resource.tags(|key, _| [tag_of(*key)]).build()?)
}

/// Nodes differ, so that more ways are gone.
fn policy(orders: &Orders) -> Policy {
    let is_even = orders.member.node.is_multiple_of(2);
    let keys = u64::from(orders.keys);
    Policy {
        ttl: TTL,
        absent_ttl: Some(TTL),
        // On some nodes not all keys have room.
        capacity: Capacity::Entries(if is_even { keys * 2 } else { (keys * 9 / 10).max(1) }),
        stale_while_revalidate: Some(Duration::from_secs(2)),
        stale_if_error: Some(Duration::from_secs(30)),
        refresh_spacing: Some(Duration::from_millis(100)),
        trust_on_restart: if is_even {
            TrustOnRestart::WithinTtl
        } else {
            TrustOnRestart::default()
        },
        // So that whatever is given has been verified: not every way to read tells.
        partition: Partition::Strict,
        source: SourcePolicy {
            deadline: Duration::from_secs(5),
            backoff_min: Duration::from_millis(20),
            backoff_max: Duration::from_millis(200),
            // What fails here is meant to.
            breaker_failures: 1_000,
            ..SourcePolicy::default()
        },
        ..Policy::default()
    }
}
