//! Invalidations that L2 has not heard of yet.

use std::collections::VecDeque;

use crate::sync::Mutex;
use crate::tier::{Invalidation, Lag, Selector};

/// Invalidations of a resource that have not reached L2 yet.
///
/// While that of a key waits here, the gate of the key stays closed: it is not read from L2. While
/// that of a group waits, or is under way, the whole resource is *closed*. When too many wait, the
/// resource as a whole is invalidated instead, which is never too little.
#[derive(Debug)]
pub(crate) struct Outbox<K, G> {
    state: Mutex<State<K, G>>,
    max: usize,
}

#[derive(Debug)]
struct State<K, G> {
    waiting: VecDeque<Waiting<K>>,
    /// Those that L2 is being told of.
    taken: usize,
    groups: Vec<Queued<G>>,
    /// Groups that L2 is being told of for the first time.
    under_way: usize,
    /// The number of the next group.
    next: u64,
}

/// A key whose invalidation waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting<K> {
    pub(crate) key: K,
    pub(crate) hash: u64,
    pub(crate) full_key: String,
    pub(crate) lag: Option<Lag>,
}

impl<K> Waiting<K> {
    /// What L2 is to be told.
    pub(crate) fn invalidation(&self) -> Invalidation<'_> {
        Invalidation { selector: Selector::Key(&self.full_key), lag: self.lag }
    }
}

/// A group whose invalidation waits.
#[derive(Clone, Debug)]
pub(crate) struct Queued<G> {
    number: u64,
    pub(crate) group: G,
}

/// More groups than this do not wait.
const GROUPS_MAX: usize = 128;

impl<K, G: Clone + PartialEq> Outbox<K, G> {
    pub(crate) fn new(max: usize) -> Self {
        let (waiting, groups) = (VecDeque::new(), Vec::new());
        let state = State { waiting, taken: 0, groups, under_way: 0, next: 0 };
        Self { state: Mutex::new(state), max }
    }

    /// Adds the invalidation of a key. Gives those that need not wait any more, since `all` will be
    /// invalidated; their gates may open, for the resource is closed.
    #[must_use]
    pub(crate) fn push(&self, waiting: Waiting<K>, all: G) -> VecDeque<Waiting<K>> {
        let mut state = self.state.lock();
        state.waiting.push_back(waiting);
        if state.waiting.len() <= self.max {
            return VecDeque::new();
        }
        state.queue(all);
        std::mem::take(&mut state.waiting)
    }

    /// Takes up to `count` invalidations of keys to deliver: [`Outbox::delivered`] or
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

    /// Closes the resource: L2 is about to be told of a group.
    pub(crate) fn close(&self) {
        self.state.lock().under_way += 1;
    }

    /// L2 has been told, or the group is to wait. When too many wait, `all` takes their place.
    pub(crate) fn told(&self, undelivered: Option<G>, all: G) {
        let mut state = self.state.lock();
        state.under_way -= 1;
        if let Some(group) = undelivered {
            if state.groups.len() >= GROUPS_MAX {
                state.groups.clear();
                state.queue(all);
            } else {
                state.queue(group);
            }
        }
    }

    /// The groups that wait, each once; they go on waiting until [`Outbox::delivered_groups`].
    pub(crate) fn groups(&self) -> Vec<Queued<G>> {
        self.state.lock().groups.clone()
    }

    /// Groups have been delivered. One that was queued again meanwhile has to be once more.
    pub(crate) fn delivered_groups(&self, delivered: &[Queued<G>]) {
        let last = delivered.last().map(|queued| queued.number);
        self.state.lock().groups.retain(|queued| last.is_none_or(|last| queued.number > last));
    }

    /// Whether no key of the resource may be read from L2.
    pub(crate) fn is_closed(&self) -> bool {
        let state = self.state.lock();
        state.under_way > 0 || !state.groups.is_empty()
    }

    /// The invalidations that wait.
    pub(crate) fn len(&self) -> usize {
        let state = self.state.lock();
        state.waiting.len() + state.taken + state.groups.len()
    }
}

impl<K, G: PartialEq> State<K, G> {
    /// Lets a group wait, once and last.
    fn queue(&mut self, group: G) {
        self.groups.retain(|queued| queued.group != group);
        self.groups.push(Queued { number: self.next, group });
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "all";

    fn waiting(key: u32) -> Waiting<u32> {
        Waiting { key, hash: 0, full_key: format!("p:r:{key}"), lag: None }
    }

    fn groups(outbox: &Outbox<u32, &'static str>) -> Vec<&'static str> {
        outbox.groups().iter().map(|queued| queued.group).collect()
    }

    #[test]
    fn what_is_queued_is_delivered_in_order() {
        let outbox = Outbox::new(10);
        for key in 0..4 {
            assert!(outbox.push(waiting(key), ALL).is_empty());
        }
        let first = outbox.take(3);
        assert_eq!(outbox.len(), 4);
        outbox.put_back(first);
        let all: Vec<_> = outbox.take(10).into_iter().map(|waiting| waiting.key).collect();
        assert_eq!((all, outbox.len()), (vec![0, 1, 2, 3], 4));
        outbox.delivered(4);
        assert_eq!((outbox.len(), outbox.is_closed()), (0, false));
    }

    #[test]
    fn too_many_keys_become_one_for_the_whole_resource() {
        let outbox = Outbox::new(2);
        assert!(outbox.push(waiting(0), ALL).is_empty() && outbox.push(waiting(1), ALL).is_empty());
        assert_eq!(outbox.push(waiting(2), ALL).len(), 3);
        let first = outbox.groups();
        for key in 3..6 {
            assert_eq!(outbox.push(waiting(key), ALL).len(), if key == 5 { 3 } else { 0 });
        }
        // Another overflow came while the first was delivered.
        outbox.delivered_groups(&first);
        assert!(outbox.is_closed());
        outbox.delivered_groups(&outbox.groups());
        assert_eq!((outbox.is_closed(), outbox.len()), (false, 0));
    }

    #[test]
    fn a_resource_is_closed_from_the_first_group_to_the_last() {
        let outbox = Outbox::<u32, _>::new(2);
        outbox.close();
        outbox.close();
        outbox.told(None, ALL);
        assert!(outbox.is_closed());
        outbox.told(Some("a"), ALL);
        assert!(outbox.is_closed());
        for group in ["b", "a"] {
            outbox.close();
            outbox.told(Some(group), ALL);
        }
        assert_eq!(groups(&outbox), ["b", "a"]);
        outbox.delivered_groups(&outbox.groups());
        assert!(!outbox.is_closed());
    }

    #[test]
    fn too_many_groups_become_one() {
        let outbox = Outbox::<u32, _>::new(2);
        for nth in 0..=GROUPS_MAX {
            outbox.close();
            outbox.told(Some(nth.to_string()), ALL.to_owned());
        }
        let groups: Vec<_> = outbox.groups().into_iter().map(|queued| queued.group).collect();
        assert_eq!(groups, [ALL]);
    }
}
