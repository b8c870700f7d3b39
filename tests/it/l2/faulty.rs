//! A tier that fails, hangs or dawdles on command, and that counts.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use forewarm::{
    Ask, Begun, Cursor, Fill, Filled, HotSum, Invalidation, Node, Permit, Polled, Swept, Tier,
    TierError, TierSize,
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

/// A tier around another one, which does what its [`Remote`] says.
pub(super) struct Faulty<T> {
    tier: T,
    remote: Remote,
}

/// What a tier is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Op {
    Begin,
    Fill,
    Release,
    Put,
    Invalidate,
    Expire,
    Sweep,
    Size,
    Poll,
    MergeHot,
}

const OPS: usize = 10;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Mode {
    #[default]
    Works,
    /// It is not made, and fails.
    Fails,
    /// It is not made, and never ends.
    Hangs,
    /// It is made after this time.
    Takes(Duration),
    /// It is made when it is released.
    HeldBefore,
    /// It is made, and its answer comes when it is released.
    HeldAfter,
    /// It is made, and the last of its answers is missing.
    Miscounts,
}

/// Commands a [`Faulty`] tier, and knows what it was asked.
#[derive(Clone)]
pub(super) struct Remote(Arc<State>);

struct State {
    modes: Mutex<[Mode; OPS]>,
    begun: watch::Sender<[usize; OPS]>,
    made: watch::Sender<[usize; OPS]>,
    passes: [Semaphore; OPS],
    sizes: Mutex<Vec<(Op, usize)>>,
    swept: Mutex<Vec<Swept>>,
}

impl<T: Tier> Faulty<T> {
    pub(super) fn new(tier: T) -> (Self, Remote) {
        let remote = Remote(Arc::new(State {
            modes: Mutex::default(),
            begun: watch::Sender::default(),
            made: watch::Sender::default(),
            passes: std::array::from_fn(|_| Semaphore::new(0)),
            sizes: Mutex::default(),
            swept: Mutex::default(),
        }));
        (Self { tier, remote: remote.clone() }, remote)
    }

    async fn through<R>(
        &self,
        op: Op,
        size: usize,
        call: impl Future<Output = Result<R, TierError>>,
    ) -> Result<R, TierError> {
        let state = &self.remote.0;
        state.sizes.lock().push((op, size));
        let mode = state.modes.lock()[op as usize];
        state.begun.send_modify(|begun| begun[op as usize] += 1);
        match mode {
            Mode::Works | Mode::HeldAfter | Mode::Miscounts => {}
            Mode::Fails => return Err(TierError::new("it is out of order")),
            Mode::Hangs => std::future::pending().await,
            Mode::Takes(span) => tokio::time::sleep(span).await,
            Mode::HeldBefore => state.passes[op as usize].acquire().await.unwrap().forget(),
        }
        let answer = call.await;
        state.made.send_modify(|made| made[op as usize] += 1);
        if mode == Mode::HeldAfter {
            state.passes[op as usize].acquire().await.unwrap().forget();
        }
        answer
    }
}

impl Remote {
    /// Sets what becomes of the calls of one kind, from the next on.
    pub(super) fn set(&self, op: Op, mode: Mode) {
        self.0.modes.lock()[op as usize] = mode;
    }

    pub(super) fn set_all(&self, mode: Mode) {
        *self.0.modes.lock() = [mode; OPS];
    }

    /// Lets one call that is held go on.
    pub(super) fn release(&self, op: Op) {
        self.0.passes[op as usize].add_permits(1);
    }

    /// The calls begun so far.
    pub(super) fn calls(&self, op: Op) -> usize {
        self.0.begun.borrow()[op as usize]
    }

    /// Waits until this many calls have begun.
    pub(super) async fn begun(&self, op: Op, calls: usize) {
        let enough = |begun: &[usize; OPS]| begun[op as usize] >= calls;
        self.0.begun.subscribe().wait_for(enough).await.unwrap();
    }

    /// Waits until the tier beneath has answered this many calls.
    pub(super) async fn made(&self, op: Op, calls: usize) {
        let enough = |made: &[usize; OPS]| made[op as usize] >= calls;
        self.0.made.subscribe().wait_for(enough).await.unwrap();
    }

    /// The sizes of the calls of one kind: keys, or for a sweep the rows it may remove.
    pub(super) fn sizes(&self, op: Op) -> Vec<usize> {
        let sizes = self.0.sizes.lock();
        sizes.iter().filter(|(other, _)| *other == op).map(|(_, size)| *size).collect()
    }

    /// What each sweep did.
    pub(super) fn swept(&self) -> Vec<Swept> {
        self.0.swept.lock().clone()
    }
}

impl<T: Tier> Tier for Faulty<T> {
    async fn begin(&self, asks: &[Ask<'_>], permit_for: Duration) -> Result<Vec<Begun>, TierError> {
        let call = self.tier.begin(asks, permit_for);
        let mut begun = self.through(Op::Begin, asks.len(), call).await?;
        if self.remote.0.modes.lock()[Op::Begin as usize] == Mode::Miscounts {
            begun.pop();
        }
        Ok(begun)
    }

    async fn fill(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>, TierError> {
        self.through(Op::Fill, fills.len(), self.tier.fill(fills)).await
    }

    async fn release(&self, permits: &[(&str, Permit)]) -> Result<(), TierError> {
        self.through(Op::Release, permits.len(), self.tier.release(permits)).await
    }

    async fn put(
        &self,
        by: Node,
        puts: &[Fill<'_>],
        since: &Cursor,
    ) -> Result<Vec<Filled>, TierError> {
        self.through(Op::Put, puts.len(), self.tier.put(by, puts, since)).await
    }

    async fn invalidate(
        &self,
        by: Node,
        invalidations: &[Invalidation<'_>],
    ) -> Result<(), TierError> {
        let call = self.tier.invalidate(by, invalidations);
        self.through(Op::Invalidate, invalidations.len(), call).await
    }

    async fn expire(&self, by: Node, keys: &[&str]) -> Result<(), TierError> {
        self.through(Op::Expire, keys.len(), self.tier.expire(by, keys)).await
    }

    async fn poll(&self, since: &Cursor) -> Result<Polled, TierError> {
        self.through(Op::Poll, 0, self.tier.poll(since)).await
    }

    async fn changed(&self) {
        self.tier.changed().await;
    }

    async fn merge_hot(
        &self,
        by: Node,
        resource: &str,
        hot: &[(&str, f64)],
        keep_for: Duration,
    ) -> Result<Vec<HotSum>, TierError> {
        let call = self.tier.merge_hot(by, resource, hot, keep_for);
        self.through(Op::MergeHot, hot.len(), call).await
    }

    async fn sweep(&self, rows_max: u32) -> Result<Swept, TierError> {
        let swept = self.through(Op::Sweep, rows_max as usize, self.tier.sweep(rows_max)).await?;
        self.remote.0.swept.lock().push(swept);
        Ok(swept)
    }

    async fn size(&self) -> Result<TierSize, TierError> {
        self.through(Op::Size, 0, self.tier.size()).await
    }

    async fn close(&self) {
        self.tier.close().await;
    }
}
