//! What is to be run when: pure functions of what is due and of the present moment.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::log::{RunId, RunReason};
use super::policy::{CatchUp, JobPolicy};
use super::trigger::Trigger;
use crate::clock::Moment;

/// The present, on the clocks that decide what is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present {
    pub(super) now: Moment,
    /// The time of day, which may step either way. Calendars follow it.
    pub(super) wall: Timestamp,
    /// Time of day that only goes on: where the wall clock is set back it keeps its rate. Spans
    /// follow it.
    pub(super) onward: Timestamp,
}

impl Present {
    const fn of(&self, trigger: &Trigger) -> Timestamp {
        if trigger.is_of_spans() { self.onward } else { self.wall }
    }
}

/// A run that is to be started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Due {
    pub(super) run_id: RunId,
    pub(super) scheduled: Timestamp,
    pub(super) reason: RunReason,
    /// Whether other engines have the same instant, so that one of them has to take it.
    pub(super) is_shared: bool,
    not_before: Moment,
    /// After this it is missed.
    pub(super) give_up: Moment,
}

/// What follows from a look at the present.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// What is to be started now: it counts as running.
    pub(super) start: Vec<Due>,
    pub(super) missed: Vec<Due>,
}

/// What is due of a job, waits or runs.
#[derive(Debug)]
pub(super) struct Plan {
    /// For each trigger the last instant that was due. It only grows, so no instant comes twice.
    handled: Vec<Timestamp>,
    started: Timestamp,
    /// The last instants that were due, for triggers that follow different clocks.
    recent: VecDeque<Timestamp>,
    waiting: VecDeque<Due>,
    running: usize,
    is_paused: bool,
}

/// More than this do not wait: the oldest are missed.
const WAITING_MAX: usize = 100;
const RECENT_MAX: usize = 128;
/// The longest time between two looks, so that steps of the wall clock are noticed.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(30);

impl Plan {
    /// A plan that begins now, or where an earlier process has ended.
    pub(super) fn new(policy: &JobPolicy, resume_after: Option<Timestamp>, now: Present) -> Self {
        let before = |at: Timestamp| at.checked_sub(SignedDuration::from_micros(1)).unwrap_or(at);
        let handled = policy.triggers.iter().map(|trigger| {
            let resumed = resume_after.filter(|_| !trigger.is_of_start());
            resumed.unwrap_or_else(|| before(now.of(trigger)))
        });
        Self {
            handled: handled.collect(),
            started: now.onward,
            recent: VecDeque::new(),
            waiting: VecDeque::new(),
            running: 0,
            is_paused: false,
        }
    }

    pub(super) const fn running(&self) -> usize {
        self.running
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Takes note of what has come due, and says what is to be started.
    pub(super) fn look(&mut self, terms: &Terms<'_>, present: Present) -> Looked {
        let mut looked = Looked::default();
        self.gather(terms, present, &mut looked.missed);
        let is_late = |due: &Due| present.now > due.give_up;
        looked.missed.extend(self.waiting.iter().filter(|due| is_late(due)));
        self.waiting.retain(|due| !is_late(due));
        while self.running < terms.policy.max_instances {
            let ready = self.waiting.iter().position(|due| due.not_before <= present.now);
            let Some(due) = ready.and_then(|nth| self.waiting.remove(nth)) else { break };
            self.running += 1;
            looked.start.push(due);
        }
        looked
    }

    /// A run has ended that was started.
    pub(super) fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Asks for a run; `None` if there is no room for another one that waits.
    pub(super) fn ask(&mut self, run_id: RunId, present: Present) -> Option<Due> {
        if self.waiting.len() >= WAITING_MAX {
            return None;
        }
        let due = Due {
            run_id,
            scheduled: present.wall,
            reason: RunReason::Manual,
            is_shared: false,
            not_before: present.now,
            give_up: Moment::NEVER,
        };
        self.waiting.push_back(due);
        Some(due)
    }

    /// Begins or ends a pause. What comes due in a pause, and what waited when it began, is left
    /// out; what was asked for is run.
    pub(super) fn pause(&mut self, terms: &Terms<'_>, present: Present, is_paused: bool) {
        self.gather(terms, present, &mut Vec::new());
        self.is_paused = is_paused;
        if is_paused {
            self.waiting.retain(|due| due.reason == RunReason::Manual);
        }
    }

    /// When to look again, at the latest.
    pub(super) fn next_look(&self, terms: &Terms<'_>, present: Present) -> Moment {
        let due = self.next_due(terms, present).map(|(_, moment)| moment);
        // One that waits for its turn is looked at when it is missed; one that ends wakes us.
        let waiting = self.waiting.iter().map(|due| {
            let is_ready = due.not_before <= present.now;
            if is_ready { due.give_up.plus(Duration::from_micros(1)) } else { due.not_before }
        });
        let bound = present.now.plus(LOOK_EVERY);
        waiting.chain(due).fold(bound, Moment::min)
    }

    /// The instant at which it is due next, by the wall clock and as a moment.
    pub(super) fn next_due(
        &self,
        terms: &Terms<'_>,
        present: Present,
    ) -> Option<(Timestamp, Moment)> {
        if self.is_paused {
            return None;
        }
        let next =
            terms.policy.triggers.iter().zip(&self.handled).filter_map(|(trigger, handled)| {
                let due = trigger.next(*handled, self.started)?;
                Some(due.duration_since(present.of(trigger)))
            });
        let in_span = next.min()?.max(SignedDuration::ZERO);
        let wall = present.wall.checked_add(in_span).ok()?;
        Some((wall, present.now.plus(in_span.unsigned_abs())))
    }

    /// Takes note of what has come due since the last time.
    fn gather(&mut self, terms: &Terms<'_>, present: Present, missed: &mut Vec<Due>) {
        for (nth, trigger) in terms.policy.triggers.iter().enumerate() {
            let (now, handled) = (present.of(trigger), self.handled.get(nth).copied());
            let Some(handled) = handled else { continue };
            let Some(last) = trigger.last(handled, now, self.started) else { continue };
            if let Some(handled) = self.handled.get_mut(nth) {
                *handled = last;
            }
            if self.is_paused {
                continue;
            }
            let grace = SignedDuration::try_from(terms.policy.misfire_grace).unwrap_or_default();
            let lately = now.checked_sub(grace).unwrap_or(now).max(handled);
            let on_time: Vec<_> = if terms.policy.coalesce {
                trigger.last(lately, now, self.started).into_iter().collect()
            } else {
                let next = |after: &Timestamp| trigger.next(*after, self.started);
                let on_time = std::iter::successors(next(&lately), next);
                on_time.take_while(|at| *at <= now).take(WAITING_MAX).collect()
            };
            // Somebody looks every so often; so what is late already has come while nobody did.
            let late = trigger.last(handled, lately, self.started);
            let late = late.filter(|_| on_time.is_empty() || !terms.policy.coalesce);
            for (at, reason) in late
                .map(|at| (at, RunReason::CatchUp))
                .into_iter()
                .chain(on_time.into_iter().map(|at| (at, RunReason::Due)))
            {
                let due = terms.due(trigger, at, reason, present);
                // The instant of a start is this engine's own, and may be another trigger's by chance.
                if !trigger.is_of_start() && self.is_known(at) {
                    continue;
                }
                if reason == RunReason::CatchUp && terms.policy.catch_up == CatchUp::Skip {
                    missed.push(due);
                } else {
                    self.wait(due, terms.policy.coalesce, missed);
                }
            }
        }
    }

    /// Whether this instant was due before, by another trigger; takes note of it.
    fn is_known(&mut self, at: Timestamp) -> bool {
        if self.recent.contains(&at) {
            return true;
        }
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(at);
        false
    }

    fn wait(&mut self, due: Due, coalesce: bool, missed: &mut Vec<Due>) {
        // What this engine runs in any case does not become what another one may have taken.
        let is_alike = |other: &&mut Due| {
            other.reason != RunReason::Manual && other.is_shared == due.is_shared
        };
        let mut others = self.waiting.iter_mut().filter(is_alike);
        if coalesce && let Some(other) = others.next() {
            // The newest stands for both, as early as the older one could start: else what comes
            // often enough would put itself off for ever.
            let not_before = other.not_before.min(due.not_before);
            *other = Due { not_before, ..due };
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            let oldest = self.waiting.iter().position(|due| due.reason != RunReason::Manual);
            let oldest = oldest.and_then(|nth| self.waiting.remove(nth));
            // Where all were asked for, it is this one that finds no room.
            missed.push(oldest.unwrap_or(due));
            if oldest.is_none() {
                return;
            }
        }
        self.waiting.push_back(due);
    }
}

/// What a plan follows.
pub(super) struct Terms<'a> {
    pub(super) policy: &'a JobPolicy,
    pub(super) seed: u64,
    /// The name of the next run.
    pub(super) new_id: &'a dyn Fn() -> RunId,
}

impl Terms<'_> {
    fn due(&self, trigger: &Trigger, at: Timestamp, reason: RunReason, present: Present) -> Due {
        // What is caught up begins its wait now, or after a standstill everything would start at
        // once.
        let late_by = match reason {
            RunReason::CatchUp => Duration::ZERO,
            _ => present.of(trigger).duration_since(at).unsigned_abs(),
        };
        // Starts are an engine's own, and do not come together.
        let jitter = if trigger.is_of_start() { Duration::ZERO } else { self.jitter(at) };
        let from = present.now.minus(late_by).plus(jitter);
        Due {
            run_id: (self.new_id)(),
            scheduled: at,
            reason,
            is_shared: !trigger.is_of_start() && !self.policy.on_every_engine,
            not_before: from,
            give_up: from.plus(self.policy.misfire_grace),
        }
    }

    fn jitter(&self, at: Timestamp) -> Duration {
        let most = u64::try_from(self.policy.jitter.as_micros()).unwrap_or(u64::MAX);
        let salt = at.as_microsecond().cast_unsigned();
        Duration::from_micros(fastrand::Rng::with_seed(self.seed ^ salt).u64(0..=most))
    }
}
