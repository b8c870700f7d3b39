//! The one who makes things fail.

use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fault::{Fault, Part};
use super::file;
use super::fleet::Fleet;
use super::history::now;
use super::store::Store;
use crate::lab::{Data, Proxy, Way};
use crate::service::console::Failure;

/// The one who makes things fail, one after the other.
#[derive(Debug)]
pub(super) struct Nemesis<'a> {
    pub(super) store: &'a Store,
    pub(super) fleet: &'a Fleet,
    /// The network before each node; none if there is no network.
    pub(super) proxies: &'a [Proxy],
    pub(super) random: fastrand::Rng,
    /// How often a fault begins; after pauses of chance, if it is not said.
    pub(super) every: Option<Duration>,
    pub(super) havoc: Havoc,
}

/// What was made to fail, and one thing more meanwhile; from when to when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incident {
    pub(super) fault: Fault,
    pub(super) within: Option<Fault>,
    pub(super) began: u64,
    pub(super) healed: u64,
}

/// When a node was stopped where it stood. What it was about to answer then had to wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    pub(super) node: u32,
    pub(super) from: u64,
    pub(super) until: u64,
}

/// All that was made to fail.
#[derive(Debug, Default)]
pub(super) struct Havoc {
    pub(super) incidents: Vec<Incident>,
    pub(super) stops: Vec<Stop>,
}

/// What fails just now.
struct Failing {
    fault: Fault,
    began: u64,
    node: usize,
    /// The network before all nodes, or before one.
    first: usize,
    count: usize,
    held: Held,
}

/// For how long, in milliseconds, nothing fails after something has.
const CALM_MILLIS: std::ops::Range<u64> = 2_000..4_000;
/// The same before the first.
const FIRST_MILLIS: u64 = 500;

const DELAY: Duration = Duration::from_millis(500);

/// How many connections of a node lose a reply, and fall silent by that.
const LOST_REPLIES: u64 = 3;

/// What is held while something fails.
enum Held {
    Nothing,
    Lock(SqliteConnection),
    Copy(std::path::PathBuf),
}

impl Nemesis<'_> {
    /// Makes things fail until it is told to stop; then everything is well again.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Result<Havoc, Failure> {
        let (mut deck, mut begins) =
            (Vec::new(), Instant::now() + Duration::from_millis(FIRST_MILLIS));
        while !is_stopped_before(stop, begins).await {
            if deck.is_empty() {
                // Each comes as often as the others, in an order that changes.
                deck = Fault::all(self.store);
                self.random.shuffle(&mut deck);
            }
            let Some(fault) = deck.pop() else { break };
            let within = self.companion(fault);
            let began = now();
            self.inflict(fault, within, stop).await?;
            self.havoc.incidents.push(Incident { fault, within, began, healed: now() });
            begins = self.next_after(begins);
        }
        Ok(self.havoc)
    }

    /// When the next fault begins, after one that began at `last` has ended.
    fn next_after(&mut self, last: Instant) -> Instant {
        let now = Instant::now();
        let Some(every) = self.every else {
            return now + Duration::from_millis(self.random.u64(CALM_MILLIS));
        };
        let mut next = last + every;
        // What is past by now is left out.
        while next <= now {
            next += every;
        }
        next
    }

    /// Another fault that comes while one lasts, now and then: of another part of the whole.
    fn companion(&mut self, fault: Fault) -> Option<Fault> {
        let mut others = Fault::all(self.store);
        others.retain(|other| other.part() != fault.part());
        let is_alone = self.random.u32(..4) > 0;
        self.random.choice(others).filter(|_| !is_alone)
    }

    async fn inflict(
        &mut self,
        fault: Fault,
        within: Option<Fault>,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let failing = self.begin(fault).await?;
        if let Some(within) = within {
            let failing = self.begin(within).await?;
            self.last(within, stop).await;
            self.end(failing).await?;
        }
        self.last(fault, stop).await;
        self.end(failing).await
    }

    async fn last(&mut self, fault: Fault, stop: &CancellationToken) {
        let (least, most) = fault.lasts_millis();
        let span = Duration::from_millis(self.random.u64(least..=most));
        is_stopped_before(stop, Instant::now() + span).await;
    }

    async fn begin(&mut self, fault: Fault) -> Result<Failing, Failure> {
        let (began, node) = (now(), self.random.usize(..self.fleet.size()));
        let (first, count) = if self.random.u32(..3) == 0 { (0, usize::MAX) } else { (node, 1) };
        if fault.part() == Part::Network {
            for proxy in self.proxies.iter().skip(first).take(count) {
                self.disturb(fault, proxy).await;
            }
        }
        let held = self.break_down(fault, node).await?;
        Ok(Failing { fault, began, node, first, count, held })
    }

    async fn end(&mut self, failing: Failing) -> Result<(), Failure> {
        let Failing { fault, began, node, first, count, held } = failing;
        if fault.part() == Part::Network {
            for proxy in self.proxies.iter().skip(first).take(count) {
                proxy.heal().await;
            }
        }
        self.mend(fault, node, held).await?;
        if fault == Fault::FreezeNode {
            let node = u32::try_from(node)?;
            self.havoc.stops.push(Stop { node, from: began, until: now() });
        }
        Ok(())
    }

    async fn disturb(&self, fault: Fault, proxy: &Proxy) {
        match fault {
            Fault::Cut => proxy.cut().await,
            Fault::Reset => proxy.reset().await,
            Fault::NoRequests => proxy.block(Way::ToServer),
            Fault::NoReplies => proxy.block(Way::ToClient),
            Fault::LoseReplies => proxy.lose_replies(LOST_REPLIES),
            Fault::Delay => {
                proxy.delay(Way::ToServer, DELAY / 2);
                proxy.delay(Way::ToClient, DELAY / 2);
            }
            _ => {}
        }
    }

    async fn break_down(&self, fault: Fault, node: usize) -> Result<Held, Failure> {
        match fault {
            Fault::FreezeServer => self.store.freeze()?,
            Fault::KillServer | Fault::EmptyServer => self.store.kill()?,
            Fault::FreezeNode => self.fleet.freeze(node)?,
            Fault::KillNode => self.fleet.kill(node)?,
            Fault::LockFile => {
                // A node that was stopped in the middle of a write may keep it from being locked.
                if let Some(path) = self.store.own_file()
                    && let Ok(connection) = file::lock(path).await
                {
                    return Ok(Held::Lock(connection));
                }
            }
            Fault::RestoreFile => {
                if let Some(path) = self.store.own_file() {
                    return Ok(Held::Copy(file::copy(path).await?));
                }
            }
            _ => {}
        }
        Ok(Held::Nothing)
    }

    async fn mend(&self, fault: Fault, node: usize, held: Held) -> Result<(), Failure> {
        match (fault, held) {
            (Fault::FreezeServer, _) => self.store.thaw()?,
            (Fault::KillServer, _) => self.store.start(Data::Kept).await?,
            (Fault::EmptyServer, _) => self.store.start(Data::Lost).await?,
            (Fault::FreezeNode, _) => self.fleet.thaw(node)?,
            (Fault::KillNode, _) => self.fleet.restart(node)?,
            (_, Held::Lock(connection)) => file::unlock(connection).await?,
            (_, Held::Copy(copy)) => {
                if let Some(path) = self.store.own_file() {
                    file::replace(path, Some(&copy))?;
                }
            }
            (Fault::ReplaceFile, _) => {
                if let Some(path) = self.store.own_file() {
                    file::replace(path, None)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Waits; gives whether it was told to stop.
async fn is_stopped_before(stop: &CancellationToken, instant: Instant) -> bool {
    tokio::time::timeout_at(instant, stop.cancelled()).await.is_ok()
}
