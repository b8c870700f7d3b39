//! From reads to loads: what the resources of an engine tell the learner, and what it tells them.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::{Clock, Moment};
use crate::entry::KeyId;
use crate::metrics::{ASSOCIATIONS, LEARNED_CLIENTS, LEARNED_DROPPED, LEARNED_KEYS, UNRECORDED};
use crate::predictor::{
    Answer, Knowledge, Learner, LearnerTerms, Proposal, Proposals, Related, Shelves, Sighting,
    Target, most_read,
};
use crate::sync::Mutex;

use self::inbox::Inbox;
use self::pace::Pace;

mod inbox;
mod pace;

/// What the resources of an engine share to see ahead.
///
/// A read only drops a note into an inbox. The learner takes them out, in a task of its own, and
/// begins what they lead to; in an exact engine, before the read goes on. Under load it rests
/// between two looks: to wake it costs a reader several times what the note does.
///
/// What users wrote, such as relations and the texts of keys, may be slow, or panic: relations run
/// outside the learner's lock, and a resource answers for its own keys whatever happens.
#[derive(Debug)]
pub(crate) struct Foresight {
    learner: OnceLock<Mutex<Learner>>,
    resources: OnceLock<Vec<Weak<dyn Foreseen>>>,
    /// For each resource, those to which its keys are related, in the order of the relations.
    relations: OnceLock<Vec<Vec<u16>>>,
    inbox: Inbox,
    pace: Mutex<Pace>,
    /// Wakes the learner.
    pub(crate) wake: Arc<Notify>,
    is_exact: bool,
}

/// The reads that are learned from before others have their turn, of the runtime and of the lock.
const AT_A_TIME: usize = 256;

/// The keys that are copied before the learner goes on.
const KNOWN_AT_A_TIME: usize = 1_024;

/// What the learner asks of a resource whose types it does not know.
pub(crate) trait Foreseen: Send + Sync + 'static {
    /// What is to be known of the resource.
    fn target(&self) -> Target;

    /// The text of the key in memory that has this hash.
    fn text(&self, hash: u64) -> Option<Box<str>>;

    /// The hash of the key with this text, if memory has no fresh entry of it and none is loading.
    fn lacks(&self, text: &str) -> Option<u64>;

    /// The hash of the key with this text, if it is the text of a key.
    fn hash_of(&self, text: &str) -> Option<u64>;

    /// How long a preload can be expected to stay.
    fn residence(&self) -> Duration;

    /// The names of the resources to which keys of this one were declared to be related.
    fn relations(&self) -> Vec<Arc<str>>;

    /// The keys to which a key in memory was declared to be related, with the place of the relation.
    fn related(&self, hash: u64) -> Vec<(usize, Box<str>)>;

    /// Begins to load what is proposed.
    fn load_ahead(self: Arc<Self>, proposals: Proposals);
}

impl std::fmt::Debug for dyn Foreseen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Foreseen")
    }
}

impl Foresight {
    pub(crate) fn new(is_exact: bool) -> Self {
        Self {
            learner: OnceLock::new(),
            resources: OnceLock::new(),
            relations: OnceLock::new(),
            inbox: Inbox::new(),
            pace: Mutex::new(Pace::new()),
            wake: Arc::new(Notify::new()),
            is_exact,
        }
    }

    /// A number that no other engine of this process has at the same time.
    pub(crate) fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Begins to learn of these resources, in the order of their ids.
    pub(crate) fn start(
        &self,
        terms: LearnerTerms,
        resources: Vec<Weak<dyn Foreseen>>,
        relations: Vec<Vec<u16>>,
    ) {
        let count = u16::try_from(resources.len()).unwrap_or(u16::MAX);
        let targets = resources.iter().filter_map(Weak::upgrade).map(|resource| resource.target());
        let learner = Learner::new(terms, targets.collect());
        // Only the first start counts, and there is but one.
        drop(self.resources.set(resources));
        drop(self.relations.set(relations));
        drop(self.learner.set(Mutex::new(learner)));
        // Of what was changed meanwhile, nobody has told the learner.
        (0..count).for_each(|resource| self.retarget(resource));
    }

    /// Takes over what has changed of what is to be known of a resource.
    pub(crate) fn retarget(&self, resource: u16) {
        let (Some(learner), Some(of)) = (self.learner.get(), self.resource(resource)) else {
            return;
        };
        let mut learner = learner.lock();
        // Asked within the lock, so that of two changes the later one stays.
        learner.retarget(resource, of.target());
    }

    /// Whether there are hits of nobody enough until the learner looks again: so many are a sample.
    #[inline]
    pub(crate) fn is_sated(&self) -> bool {
        self.inbox.is_sated()
    }

    /// Takes note of a read.
    pub(crate) fn note(&self, sighting: Sighting) {
        if self.learner.get().is_none() {
            return;
        }
        if self.is_exact {
            self.learn_from(std::iter::once(sighting));
        } else if self.inbox.push(sighting) {
            self.wake.notify_one();
        }
    }

    /// Learns from the reads noted since the last time, and begins what they lead to; gives for how
    /// long to rest before the next look, unless a read wakes the learner.
    pub(crate) async fn digest(&self, clock: &Clock) -> Option<Duration> {
        let began = clock.now();
        let count = self.learn_from_all(self.inbox.take()).await;
        let rest = self.pace.lock().rest(count, began, clock.now());
        if rest.is_some() {
            return rest;
        }
        // From here on a read wakes the learner; those that came before it have not.
        self.inbox.listen();
        self.learn_from_all(self.inbox.take()).await;
        None
    }

    async fn learn_from_all(&self, sightings: Vec<Sighting>) -> usize {
        let count = sightings.len();
        let mut sightings = sightings.into_iter();
        loop {
            self.learn_from(sightings.by_ref().take(AT_A_TIME));
            if sightings.len() == 0 {
                return count;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Learns from reads, and begins what they lead to.
    ///
    /// The learner stays locked while reads lead to nothing. Relations are found, and loads begun,
    /// outside the lock: both run what users wrote.
    fn learn_from(&self, sightings: impl Iterator<Item = Sighting>) {
        let Some(learner) = self.learner.get() else { return };
        let mut sightings = sightings.peekable();
        while let Some(mut first) = sightings.next() {
            let related = self.related(&first);
            let mut learner = learner.lock();
            let mut proposals = learner.see(&mut first, related, self);
            while proposals.is_empty()
                && let Some(mut next) = sightings.next_if(|next| self.relations(next).is_none())
            {
                proposals = learner.see(&mut next, Vec::new(), self);
            }
            drop(learner);
            self.load_ahead(proposals);
        }
    }

    /// Begins to load what is proposed, by resource.
    fn load_ahead(&self, mut proposals: Proposals) {
        while let Some(first) = proposals.first() {
            let resource = first.name.resource;
            let is_same = |proposal: &Proposal| proposal.name.resource == resource;
            let (same, rest): (Proposals, Proposals) = proposals.into_iter().partition(is_same);
            if let Some(resource) = self.resource(resource) {
                resource.load_ahead(same);
            }
            proposals = rest;
        }
    }

    /// The resources to which the key that was read may be related, if memory has its value.
    fn relations(&self, seen: &Sighting) -> Option<&[u16]> {
        let relations = self.relations.get()?.get(usize::from(seen.name.resource))?;
        (!relations.is_empty() && seen.answer != Answer::Missed).then_some(relations)
    }

    /// The keys to which the key that was read was declared to be related, if memory has its value.
    fn related(&self, seen: &Sighting) -> Vec<Related> {
        let Some(relations) = self.relations(seen) else { return Vec::new() };
        let Some(resource) = self.resource(seen.name.resource) else { return Vec::new() };
        let related =
            resource.related(seen.name.hash).into_iter().filter_map(|(relation, text)| {
                let resource = *relations.get(relation)?;
                Some(Related { relation, resource, text })
            });
        related.collect()
    }

    fn resource(&self, resource: u16) -> Option<Arc<dyn Foreseen>> {
        self.resources.get()?.get(usize::from(resource))?.upgrade()
    }

    /// The pairs of keys that are known to follow each other.
    pub(crate) fn associations(&self) -> usize {
        self.look(|learner| learner.figures().pairs).unwrap_or_default()
    }

    /// Lets `look` see what was learned, once something is.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Learner) -> R) -> Option<R> {
        self.learner.get().map(|learner| look(&learner.lock()))
    }

    /// What was learned, of the `keys_max` keys that are read most. The learner goes on meanwhile.
    pub(crate) fn known(&self, keys_max: usize, now: Moment) -> Knowledge {
        let Some(learner) = self.learner.get() else { return Knowledge::default() };
        let (mut keys, mut from) = (Vec::new(), 0);
        loop {
            let part = learner.lock().known_keys(from..from + KNOWN_AT_A_TIME, now);
            if part.is_empty() {
                break;
            }
            keys.extend(part);
            from += KNOWN_AT_A_TIME;
        }
        Knowledge { keys: most_read(keys, keys_max), leaders: learner.lock().known_leaders() }
    }

    /// Adds what an earlier process knew that ended `away` ago. Gives how many of its keys are known
    /// now; the others are no keys any more.
    pub(crate) fn recall(&self, known: &Knowledge, away: Duration, now: Moment) -> usize {
        let Some(learner) = self.learner.get() else { return 0 };
        // Texts are read by what users wrote, so outside the lock.
        let name = |(resource, text): (u16, &str)| {
            let hash = self.resource(resource)?.hash_of(text)?;
            Some(KeyId { resource, hash })
        };
        let names = known.keys.iter().map(|key| name((key.resource, &key.text)));
        let names: Vec<_> = names.collect();
        learner.lock().recall(known, &names, away, now)
    }

    /// Brings the figures to the `metrics` facade.
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    pub(crate) fn publish(&self) {
        let Some(learner) = self.learner.get() else { return };
        let (figures, [keys, clients]) = {
            let mut learner = learner.lock();
            (learner.figures(), learner.take_dropped())
        };
        metrics::gauge!(ASSOCIATIONS).set(figures.pairs as f64);
        metrics::gauge!(LEARNED_KEYS).set(figures.keys as f64);
        metrics::gauge!(LEARNED_CLIENTS).set(figures.clients as f64);
        metrics::counter!(LEARNED_DROPPED, "table" => "keys").increment(keys);
        metrics::counter!(LEARNED_DROPPED, "table" => "clients").increment(clients);
        metrics::counter!(UNRECORDED).increment(self.inbox.take_dropped());
    }

    /// Forgets what was learned.
    pub(crate) fn clear(&self) {
        drop(self.inbox.take());
        if let Some(learner) = self.learner.get() {
            learner.lock().clear();
        }
    }
}

impl Shelves for Foresight {
    fn text(&self, name: KeyId) -> Option<Box<str>> {
        self.resource(name.resource)?.text(name.hash)
    }

    fn lacks(&self, resource: u16, text: &str) -> Option<u64> {
        self.resource(resource)?.lacks(text)
    }

    fn residence(&self, resource: u16) -> Duration {
        self.resource(resource).map_or(Duration::ZERO, |resource| resource.residence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use futures_util::FutureExt as _;

    /// Foresight whose learner has so many reads before it.
    fn with_reads(count: u64) -> Foresight {
        let foresight = Foresight::new(false);
        let terms = LearnerTerms {
            keys_max: 100,
            clients_max: 10,
            half_life: Duration::from_hours(1),
            idle: Duration::from_mins(1),
            seed: 0,
        };
        foresight.start(terms, Vec::new(), Vec::new());
        for hash in 0..count {
            let (name, at) = (KeyId { resource: 0, hash: hash % 50 }, Moment::START);
            let text = Some(name.hash.to_string().into());
            foresight.note(Sighting { client: None, name, at, answer: Answer::Missed, text });
        }
        foresight
    }

    #[tokio::test(start_paused = true)]
    async fn others_have_their_turn_while_many_reads_are_learned_from() {
        for (reads, turns) in [(10, 0), (200, 0), (300, 1), (1_000, 3)] {
            let (foresight, clock) = (with_reads(reads), Clock::system());
            let mut digest = std::pin::pin!(foresight.digest(&clock));
            for turn in 0..turns {
                assert!(digest.as_mut().now_or_never().is_none(), "turn {turn} of {reads} reads");
            }
            assert!(digest.now_or_never().is_some(), "{reads}");
            assert_eq!(
                foresight.look(|learner| learner.figures().keys),
                Some(reads.min(50) as usize)
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_learner_sleeps_after_few_reads_and_rests_after_many() {
        let few = with_reads(4).digest(&Clock::system()).await;
        let many = with_reads(5).digest(&Clock::system()).await;
        assert_eq!((few, many), (None, Some(Duration::from_millis(1))));
    }
}
