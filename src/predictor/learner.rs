//! What a read teaches, and what it lets expect.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use smallvec::SmallVec;

use super::association::{Associations, Distance, Follower, NodeId};
use super::calibration::Calibration;
use super::ghost::Ghosts;
use super::rule::Rules;
use super::window::{WINDOW_MAX, WindowRead, Windows};
use crate::clock::Moment;
use crate::entry::{Cell, KeyId, Reason};

pub(crate) use self::learned::Learned;

mod learned;

/// Learns which keys are read after which, and proposes what to load ahead.
///
/// A pure function of the reads it was shown and of what [`Shelves`] says: it can be replayed.
#[derive(Debug)]
pub(crate) struct Learner {
    associations: Associations,
    windows: Windows,
    ghosts: Ghosts,
    rules: Rules,
    targets: Vec<Target>,
    terms: LearnerTerms,
    random: Rng,
    candidates: Vec<Candidate>,
}

/// What a learner is built with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LearnerTerms {
    pub(crate) keys_max: usize,
    pub(crate) clients_max: usize,
    pub(crate) half_life: Duration,
    /// Reads further apart than this do not belong together.
    pub(crate) idle: Duration,
    pub(crate) seed: u64,
}

/// What is known of a resource whose keys may be proposed.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) calibration: Arc<Calibration>,
    pub(crate) threshold: f64,
    pub(crate) ttl: Duration,
    pub(crate) acting: Acting,
    /// The probability from which a value is copied, if L2 may hold it.
    pub(crate) copy_threshold: Option<f64>,
    pub(crate) uses_associations: bool,
    pub(crate) uses_rules: bool,
}

/// What becomes of predictions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Acting {
    /// None are made.
    Never,
    /// They are watched.
    Watches,
    /// They are acted on.
    Loads,
}

/// A read, as it is learned from.
#[derive(Debug)]
pub(crate) struct Sighting {
    /// Reads of one client belong together; those of nobody do too.
    pub(crate) client: Option<u64>,
    pub(crate) name: KeyId,
    pub(crate) at: Moment,
    pub(crate) answer: Answer,
    /// The text of the key, where it is at hand.
    pub(crate) text: Option<Box<str>>,
}

/// How a read was answered, as far as it matters here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// With what memory held.
    Held,
    /// With a preload that another key had triggered, for the first time.
    Foreseen,
    /// Memory did not answer it.
    Missed,
    /// Not a read: the value for a read that memory did not answer has come.
    Loaded,
}

/// What the learner asks of memory.
pub(crate) trait Shelves {
    /// The text of a key that is in memory.
    fn text(&self, name: KeyId) -> Option<Box<str>>;

    /// The hash of the key with this text, if memory has no fresh entry of it and none is loading.
    fn lacks(&self, resource: u16, text: &str) -> Option<u64>;

    /// How long a preload can be expected to stay.
    fn residence(&self, resource: u16) -> Duration;
}

/// A key to which another was declared to be related.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Related {
    /// The place of the relation among those of its resource.
    pub(crate) relation: usize,
    pub(crate) resource: u16,
    pub(crate) text: Box<str>,
}

/// A key that should be loaded, or copied from L2.
#[derive(Debug)]
pub(crate) struct Proposal {
    pub(crate) name: KeyId,
    pub(crate) text: Box<str>,
    pub(crate) probability: f64,
    /// Where it counts what comes of it, unless it is only watched.
    pub(crate) cell: Option<Cell>,
    pub(crate) reason: Reason,
    pub(crate) trigger: KeyId,
    /// It is not likely enough to be loaded, and is copied if L2 holds it.
    pub(crate) is_copy: bool,
}

/// What one read leads to: rarely anything.
pub(crate) type Proposals = SmallVec<[Proposal; 4]>;

/// A key that may be read next.
#[derive(Clone, Debug)]
struct Candidate {
    resource: u16,
    text: TextOf,
    prior: f64,
    probability: f64,
    cell: Cell,
    reason: Reason,
}

/// Where the text of a candidate is.
#[derive(Clone, Debug)]
enum TextOf {
    /// In the node of a key that follows, or of the key that was read.
    Node(NodeId),
    /// Here: of a relation, or of a key without a node.
    Own(Box<str>),
}

/// The reads after which a key is expected to follow; after up to [`WINDOW_MAX`], where these did
/// not let expect it.
const WINDOW: usize = 4;
/// The most keys that one read lets load because they usually follow.
const FAN_OUT: usize = 4;
/// The most keys that one read lets load because they were declared to be related.
const RELATED_MAX: usize = 64;
/// Followers that weigh less are not expected. A little less than one read, since decay begins at once.
const WEIGHT_MIN: f32 = 0.75;
/// One in so many of the unlikely predictions is watched.
const WATCHED_ONE_IN: u32 = 4;
const GHOSTS_MAX: usize = 4_096;
/// From this ttl on, a key's own rate adds to its confidence.
const LONG_TTL: Duration = Duration::from_mins(15);
/// A ttl from here on is none.
const ENDLESS_TTL: Duration = Duration::from_hours(24 * 365);

impl Learner {
    pub(crate) fn new(terms: LearnerTerms, targets: Vec<Target>) -> Self {
        let seed = terms.seed;
        Self {
            associations: Associations::new(terms.keys_max, terms.half_life, seed),
            windows: Windows::new(terms.clients_max, seed),
            ghosts: Ghosts::new(GHOSTS_MAX, seed),
            rules: Rules::new(targets.len()),
            targets,
            terms,
            random: Rng::with_seed(seed),
            candidates: Vec::new(),
        }
    }

    /// Changes what is known of a resource.
    pub(crate) fn retarget(&mut self, resource: u16, target: Target) {
        if let Some(known) = self.targets.get_mut(usize::from(resource)) {
            *known = target;
        }
    }

    /// Learns from a read, and gives what should be loaded now that it came: of what usually
    /// follows, and of the keys `related` to it, which are known if memory has its value.
    pub(crate) fn see(
        &mut self,
        seen: &mut Sighting,
        related: Vec<Related>,
        shelves: &impl Shelves,
    ) -> Proposals {
        if seen.answer == Answer::Loaded {
            let related = self.related(seen.name, related).collect();
            return self.choose(seen, related, shelves);
        }
        self.end_ghosts(seen.at);
        if let Some(ghost) = self.ghosts.take(seen.name)
            && let Some(target) = self.targets.get(usize::from(seen.name.resource))
        {
            target.calibration.came_true(ghost.cell);
            if ghost.is_scored {
                target.calibration.score(ghost.probability, true);
            }
        }
        let node = self.node(seen, shelves);
        let Some(text) = self.text(seen, node, shelves) else { return Proposals::new() };
        self.follow(seen, node, self.id(&text));
        if let Some(node) = node {
            match seen.answer {
                Answer::Missed => self.associations.cover(node, false),
                Answer::Foreseen => self.associations.cover(node, true),
                Answer::Held | Answer::Loaded => {}
            }
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        self.expect(seen, (node, &text), &mut candidates);
        candidates.extend(self.related(seen.name, related));
        self.choose(seen, candidates, shelves)
    }

    /// The node of the key that was read, unless there is no room for it.
    fn node(&mut self, seen: &mut Sighting, shelves: &impl Shelves) -> Option<NodeId> {
        if let Some(node) = self.associations.find(seen.name) {
            return Some(node);
        }
        let (name, text) = (seen.name, &mut seen.text);
        self.associations.admit(name, seen.at, || text.take().or_else(|| shelves.text(name)))
    }

    /// The text of the key that was read. Rules need it of keys for which there is no room, too.
    fn text(
        &self,
        seen: &mut Sighting,
        node: Option<NodeId>,
        shelves: &impl Shelves,
    ) -> Option<TextOf> {
        if let Some(node) = node {
            return Some(TextOf::Node(node));
        }
        if self.targets.len() < 2 {
            return None;
        }
        seen.text.take().or_else(|| shelves.text(seen.name)).map(TextOf::Own)
    }

    /// Notes what the read followed: what was read just before, and what was read further back, if
    /// memory did not answer by itself and nothing near let expect this. So the window is as wide
    /// as a key needs it: a wider one for all would crowd out the successors that come near.
    fn follow(&mut self, seen: &Sighting, node: Option<NodeId>, id: u64) {
        let (name, now) = (seen.name, seen.at);
        let place = self.windows.place(seen.client.unwrap_or_default());
        let Some(window) = self.windows.get_mut(place) else { return };
        if window.last().is_some_and(|last| now.since(last.at) > self.terms.idle) {
            window.clear();
        }
        let mut linked: SmallVec<[KeyId; WINDOW_MAX]> = SmallVec::new();
        let mut ruled: SmallVec<[u16; WINDOW_MAX]> = SmallVec::new();
        let was_wanted = matches!(seen.answer, Answer::Missed | Answer::Foreseen);
        let has_rules = self.targets.len() > 1;
        let (mut distance, mut was_expected) = (0, false);
        for older in window.newest_first() {
            if older.name == name || now.since(older.at) > self.terms.idle {
                break;
            }
            let is_near = distance < WINDOW;
            let looks_further = node.is_some() && was_wanted && !was_expected;
            if !is_near && !looks_further && !has_rules {
                break;
            }
            distance += usize::from(older.node.is_some());
            if linked.contains(&older.name) {
                continue;
            }
            linked.push(older.name);
            if let (Some(from), Some(node)) = (older.node, node) {
                if is_near {
                    let was = self.associations.link(from, node, Distance::Near, now);
                    was_expected |= was == Some(Distance::Near);
                } else if looks_further {
                    self.associations.link(from, node, Distance::Far, now);
                }
            }
            let resource = older.name.resource;
            if older.id == id && resource != name.resource && !ruled.contains(&resource) {
                ruled.push(resource);
                self.rules.link(resource, name.resource);
            }
        }
        let repeats = window.last().is_some_and(|last| last.name == name);
        window.push(WindowRead { at: now, name, id, node });
        if let Some(node) = node {
            self.associations.read(node, now, repeats);
        }
        if !repeats {
            self.rules.read(name.resource);
        }
    }

    /// The hash of a key's text, by which keys of different resources are the same.
    fn id(&self, text: &TextOf) -> u64 {
        if self.targets.len() < 2 {
            return 0;
        }
        self.read_text(text).map_or(0, |text| xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
    }

    fn read_text<'a>(&'a self, text: &'a TextOf) -> Option<&'a str> {
        match text {
            TextOf::Node(node) => Some(self.associations.get(*node)?.text()),
            TextOf::Own(text) => Some(text),
        }
    }

    /// Gives up what was watched and did not come.
    fn end_ghosts(&mut self, now: Moment) {
        while let Some((resource, ghost)) = self.ghosts.take_ended(now) {
            if let Some(target) = self.targets.get(usize::from(resource))
                && ghost.is_scored
            {
                target.calibration.score(ghost.probability, false);
            }
        }
    }

    /// What may be read after a read of the key with this node, if it has one, and this text.
    fn expect(
        &self,
        seen: &Sighting,
        (node, text): (Option<NodeId>, &TextOf),
        candidates: &mut Vec<Candidate>,
    ) {
        for follower in
            node.into_iter().flat_map(|node| self.associations.followers(node, WEIGHT_MIN))
        {
            candidates.extend(self.judge_follower(follower, seen.at));
        }
        candidates.extend(self.ruled(seen.name.resource, text));
    }

    /// What should be loaded of some candidates; what is not likely enough is watched.
    fn choose(
        &mut self,
        seen: &Sighting,
        mut candidates: Vec<Candidate>,
        shelves: &impl Shelves,
    ) -> Proposals {
        candidates.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let (mut proposals, mut followers) = (Proposals::new(), 0);
        for candidate in candidates.drain(..) {
            let Some(target) = self.targets.get(usize::from(candidate.resource)) else { continue };
            let is_likely = candidate.probability >= target.threshold;
            let loads = is_likely && target.loads();
            let is_follower = candidate.reason != Reason::Relation;
            let is_one_too_many = is_follower && followers >= FAN_OUT;
            if loads && is_one_too_many {
                continue;
            }
            let copies = !loads && !is_one_too_many && target.copies(candidate.probability);
            let deserves_watching = is_likely || candidate.prior >= target.threshold / 2.0;
            let is_watched =
                deserves_watching && (is_likely || self.random.u32(..WATCHED_ONE_IN) == 0);
            if !loads && !copies && !is_watched {
                continue;
            }
            let Some((name, text)) = self.lacking(&candidate, shelves) else { continue };
            if proposals.iter().any(|known| known.name == name) {
                continue;
            }
            let Candidate { probability, cell, reason, .. } = candidate;
            if loads {
                target.calibration.predicted(cell);
            } else if is_watched && !self.ghosts.watches(name) {
                target.calibration.predicted(cell);
                let residence = shelves.residence(name.resource).min(target.ttl);
                let end = seen.at.plus(residence);
                self.ghosts.watch(name, cell, (probability, is_likely), end);
            }
            if loads || copies {
                followers += usize::from(is_follower);
                // The ghosts see whether what is copied comes true, and what was not held.
                let (cell, trigger, is_copy) = (loads.then_some(cell), seen.name, copies);
                let proposal = Proposal { name, text, probability, cell, reason, trigger, is_copy };
                proposals.push(proposal);
            }
        }
        self.candidates = candidates;
        proposals
    }

    /// The name and the text of a candidate that memory lacks.
    fn lacking(&self, candidate: &Candidate, shelves: &impl Shelves) -> Option<(KeyId, Box<str>)> {
        let resource = candidate.resource;
        let text = self.read_text(&candidate.text)?;
        let hash = shelves.lacks(resource, text)?;
        Some((KeyId { resource, hash }, text.into()))
    }

    /// The keys to which a key was declared to be related.
    fn related(&self, name: KeyId, related: Vec<Related>) -> impl Iterator<Item = Candidate> {
        let judge = move |related: Related| {
            let Related { relation, resource, text } = related;
            let target = self.targets.get(usize::from(resource))?;
            if target.acting == Acting::Never {
                return None;
            }
            let cell = Cell::of_relation(name.resource, relation);
            let probability = target.calibration.probability(cell, 1.0);
            let (text, reason) = (TextOf::Own(text), Reason::Relation);
            Some(Candidate { resource, text, prior: 1.0, probability, cell, reason })
        };
        related.into_iter().take(RELATED_MAX).filter_map(judge)
    }

    fn judge_follower(&self, follower: Follower, now: Moment) -> Option<Candidate> {
        let node = self.associations.get(follower.to)?;
        let resource = node.name().resource;
        let target = self.targets.get(usize::from(resource))?;
        if target.acting == Acting::Never || !target.uses_associations {
            return None;
        }
        let ttl = target.ttl;
        let rate = if ttl < ENDLESS_TTL { node.rate(now).unwrap_or_default() } else { 0.0 };
        let expected = rate * ttl.as_secs_f64();
        let alone = if ttl < LONG_TTL { 0.0 } else { -(-expected).exp_m1() };
        let prior = 1.0 - (1.0 - follower.confidence) * (1.0 - alone);
        let Follower { confidence, weight, reverse, .. } = follower;
        let cell = match follower.distance {
            Distance::Near => Cell::of_follower(confidence, weight, reverse, expected),
            Distance::Far => Cell::of_far_follower(confidence, weight),
        };
        let probability = target.calibration.probability(cell, prior);
        let (text, reason) = (TextOf::Node(follower.to), Reason::Association);
        Some(Candidate { resource, text, prior, probability, cell, reason })
    }

    fn ruled(&self, resource: u16, text: &TextOf) -> impl Iterator<Item = Candidate> {
        self.rules.of(resource).filter_map(move |rule| {
            let target = self.targets.get(usize::from(rule.to))?;
            if target.acting == Acting::Never || !target.uses_rules {
                return None;
            }
            let cell = Cell::of_rule(rule.confidence, false);
            let probability = target.calibration.probability(cell, rule.confidence);
            let (resource, prior, reason) = (rule.to, rule.confidence, Reason::Rule);
            let text = text.clone();
            Some(Candidate { resource, text, prior, probability, cell, reason })
        })
    }

    pub(crate) fn clear(&mut self) {
        self.associations.clear();
        self.windows.clear();
        self.ghosts.clear();
        self.rules.clear();
        for target in &self.targets {
            target.calibration.clear();
        }
    }
}

impl Target {
    /// Whether predictions are acted on: so it was decided, and they are good enough.
    pub(crate) fn loads(&self) -> bool {
        self.acting == Acting::Loads && !self.calibration.is_muted(self.threshold)
    }

    /// Whether a key that is read with this probability is worth a copy, if L2 holds it.
    fn copies(&self, probability: f64) -> bool {
        self.copy_threshold.is_some_and(|least| probability >= least) && self.loads()
    }
}

#[cfg(test)]
mod tests;
