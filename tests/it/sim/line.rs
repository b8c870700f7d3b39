//! The line between an engine and its store, and what becomes of what is sent over it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use tokio::time::Instant;

/// A line that works, until it is told otherwise. A handle that the test keeps.
#[derive(Clone)]
pub(crate) struct Line(Arc<Mutex<State>>);

struct State {
    weather: Weather,
    rng: Rng,
    cut_until: Option<Instant>,
    brings_hints: bool,
    fates: BTreeMap<Op, Fate>,
    calls: BTreeMap<Op, usize>,
}

/// What a store is asked.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Op {
    Begin,
    Fill,
    Release,
    Put,
    Invalidate,
    Expire,
    Poll,
    MergeHot,
    MeetJobs,
    TakeRun,
    RenewRuns,
    EndRun,
    Runs,
    LapsedRuns,
    Sweep,
    Size,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// It is made after some time, and its answer comes after some more.
    Takes { there: Duration, back: Duration },
    /// It is made after some time, and no answer comes.
    Unanswered { there: Duration },
    /// It is not made, and no answer comes.
    Lost,
    /// It is not made, and the caller is told so.
    Fails,
    /// It is not made, and ends whoever makes it.
    Panics,
}

/// How likely it is that something becomes of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// The longest that a call takes to get there, or its answer back, if all is well.
    pub(crate) latency: Duration,
    /// How many of a hundred calls are made late, up to so much.
    pub(crate) late: u8,
    pub(crate) late_by: Duration,
    /// How many of a hundred are lost, answered to nobody, refused.
    pub(crate) lost: u8,
    pub(crate) unanswered: u8,
    pub(crate) fails: u8,
}

impl Fate {
    pub(crate) const WORKS: Self = Self::Takes { there: Duration::ZERO, back: Duration::ZERO };
}

impl Line {
    /// A line that works.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            weather: Weather::default(),
            rng: Rng::with_seed(seed),
            cut_until: None,
            brings_hints: true,
            fates: BTreeMap::new(),
            calls: BTreeMap::new(),
        })))
    }

    /// Sets how likely faults are, from the next call on.
    pub(crate) fn set_weather(&self, weather: Weather) {
        self.0.lock().weather = weather;
    }

    /// Sets what becomes of the calls of one kind, from the next on, whatever the weather.
    pub(crate) fn set(&self, op: Op, fate: Fate) {
        self.0.lock().fates.insert(op, fate);
    }

    /// Leaves all calls to the weather again.
    pub(crate) fn clear(&self) {
        self.0.lock().fates.clear();
    }

    /// Cuts the line for some time: nothing gets through, in either direction.
    pub(crate) fn cut_for(&self, span: Duration) {
        self.0.lock().cut_until = Some(Instant::now() + span);
    }

    /// Mends a line that was cut.
    pub(crate) fn mend(&self) {
        self.0.lock().cut_until = None;
    }

    /// Whether the engine is told at once that the log has grown.
    pub(crate) fn bring_hints(&self, brings: bool) {
        self.0.lock().brings_hints = brings;
    }

    /// How often the store was asked so.
    pub(crate) fn calls(&self, op: Op) -> usize {
        self.0.lock().calls.get(&op).copied().unwrap_or_default()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.0.lock().cut_until.is_some_and(|until| Instant::now() < until)
    }

    /// How long a hint takes; `None` if it is lost.
    pub(super) fn hint(&self) -> Option<Duration> {
        let is_cut = self.is_cut();
        let mut state = self.0.lock();
        (state.brings_hints && !is_cut).then(|| state.latency())
    }

    /// Decides what becomes of a call.
    pub(super) fn fate(&self, op: Op) -> Fate {
        let is_cut = self.is_cut();
        let mut state = self.0.lock();
        *state.calls.entry(op).or_default() += 1;
        if let Some(fate) = state.fates.get(&op) {
            return *fate;
        }
        let fate = state.draw();
        // Whoever is cut off may notice at once, or not at all.
        match fate {
            Fate::Takes { .. } | Fate::Unanswered { .. } if is_cut => {
                if state.rng.bool() {
                    Fate::Lost
                } else {
                    Fate::Fails
                }
            }
            fate => fate,
        }
    }
}

impl State {
    fn draw(&mut self) -> Fate {
        let Weather { late, lost, unanswered, fails, late_by, .. } = self.weather;
        let (there, back) = (self.latency(), self.latency());
        let mut chance = self.rng.u8(..100);
        let mut is = |of_hundred: u8| {
            let is = chance < of_hundred;
            chance = chance.saturating_sub(of_hundred);
            is
        };
        if is(late) {
            let there = millis(&mut self.rng, late_by);
            return Fate::Takes { there, back };
        }
        if is(lost) {
            Fate::Lost
        } else if is(unanswered) {
            Fate::Unanswered { there }
        } else if is(fails) {
            Fate::Fails
        } else {
            Fate::Takes { there, back }
        }
    }

    fn latency(&mut self) -> Duration {
        millis(&mut self.rng, self.weather.latency)
    }
}

/// Some milliseconds, `max` at most: timers know no shorter times.
fn millis(rng: &mut Rng, max: Duration) -> Duration {
    let max = u64::try_from(max.as_millis()).unwrap();
    Duration::from_millis(rng.u64(..=max))
}
