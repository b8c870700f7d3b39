//! What may be asked of L2, and what follows from its answers: calls have a deadline and stand behind
//! a breaker, invalidations that were not heard wait, and the log says what others have changed.

use std::error::Error as _;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::config::L2Config;
use crate::limits::{Breaker, BreakerState, Quiet};
use crate::metrics::{Counters, L2_BYTES, L2_ENTRIES, L2_SECONDS, L2Op};
use crate::task;
use crate::tier::{
    AnyTier, Ask, Begun, Cursor, Fill, Filled, HotSum, Invalidation, Node, Permit, Swept,
    TierError, TierSize,
};

use self::follow::Following;
pub(crate) use self::follow::Heed;
pub use self::nodes::NodeSeen;
pub(crate) use self::outbox::{Outbox, Waiting};
pub(crate) use self::runs::Met;
pub(crate) use self::trust::Trust;

mod follow;
mod nodes;
mod outbox;
mod runs;
mod trust;

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
    nodes_met: AtomicUsize,
    following: Following,
    trust: Arc<Trust>,
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
        let trust = Arc::new(Trust::within(config.window));
        Self {
            tier,
            config,
            clock,
            breaker,
            failures,
            quiet,
            warnings,
            is_warned,
            permits,
            node,
            nodes_met: AtomicUsize::new(1),
            following: Following::default(),
            trust,
        }
    }

    pub(crate) const fn config(&self) -> &L2Config {
        &self.config
    }

    pub(crate) const fn failures(&self) -> &Counters<L2Op> {
        &self.failures
    }

    /// Until when memory may be served.
    pub(crate) const fn trust(&self) -> &Arc<Trust> {
        &self.trust
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

    /// Puts a value. `since` is [`L2::heard`] from before the value was stored in memory.
    pub(crate) async fn put(&self, put: Fill<'_>, since: &Cursor) -> Option<Vec<Filled>> {
        let puts = [put];
        let work = self.tier.put(self.node, &puts, since);
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

    /// Tells L2 which keys of a resource are read most here; gives those of other engines.
    pub(crate) async fn merge_hot(
        &self,
        resource: &str,
        hot: &[(&str, f64)],
        keep_for: Duration,
    ) -> Option<Vec<HotSum>> {
        let work = self.tier.merge_hot(self.node, resource, hot, keep_for);
        self.call(L2Op::MergeHot, self.config.write_timeout, work).await
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

    /// Brings the figures to the `metrics` facade.
    pub(crate) fn publish(&self) {
        self.failures.publish(&[]);
        self.publish_following();
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

    /// Notes a failure that says nothing of other calls.
    fn note_failure(&self, op: L2Op, error: &TierError) {
        self.failures.one(op);
        if let Some(unsaid) = self.quiet.may_speak(self.clock.now()) {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::error!(op = op.label(), cause, unsaid, "the second tier failed");
        }
    }

    fn failed(&self, op: L2Op, now: Moment, error: &TierError) {
        if error.is_not_kept() {
            return self.note_failure(op, error);
        }
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
