//! What an entry is worth: the reads that its place may bring, learned from those that came.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use thread_local::ThreadLocal;

use crate::score::{Recent, TURNS_PER_TURNOVER};

/// The worth of entries, by how often they were read of late and how long ago the last time.
///
/// A read begins a *gap*, and the next read of the same key ends it, whether memory still holds the
/// key by then or not. For each kind of key we count how many gaps began, and how many ended at
/// which age. From that follows how likely a key of this kind, unread for so long, is read soon;
/// the worth of its place is the best rate of reads that any span ahead of it promises. To evict
/// the lowest is the rule of Gittins ("Bandit processes and dynamic allocation indices", JRSS B,
/// 1979), and what Beckmann, Chen and Cidon do with the lives of entries ("LHD: improving cache hit
/// rate by maximizing hit density", NSDI 2018). So frequency rules where it tells, recency where
/// that does, and what comes round in a loop is held as far as it fits: nobody has to say which.
#[derive(Debug)]
pub(crate) struct Worth {
    kinds: [Kind; KINDS],
    /// What each thread has noted. Words that all of them wrote would be the only ones at a hit.
    noted: ThreadLocal<CachePadded<[Gaps; KINDS]>>,
}

/// What is known of the keys that were read about this often.
#[derive(Debug)]
struct Kind {
    /// The gaps that count, of which old ones fade.
    gaps: Gaps,
    /// Those that the threads had noted when it was learned from them last.
    learned: Gaps,
    /// What an entry of this age is worth, in reads per turnover.
    worth: [AtomicU32; AGES],
}

/// How many gaps ended at which age, and last how many began. Floats, as bits, with one writer at a
/// time.
#[derive(Debug)]
struct Gaps([AtomicU64; AGES + 1]);

/// What has been seen so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The turnovers since the beginning.
    pub(crate) turnovers: f64,
    /// The turnovers of which reads of late remember something.
    pub(crate) window: f64,
    /// The share of the counts that is kept, so that old ones fade.
    pub(crate) kept: f64,
}

/// Kinds are octaves of reads: 1, up to 2, up to 4, and so on.
const KINDS: usize = 12;
/// Ages are thirds of octaves, from a 48th of a turnover to 3,600 turnovers.
const AGES: usize = 48;
/// The place of those that began.
const BEGUN: usize = AGES;
const AGES_PER_OCTAVE: f64 = 3.0;
/// The unit of ages, in turns.
const UNIT: u32 = TURNS_PER_TURNOVER / 16;
/// As many gaps as this are imagined in the beginning: see [`Kind::lasting`].
const IMAGINED: f64 = 64.0;
/// No span ahead is judged that is shorter than this, in turnovers: a few reads that came close
/// together would make too much of too little.
const SPAN_MIN: f64 = 0.5;

impl Worth {
    pub(crate) fn new() -> Self {
        let kind = |_| Kind {
            gaps: Gaps::new(),
            learned: Gaps::new(),
            worth: std::array::from_fn(|_| AtomicU32::new(0)),
        };
        let worth = Self { kinds: std::array::from_fn(kind), noted: ThreadLocal::new() };
        worth.learn(Seen { turnovers: 1.0, window: 1.0, kept: 1.0 });
        worth
    }

    /// What a place is worth `age` turns after such reads, in reads per turnover.
    pub(crate) fn of(&self, reads: Recent, turn: u32) -> f64 {
        if reads.reads <= 0.0 {
            return 0.0;
        }
        let kind = self.kinds.get(kind(reads));
        let worth = kind.and_then(|kind| kind.worth.get(place(reads.age(turn))));
        worth.map_or(0.0, |worth| f64::from(f32::from_bits(worth.load(Relaxed))))
    }

    /// Notes a read, which stands for `weight` reads.
    pub(crate) fn note(&self, before: Recent, after: Recent, weight: f64) {
        let noted = self.noted.get_or(|| CachePadded::new(std::array::from_fn(|_| Gaps::new())));
        if before.reads > 0.0
            && let Some(gaps) = noted.get(kind(before))
        {
            gaps.add(place(before.age(after.turn)), weight);
        }
        if let Some(gaps) = noted.get(kind(after)) {
            gaps.add(BEGUN, weight);
        }
    }

    /// Judges anew by what was noted.
    pub(crate) fn learn(&self, seen: Seen) {
        let mut reads = 1.0;
        // To find what the threads noted costs more than to read it.
        let noted: Vec<_> = self.noted.iter().collect();
        for (nth, kind) in self.kinds.iter().enumerate() {
            kind.take_in(|| noted.iter().filter_map(move |noted| noted.get(nth)));
            let lasting = kind.lasting(reads, seen);
            for (from, worth) in kind.worth.iter().enumerate() {
                #[expect(clippy::cast_possible_truncation, reason = "a rate")]
                worth.store((best_rate(&lasting, from) as f32).to_bits(), Relaxed);
            }
            kind.gaps.fade(seen.kept);
            reads *= 2.0;
        }
    }
}

impl Gaps {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; AGES + 1])
    }

    fn of(&self, place: usize) -> f64 {
        self.0.get(place).map_or(0.0, load)
    }

    #[inline]
    fn add(&self, place: usize, weight: f64) {
        if let Some(count) = self.0.get(place) {
            store(count, load(count) + weight);
        }
    }

    fn fade(&self, kept: f64) {
        for count in &self.0 {
            store(count, load(count) * kept);
        }
    }
}

impl Kind {
    /// Adds what the threads have noted since the last time.
    fn take_in<'a, G: Iterator<Item = &'a Gaps>>(&self, noted: impl Fn() -> G) {
        for (place, learned) in self.learned.0.iter().enumerate() {
            let now: f64 = noted().map(|gaps| gaps.of(place)).sum();
            self.gaps.add(place, now - load(learned));
            store(learned, now);
        }
    }

    /// The share of the gaps that last at least to the begin of each age, by the estimator of
    /// Kaplan and Meier (1958).
    ///
    /// To what was seen, gaps are added that are imagined: of a key with `reads` reads in the
    /// window, the next one comes after a mean gap that is uncertain, so that half of them are
    /// still waited for after `window / (reads + 1)`, a third after twice that.
    fn lasting(&self, reads: f64, seen: Seen) -> Vec<f64> {
        let gap = seen.window / (reads + 1.0);
        let imagined = |age: f64| IMAGINED * gap / (gap + age);
        let begun = self.gaps.of(BEGUN);
        let (mut seen_lasting, mut lasting) = (1.0, 1.0);
        let mut all = vec![1.0];
        for (span, ended) in EDGES.windows(2).zip(&self.gaps.0) {
            let &[from, to] = span else { break };
            // Of the gaps that began of late, nobody knows yet how long they last.
            let waiting = begun * (1.0 - from / seen.turnovers).max(0.0) * seen_lasting;
            let ended = load(ended);
            if waiting > 0.0 {
                seen_lasting *= 1.0 - (ended / waiting).min(1.0);
            }
            let ending = (ended + imagined(from) - imagined(to)) / (waiting + imagined(from));
            lasting *= 1.0 - ending.min(0.999);
            all.push(lasting);
        }
        all
    }
}

/// The most reads per turnover that a key unread for so long promises, over any span ahead.
fn best_rate(lasting: &[f64], from: usize) -> f64 {
    let ahead = lasting.iter().zip(EDGES.iter()).skip(from);
    let mut ahead = ahead.map(|(lasting, edge)| (*lasting, *edge));
    let Some((first, start)) = ahead.next() else { return 0.0 };
    let (mut best, mut cost, mut before, mut begin) = (0.0_f64, 0.0, first, start);
    for (after, end) in ahead {
        cost += 0.5 * (before + after) * (end - begin);
        if end - start >= SPAN_MIN {
            best = best.max((first - after) / cost);
            // No longer span can do better, even if all gaps ended in it.
            if best * cost >= first {
                break;
            }
        }
        (before, begin) = (after, end);
    }
    best
}

/// The place among the kinds of keys with these reads.
fn kind(reads: Recent) -> usize {
    octave(reads.reads).min(KINDS - 1)
}

/// The least whole number of which 2 to its power is no less than `reads`: from the bits of a float,
/// since hits ask, and a logarithm costs more than all else that is noted of them.
const fn octave(reads: f32) -> usize {
    // A power of two itself belongs to the octave below.
    let exponent = (reads.to_bits().saturating_sub(1) >> 23) as usize;
    exponent.saturating_sub(126)
}

/// The place among the ages of one in turns: the logarithm of its units and one, in thirds of an
/// octave, rounded down. Taken from the bits of the number, as [`octave`] is.
fn place(age: u32) -> usize {
    /// Two to the powers of a third and of two thirds, of what begins with the first bit of a word.
    const THIRDS: [u64; 2] = [11_620_720_580_245_083_922, 14_641_190_473_997_345_814];
    let units = u64::from(age) + u64::from(UNIT);
    let octaves = units.ilog2() - UNIT.ilog2();
    let within = units << units.leading_zeros();
    let thirds = THIRDS.iter().filter(|third| within >= **third).count();
    (3 * octaves as usize + thirds).min(AGES - 1)
}

/// Where the ages begin, in turnovers, and where the last one ends.
static EDGES: LazyLock<[f64; AGES + 1]> = LazyLock::new(|| {
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let units = |place: usize| (place as f64 / AGES_PER_OCTAVE).exp2() - 1.0;
    std::array::from_fn(|place| units(place) * f64::from(UNIT) / f64::from(TURNS_PER_TURNOVER))
});

fn load(count: &AtomicU64) -> f64 {
    f64::from_bits(count.load(Relaxed))
}

fn store(count: &AtomicU64, sum: f64) {
    count.store(sum.to_bits(), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Seen = Seen { turnovers: 1_000.0, window: 92.0, kept: 1.0 };

    fn recent(reads: f32) -> Recent {
        Recent { reads, turn: 0 }
    }

    /// What is learned from a thousand gaps of each of these lengths, in turnovers.
    fn learned(reads: f32, gaps: &[u32]) -> Worth {
        let worth = Worth::new();
        for gap in gaps {
            let after = Recent { reads: 500.0, turn: gap * TURNS_PER_TURNOVER };
            for _ in 0..1_000 {
                worth.note(Recent::NONE, recent(reads), 1.0);
                worth.note(recent(reads), after, 1.0);
            }
        }
        worth.learn(SEEN);
        worth
    }

    fn at(worth: &Worth, reads: f32, turnovers: u32) -> f64 {
        worth.of(recent(reads), turnovers * TURNS_PER_TURNOVER)
    }

    #[test]
    fn before_anything_is_learned_more_reads_and_later_ones_are_worth_more() {
        let worth = Worth::new();
        for reads in [1.0, 2.0, 4.0, 64.0] {
            for turnovers in [0, 1, 4, 16] {
                let here = at(&worth, reads, turnovers);
                assert!(at(&worth, 2.0 * reads, turnovers) > here, "{reads} at {turnovers}");
                assert!(at(&worth, reads, 2 * turnovers + 1) < here, "{reads} at {turnovers}");
            }
        }
        assert!(worth.of(Recent::NONE, 5) <= 0.0);
    }

    #[test]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small numbers, and none below zero"
    )]
    fn places_are_logarithms() {
        for age in (0..100_000).chain((17..32).flat_map(|octave| [(1 << octave) - 4, 1 << octave]))
        {
            let octaves = (1.0 + f64::from(age) / f64::from(UNIT)).log2();
            assert_eq!(place(age), ((3.0 * octaves) as usize).min(AGES - 1), "{age}");
        }
        for reads in (1..10_000_u16).map(|nth| f32::from(nth) / 4.0) {
            let exact = reads.log2().ceil().max(0.0) as usize;
            assert_eq!(octave(reads), exact, "{reads}");
        }
    }

    #[test]
    fn what_comes_round_is_worth_the_more_the_nearer_it_is() {
        let worth = learned(1.0, &[20]);
        let rates = [0, 10, 16, 18].map(|age| at(&worth, 1.0, age));
        assert!(rates.is_sorted(), "{rates:?}");
        // One read in twenty turnovers, which are not a point but a third of an octave.
        assert!((0.03..0.06).contains(&rates[0]), "{rates:?}");
        assert!(at(&worth, 1.0, 40) < rates[0], "past its time");
    }

    #[test]
    fn what_never_came_back_is_worth_less_than_what_came_back_soon() {
        let worth = learned(1.0, &[1]);
        for _ in 0..1_000 {
            worth.note(Recent::NONE, recent(2.0), 1.0);
        }
        worth.learn(SEEN);
        // Although it was read more often.
        assert!(at(&worth, 2.0, 0) < 0.2 * at(&worth, 1.0, 0));
        assert!(at(&worth, 1.0, 4) < 0.2 * at(&worth, 1.0, 0));
    }

    #[test]
    fn what_was_learned_fades() {
        let worth = learned(1.0, &[1]);
        let before = at(&worth, 1.0, 0);
        for _ in 0..20 {
            worth.learn(Seen { kept: 0.5, ..SEEN });
        }
        let (after, fresh) = (at(&worth, 1.0, 0), Worth::new());
        fresh.learn(SEEN);
        assert!((after / at(&fresh, 1.0, 0) - 1.0).abs() < 0.05, "{before} to {after}");
    }

    #[test]
    fn reads_are_counted_in_octaves() {
        for (reads, expected) in
            [(0.0, 0), (0.3, 0), (1.0, 0), (1.01, 1), (2.0, 1), (2.01, 2), (4.0, 2), (4_095.9, 12)]
        {
            assert_eq!(octave(reads), expected, "{reads}");
        }
    }

    #[test]
    fn ages_are_placed_between_their_edges() {
        for age in (0..10_000).chain([200_000]) {
            let turnovers = f64::from(age) / f64::from(TURNS_PER_TURNOVER);
            let nth = place(age);
            assert!(EDGES[nth] <= turnovers && turnovers < EDGES[nth + 1], "{age} at {nth}");
        }
        assert_eq!(place(u32::MAX), AGES - 1);
    }
}
