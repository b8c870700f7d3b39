//! A run: nodes that read and change the same things, until they have done enough.

use std::iter::repeat;
use std::path::Path;
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::checker::Account;
use super::counters::Counters;
use super::fleet::Fleet;
use super::history::{Member, now};
use super::nemesis::{Havoc, Nemesis};
use super::node::Orders;
use super::pace::Rates;
use super::store::{Kind, Store};
use super::totals::Totals;
use super::usage::Usage;
use crate::lab::{LabError, Proxy};
use crate::service::console::{self, Failure};

/// What a run is to be.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) kind: Kind,
    pub(super) url: Option<String>,
    pub(super) nodes: u32,
    pub(super) keys: u32,
    pub(super) window: Duration,
    pub(super) seed: u64,
    pub(super) has_nemesis: bool,
    /// How often something is made to fail; after pauses of chance, if it is not said.
    pub(super) fault_every: Option<Duration>,
    /// Over all nodes.
    pub(super) rates: Rates,
    pub(super) is_fenced: bool,
    pub(super) until: Until,
}

/// When a run has done enough.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    Passed(Duration),
    Reads(u64),
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) took: Duration,
    pub(super) totals: Totals,
    pub(super) accounts: Vec<Account>,
    pub(super) havoc: Havoc,
    pub(super) usage: Usage,
}

/// How long after the end of a window it still goes on, so that the last changes bind somebody.
const AFTER_WINDOW: Duration = Duration::from_millis(300);

const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Terms {
    /// Makes a run; `stop` ends it early.
    pub(super) async fn run(&self, stop: &CancellationToken) -> Result<Trial, Failure> {
        let folder = tempfile::Builder::new().prefix("forewarm-verify-").tempdir()?;
        Counters::create(folder.path(), self.keys)?;
        let store = Store::launch(self.kind, self.url.as_deref(), folder.path()).await?;
        let proxies = self.proxies(&store).await?;
        let fleet = Fleet::start(self.orders(&store, &proxies, folder.path())).await?;
        let (began, began_at) = (Instant::now(), now());
        let calm = CancellationToken::new();
        let nemesis = async {
            if !self.has_nemesis {
                return Ok(Havoc::default());
            }
            let random = fastrand::Rng::with_seed(self.seed);
            let (store, fleet, proxies) = (&store, &fleet, proxies.as_slice());
            let (every, havoc) = (self.fault_every, Havoc::default());
            Nemesis { store, fleet, proxies, random, every, havoc }.run(&calm).await
        };
        let work = async {
            self.until_done(&fleet, stop).await?;
            calm.cancel();
            Ok(())
        };
        let (havoc, ()) = tokio::try_join!(nemesis, work)?;
        tokio::time::sleep(self.window + AFTER_WINDOW).await;
        let (took, totals) = (began.elapsed(), fleet.totals());
        let usage = Usage::of(&fleet.samples(), began_at, now());
        let accounts = fleet.end().await?;
        folder.close()?;
        Ok(Trial { took, totals, accounts, havoc, usage })
    }

    /// A network before each node, where there is one.
    async fn proxies(&self, store: &Store) -> Result<Vec<Proxy>, LabError> {
        let mut proxies = Vec::new();
        if let Some(upstream) = store.upstream() {
            for _ in 0..self.nodes {
                proxies.push(Proxy::start(upstream).await?);
            }
        }
        Ok(proxies)
    }

    fn orders(&self, store: &Store, proxies: &[Proxy], folder: &Path) -> Vec<Orders> {
        // So that two runs on the same L2 do not meet.
        let prefix = format!("verify-{:016x}", fastrand::u64(..));
        let networks = proxies.iter().map(|proxy| Some(proxy.addr())).chain(repeat(None));
        let orders = (0..self.nodes).zip(networks).map(|(node, via)| Orders {
            member: Member { node, life: 0 },
            place: store.place(via),
            prefix: prefix.clone(),
            window: self.window,
            keys: self.keys,
            seed: self.seed,
            rates: self.rates.shared_by(self.nodes),
            is_fenced: self.is_fenced,
            folder: folder.to_owned(),
        });
        orders.collect()
    }

    /// Waits until the nodes have done enough, and shows how it goes.
    async fn until_done(&self, fleet: &Fleet, stop: &CancellationToken) -> Result<(), Failure> {
        let what = if self.is_fenced { "reading and changing" } else { "the same without permits" };
        let goal = match self.until {
            Until::Passed(span) => u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
            Until::Reads(reads) => reads,
        };
        let bar = console::progress_bar(goal, format!("{}: {what}", self.kind.name()));
        let done = self.watch(fleet, stop, &bar, goal).await;
        bar.finish_and_clear();
        done
    }

    async fn watch(
        &self,
        fleet: &Fleet,
        stop: &CancellationToken,
        bar: &ProgressBar,
        goal: u64,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        while !stop.is_cancelled() {
            fleet.check()?;
            let done = match self.until {
                Until::Passed(_) => u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                Until::Reads(_) => fleet.totals().reads,
            };
            bar.set_position(done.min(goal));
            if done >= goal {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}
