//! What may be asked of L2: with a deadline, behind a breaker, and not before what was queued.

use std::collections::VecDeque;
use std::error::Error as _;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::config::L2Config;
use crate::limits::{Breaker, BreakerState, Quiet};
use crate::metrics::{Counters, L2_BYTES, L2_ENTRIES, L2_SECONDS, L2Op};
use crate::sync::Mutex;
use crate::task;
use crate::tier::{
    AnyTier, Ask, Begun, Cursor, Fill, Filled, Invalidation, Node, Permit, Swept, TierError,
    TierSize,
};

/// The second tier of an engine, asked in a way that cannot hurt the one who asks.
pub(crate) struct L2 {
    tier: Arc<dyn AnyTier>,
    config: L2Config,
    clock: Clock,
    breaker: Breaker,
    failures: Counters<L2Op>,
    quiet: Quiet,
    /// For warnings, which a tier that comes and goes would otherwise fill the log with.
    warnings: Quiet,
    /// Whether a warning stands that has not been taken back.
    is_warned: AtomicBool,
    permits: AtomicU64,
    /// What this engine is called among those that share L2.
    node: Node,
}

impl std::fmt::Debug for L2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("L2").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

/// What is wrong with a tier that breaks its contract.
const MISCOUNT: &str = "it did not give one answer for each key";

impl L2 {
    pub(crate) fn new(tier: Arc<dyn AnyTier>, config: L2Config, clock: Clock) -> Self {
        let breaker = Breaker::new(config.breaker_failures, config.breaker_open_for);
        let (failures, quiet, warnings) = (Counters::new(), Quiet::new(), Quiet::new());
        // Never of a seed: engines that share one must not share these.
        let (is_warned, permits) = (AtomicBool::new(false), AtomicU64::new(random()));
        let node = Node(random().max(1));
        Self { tier, config, clock, breaker, failures, quiet, warnings, is_warned, permits, node }
    }

    pub(crate) const fn config(&self) -> &L2Config {
        &self.config
    }

    pub(crate) const fn failures(&self) -> &Counters<L2Op> {
        &self.failures
    }

    /// Whether L2 answers, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        self.breaker.state(self.clock.now()) == BreakerState::Closed
    }

    /// A permit that no other load has: numbered from a random start, and spread by an odd factor,
    /// so that two engines do not meet.
    pub(crate) fn new_permit(&self) -> Permit {
        let nth = self.permits.fetch_add(1, Relaxed);
        Permit(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) async fn begin(&self, asks: &[Ask<'_>], permit_for: Duration) -> Option<Vec<Begun>> {
        let work = async {
            let begun = self.tier.begin(asks, permit_for).await?;
            // A key without an answer would be lost.
            if begun.len() == asks.len() { Ok(begun) } else { Err(TierError::new(MISCOUNT)) }
        };
        self.call(L2Op::Begin, self.config.read_timeout, work).await
    }

    pub(crate) async fn fill(&self, fills: &[Fill<'_>]) -> Option<Vec<Filled>> {
        self.call(L2Op::Fill, self.config.write_timeout, self.tier.fill(fills)).await
    }

    pub(crate) async fn release(&self, permits: &[(&str, Permit)]) -> Option<()> {
        self.call(L2Op::Release, self.config.write_timeout, self.tier.release(permits)).await
    }

    pub(crate) async fn put(&self, put: Fill<'_>) -> Option<Vec<Filled>> {
        let (puts, since) = ([put], Cursor::default());
        let work = self.tier.put(self.node, &puts, &since);
        self.call(L2Op::Put, self.config.write_timeout, work).await
    }

    pub(crate) async fn invalidate(&self, invalidations: &[Invalidation<'_>]) -> Option<()> {
        let work = self.tier.invalidate(self.node, invalidations);
        self.call(L2Op::Invalidate, self.config.write_timeout, work).await
    }

    pub(crate) async fn expire(&self, keys: &[&str]) -> Option<()> {
        let work = self.tier.expire(self.node, keys);
        self.call(L2Op::Expire, self.config.write_timeout, work).await
    }

    pub(crate) async fn sweep(&self, rows_max: u32) -> Option<Swept> {
        self.call(L2Op::Sweep, Self::UPKEEP_TIMEOUT, self.tier.sweep(rows_max)).await
    }

    pub(crate) async fn size(&self) -> Option<TierSize> {
        self.call(L2Op::Size, Self::UPKEEP_TIMEOUT, self.tier.size()).await
    }

    pub(crate) async fn close(&self) {
        self.tier.close().await;
    }

    /// Brings the size of L2 to the `metrics` facade.
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    pub(crate) fn publish_size(&self, size: TierSize) {
        metrics::gauge!(L2_ENTRIES).set(size.entries as f64);
        metrics::gauge!(L2_BYTES).set(size.bytes as f64);
    }

    /// Upkeep waits for nobody, and nobody waits for it.
    const UPKEEP_TIMEOUT: Duration = Duration::from_secs(10);

    /// Makes a call; `None` if L2 is left alone, fails, or takes too long.
    async fn call<T>(
        &self,
        op: L2Op,
        timeout: Duration,
        work: impl Future<Output = Result<T, TierError>>,
    ) -> Option<T> {
        let began = self.clock.now();
        self.breaker.admit(began).ok()?;
        let answer = task::timeout_at(self.clock.instant(began.plus(timeout)), pin!(work)).await;
        let now = self.clock.now();
        match answer {
            Some(Ok(answer)) => {
                let took_secs = now.since(began).as_secs_f64();
                metrics::histogram!(L2_SECONDS, "op" => op.label()).record(took_secs);
                if self.breaker.succeeded() && self.is_warned.swap(false, Relaxed) {
                    tracing::info!("the second tier answers again");
                }
                Some(answer)
            }
            Some(Err(error)) => {
                self.failed(op, now, &error);
                None
            }
            None => {
                let late = TierError::new(format!("no answer within {timeout:?}"));
                self.failed(op, now, &late);
                None
            }
        }
    }

    fn failed(&self, op: L2Op, now: Moment, error: &TierError) {
        self.failures.one(op);
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        if self.breaker.failed(now) {
            if let Some(unsaid) = self.warnings.may_speak(now) {
                self.is_warned.store(true, Relaxed);
                self.say_left_alone(op, &cause, unsaid);
            }
        } else if let Some(unsaid) = self.quiet.may_speak(now) {
            tracing::error!(op = op.label(), cause, unsaid, "the second tier failed");
        }
    }

    fn say_left_alone(&self, op: L2Op, cause: &str, unsaid: u64) {
        let (op, retry_in) = (op.label(), self.config.breaker_open_for);
        tracing::warn!(op, cause, ?retry_in, unsaid, "the second tier is left alone");
    }
}

/// A number that nobody can foresee: the standard library's hasher draws one for each process, and
/// another one for each hasher.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one("forewarm")
}

/// Invalidations of a resource that have not reached L2 yet.
///
/// While one waits here the gate of its key stays closed: the key is not read from L2. When too
/// many wait, the resource as a whole is invalidated instead, which is never too little.
#[derive(Debug)]
pub(crate) struct Outbox<K> {
    state: Mutex<State<K>>,
    max: usize,
}

#[derive(Debug)]
struct State<K> {
    waiting: VecDeque<Waiting<K>>,
    /// Those that L2 is being told of.
    taken: usize,
    /// The whole resource is to be invalidated.
    is_overflowed: bool,
    overflows: u64,
}

/// A key whose invalidation waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting<K> {
    pub(crate) key: K,
    pub(crate) hash: u64,
    pub(crate) full_key: String,
}

impl<K> Outbox<K> {
    pub(crate) fn new(max: usize) -> Self {
        let (waiting, taken) = (VecDeque::new(), 0);
        let state = State { waiting, taken, is_overflowed: false, overflows: 0 };
        Self { state: Mutex::new(state), max }
    }

    /// Adds an invalidation. Gives those that need not wait any more, since the whole resource
    /// will be invalidated; their gates may open, for the resource is closed.
    #[must_use]
    pub(crate) fn push(&self, waiting: Waiting<K>) -> VecDeque<Waiting<K>> {
        let mut state = self.state.lock();
        state.waiting.push_back(waiting);
        if state.waiting.len() <= self.max {
            return VecDeque::new();
        }
        state.overflows += 1;
        state.is_overflowed = true;
        std::mem::take(&mut state.waiting)
    }

    /// Takes up to `count` invalidations to deliver: [`Outbox::delivered`] or
    /// [`Outbox::put_back`] says how that ended.
    pub(crate) fn take(&self, count: usize) -> Vec<Waiting<K>> {
        let mut state = self.state.lock();
        let count = count.min(state.waiting.len());
        state.taken += count;
        state.waiting.drain(..count).collect()
    }

    /// Invalidations that were taken have been delivered.
    pub(crate) fn delivered(&self, count: usize) {
        self.state.lock().taken -= count;
    }

    /// Puts invalidations back that could not be delivered.
    pub(crate) fn put_back(&self, undelivered: Vec<Waiting<K>>) {
        let mut state = self.state.lock();
        state.taken -= undelivered.len();
        for waiting in undelivered.into_iter().rev() {
            state.waiting.push_front(waiting);
        }
    }

    /// Whether no key of the resource may be read from L2; gives what to tell
    /// [`Outbox::delivered_all`].
    pub(crate) fn overflow(&self) -> Option<u64> {
        let state = self.state.lock();
        state.is_overflowed.then_some(state.overflows)
    }

    /// The resource was invalidated as a whole. If it overflowed again meanwhile, that will have
    /// to be done once more.
    pub(crate) fn delivered_all(&self, overflows: u64) {
        let mut state = self.state.lock();
        state.is_overflowed &= state.overflows != overflows;
    }

    /// The invalidations that wait.
    pub(crate) fn len(&self) -> usize {
        let state = self.state.lock();
        state.waiting.len() + state.taken + usize::from(state.is_overflowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(key: u32) -> Waiting<u32> {
        Waiting { key, hash: 0, full_key: format!("p:r:{key}") }
    }

    #[test]
    fn what_is_queued_is_delivered_in_order() {
        let outbox = Outbox::new(10);
        for key in 0..4 {
            assert!(outbox.push(waiting(key)).is_empty());
        }
        let first = outbox.take(3);
        assert_eq!(outbox.len(), 4);
        outbox.put_back(first);
        let all: Vec<_> = outbox.take(10).into_iter().map(|waiting| waiting.key).collect();
        assert_eq!((all, outbox.len()), (vec![0, 1, 2, 3], 4));
        outbox.delivered(4);
        assert_eq!(outbox.len(), 0);
    }

    #[test]
    fn too_many_become_one_for_the_whole_resource() {
        let outbox = Outbox::new(2);
        assert_eq!(outbox.overflow(), None);
        assert!(outbox.push(waiting(0)).is_empty() && outbox.push(waiting(1)).is_empty());
        assert_eq!(outbox.push(waiting(2)).len(), 3);
        let overflows = outbox.overflow().unwrap();
        for key in 3..6 {
            assert_eq!(outbox.push(waiting(key)).len(), if key == 5 { 3 } else { 0 });
        }
        // Another overflow came while the first was delivered.
        outbox.delivered_all(overflows);
        let overflows = outbox.overflow().unwrap();
        outbox.delivered_all(overflows);
        assert_eq!((outbox.overflow(), outbox.len()), (None, 0));
    }
}
