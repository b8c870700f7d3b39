//! An engine's connection to a simulated store.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use forewarm::{
    Ask, Begun, Change, Cursor, EndRun, Fill, Filled, HotSum, Invalidation, JobMemory, Node,
    Permit, Polled, RenewRun, RunRow, RunTaken, Selector, Swept, TakeRun, Tier, TierError,
    TierSize,
};
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, oneshot, watch};
use tokio::time::sleep;

use super::line::{Fate, Line, Op};
use super::store::{Asked, Finishing, Offer, Removed, Renewing, Row, SimStore, State, Taking};

/// An engine's connection to a simulated store. What is on its way goes on when its caller, or the
/// connection, goes away.
pub(crate) struct SimTier {
    store: SimStore,
    line: Line,
    grown: Mutex<watch::Receiver<u64>>,
    is_closed: AtomicBool,
}

impl SimTier {
    pub(super) fn new(store: SimStore, line: Line, grown: watch::Receiver<u64>) -> Self {
        Self { store, line, grown: Mutex::new(grown), is_closed: AtomicBool::new(false) }
    }

    /// Makes a call, as far as the line lets it.
    async fn call<T: Send + 'static>(
        &self,
        op: Op,
        work: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> Result<T, TierError> {
        if self.is_closed.load(Relaxed) {
            return Err(TierError::new("it is closed"));
        }
        let (there, back) = match self.line.fate(op) {
            Fate::WORKS => return Ok(self.store.act(work)),
            Fate::Takes { there, back } => (there, Some(back)),
            Fate::Unanswered { there } => (there, None),
            Fate::Lost => return pending().await,
            Fate::Fails => return Err(TierError::new("the line is down")),
            Fate::Panics => panic!("as it should"),
        };
        let (answers, answer) = oneshot::channel();
        let (store, line) = (self.store.clone(), self.line.clone());
        Handle::current().spawn(async move {
            sleep(there).await;
            if line.is_cut() {
                return;
            }
            let result = store.act(work);
            if let Some(back) = back {
                sleep(back).await;
                if !line.is_cut() {
                    answers.send(result).ok();
                }
            }
        });
        match answer.await {
            Ok(result) => Ok(result),
            Err(_) => pending().await,
        }
    }

    /// Changes something. Without its gate, it is acknowledged before it has happened.
    async fn change(
        &self,
        op: Op,
        work: impl FnOnce(&mut State) + Send + 'static,
    ) -> Result<(), TierError> {
        let Some(Removed::Gate(early)) = self.store.act(|state| state.removed()) else {
            return self.call(op, work).await;
        };
        let store = self.store.clone();
        Handle::current().spawn(async move {
            sleep(early).await;
            store.act(work);
        });
        Ok(())
    }
}

fn offers(fills: &[Fill<'_>]) -> Vec<Offer> {
    let offer = |fill: &Fill<'_>| Offer {
        key: fill.key.to_owned(),
        permit: fill.permit,
        row: Row::on_its_way(fill),
        version: fill.version,
    };
    fills.iter().map(offer).collect()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// What is invalidated, as the log tells of it.
fn change(invalidation: &Invalidation<'_>) -> Change {
    let Invalidation { selector, lag } = *invalidation;
    match selector {
        Selector::Key(key) => Change::Key { key: key.to_owned(), lag },
        Selector::Resource(resource) => Change::Resource { resource: resource.to_owned() },
        Selector::Tag { resource, tag } => {
            Change::Tag { resource: resource.to_owned(), tag: tag.to_owned() }
        }
        Selector::Pattern { resource, pattern } => {
            Change::Pattern { resource: resource.to_owned(), pattern: pattern.to_owned() }
        }
        _ => Change::Unknown,
    }
}

impl Tier for SimTier {
    async fn begin(&self, asks: &[Ask<'_>], permit_for: Duration) -> Result<Vec<Begun>, TierError> {
        let asked =
            |ask: &Ask<'_>| Asked { key: ask.key.to_owned(), permit: ask.permit, want: ask.want };
        let asks: Vec<_> = asks.iter().map(asked).collect();
        let begin =
            move |state: &mut State| asks.iter().map(|ask| state.begin(ask, permit_for)).collect();
        self.call(Op::Begin, begin).await
    }

    async fn fill(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>, TierError> {
        let offers = offers(fills);
        let fill = |state: &mut State| offers.into_iter().map(|offer| state.fill(offer)).collect();
        self.call(Op::Fill, fill).await
    }

    async fn release(&self, permits: &[(&str, Permit)]) -> Result<(), TierError> {
        let permits: Vec<_> =
            permits.iter().map(|(key, permit)| ((*key).to_owned(), *permit)).collect();
        let release = move |state: &mut State| {
            permits.iter().for_each(|(key, permit)| state.release(key, *permit));
        };
        self.call(Op::Release, release).await
    }

    async fn put(
        &self,
        by: Node,
        puts: &[Fill<'_>],
        since: &Cursor,
    ) -> Result<Vec<Filled>, TierError> {
        let (offers, since) = (offers(puts), since.clone());
        self.call(Op::Put, move |state| state.put(by, offers, &since)).await
    }

    async fn invalidate(
        &self,
        by: Node,
        invalidations: &[Invalidation<'_>],
    ) -> Result<(), TierError> {
        let changes: Vec<_> = invalidations.iter().map(change).collect();
        let invalidate = move |state: &mut State| {
            changes.into_iter().for_each(|change| state.invalidate(by, change));
        };
        self.change(Op::Invalidate, invalidate).await
    }

    async fn expire(&self, by: Node, keys: &[&str]) -> Result<(), TierError> {
        let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        let expire =
            move |state: &mut State| keys.into_iter().for_each(|key| state.expire(by, key));
        self.change(Op::Expire, expire).await
    }

    async fn poll(&self, since: &Cursor) -> Result<Polled, TierError> {
        let since = since.clone();
        self.call(Op::Poll, move |state| state.poll(&since)).await
    }

    async fn changed(&self) {
        let mut grown = self.grown.lock().await;
        while grown.changed().await.is_ok() {
            if let Some(takes) = self.line.hint() {
                return sleep(takes).await;
            }
        }
        pending::<()>().await;
    }

    async fn merge_hot(
        &self,
        by: Node,
        resource: &str,
        hot: &[(&str, f64)],
        keep_for: Duration,
    ) -> Result<Vec<HotSum>, TierError> {
        let hot = hot.iter().map(|(key, score)| ((*key).to_owned(), *score)).collect();
        let resource = resource.to_owned();
        let merge = move |state: &mut State| state.merge_hot(by, resource, hot, keep_for);
        self.call(Op::MergeHot, merge).await
    }

    async fn meet_jobs(&self, jobs: &[&str], at: Timestamp) -> Result<Vec<JobMemory>, TierError> {
        let jobs = owned(jobs);
        let meet =
            move |state: &mut State| jobs.iter().map(|job| state.runs().meet(job, at)).collect();
        self.call(Op::MeetJobs, meet).await
    }

    async fn take_run(&self, run: &TakeRun<'_>) -> Result<RunTaken, TierError> {
        let run = Taking::from(run);
        self.call(Op::TakeRun, move |state| state.runs().take(&run)).await
    }

    async fn renew_runs(&self, runs: &[RenewRun<'_>]) -> Result<Vec<bool>, TierError> {
        let runs: Vec<_> = runs.iter().map(Renewing::from).collect();
        let renew =
            move |state: &mut State| runs.iter().map(|run| state.runs().renew(run)).collect();
        self.call(Op::RenewRuns, renew).await
    }

    async fn end_run(&self, run: &EndRun<'_>) -> Result<bool, TierError> {
        let run = Finishing::from(run);
        self.call(Op::EndRun, move |state| state.runs().end(run)).await
    }

    async fn runs(&self, job: &str, count: u32) -> Result<Vec<RunRow>, TierError> {
        let job = job.to_owned();
        self.call(Op::Runs, move |state| state.runs().newest(&job, count)).await
    }

    async fn lapsed_runs(&self, jobs: &[&str]) -> Result<Vec<RunRow>, TierError> {
        let jobs = owned(jobs);
        self.call(Op::LapsedRuns, move |state| state.runs().lapsed(&jobs)).await
    }

    async fn sweep(&self, rows_max: u32) -> Result<Swept, TierError> {
        self.call(Op::Sweep, move |state| state.sweep(rows_max)).await
    }

    async fn size(&self) -> Result<TierSize, TierError> {
        self.call(Op::Size, |state| state.size()).await
    }

    async fn close(&self) {
        self.is_closed.store(true, Relaxed);
    }
}
