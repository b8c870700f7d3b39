//! What a client read last.

use std::hash::BuildHasher as _;

use fastrand::Rng;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::association::NodeId;
use crate::clock::Moment;
use crate::entry::KeyId;

/// The windows of the clients: what each read last.
///
/// Reads of a window belong together; those of different clients never do, since with eight clients
/// at a time next to nothing would be found that follows anything. Bounded: when there are too
/// many clients, the one goes that was quiet longest of eight sampled.
#[derive(Debug)]
pub(crate) struct Windows {
    windows: Vec<Window>,
    index: HashTable<u32>,
    hasher: FixedState,
    max: usize,
    random: Rng,
    evicted: u64,
}

/// What one client read last, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    client: u64,
    reads: SmallVec<[WindowRead; WINDOW_MAX]>,
}

/// A read in a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowRead {
    pub(crate) at: Moment,
    pub(crate) name: KeyId,
    /// The hash of the key's text, which keys of different resources can have in common.
    pub(crate) id: u64,
    pub(crate) node: Option<NodeId>,
}

/// The reads that a window remembers.
pub(crate) const WINDOW_MAX: usize = 16;
const SAMPLE: usize = 8;

impl Window {
    /// The reads, newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &WindowRead> {
        self.reads.iter().rev()
    }

    pub(crate) fn last(&self) -> Option<&WindowRead> {
        self.reads.last()
    }

    pub(crate) fn clear(&mut self) {
        self.reads.clear();
    }

    /// Adds a read; the oldest goes if need be. One that repeats the last takes its place.
    pub(crate) fn push(&mut self, read: WindowRead) {
        if self.last().is_some_and(|last| last.name == read.name) {
            self.reads.pop();
        } else if self.reads.len() >= WINDOW_MAX {
            self.reads.remove(0);
        }
        // There is room now.
        self.reads.push(read);
    }

    fn last_at(&self) -> Moment {
        self.last().map_or(Moment::START, |last| last.at)
    }
}

impl Windows {
    /// Windows of at most `max` clients.
    pub(crate) fn new(max: usize, seed: u64) -> Self {
        Self {
            windows: Vec::new(),
            index: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            max,
            random: Rng::with_seed(seed),
            evicted: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.windows.len()
    }

    /// Takes the number of clients that were forgotten for others since the last call.
    pub(crate) fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    pub(crate) fn clear(&mut self) {
        self.windows.clear();
        self.index.clear();
    }

    /// The place of a client's window, which is empty if the client is new.
    pub(crate) fn place(&mut self, client: u64) -> usize {
        let hash = self.hasher.hash_one(client);
        let is_it = |place: &u32| {
            self.windows.get(*place as usize).is_some_and(|held| held.client == client)
        };
        if let Some(place) = self.index.find(hash, is_it) {
            return *place as usize;
        }
        let window = Window { client, reads: SmallVec::new() };
        let place = if self.windows.len() < self.max {
            self.windows.push(window);
            self.windows.len() - 1
        } else {
            self.replace(window)
        };
        let (windows, hasher) = (&self.windows, &self.hasher);
        let rehash = |place: &u32| {
            windows.get(*place as usize).map_or(0, |held| hasher.hash_one(held.client))
        };
        let entry = u32::try_from(place).unwrap_or(u32::MAX);
        self.index.insert_unique(hash, entry, rehash);
        place
    }

    fn replace(&mut self, window: Window) -> usize {
        let mut random = self.random.clone();
        let quiet = |place: &usize| self.windows.get(*place).map(Window::last_at);
        let places = (0..SAMPLE).map(|_| random.usize(..self.windows.len().max(1)));
        let place = places.min_by_key(quiet).unwrap_or_default();
        self.random = random;
        if let Some(slot) = self.windows.get_mut(place) {
            let hash = self.hasher.hash_one(slot.client);
            if let Ok(found) = self.index.find_entry(hash, |held| *held as usize == place) {
                found.remove();
            }
            *slot = window;
            self.evicted += 1;
        }
        place
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Window> {
        self.windows.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hash: u64) -> WindowRead {
        let at = Moment::from_micros(hash);
        WindowRead { at, name: KeyId { resource: 0, hash }, id: 0, node: None }
    }

    fn hashes(windows: &mut Windows, client: u64) -> Vec<u64> {
        let place = windows.place(client);
        windows.get_mut(place).unwrap().newest_first().map(|read| read.name.hash).collect()
    }

    fn push(windows: &mut Windows, client: u64, hash: u64) {
        let place = windows.place(client);
        windows.get_mut(place).unwrap().push(read(hash));
    }

    #[test]
    fn clients_have_windows_of_their_own_and_repeats_count_once() {
        let mut windows = Windows::new(10, 0);
        for hash in [1, 2, 2, 3] {
            push(&mut windows, 7, hash);
            push(&mut windows, 8, 10 * hash);
        }
        assert_eq!(hashes(&mut windows, 7), [3, 2, 1]);
        assert_eq!(hashes(&mut windows, 8), [30, 20, 10]);
    }

    #[test]
    fn the_oldest_read_goes() {
        let mut windows = Windows::new(10, 0);
        (0..100).for_each(|hash| push(&mut windows, 7, hash));
        let expected: Vec<_> = (84..100).rev().collect();
        assert_eq!(hashes(&mut windows, 7), expected);
    }

    #[test]
    fn when_there_are_too_many_clients_a_quiet_one_goes() {
        let mut windows = Windows::new(100, 3);
        for client in 0..1_000 {
            push(&mut windows, client, client + 1);
            // One that never stops.
            push(&mut windows, u64::MAX, client + 1);
            assert!(windows.len() <= 100);
        }
        assert_eq!(windows.take_evicted(), 901);
        assert_eq!(hashes(&mut windows, u64::MAX).len(), WINDOW_MAX);
    }
}
