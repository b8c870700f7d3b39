//! What may be asked of a source: how many at a time, how often, how long, and when not at all.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

use crate::clock::{Clock, Moment};
use crate::policy::SourcePolicy;

pub(crate) use self::breaker::Breaker;
pub use self::breaker::BreakerState;
pub(crate) use self::bucket::Bucket;
pub(crate) use self::failing::Failing;
pub(crate) use self::load_time::LoadTime;
pub(crate) use self::quiet::Quiet;
pub(crate) use self::slots::{Class, Slot, Slots};
pub(crate) use self::spending::Spending;
pub(crate) use self::urgency::{Lent, Urgency};

mod breaker;
mod bucket;
mod failing;
mod load_time;
mod quiet;
mod slots;
mod spending;
mod urgency;

/// The limits of one source.
#[derive(Debug)]
pub(crate) struct Limits {
    policy: SourcePolicy,
    clock: Clock,
    own: Arc<Slots>,
    /// Shared by all sources of the engine.
    all: Arc<Slots>,
    breaker: Breaker,
    seed: u64,
}

/// The right to call the loader once. Dropping it gives the slots back.
#[derive(Debug)]
pub(crate) struct Admission {
    _own: Option<Slot>,
    _all: Option<Slot>,
}

impl Limits {
    pub(crate) fn new(policy: SourcePolicy, clock: Clock, all: Arc<Slots>, seed: u64) -> Self {
        let own = Slots::new(policy.concurrency, policy.preload_slots());
        let breaker = Breaker::new(policy.breaker_failures, policy.breaker_open_for);
        Self { policy, clock, own, all, breaker, seed }
    }

    /// Whether waiting for a turn is worth it: not while the source is left alone, unless the load
    /// is part of a call of this source that was let through.
    ///
    /// # Errors
    ///
    /// How long it is left alone, if the breaker is open.
    pub(crate) fn check_breaker(&self, urgency: &Urgency) -> Result<(), Duration> {
        if self.breaker.is_calm() || urgency.is_lent(Lent::Source) {
            return Ok(());
        }
        self.breaker.check(self.clock.recent())
    }

    /// Whether the source may be asked now, by one whose turn it is.
    ///
    /// # Errors
    ///
    /// As [`Limits::check_breaker`].
    pub(crate) fn pass_breaker(&self, urgency: &Urgency) -> Result<(), Duration> {
        if self.breaker.is_calm() || urgency.is_lent(Lent::Source) {
            return Ok(());
        }
        self.breaker.admit(self.clock.recent())
    }

    /// Waits for a turn. The source's own slot comes first and the shared one second, so two
    /// sources never hold what the other waits for.
    pub(crate) async fn admit(&self, urgency: &Urgency) -> Admission {
        let own = self.own.enter(urgency, Lent::Source).await;
        let all = self.all.enter(urgency, Lent::Engine).await;
        Admission { _own: own, _all: all }
    }

    /// Whether a preload could start at once.
    pub(crate) fn has_room_for_preload(&self) -> bool {
        self.own.has_room(Class::Preload) && self.all.has_room(Class::Preload)
    }

    /// The source answered.
    pub(crate) fn answered(&self) {
        self.breaker.succeeded();
    }

    /// The source did not answer.
    pub(crate) fn failed(&self) {
        self.breaker.failed(self.clock.now());
    }

    pub(crate) fn breaker(&self, now: Moment) -> BreakerState {
        self.breaker.state(now)
    }

    /// The waits between the attempts of one load: one fewer than the attempts, and the same again
    /// for the same salt.
    pub(crate) fn waits(&self, salt: u64) -> impl Iterator<Item = Duration> {
        ExponentialBuilder::default()
            .with_min_delay(self.policy.backoff_min)
            .with_max_delay(self.policy.backoff_max)
            .with_max_times(self.policy.attempts - 1)
            .with_factor(2.0)
            .with_jitter()
            .with_jitter_seed(self.seed ^ salt)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_double_up_to_the_longest_and_vary_by_less_than_themselves() {
        let policy = SourcePolicy {
            attempts: 6,
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(5),
            ..SourcePolicy::default()
        };
        let limits = Limits::new(policy, Clock::system(), Slots::new(1, 1), 7);
        let waits: Vec<_> = limits.waits(1).map(|wait| wait.as_secs_f64()).collect();
        let planned = [1.0, 2.0, 4.0, 5.0, 5.0];
        assert_eq!(waits.len(), planned.len());
        for (wait, planned) in waits.iter().zip(planned) {
            assert!((planned..2.0 * planned).contains(wait), "{waits:?}");
        }
        let again: Vec<_> = limits.waits(1).map(|wait| wait.as_secs_f64()).collect();
        assert_eq!(waits, again);
    }
}
