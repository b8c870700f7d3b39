//! What a resource tells the learner, and what it does with what it hears.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::core::{Core, Relation};
use crate::clock::Moment;
use crate::entry::{Entry, KeyId, Why};
use crate::flight::Chain;
use crate::foresight::{Foreseen, Foresight};
use crate::key::Key;
use crate::l1::Lookup;
use crate::policy::{PreloadMode, PreloadPolicy};
use crate::predictor::{Acting, Answer, Calibration, Candidate, Proposals, Sighting, Target};
use crate::scope::Scope;

/// How a resource takes part in learning.
#[derive(Debug)]
pub(super) struct Foreseeing {
    pub(super) foresight: Arc<Foresight>,
    has_relations: bool,
    /// Whether the reads of this resource are learned from.
    learns: AtomicBool,
}

impl Foreseeing {
    pub(super) fn new(
        foresight: Arc<Foresight>,
        policy: &PreloadPolicy,
        has_relations: bool,
    ) -> Self {
        let foreseeing = Self { foresight, has_relations, learns: AtomicBool::new(false) };
        foreseeing.tune(policy);
        foreseeing
    }

    /// Begins or ends to learn, as a policy says.
    pub(super) fn tune(&self, policy: &PreloadPolicy) {
        let predicts = acting(policy) != Acting::Never;
        let learns = predicts && (policy.associations || policy.rules || self.has_relations);
        self.learns.store(learns, Relaxed);
    }
}

/// What becomes of the predictions for a resource.
const fn acting(policy: &PreloadPolicy) -> Acting {
    match policy.mode {
        PreloadMode::Off | PreloadMode::Classic(_) => Acting::Never,
        PreloadMode::Observe => Acting::Watches,
        PreloadMode::Predicted => Acting::Loads,
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Tells the learner of a read that memory answered.
    #[inline]
    pub(super) fn note_held(&self, entry: &Entry<K, V>, now: Moment, was_preload: bool) {
        let has_room = || was_preload || !self.foreseeing.foresight.is_sated();
        if self.foreseeing.learns.load(Relaxed) && (has_room() || Scope::is_current()) {
            self.note_answered(entry, now, was_preload);
        }
    }

    #[inline(never)]
    fn note_answered(&self, entry: &Entry<K, V>, now: Moment, was_preload: bool) {
        let is_foreseen = was_preload && entry.why().trigger.is_some();
        let answer = if is_foreseen { Answer::Foreseen } else { Answer::Held };
        self.note_sighting(entry.hash(), now, answer, || None);
    }

    /// Tells the learner of a read that memory did not answer.
    pub(super) fn note_missed(&self, key: &K, hash: u64, now: Moment) {
        if self.foreseeing.learns.load(Relaxed) {
            self.note_sighting(hash, now, Answer::Missed, || Some(key.to_string().into()));
        }
    }

    /// Tells the learner that a value has come that somebody waited for.
    pub(super) fn note_loaded(&self, hash: u64) {
        if !self.relations.is_empty() && self.foreseeing.learns.load(Relaxed) {
            self.note_sighting(hash, self.clock.now(), Answer::Loaded, || None);
        }
    }

    fn note_sighting(
        &self,
        hash: u64,
        at: Moment,
        answer: Answer,
        text: impl FnOnce() -> Option<Box<str>>,
    ) {
        // What a loader reads comes with the load, and says nothing of what follows.
        if Chain::is_current() {
            return;
        }
        let client =
            Scope::current().and_then(|scope| scope.client_of(self.foreseeing.foresight.id()));
        let name = KeyId { resource: self.id, hash };
        self.foreseeing.foresight.note(Sighting { client, name, at, answer, text: text() });
    }

    /// Whether memory has no fresh entry of a key, and none is loading.
    fn lacks_key(&self, key: &K, hash: u64) -> bool {
        let now = self.clock.now();
        self.fence.l1().fresh_until(Lookup::new(hash, key)).is_none_or(|until| until <= now)
            && self.fence.flight(key, hash).is_none()
            // Whether it is well again is for those to find out who want it.
            && !self.source.failing.knows(key)
    }
}

impl<K, V> Foreseen for Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    fn target(&self) -> Target {
        let preload = self.ahead.policy();
        Target {
            calibration: Arc::clone(self.calibration()),
            threshold: preload.threshold,
            ttl: self.policy.ttl,
            acting: acting(&preload),
            copy_threshold: self.copy_threshold(),
            uses_associations: preload.associations,
            uses_rules: preload.rules,
        }
    }

    fn text(&self, hash: u64) -> Option<Box<str>> {
        let entry = self.fence.l1().find_hash(hash)?;
        self.ask_user(|| entry.key().to_string().into())
    }

    fn lacks(&self, text: &str) -> Option<u64> {
        let lacking = || {
            let key: K = text.parse().ok()?;
            let hash = self.fence.hash(&key);
            self.lacks_key(&key, hash).then_some(hash)
        };
        self.ask_user(lacking).flatten()
    }

    fn hash_of(&self, text: &str) -> Option<u64> {
        self.ask_user(|| text.parse::<K>().ok().map(|key| self.fence.hash(&key))).flatten()
    }

    fn residence(&self) -> Duration {
        self.fence.residence()
    }

    fn relations(&self) -> Vec<Arc<str>> {
        self.relations.iter().map(|relation| Arc::clone(&relation.to)).collect()
    }

    fn related(&self, hash: u64) -> Vec<(usize, Box<str>)> {
        let Some(entry) = self.fence.l1().find_hash(hash) else { return Vec::new() };
        let Some(value) = entry.value() else { return Vec::new() };
        let of = |(place, relation): (usize, &Relation<K, V>)| {
            let texts = self.ask_user(|| (relation.find)(entry.key(), value)).unwrap_or_default();
            texts.into_iter().map(move |text| (place, text))
        };
        self.relations.iter().enumerate().flat_map(of).collect()
    }

    fn load_ahead(self: Arc<Self>, proposals: Proposals) {
        let mut copies = Vec::new();
        for proposal in proposals {
            let Some(Ok(key)) = self.ask_user(|| proposal.text.parse()) else { continue };
            #[expect(clippy::cast_possible_truncation, reason = "a probability")]
            let probability = proposal.probability as f32;
            let candidate = Candidate {
                cell: proposal.cell,
                trigger: Some(proposal.trigger),
                ..Candidate::new(key, proposal.name.hash, probability, proposal.reason)
            };
            match proposal.is_copy {
                true => copies.push(candidate),
                false => self.queue(candidate),
            }
        }
        if !copies.is_empty() {
            self.copy_ahead(copies);
        }
        let next = self.begin_queued(self.clock.now());
        if next != Moment::NEVER {
            self.wake.notify_one();
        }
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Runs what users wrote where a panic would end the learning. One costs what was asked for.
    pub(super) fn ask_user<R>(&self, ask: impl FnOnce() -> R) -> Option<R> {
        let answer = catch_unwind(AssertUnwindSafe(ask)).ok();
        if answer.is_none()
            && let Some(unsaid) = self.speech.panics.may_speak(self.clock.now())
        {
            let resource = &*self.name;
            tracing::error!(
                resource,
                unsaid,
                "a relation, or the text of a key, panicked: nothing is loaded ahead for it"
            );
        }
        answer
    }

    /// How far preloads that other keys trigger cover the reads of a key, 0 to 1.
    pub(super) fn coverage(&self, hash: u64) -> f64 {
        let name = KeyId { resource: self.id, hash };
        let coverage = self.foreseeing.foresight.look(|learner| learner.coverage(name));
        f64::from(coverage.unwrap_or_default())
    }

    /// What came of the predictions for this resource.
    pub(super) fn calibration(&self) -> &Arc<Calibration> {
        &self.tally.l1.calibration
    }

    /// Keeps the score of a preload that was read, or that nobody read.
    pub(super) fn keep_score(&self, why: Why, came_true: bool) {
        self.tally.l1.keep_score(why, came_true);
    }
}
