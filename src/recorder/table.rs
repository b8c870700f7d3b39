//! The reads of keys that are not resident, in bounded memory.

use crate::clock::Moment;
use crate::score::{Past, Recent};

/// What is remembered of keys that left memory, or never entered it.
///
/// Sets of four slots; a key's hash names its set, and a fingerprint the slot. A full set forgets
/// the key that was read least of late, so that a newcomer always enters. No key text is kept: two keys with the same
/// set and fingerprint are taken for one, which happens to one in a billion pairs within a set.
#[derive(Debug)]
pub(crate) struct Table {
    sets: Box<[Set]>,
    dropped: u64,
}

const WAYS: usize = 4;

/// Two cache lines, which processors fetch as a pair.
#[derive(Clone, Copy, Debug)]
#[repr(align(128))]
struct Set([Slot; WAYS]);

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Zero is an empty slot.
    fingerprint: u32,
    gap_secs: f32,
    recent: Recent,
    score: f64,
    last_micros: u64,
}

const EMPTY: Slot = Slot {
    fingerprint: 0,
    gap_secs: f32::NAN,
    recent: Recent::NONE,
    score: 0.0,
    last_micros: u64::MAX,
};

impl Table {
    /// A table for this many keys, rounded up to whole sets.
    pub(crate) fn new(keys: usize) -> Self {
        let sets = keys.div_ceil(WAYS).next_power_of_two();
        Self { sets: vec![Set([EMPTY; WAYS]); sets].into_boxed_slice(), dropped: 0 }
    }

    /// What is remembered of a key.
    pub(crate) fn look(&self, hash: u64) -> Past {
        let fingerprint = fingerprint(hash);
        let set = self.sets.get(self.set(hash));
        let slot = set.and_then(|set| set.0.iter().find(|slot| slot.fingerprint == fingerprint));
        slot.map_or(Past::NONE, Slot::past)
    }

    /// Remembers a key.
    pub(crate) fn keep(&mut self, hash: u64, past: &Past) {
        self.update(hash, |_| *past);
    }

    /// Remembers what `change` makes of what is remembered of a key.
    pub(crate) fn update(&mut self, hash: u64, change: impl FnOnce(Past) -> Past) {
        let fingerprint = fingerprint(hash);
        let place = self.set(hash);
        let Some(Set(set)) = self.sets.get_mut(place) else { return };
        if let Some(same) = set.iter_mut().find(|slot| slot.fingerprint == fingerprint) {
            *same = Slot::new(fingerprint, &change(same.past()));
            return;
        }
        let past = change(Past::NONE);
        let by_reads = set.iter_mut().map(|slot| (slot.recent.reads_at(past.recent.turn), slot));
        if let Some((_, lowest)) = by_reads.min_by(|a, b| a.0.total_cmp(&b.0)) {
            self.dropped += u64::from(lowest.fingerprint != 0);
            *lowest = Slot::new(fingerprint, &past);
        }
    }

    /// Forgets a key, whose reads are from now on kept elsewhere.
    pub(crate) fn forget(&mut self, hash: u64) {
        let fingerprint = fingerprint(hash);
        let place = self.set(hash);
        let mut set = self.sets.get_mut(place).into_iter().flat_map(|set| &mut set.0);
        if let Some(slot) = set.find(|slot| slot.fingerprint == fingerprint) {
            *slot = EMPTY;
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.sets.fill(Set([EMPTY; WAYS]));
    }

    /// The keys remembered.
    pub(crate) fn len(&self) -> usize {
        self.sets.iter().flat_map(|set| &set.0).filter(|slot| slot.fingerprint != 0).count()
    }

    /// Takes the number of keys that a full set forgot since the last call.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Multiplies all scores, when the landmark of their decay moves.
    pub(crate) fn rescale_scores(&mut self, by: f64) {
        for slot in self.sets.iter_mut().flat_map(|set| &mut set.0) {
            slot.score *= by;
        }
    }

    fn set(&self, hash: u64) -> usize {
        (hash >> 8) as usize & (self.sets.len() - 1)
    }
}

impl Slot {
    fn new(fingerprint: u32, past: &Past) -> Self {
        Self {
            fingerprint,
            recent: past.recent,
            score: past.score,
            gap_secs: past.gap_secs,
            last_micros: past.last.as_micros(),
        }
    }

    fn past(&self) -> Past {
        Past {
            score: self.score,
            recent: self.recent,
            last: Moment::from_micros(self.last_micros),
            gap_secs: self.gap_secs,
        }
    }
}

/// Never zero, which marks an empty slot.
const fn fingerprint(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(reads: f32) -> Past {
        let recent = Recent { reads, turn: 3 };
        Past { score: 10.0, recent, last: Moment::from_micros(7), gap_secs: 1.5 }
    }

    fn close(a: f64, b: f64) -> bool {
        (a / b - 1.0).abs() < 1e-3
    }

    #[test]
    fn what_is_kept_is_found_until_it_is_forgotten() {
        let mut table = Table::new(64);
        let hash = 0xdead_beef_0000_1234;
        assert_eq!(table.look(hash).last, Moment::NEVER);
        table.keep(hash, &past(5.0));
        let found = table.look(hash);
        assert!(close(found.score, 10.0), "{found:?}");
        assert_eq!(found.recent, past(5.0).recent);
        assert_eq!((found.last, found.gap_secs), (Moment::from_micros(7), 1.5));
        table.forget(hash);
        assert_eq!(table.look(hash).last, Moment::NEVER);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_full_set_forgets_the_least_read_for_the_newcomer() {
        let mut table = Table::new(WAYS);
        for (nth, reads) in [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)] {
            table.keep(nth << 33, &past(reads));
        }
        table.keep(5 << 33, &past(1.0));
        assert_eq!(table.look(1 << 33).last, Moment::NEVER);
        assert!(close(f64::from(table.look(5 << 33).recent.reads), 1.0));
        assert!(close(f64::from(table.look(2 << 33).recent.reads), 2.0));
        assert_eq!((table.len(), table.take_dropped(), table.take_dropped()), (4, 1, 0));
    }

    #[test]
    fn scores_near_the_end_of_their_scale_are_kept_and_rescaled() {
        let mut table = Table::new(WAYS);
        let huge = 890.0_f64.exp2();
        table.keep(9 << 33, &Past { score: huge, ..past(1.0) });
        assert!(close(table.look(9 << 33).score, huge));
        table.rescale_scores((-900.0_f64).exp2());
        assert!(close(table.look(9 << 33).score, (-10.0_f64).exp2()));
    }
}
