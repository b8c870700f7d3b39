//! What is done in a simulation: by seed, and before it begins.

use std::time::Duration;

use fastrand::Rng;

use super::thing::{COLOURS, KEYS, Kind, PATTERNS, What};

/// One thing that is done, after a pause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) pause: Duration,
    /// The place of the engine.
    pub(super) engine: usize,
    pub(super) kind: Kind,
    pub(super) key: u32,
    pub(super) act: Act,
}

/// What is done. A change of the source comes before whatever tells of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Get,
    GetMany,
    With,
    Peek,
    Read,
    ReadYoung(Duration),
    ReadFresh,
    Refresh,
    Bypass,
    Preload,
    WriteAndInvalidate { after: Duration },
    WriteAndPut,
    Invalidate(What),
    InvalidateEverything,
    Idle,
}

/// Something that goes wrong, or changes the conditions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Cut {
        engine: usize,
        lasts: Duration,
    },
    CutAll {
        lasts: Duration,
    },
    Storm {
        engine: usize,
        lasts: Duration,
    },
    NoHints {
        engine: usize,
        lasts: Duration,
    },
    /// The engine stands still, as far as its clock tells.
    Leap {
        engine: usize,
        by: Duration,
    },
    RestartEngine {
        engine: usize,
    },
    RestartEmpty,
    Snapshot,
    RollBack,
    CutLog,
    EndPermits,
    EvictAll,
    SourceDown {
        lasts: Duration,
    },
    SourceSlow {
        lasts: Duration,
    },
}

/// Everything that is done in a simulation.
pub(super) struct Script {
    /// One after the other for each of those who do something.
    pub(super) steps: Vec<Vec<Step>>,
    pub(super) faults: Vec<(Duration, Fault)>,
}

/// What is done more often than else.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Keys,
    Puts,
    Groups,
    Reads,
}

/// What the steps of a script have in common.
#[derive(Clone, Copy, Debug)]
struct Terms {
    engines: usize,
    mood: Mood,
    keys: usize,
}

const WORKERS: usize = 8;
const STEPS: usize = 32;
const FAULTS: usize = 8;
const PAUSE_MAX: u64 = 500;

impl Script {
    pub(super) fn draw(rng: &mut Rng, engines: usize) -> Self {
        let mood = pick(rng, &[Mood::Keys, Mood::Puts, Mood::Groups, Mood::Reads]);
        let terms = Terms { engines, mood, keys: pick(rng, &[1, 2, KEYS.len()]) };
        let mut steps = |_| (0..STEPS).map(|_| Step::draw(rng, terms)).collect();
        let steps = (0..WORKERS).map(&mut steps).collect();
        let faults = (0..FAULTS).map(|_| {
            let pause = Duration::from_millis(rng.u64(..=2 * PAUSE_MAX));
            (pause, Fault::draw(rng, engines))
        });
        Self { steps, faults: faults.collect() }
    }
}

impl Step {
    fn draw(rng: &mut Rng, terms: Terms) -> Self {
        // Many things at once, then a while nothing.
        let pause = if rng.u8(..3) == 0 { rng.u64(..=2 * PAUSE_MAX) } else { rng.u64(..=20) };
        let kind = match rng.u8(..8) {
            0 => Kind::Local,
            1 | 2 => Kind::Lagging,
            _ => Kind::Shared,
        };
        let key = pick(rng, &KEYS[..terms.keys]);
        let act = if rng.bool() { terms.mood.draw(rng, key) } else { Act::draw(rng, key) };
        Self {
            pause: Duration::from_millis(pause),
            engine: rng.usize(..terms.engines),
            kind,
            key,
            act,
        }
    }
}

impl Mood {
    fn draw(self, rng: &mut Rng, key: u32) -> Act {
        match (rng.bool(), self) {
            (true, _) | (_, Self::Reads) => Act::Get,
            (_, Self::Keys) => Act::write_and_invalidate(rng),
            (_, Self::Puts) => Act::WriteAndPut,
            (_, Self::Groups) => match rng.u8(..3) {
                0 => Act::Invalidate(What::Colour(rng.u64(..COLOURS))),
                1 => Act::Invalidate(What::Pattern(pick(rng, &PATTERNS))),
                _ => Act::Invalidate(What::Key(key)),
            },
        }
    }
}

impl Act {
    fn write_and_invalidate(rng: &mut Rng) -> Self {
        Self::WriteAndInvalidate { after: Duration::from_millis(rng.u64(..=5)) }
    }

    fn draw(rng: &mut Rng, key: u32) -> Self {
        match rng.u8(..100) {
            0..28 => Self::Get,
            28..36 => Self::GetMany,
            36..41 => Self::With,
            41..44 => Self::Peek,
            44..52 => Self::Read,
            52..55 => Self::ReadYoung(Duration::from_millis(rng.u64(..=1_000))),
            55..58 => Self::ReadFresh,
            58..61 => Self::Refresh,
            61..62 => Self::Bypass,
            62..66 => Self::Preload,
            66..79 => Self::write_and_invalidate(rng),
            79..86 => Self::WriteAndPut,
            86..90 => Self::Invalidate(What::Expiry(key)),
            90..92 => Self::Invalidate(What::Colour(rng.u64(..COLOURS))),
            92..93 => Self::Invalidate(What::LoadedColour(rng.u64(..COLOURS))),
            93..96 => Self::Invalidate(What::Pattern(pick(rng, &PATTERNS))),
            96..97 => Self::Invalidate(What::All),
            97..98 => Self::InvalidateEverything,
            _ => Self::Idle,
        }
    }
}

impl Fault {
    fn draw(rng: &mut Rng, engines: usize) -> Self {
        let engine = rng.usize(..engines);
        let lasts = Duration::from_millis(rng.u64(100..=4_000));
        match rng.u8(..20) {
            0..3 => Self::Cut { engine, lasts },
            3..4 => Self::CutAll { lasts },
            4..7 => Self::Storm { engine, lasts },
            7..9 => Self::NoHints { engine, lasts },
            9..10 => Self::Leap { engine, by: lasts },
            10..11 => Self::RestartEngine { engine },
            11..12 => Self::RestartEmpty,
            12..13 => Self::Snapshot,
            13..15 => Self::RollBack,
            15..16 => Self::CutLog,
            16..17 => Self::EndPermits,
            17..18 => Self::EvictAll,
            18..19 => Self::SourceDown { lasts: lasts / 4 },
            _ => Self::SourceSlow { lasts: lasts / 2 },
        }
    }
}

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}
