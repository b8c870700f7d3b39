//! What the engine does with a resource.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use metrics::Label;

use super::Delivery;
use super::core::Core;
use crate::clock::Moment;
use crate::engine::{Managed, Progress, Remembered};
use crate::fence::Group;
use crate::key::Key;
use crate::limits::BreakerState;
use crate::metrics::{
    BREAKER, BRIER_SCORE, FLIGHTS, Full, GROUPS, L1_BYTES, L1_CAPACITY, L1_ENTRIES, MUTED, OUTBOX,
    PROBABILITY_ERROR, THRESHOLD, TRACKED,
};
use crate::policy::Store;
use crate::stats::ResourceStats;
use crate::tier::Change;

impl<K, V> Managed for Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn group(&self) -> &str {
        &self.group
    }

    fn heed_change(self: Arc<Self>, change: &Change) {
        Self::heed_change(&self, change);
        self.tell();
    }

    fn mark(&self) {
        // What was changed just before it began to listen, it does not hear of for sure.
        self.note_lag_of_all();
        self.fence.mark();
    }

    fn void_marked(&self) {
        self.fence.void_marked();
        self.tell();
    }

    fn share_hot(self: Arc<Self>, keep_for: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Self::share_hot(self, keep_for))
    }

    fn remember(&self, keys_max: usize) -> Option<Remembered> {
        Self::remember(self, keys_max)
    }

    fn recall(&self, remembered: &Remembered, away: Duration) -> usize {
        Self::recall(self, remembered, away)
    }

    fn warm(
        self: Arc<Self>,
        progress: Arc<Progress>,
        until: Moment,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Self::warm(self, progress, until))
    }

    fn invalidate_all(self: Arc<Self>) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        Box::pin(async move {
            let delivery = self.invalidate_group(Group::All).await;
            self.tell();
            delivery == Delivery::Applied
        })
    }

    fn run_ahead(self: Arc<Self>) -> Moment {
        Self::run_ahead(&self)
    }

    fn deliver_queued(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(Self::deliver_queued(self))
    }

    fn tidy(&self) {
        self.fence.l1().settle();
        self.fence.tidy_groups();
        self.tend(None);
        self.source.failing.tidy(self.clock.now());
    }

    fn stats(&self) -> ResourceStats {
        Self::stats(self)
    }

    fn find_timings(&self) {
        self.tally.timings.find(&self.name);
    }

    fn publish(&self) {
        self.find_timings();
        let resource = [Label::new("resource", self.name.to_string())];
        self.tally.reads.publish(&resource);
        self.tally.loads.publish(&resource);
        self.tally.refreshes.publish(&resource);
        self.tally.refusals.publish(&resource);
        self.probe.found.publish(&resource);
        self.tally.l1.preloads.publish(&resource);
        self.tally.l1.evictions.publish(&resource);
        self.tally.l1.full.add(Full::Reads, self.fence.take_tracked_dropped());
        self.tally.l1.full.publish(&resource);
        self.publish_states();
    }

    fn clear(&self) {
        Self::clear(self);
        self.tell();
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Tells whoever wants to know that something was voided.
    fn tell(&self) {
        if let Some(told) = &self.told {
            told.notify_one();
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    fn publish_states(&self) {
        let resource = || Label::new("resource", self.name.to_string());
        let gauge = |name, value: f64| metrics::gauge!(name, vec![resource()]).set(value);
        self.fence.l1().settle();
        let held = self.fence.l1().held();
        for (segment, held) in ["hot", "staging", "main"].into_iter().zip(held) {
            let labels = vec![resource(), Label::from_static_parts("segment", segment)];
            metrics::gauge!(L1_ENTRIES, labels.clone()).set(held.entries as f64);
            metrics::gauge!(L1_BYTES, labels).set(held.weight as f64);
        }
        // What is kept nowhere has no place here, and its hit ratio means nothing.
        let is_kept = self.policy.store != Store::Nowhere;
        gauge(L1_CAPACITY, if is_kept { self.policy.capacity.amount() as f64 } else { 0.0 });
        let threshold = self.ahead.policy().threshold;
        gauge(THRESHOLD, threshold);
        let predictions = self.calibration().stats(threshold);
        gauge(PROBABILITY_ERROR, predictions.calibration_error);
        gauge(BRIER_SCORE, predictions.brier_score);
        gauge(MUTED, f64::from(u8::from(predictions.is_muted)));
        gauge(GROUPS, self.fence.groups() as f64);
        gauge(FLIGHTS, self.fence.flights() as f64);
        gauge(TRACKED, self.fence.tracked_absent() as f64);
        if let Some(shared) = &self.shared {
            gauge(OUTBOX, shared.outbox.len() as f64);
        }
        gauge(
            BREAKER,
            match self.source.limits.breaker(self.clock.now()) {
                BreakerState::Closed => 0.0,
                BreakerState::HalfOpen => 1.0,
                BreakerState::Open => 2.0,
            },
        );
    }
}
