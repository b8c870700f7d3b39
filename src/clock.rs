//! Time: monotonic for ages and scores, wall time for what a calendar decides.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A point on a [`Clock`], in microseconds since the clock was made.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Moment(u64);

/// Room for what was before the clock was made, such as the load of a value that an earlier
/// process has stored.
const ORIGIN: u64 = 1 << 62;

impl Moment {
    /// The moment at which the clock was made.
    pub const START: Self = Self(ORIGIN);
    /// A moment that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment that is this many microseconds after the clock was made.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(ORIGIN.saturating_add(micros))
    }

    /// Microseconds since the clock was made; 0 for what was before.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0.saturating_sub(ORIGIN)
    }

    /// What [`Moment::from_bits`] makes the same moment of, for atomics; in the order of time.
    #[inline]
    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// This moment and `span` more; [`Moment::NEVER`] if that is too far away to count.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }

    /// This moment less `span`, which may be before the clock was made.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.micros_since(earlier))
    }

    /// The same in microseconds.
    #[inline]
    pub(crate) const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

fn micros(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(span.subsec_micros()))
}

impl Default for Moment {
    fn default() -> Self {
        Self::START
    }
}

/// Where the engine reads time.
///
/// Ages, scores and deadlines follow tokio's clock, so `tokio::time::pause` and `advance` move
/// them, if time is paused when the clock is made; [`Clock::advance`] moves them in any case, for
/// tests that talk to a real database and cannot pause the runtime. Steps of the wall clock change
/// neither: wall time is asked only for what a calendar decides, such as the end of a day.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
struct Source {
    start: Instant,
    /// For hits, which need no more than milliseconds; `None` where time was paused, since only
    /// the runtime's own clock stands still.
    coarse_start: Option<coarsetime::Instant>,
    ahead_micros: AtomicU64,
    start_wall: Timestamp,
    wall: Wall,
}

/// Where wall time comes from.
#[derive(Debug)]
enum Wall {
    /// The system, with its steps.
    System,
    /// The start of the clock plus the time passed, plus the steps that a test made.
    Set { stepped_micros: AtomicI64 },
}

impl Clock {
    /// The clock of the system.
    #[must_use]
    pub fn system() -> Self {
        Self::new(system_wall(), Wall::System)
    }

    /// A clock whose wall time starts at `wall` and moves only as monotonic time does, or by
    /// [`Clock::step_wall`]. For tests and replays.
    #[must_use]
    pub fn starting_at(wall: Timestamp) -> Self {
        Self::new(wall, Wall::Set { stepped_micros: AtomicI64::new(0) })
    }

    fn new(start_wall: Timestamp, wall: Wall) -> Self {
        let tick = (!is_paused()).then(|| *TICK);
        let (start, ahead_micros) = (Instant::now(), AtomicU64::new(0));
        let coarse_start = tick.map(|(at, coarse)| coarse + start.duration_since(at).into());
        Self(Arc::new(Source { start, coarse_start, ahead_micros, start_wall, wall }))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment::from_micros(micros(self.0.start.elapsed()) + self.0.ahead_micros.load(Relaxed))
    }

    /// The present moment, or one a few milliseconds earlier, never later: a quarter of the cost,
    /// for hits.
    #[inline]
    pub(crate) fn recent(&self) -> Moment {
        let Some(start) = self.0.coarse_start else { return self.now() };
        let passed = coarsetime::Instant::now_without_cache_update().duration_since(start);
        Moment::from_micros(passed.as_micros() + self.0.ahead_micros.load(Relaxed))
    }

    /// Whether time was paused when it was made, so that it is the time of one runtime only.
    pub(crate) fn is_of_one_runtime(&self) -> bool {
        self.0.coarse_start.is_none()
    }

    /// The present wall time.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        match &self.0.wall {
            Wall::System => system_wall(),
            Wall::Set { stepped_micros } => {
                let stepped = SignedDuration::from_micros(stepped_micros.load(Relaxed));
                self.steady_wall().saturating_add(stepped).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Wall time that does not step: the time of day at which the clock was made, plus the time
    /// that has passed. Ages that outlive the process are kept in it.
    #[must_use]
    pub fn steady_wall(&self) -> Timestamp {
        let passed = self.now().since(Moment::START);
        self.0.start_wall.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// Moves monotonic time ahead. Timers of the runtime do not notice: for tests.
    pub fn advance(&self, span: Duration) {
        self.0.ahead_micros.fetch_add(micros(span), Relaxed);
    }

    /// How far it has been moved ahead by [`Clock::advance`].
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "for a server's clock"))]
    pub(crate) fn ahead(&self) -> Duration {
        Duration::from_micros(self.0.ahead_micros.load(Relaxed))
    }

    /// Steps wall time, as a correction of the system's clock would: for tests. Does nothing to
    /// [`Clock::system`].
    pub fn step_wall(&self, by: SignedDuration) {
        if let Wall::Set { stepped_micros } = &self.0.wall {
            let by_micros = i64::try_from(by.as_micros()).unwrap_or_default();
            stepped_micros.fetch_add(by_micros, Relaxed);
        }
    }

    /// The runtime's instant for `moment`, for its timers.
    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        let ahead = Duration::from_micros(self.0.ahead_micros.load(Relaxed));
        let from_start = moment.since(Moment::START).saturating_sub(ahead);
        // A timer that is a century away is as good as one that never rings, and cannot overflow.
        let century = Duration::from_hours(24 * 365 * 100);
        self.0.start + from_start.min(century)
    }
}

/// A moment on the runtime's clock and a later one on the coarse clock, which is exact only when it
/// ticks. Measured from them, the coarse clock is never ahead of the other.
///
/// A system reads the time of a tick a little before it shows it, and may be put aside between the
/// two, so a moment before the tick was shown need not be before its time. One before the tick
/// *before* was shown is: ticks do not overlap.
static TICK: LazyLock<(Instant, coarsetime::Instant)> = LazyLock::new(|| {
    let (before_first, _) = next_tick();
    let (_, second) = next_tick();
    (before_first, second)
});

/// Waits for a tick of the coarse clock; gives a moment at which it was not shown yet, and its time.
fn next_tick() -> (Instant, coarsetime::Instant) {
    let coarse = coarsetime::Instant::now_without_cache_update;
    // Before the last look at which it had not ticked: before the first one as well, or a thread
    // that is put aside between the two would take the tick for a later one.
    let mut at = Instant::now();
    let before = coarse();
    loop {
        let next = Instant::now();
        let now = coarse();
        if now != before {
            return (at, now);
        }
        at = next;
    }
}

/// Whether the runtime's time stands still. It has nanoseconds, so if it does not it has moved on
/// by the second look; the others are for systems with a coarser clock.
fn is_paused() -> bool {
    let first = Instant::now();
    (0..1_000).all(|_| Instant::now() == first)
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the system's time is read")]
fn system_wall() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_time_before_the_clock_was_made() {
        let day = Duration::from_hours(24);
        let before = Moment::START.minus(day);
        assert_eq!((Moment::START.since(before), before.plus(day)), (day, Moment::START));
        assert_eq!((before.as_micros(), Moment::from_bits(before.to_bits())), (0, before));
        assert_eq!(Moment::from_micros(Moment::NEVER.as_micros()), Moment::NEVER);
        assert_eq!(Moment::from_micros(u64::MAX), Moment::NEVER);
    }

    #[tokio::test(start_paused = true)]
    async fn paused_time_moves_the_clock() {
        let clock = Clock::system();
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(clock.now(), Moment::from_micros(61_000_000));
    }

    #[tokio::test]
    async fn recent_time_is_present_time_or_a_little_earlier() {
        let clock = Clock::system();
        assert!(clock.0.coarse_start.is_some());
        // Over several ticks of the coarse clock.
        while clock.now() < Moment::START.plus(Duration::from_millis(40)) {
            let (recent, now) = (clock.recent(), clock.now());
            assert!(recent <= now, "{recent:?} {now:?}");
        }
        clock.advance(Duration::from_hours(1));
        assert!(clock.recent() >= Moment::START.plus(Duration::from_hours(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn where_time_stands_still_recent_time_does() {
        let clock = Clock::system();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.recent(), Moment::from_micros(5_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn advance_moves_ages_and_wall_alike() {
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), Moment::from_micros(5_000_000));
        assert_eq!(clock.wall(), Timestamp::from_second(5).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_of_the_wall_moves_neither_ages_nor_steady_wall() {
        let clock = Clock::starting_at(Timestamp::from_second(1_000_000).unwrap());
        let before = (clock.now(), clock.steady_wall());
        for hours in [1, -2] {
            clock.step_wall(SignedDuration::from_hours(hours));
            assert_eq!((clock.now(), clock.steady_wall()), before, "{hours} h");
        }
        assert_eq!(clock.wall(), before.1 - SignedDuration::from_hours(1));
    }

    #[tokio::test(start_paused = true)]
    async fn timers_ring_when_the_clock_says() {
        let clock = Clock::system();
        clock.advance(Duration::from_secs(7));
        let moment = clock.now().plus(Duration::from_secs(3));
        tokio::time::sleep_until(clock.instant(moment)).await;
        assert_eq!(clock.now(), moment);
    }
}
