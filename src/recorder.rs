//! What a read costs its reader: what is noted of it, what an eviction makes of that, and the
//! memory of keys that are not resident.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::Moment;
use crate::score::{Decay, Past, Reads, Recent, TURNS_PER_TURNOVER, half_life_micros};

pub(crate) use self::habit::Habit;
pub(crate) use self::table::Table;
use self::worth::{Seen, Worth};

mod habit;
mod table;
mod worth;

/// The memory of reads.
///
/// Two clocks run: time, for the score that people see, and turnover, for the worth that decides
/// evictions. Turnover moves on with the reads served, in proportion to the entries that fit, so
/// that a busy cache and a quiet one, a large one and a small one, all forget at their own pace.
/// Reads of keys that nobody knows do not move it: however long a scan takes, what was read often
/// before it does not grow old meanwhile.
#[derive(Debug)]
pub(crate) struct Recorder {
    time: Decay,
    worth: Worth,
    turn: AtomicU32,
    /// In parts of a turn.
    turned: AtomicU64,
    reads_seen: AtomicU64,
    /// The reads of keys of which nothing was known.
    strangers: AtomicU64,
    /// The reads at which was learned last, and from which on that is due again.
    learned_at: AtomicU64,
    learns_at: AtomicU64,
}

/// Of a busy key, one read in as many is recorded, and stands for all.
const SAMPLED: u16 = 16;

/// Reads in a half-life from which on they are a steady stream.
const STEADY: f64 = 8.0;

/// The reads in a half-life that are expected of a key which was read once: most never come back.
const ONCE: f64 = 1.0 / 64.0;

/// A turn, in parts.
const PARTS: u64 = 1 << 20;
/// One hit in `2^DRAWN_LOG2` is noted for learning, and stands for that many: noting costs four
/// words, so a hit pays for one in the mean.
const DRAWN_LOG2: u32 = 2;
const DRAWN: f64 = (1_u32 << DRAWN_LOG2) as f64;
/// What was learned loses half its weight in as many turnovers, though not in less reads than a
/// small cache needs to learn anything.
const MEMORY: u64 = 32;
const MEMORY_MIN: u64 = 4_096;
/// Reads between two lessons, unless a quarter of a turnover is more.
const LESSON_MIN: u64 = 256;
/// In the beginning, lessons come sooner.
const LESSON_FIRST: u64 = 64;
/// The half-life of reads of late, by the natural base, in turnovers.
const WINDOW: f64 = 64.0 / std::f64::consts::LN_2;

impl Recorder {
    pub(crate) fn new(half_life: Duration) -> Self {
        Self {
            time: Decay::new(half_life_micros(half_life)),
            worth: Worth::new(),
            turn: AtomicU32::new(0),
            turned: AtomicU64::new(0),
            reads_seen: AtomicU64::new(0),
            strangers: AtomicU64::new(0),
            learned_at: AtomicU64::new(0),
            learns_at: AtomicU64::new(LESSON_FIRST),
        }
    }

    /// Records a hit, the `nth` of its thread. Those of a key that is busy are told by a sample: a
    /// word that all threads write at each read costs them more than the read.
    #[inline]
    pub(crate) fn record_hit(&self, reads: &Reads, now: Moment, nth: u64) {
        if !reads.is_busy(now) {
            self.record(reads, now, 1);
        } else if is_sampled(nth) {
            self.record(reads, now, SAMPLED);
        }
    }

    /// Records `count` reads of a resident key.
    #[inline(never)]
    pub(crate) fn record(&self, reads: &Reads, now: Moment, count: u16) {
        let turn = self.turn.load(Relaxed);
        let weight = self.time.weight(now.as_micros());
        let (before, after) = reads.record(count, now, weight, turn);
        if reads.draws(after, DRAWN_LOG2) {
            self.worth.note(before, after, DRAWN * f64::from(count));
        }
    }

    /// Records a read of a key that is not resident; gives its past with that read.
    pub(crate) fn with_read(&self, past: Past, now: Moment) -> Past {
        let turn = self.turn.load(Relaxed);
        let with = past.with_read(now, self.time.weight(now.as_micros()), turn);
        self.worth.note(past.recent, with.recent, 1.0);
        if past.recent == Recent::NONE {
            self.strangers.fetch_add(1, Relaxed);
        }
        with
    }

    /// Moves the turnover on to `reads` reads served, while `room` entries fit, and learns from
    /// them where it is time.
    pub(crate) fn turn(&self, reads: u64, room: u64) {
        let room = room.max(1);
        let known = reads.saturating_sub(self.strangers.load(Relaxed));
        let served = known.saturating_sub(self.reads_seen.fetch_max(known, Relaxed));
        let per_turnover = PARTS * u64::from(TURNS_PER_TURNOVER);
        let parts = served.saturating_mul(per_turnover) / room;
        let turned = self.turned.fetch_add(parts, Relaxed).wrapping_add(parts);
        #[expect(clippy::cast_possible_truncation, reason = "turns wrap around")]
        self.turn.store((turned / PARTS) as u32, Relaxed);

        let due = self.learns_at.load(Relaxed);
        let next = reads + (reads / 8).clamp(LESSON_FIRST, LESSON_MIN.max(room / 4));
        if reads >= due && self.learns_at.compare_exchange(due, next, Relaxed, Relaxed).is_ok() {
            let since = reads.saturating_sub(self.learned_at.swap(reads, Relaxed));
            let memory = room.saturating_mul(MEMORY).max(MEMORY_MIN);
            let turnovers = (as_f64(turned) / as_f64(per_turnover)).max(1.0);
            self.worth.learn(Seen {
                turnovers,
                window: WINDOW * (1.0 - (-turnovers / WINDOW).exp()),
                kept: (-as_f64(since) / as_f64(memory)).exp2(),
            });
        }
    }

    /// A key's score at `now`: its reads, each weighing `2^-(age / half-life)`.
    pub(crate) fn score(&self, past: &Past, now: Moment) -> f64 {
        self.time.count(past.score, now.as_micros())
    }

    /// A key's heat at `now`, by which the hottest are chosen: its score, and less in proportion where
    /// it is read less than [`STEADY`] times in a half-life, or was not read for longer than that.
    ///
    /// A score alone is slow to see that reads stay away, and a rate alone takes any two reads for a
    /// stream. Over a day of Zipf's law of which a fiftieth changes every six minutes this chooses as
    /// well as the better of a count of the last six minutes and a decayed one.
    pub(crate) fn heat(&self, past: &Past, now: Moment) -> f64 {
        self.score(past, now) * self.steadiness(past, now)
    }

    /// How much of a key's score is heat, 0 to 1.
    pub(crate) fn steadiness(&self, past: &Past, now: Moment) -> f64 {
        let half_life = self.time.half_life_secs();
        let rate = past.rate(now).unwrap_or(ONCE / half_life);
        (rate * half_life / STEADY).min(1.0)
    }

    /// What the place of a key with these reads is worth now, in reads per turnover.
    pub(crate) fn worth(&self, reads: &Reads) -> f64 {
        self.worth.of(reads.recent(), self.turn.load(Relaxed))
    }

    /// How many reads of late there were.
    pub(crate) fn recent_reads(&self, reads: &Reads) -> f64 {
        f64::from(reads.recent().reads_at(self.turn.load(Relaxed)))
    }

    /// The decay of scores, for rescaling.
    pub(crate) fn time(&self) -> &Decay {
        &self.time
    }
}

/// Whether the `nth` is one of the sample, which is spread evenly over every arithmetic progression, so
/// that keys read in turns are sampled alike (Weyl, "Über die Gleichverteilung von Zahlen mod. Eins",
/// 1916).
#[inline]
const fn is_sampled(nth: u64) -> bool {
    nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 == 0
}

#[expect(clippy::cast_precision_loss, reason = "a share of it is wanted")]
const fn as_f64(count: u64) -> f64 {
    count as f64
}
