//! What a run of the preloader finds due for one resource.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use crate::clock::Moment;
use crate::entry::{Cell, Entry, Life, Reason};
use crate::key::Key;
use crate::predictor::{Candidate, judge_renewal};
use crate::resource::core::Core;
use crate::score::Past;

/// However fast loads are, renewals begin this long before the expiry, since timers ring up to a
/// millisecond late.
const LEAD_MIN: Duration = Duration::from_millis(2);

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// When an entry with this life comes due for renewal, if it does.
    pub(in crate::resource) fn due(&self, life: &Life) -> Option<Moment> {
        if !self.renews() {
            return None;
        }
        let ttl = life.fresh_until.since(life.loaded_at);
        // Half as much again as loads usually take, so that the new value is there in time.
        let usual = || (3 * self.source.load_time.estimate() / 2).max(LEAD_MIN);
        let lead = self.policy.lead.unwrap_or_else(usual);
        let latest = life.fresh_until.minus(lead.min(ttl / 2));
        let every = self.policy.refresh_every.map(|every| life.loaded_at.plus(self.shorten(every)));
        Some(every.map_or(latest, |every| every.min(latest)))
    }

    /// Whether entries are renewed before they expire.
    pub(super) fn renews(&self) -> bool {
        self.ahead.renews.load(Relaxed)
    }

    /// Notes a read for rules that must see every one.
    pub(in crate::resource) fn note_asked(&self, key: &K, now: Moment) {
        if let Some(classic) = &self.ahead.classic {
            classic.lock().record(key, now);
        }
    }

    /// Notes that a key is read that had come due, if that is in time.
    pub(in crate::resource) fn note_return(&self, entry: &Entry<K, V>, now: Moment) {
        if let Some(cell) = entry.take_due_cell()
            && now < entry.life().fresh_until.plus(self.policy.ttl)
        {
            self.calibration().came_true(cell);
        }
    }

    /// Wakes the preloader if something comes due before it would look.
    pub(in crate::resource) fn wake_if_earlier(&self) {
        if self.fence.next_due().as_micros() < self.ahead.awaited.load(SeqCst) {
            self.wake.notify_one();
        }
    }

    /// A run of the preloader: finds what is due, and begins what the limits allow. Gives when to
    /// look again; a preload that ends wakes the preloader earlier.
    pub(in crate::resource) fn run_ahead(self: &Arc<Self>) -> Moment {
        let now = self.clock.now();
        self.queue_due(now);
        self.queue_classic(now);
        let blocked_until = self.begin_queued(now);
        let next_round = self.ahead.state.lock().next_round;
        let next = self.fence.next_due().min(next_round).min(blocked_until);
        self.ahead.awaited.store(next.as_micros(), SeqCst);
        // What came due between the look above and the store must not wait for the next wake.
        next.min(self.fence.next_due())
    }

    /// Queues the entries that are due and probably read again.
    fn queue_due(&self, now: Moment) {
        let (renews, threshold) = (self.renews(), self.ahead.policy().threshold);
        for entry in self.fence.take_due(now) {
            if self.end_unread(&entry, now) || !renews {
                continue;
            }
            let (cell, probability) = self.judge_renewal(&entry.reads().past(), now);
            entry.mark_due(cell);
            self.calibration().predicted(cell);
            // What others will bring anyway is worth less. It is asked last, for it takes longest.
            let is_worth_it = || probability * (1.0 - self.coverage(entry.hash())) >= threshold;
            if probability >= threshold && is_worth_it() {
                self.queue_candidate(&entry, cell, probability);
            }
        }
    }

    /// What a key about to expire looks like, and the probability that it is read in time.
    pub(in crate::resource) fn judge_renewal(&self, past: &Past, now: Moment) -> (Cell, f64) {
        let (cell, prior) = judge_renewal(past, now, self.policy.ttl);
        (cell, self.calibration().probability(cell, prior))
    }

    /// A preload that nobody has read counts as wasted when it cannot be served any more. Gives
    /// whether that is so; if not, the entry comes due again at that moment.
    fn end_unread(&self, entry: &Arc<Entry<K, V>>, now: Moment) -> bool {
        if !entry.is_unread() {
            return false;
        }
        let end = entry.life().served_until();
        if now < end {
            self.fence.await_due(entry, end);
            return false;
        }
        self.tally.l1.settle_unread(entry);
        true
    }

    fn queue_candidate(&self, entry: &Entry<K, V>, cell: Cell, probability: f64) {
        let (key, hash) = (entry.key().clone(), entry.hash());
        #[expect(clippy::cast_possible_truncation, reason = "a probability")]
        let probability = probability as f32;
        let renews = Some(entry.life().fresh_until);
        let cell = Some(cell);
        let candidate = Candidate::new(key, hash, probability, Reason::Expiry);
        self.queue(Candidate { cell, renews, ..candidate });
    }

    /// Queues what the classic rule takes, if a round is due.
    fn queue_classic(&self, now: Moment) {
        let preload = self.ahead.policy();
        let (Some(terms), Some(classic)) = (preload.mode.classic(), &self.ahead.classic) else {
            return;
        };
        let mut state = self.ahead.state.lock();
        if now < state.next_round {
            return;
        }
        // Counted from when it was due, and not from now, so that rounds do not drift.
        while state.next_round <= now {
            state.next_round = state.next_round.plus(terms.interval);
        }
        let is_fresh = |key: &K| self.holds_fresh(key);
        for key in classic.lock().round(preload.threshold, now, is_fresh) {
            let hash = self.fence.hash(&key);
            let candidate = Candidate::new(key, hash, 1.0, Reason::Classic);
            if let Some(dropped) = state.queue.push(candidate) {
                self.refuse(dropped.reason);
            }
        }
    }
}
