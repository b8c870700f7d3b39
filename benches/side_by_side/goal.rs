//! The seventeen goals.

use crate::figure::{Figure, Limits};
use crate::turns::Effort;
use crate::{
    absent, clean_build, drift, growth, hit_ratio, hits, hot_keys, instructions, memory, misses,
    system3, tick, tiers,
};

/// What is to be reached.
pub(crate) struct Goal {
    pub(crate) number: u8,
    /// What it is about.
    pub(crate) about: &'static str,
    /// The limits of the row that decides, for those that are not measured.
    limits: Limits,
    how: How,
}

/// How the figures of a goal are had.
#[derive(Clone, Copy)]
enum How {
    /// Within a minute or two.
    Quick(fn(Effort) -> Vec<Figure>),
    /// It takes long, so only if it is asked for.
    Long(fn(Effort) -> Vec<Figure>),
}

pub(crate) const GOALS: [Goal; 17] = [
    Goal {
        number: 1,
        about: "hit with everything on, default shares",
        limits: Limits::at_most(0.30, 0.15),
        how: How::Quick(hits::default_shares),
    },
    Goal {
        number: 2,
        about: "hit of a key in the hot segment",
        limits: Limits::at_most(0.20, 0.10),
        how: How::Quick(hits::all_hot),
    },
    Goal {
        number: 3,
        about: "hit of a key in moka's segment",
        limits: Limits::at_most(1.15, 1.0),
        how: How::Quick(hits::in_main),
    },
    Goal {
        number: 4,
        about: "`with` on two hot keys, two threads",
        limits: Limits::at_most(0.10, 0.03),
        how: How::Quick(hits::two_keys),
    },
    Goal {
        number: 5,
        about: "instructions that recording, freshness, fence and counters add to a hit",
        limits: Limits::at_most(40.0, 20.0),
        how: How::Quick(instructions::measure),
    },
    Goal {
        number: 6,
        about: "read of a key that is not resident, recording only",
        limits: Limits::at_least(15.0, 50.0),
        how: How::Quick(absent::measure),
    },
    Goal {
        number: 7,
        about: "preload tick over 1,000,000 tracked keys",
        limits: Limits::at_most(1.0, 0.1),
        how: How::Quick(tick::measure),
    },
    Goal {
        number: 8,
        about: "hot_keys(1000) of 1,000,000",
        limits: Limits::at_most(15.0, 2.0),
        how: How::Quick(hot_keys::measure),
    },
    Goal {
        number: 9,
        about: "bytes over key and value per cached entry",
        limits: Limits::at_most(0.6, 0.35),
        how: How::Quick(memory::measure),
    },
    Goal {
        number: 10,
        about: "against the algorithm of an older system, in Python",
        limits: Limits::at_least(10.0, 18.0),
        how: How::Quick(system3::measure),
    },
    Goal {
        number: 11,
        about: "point read of L2: SQLite beside Redis",
        limits: Limits::at_most(1.5, 1.0),
        how: How::Quick(tiers::point_read),
    },
    Goal {
        number: 12,
        about: "64 keys of L2 in one batch",
        limits: Limits::at_most(5.0, 2.0),
        how: How::Quick(tiers::batch),
    },
    Goal {
        number: 13,
        about: "miss with a ready loader; a thousand waiters",
        limits: Limits::at_most(0.8, 0.3),
        how: How::Quick(misses::measure),
    },
    Goal {
        number: 14,
        about: "hit ratio at equal memory, no preloading",
        limits: Limits::at_least(2.0, 3.0),
        how: How::Long(hit_ratio::measure),
    },
    Goal {
        number: 15,
        about: "quality of choice under drift",
        limits: Limits::at_least(-0.02, -0.005),
        how: How::Quick(drift::measure),
    },
    Goal {
        number: 16,
        about: "clean release build of the library",
        limits: Limits::at_most(150.0, 90.0),
        how: How::Long(clean_build::measure),
    },
    Goal {
        number: 17,
        about: "growth: time per hit, per recorded miss and per tick",
        limits: Limits::NONE,
        how: How::Long(growth::measure),
    },
];

impl Goal {
    /// Its figures; one that says why where there are none.
    pub(crate) fn measure(&self, effort: Effort, is_asked_for: bool) -> Vec<Figure> {
        let missing = |why: &str| vec![Figure::missing(self.number, self.about, self.limits, why)];
        match self.how {
            How::Quick(measure) => measure(effort),
            How::Long(measure) if is_asked_for => measure(effort),
            How::Long(_) => missing("takes long: only with --all, or with --goal and its number"),
        }
    }
}
