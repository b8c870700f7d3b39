//! What is read after what.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use hashbrown::HashTable;

use self::doorkeeper::Doorkeeper;
pub(crate) use self::successors::Distance;
use self::successors::Successors;
use crate::clock::Moment;
use crate::entry::KeyId;
use crate::score::{next_gap, rate};

use super::known::{KnownFollower, KnownKey, amount};

mod doorkeeper;
mod successors;

/// The keys that were read, and for each those that were read soon after it.
///
/// A node holds up to eight successors of its key with their weights: how often each came within
/// the window, decayed.
///
/// Bounded: once there are `max` nodes, a new key has to be seen twice, and then the node goes that
/// was read least of eight sampled. To forget by recency instead would lose most of the gain.
#[derive(Debug)]
pub(crate) struct Associations {
    nodes: Vec<Node>,
    index: HashTable<NodeId>,
    doorkeeper: Doorkeeper,
    max: usize,
    decay: EpochDecay,
    random: Rng,
    evicted: u64,
    pairs: usize,
}

/// The place of a node, with the generation of what is there; the key of a node that has gone is
/// not taken for the one that took its place, but for once in 256 times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NodeId(u32);

/// A key that was read.
#[derive(Debug)]
pub(crate) struct Node {
    hash: u64,
    /// The text of the key.
    text: Box<str>,
    /// The last read, or [`Moment::NEVER`].
    last: Moment,
    gap_secs: f32,
    /// Decayed.
    reads: f32,
    /// How far preloads that another key triggered cover the reads of this one, 0 to 1.
    coverage: f32,
    resource: u16,
    epoch: u16,
    generation: u8,
    successors: Successors,
}

/// A successor as it is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Follower {
    pub(crate) to: NodeId,
    /// How near it came at best.
    pub(crate) distance: Distance,
    /// How often it came after, decayed.
    pub(crate) weight: f64,
    /// The share of the reads of the first after which it came.
    pub(crate) confidence: f64,
    /// The share of its own reads that came after the first.
    pub(crate) reverse: f64,
}

/// The nodes that an eviction looks at.
const SAMPLE: usize = 8;
const GENERATION_BITS: u32 = 8;
/// The most nodes that can be told apart.
pub(crate) const NODES_MAX: usize = 1 << (u32::BITS - GENERATION_BITS);

/// One word of both parts of a key's name.
fn mixed(name: KeyId) -> u64 {
    name.hash ^ u64::from(name.resource).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl NodeId {
    const fn new(place: u32, generation: u8) -> Self {
        Self(place << GENERATION_BITS | generation as u32)
    }

    const fn place(self) -> usize {
        (self.0 >> GENERATION_BITS) as usize
    }

    const fn generation(self) -> u8 {
        (self.0 & 0xff) as u8
    }
}

impl Node {
    pub(crate) fn name(&self) -> KeyId {
        KeyId { resource: self.resource, hash: self.hash }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) const fn coverage(&self) -> f32 {
        self.coverage
    }

    /// The reads of this key per second as of `now`, once there were two.
    pub(crate) fn rate(&self, now: Moment) -> Option<f64> {
        rate(self.gap_secs, self.last, now)
    }

    fn age_to(&mut self, epoch: u16, decay: &EpochDecay) {
        if self.epoch == epoch {
            return;
        }
        let factor = decay.factor(self.epoch, epoch);
        self.epoch = epoch;
        self.reads *= factor;
        self.successors.decay(factor);
    }
}

impl Associations {
    /// An empty memory for at most `max` keys, whose weights halve in `half_life`.
    pub(crate) fn new(max: usize, half_life: Duration, seed: u64) -> Self {
        Self {
            nodes: Vec::new(),
            index: HashTable::new(),
            doorkeeper: Doorkeeper::new(max),
            max: max.min(NODES_MAX),
            decay: EpochDecay::new(half_life),
            random: Rng::with_seed(seed),
            evicted: 0,
            pairs: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The pairs of keys that are known to follow each other.
    pub(crate) fn pairs(&self) -> usize {
        self.pairs
    }

    /// Takes the number of keys that were forgotten for others since the last call.
    pub(crate) fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    pub(crate) fn clear(&mut self) {
        self.index.clear();
        self.nodes.clear();
        self.pairs = 0;
        self.doorkeeper.clear();
    }

    /// The node of a key.
    pub(crate) fn find(&self, name: KeyId) -> Option<NodeId> {
        let is_it = |id: &NodeId| self.nodes.get(id.place()).is_some_and(|at| at.name() == name);
        self.index.find(mixed(name), is_it).copied()
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.place()).filter(|node| node.generation == id.generation())
    }

    fn get_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id.place()).filter(|node| node.generation == id.generation())
    }

    /// Makes a node for a key that has none, unless it has to be seen again first, or its text is
    /// not known any more.
    pub(crate) fn admit(
        &mut self,
        name: KeyId,
        now: Moment,
        text: impl FnOnce() -> Option<Box<str>>,
    ) -> Option<NodeId> {
        let is_full = self.nodes.len() >= self.max;
        if is_full && !self.doorkeeper.has_seen(mixed(name)) {
            return None;
        }
        let node = self.node(name, now, text()?);
        let id = if is_full {
            self.replace(node)?
        } else {
            let id = NodeId::new(u32::try_from(self.nodes.len()).ok()?, node.generation);
            self.nodes.push(node);
            id
        };
        let nodes = &self.nodes;
        let rehash = |id: &NodeId| nodes.get(id.place()).map_or(0, |node| mixed(node.name()));
        self.index.insert_unique(mixed(name), id, rehash);
        Some(id)
    }

    fn node(&self, name: KeyId, now: Moment, text: Box<str>) -> Node {
        Node {
            hash: name.hash,
            text,
            last: Moment::NEVER,
            gap_secs: f32::NAN,
            reads: 0.0,
            coverage: 0.0,
            resource: name.resource,
            epoch: self.decay.epoch(now),
            generation: 0,
            successors: Successors::new(),
        }
    }

    /// Puts a node in the place of the one that was read least of some.
    fn replace(&mut self, mut node: Node) -> Option<NodeId> {
        let (epoch, count) = (node.epoch, self.nodes.len());
        let aged = |place: &usize| {
            let node = self.nodes.get(*place);
            node.map_or(0.0, |node| node.reads * self.decay.factor(node.epoch, epoch))
        };
        let mut random = self.random.clone();
        let places = (0..SAMPLE).map(|_| random.usize(..count));
        let place = places.min_by(|a, b| aged(a).total_cmp(&aged(b)))?;
        self.random = random;
        let old = self.nodes.get(place)?;
        let old_id = NodeId::new(u32::try_from(place).ok()?, old.generation);
        if let Ok(found) = self.index.find_entry(mixed(old.name()), |id| *id == old_id) {
            found.remove();
        }
        node.generation = old.generation.wrapping_add(1);
        let id = NodeId::new(u32::try_from(place).ok()?, node.generation);
        let gone = old.successors.len();
        *self.nodes.get_mut(place)? = node;
        self.evicted += 1;
        self.pairs -= gone;
        Some(id)
    }

    /// Notes a read at `now`. One that `repeats` the read before it says nothing about what follows
    /// the key, and does not count as one.
    pub(crate) fn read(&mut self, id: NodeId, now: Moment, repeats: bool) {
        let (epoch, decay) = (self.decay.epoch(now), self.decay);
        let Some(node) = self.get_mut(id) else { return };
        node.age_to(epoch, &decay);
        node.gap_secs = next_gap(node.gap_secs, node.last, now);
        node.last = now;
        if !repeats {
            node.reads += 1.0;
        }
    }

    /// Notes that `to` was read soon after `from`, and gives how it was known to follow before, if
    /// it was.
    pub(crate) fn link(
        &mut self,
        from: NodeId,
        to: NodeId,
        distance: Distance,
        now: Moment,
    ) -> Option<Distance> {
        let (epoch, decay) = (self.decay.epoch(now), self.decay);
        let node = self.get_mut(from)?;
        node.age_to(epoch, &decay);
        let before = node.successors.len();
        let was = node.successors.link(to, distance);
        self.pairs += node.successors.len() - before;
        was
    }

    /// Notes how a read of a key came to be answered: with a preload that another key triggered,
    /// or not at all.
    pub(crate) fn cover(&mut self, id: NodeId, was_covered: bool) {
        if let Some(node) = self.get_mut(id) {
            node.coverage = 0.8 * node.coverage + if was_covered { 0.2 } else { 0.0 };
        }
    }

    /// All pairs of keys that follow each other.
    pub(crate) fn all(&self) -> impl Iterator<Item = (NodeId, Follower)> {
        (0..).zip(&self.nodes).flat_map(|(place, node)| {
            let from = NodeId::new(place, node.generation);
            self.followers(from, 0.0).map(move |follower| (from, follower))
        })
    }

    /// What is known of the keys in some places, each with the name by which the others know it.
    pub(crate) fn known(&self, places: Range<usize>, now: Moment) -> Vec<(u32, KnownKey)> {
        let epoch = self.decay.epoch(now);
        let found = places.clone().zip(self.nodes.iter().skip(places.start));
        let known = found.filter_map(|(place, node)| {
            let left = self.decay.factor(node.epoch, epoch);
            let followers = node.successors.iter().map(|(to, weight, distance)| KnownFollower {
                to: to.0,
                weight: weight * left,
                is_far: distance == Distance::Far,
            });
            let key = KnownKey {
                resource: node.resource,
                text: node.text.clone(),
                reads: node.reads * left,
                gap_secs: node.gap_secs,
                quiet_secs: now.since(node.last).as_secs_f32(),
                coverage: node.coverage,
                followers: followers.collect(),
            };
            Some((NodeId::new(u32::try_from(place).ok()?, node.generation).0, key))
        });
        known.collect()
    }

    /// Adds what an earlier process knew of keys that have these names now, faded to this share of
    /// its weight. Gives how many keys there was room for.
    pub(crate) fn recall(
        &mut self,
        keys: &[KnownKey],
        names: &[Option<KeyId>],
        left: f32,
        now: Moment,
    ) -> usize {
        let named = keys.iter().zip(names);
        let ids: Vec<_> =
            named.map(|(key, name)| self.recall_key(key, (*name)?, left, now)).collect();
        for (key, from) in keys.iter().zip(&ids) {
            let Some(from) = *from else { continue };
            for follower in &key.followers {
                let to = usize::try_from(follower.to).ok().and_then(|place| *ids.get(place)?);
                if let Some(to) = to {
                    self.recall_follower(from, to, follower, left);
                }
            }
        }
        ids.iter().flatten().count()
    }

    fn recall_key(
        &mut self,
        key: &KnownKey,
        name: KeyId,
        left: f32,
        now: Moment,
    ) -> Option<NodeId> {
        let id = match self.find(name) {
            Some(id) => id,
            None if self.nodes.len() >= self.max => return None,
            None => self.admit(name, now, || Some(key.text.clone()))?,
        };
        let node = self.get_mut(id)?;
        node.reads += amount(key.reads) * left;
        if node.last == Moment::NEVER {
            // Nobody could read it meanwhile, which says nothing of how often it is read.
            let quiet = Duration::try_from_secs_f32(key.quiet_secs).unwrap_or_default();
            node.last = now.minus(quiet);
            node.gap_secs = if key.gap_secs > 0.0 { key.gap_secs } else { f32::NAN };
            node.coverage = amount(key.coverage).min(1.0);
        }
        Some(id)
    }

    fn recall_follower(&mut self, from: NodeId, to: NodeId, known: &KnownFollower, left: f32) {
        let distance = if known.is_far { Distance::Far } else { Distance::Near };
        let Some(node) = self.get_mut(from) else { return };
        let before = node.successors.len();
        node.successors.recall(to, amount(known.weight) * left, distance);
        self.pairs += node.successors.len() - before;
    }

    /// The share of its weight that is left of what was learned, after this time.
    pub(crate) fn left_after(&self, span: Duration) -> f32 {
        self.decay.left_after(span)
    }

    /// What follows a key and weighs at least this much, as far as it is still known.
    pub(crate) fn followers(
        &self,
        from: NodeId,
        weight_min: f32,
    ) -> impl Iterator<Item = Follower> {
        self.get(from).into_iter().flat_map(move |node| {
            let heavy = node.successors.iter().filter(move |(_, weight, _)| *weight >= weight_min);
            heavy.filter_map(|(to, weight, distance)| {
                let weight = f64::from(weight);
                Some(Follower {
                    to,
                    distance,
                    weight,
                    confidence: (weight / f64::from(node.reads).max(1.0)).min(1.0),
                    reverse: weight / f64::from(self.get(to)?.reads).max(1.0),
                })
            })
        })
    }
}

/// Decay in steps: the time since the start, counted in parts of a half-life.
#[derive(Clone, Copy, Debug)]
struct EpochDecay {
    step_micros: u64,
}

/// The steps of a half-life; an age is wrong by at most one.
const STEPS: u16 = 64;

impl EpochDecay {
    fn new(half_life: Duration) -> Self {
        let step = half_life.as_micros() / u128::from(STEPS);
        Self { step_micros: u64::try_from(step).unwrap_or(u64::MAX).max(1) }
    }

    /// Wraps around after 1,024 half-lives, when nothing is left.
    #[expect(clippy::cast_possible_truncation, reason = "wraps around by intention")]
    const fn epoch(self, now: Moment) -> u16 {
        (now.as_micros() / self.step_micros) as u16
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a share")]
    fn left_after(self, span: Duration) -> f32 {
        let steps = span.as_secs_f64() * 1e6 / self.step_micros as f64;
        (-steps / f64::from(STEPS)).exp2() as f32
    }

    fn factor(self, from: u16, to: u16) -> f32 {
        (-f32::from(to.wrapping_sub(from)) / f32::from(STEPS)).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::successors::SUCCESSORS;
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn name(hash: u64) -> KeyId {
        KeyId { resource: 0, hash }
    }

    fn text() -> Option<Box<str>> {
        Some("k".into())
    }

    /// Reads `from` and then `to`, in windows of their own.
    fn follow(associations: &mut Associations, from: u64, to: u64, now: Moment) {
        let [from, to] = [from, to].map(|hash| {
            let known = associations.find(name(hash));
            let id = known.or_else(|| associations.admit(name(hash), now, text)).unwrap();
            associations.read(id, now, false);
            id
        });
        associations.link(from, to, Distance::Near, now);
    }

    fn confidences(associations: &Associations, from: u64) -> Vec<(u64, f64)> {
        let followers =
            associations.followers(associations.find(name(from)).unwrap(), 0.0).collect::<Vec<_>>();
        let told = followers.iter().map(|follower| {
            let hash = associations.get(follower.to).unwrap().name().hash;
            (hash, (follower.confidence * 100.0).round() / 100.0)
        });
        let mut told: Vec<_> = told.collect();
        told.sort_by(|a, b| b.1.total_cmp(&a.1));
        told
    }

    #[test]
    fn confidence_is_the_share_of_reads_that_were_followed() {
        let mut associations = Associations::new(100, DAY, 0);
        for nth in 0..100 {
            let to = if nth % 5 == 0 { 3 } else { 2 };
            follow(&mut associations, 1, to, Moment::START);
        }
        assert_eq!(confidences(&associations, 1), [(2, 0.8), (3, 0.2)]);
        assert_eq!((associations.len(), associations.pairs()), (3, 2));
    }

    #[test]
    fn of_three_thousand_followers_the_usual_one_stays() {
        let mut associations = Associations::new(10_000, DAY, 0);
        for nth in 0..3_000 {
            follow(&mut associations, 1, 1_000 + nth, Moment::START);
            follow(&mut associations, 1, 2, Moment::START);
        }
        let found = confidences(&associations, 1);
        assert_eq!(found.len(), SUCCESSORS);
        assert_eq!(found[0].0, 2);
        // Never too large: half of the reads were followed so.
        assert!((0.35..=0.5).contains(&found[0].1), "{found:?}");
        assert_eq!(associations.pairs(), SUCCESSORS);
    }

    #[test]
    fn what_is_no_longer_seen_fades() {
        let mut associations = Associations::new(100, DAY, 0);
        (0..64).for_each(|_| follow(&mut associations, 1, 2, Moment::START));
        let later = Moment::START.plus(6 * DAY);
        follow(&mut associations, 1, 3, later);
        assert_eq!(confidences(&associations, 1), [(2, 0.5), (3, 0.5)]);
        (0..9).for_each(|_| follow(&mut associations, 1, 3, later));
        assert_eq!(confidences(&associations, 1), [(3, 0.91), (2, 0.09)]);
    }

    #[test]
    fn a_full_memory_takes_in_what_it_sees_twice_and_keeps_what_is_read_much() {
        let mut associations = Associations::new(64, DAY, 7);
        for hash in 0..32 {
            (0..50).for_each(|_| follow(&mut associations, hash, 1_000 + hash, Moment::START));
        }
        assert_eq!(associations.len(), 64);
        for hash in 0..10_000_u64 {
            let once = name((hash + 1_000).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            assert_eq!(associations.admit(once, Moment::START, text), None);
        }
        assert_eq!((associations.len(), associations.take_evicted()), (64, 0));
        let often = name(77 << 40);
        assert_eq!(associations.admit(often, Moment::START, text), None);
        let id = associations.admit(often, Moment::START, text).unwrap();
        assert_eq!(associations.find(often), Some(id));
        assert_eq!((associations.len(), associations.take_evicted()), (64, 1));
    }

    #[test]
    fn the_place_of_a_forgotten_key_is_not_taken_for_it() {
        let mut associations = Associations::new(1, DAY, 0);
        let old = associations.admit(name(1 << 40), Moment::START, text).unwrap();
        let new = name(2 << 40);
        assert_eq!(associations.admit(new, Moment::START, text), None);
        let id = associations.admit(new, Moment::START, text).unwrap();
        assert!(associations.get(old).is_none());
        assert_eq!(associations.get(id).unwrap().name(), new);
        assert_eq!(associations.find(name(1 << 40)), None);
    }

    #[test]
    fn a_node_takes_no_more_than_it_is_said_to() {
        // The text on the heap and the index come on top: 24 and 10 bytes or so.
        assert!(size_of::<Node>() <= 128, "{}", size_of::<Node>());
    }
}
