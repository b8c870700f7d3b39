//! What is to be run when: pure functions of what is due and of the present moment.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::due::Due;
use super::log::RunReason;
use super::policy::{CatchUp, JobPolicy};
use super::trigger::Trigger;
use crate::clock::Moment;
use crate::tier::{JobMemory, RunId};

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
    timed: Vec<Timed>,
    started: Timestamp,
    /// When the job was first known.
    since: Timestamp,
    /// The last instants that were due, for triggers that follow different clocks.
    recent: VecDeque<Timestamp>,
    waiting: VecDeque<Due>,
    running: usize,
    is_paused: bool,
}

/// A trigger, and how far it has been followed.
#[derive(Clone, Debug)]
struct Timed {
    trigger: Trigger,
    /// The last instant that was due. It only grows, so no instant comes twice. Not known where L2
    /// has still to say it.
    handled: Option<Timestamp>,
}

/// More than this do not wait: the oldest are missed.
const WAITING_MAX: usize = 100;
const RECENT_MAX: usize = 128;
/// The longest time between two looks, so that steps of the wall clock are noticed.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Between two tries to begin a run while others are under way on other engines.
const BUSY_AGAIN: Duration = Duration::from_secs(1);

/// The instant before this one.
fn before(at: Timestamp) -> Timestamp {
    at.checked_sub(SignedDuration::from_micros(1)).unwrap_or(at)
}

/// The longest time that is looked back: what was put off for longer before a restart is given up.
const LOOK_BACK_MAX: SignedDuration = SignedDuration::from_hours(12);

/// From where to go on if an instant was the last that was handled. One before it may still have
/// waited for its time, and gone with its engine; L2 knows which of them have been done.
fn look_back(policy: &JobPolicy, handled: Timestamp) -> Timestamp {
    if policy.catch_up == CatchUp::Skip {
        // It would be told that what was done had been missed.
        return handled;
    }
    let waited = policy.jitter.saturating_add(policy.misfire_grace);
    let waited = SignedDuration::try_from(waited).unwrap_or(LOOK_BACK_MAX).min(LOOK_BACK_MAX);
    handled.checked_sub(waited).unwrap_or(handled)
}

impl Plan {
    /// A plan that begins now; but for what is due at the start, only when it is told where to go on
    /// if the job `is_shared`.
    pub(super) fn new(policy: &JobPolicy, is_shared: bool, now: Present) -> Self {
        let timed = policy.triggers.iter().map(|trigger| {
            let begins = !is_shared || trigger.is_of_start();
            let handled = begins.then(|| before(now.of(trigger)));
            Timed { trigger: trigger.clone(), handled }
        });
        Self {
            timed: timed.collect(),
            started: now.onward,
            since: now.onward,
            recent: VecDeque::new(),
            waiting: VecDeque::new(),
            running: 0,
            is_paused: false,
        }
    }

    /// Goes on where all engines together have ended, or begins now if nobody knows.
    pub(super) fn go_on(&mut self, policy: &JobPolicy, memory: Option<JobMemory>, now: Present) {
        if let Some(memory) = memory {
            self.since = memory.since;
        }
        for Timed { trigger, handled } in &mut self.timed {
            let from = |memory: JobMemory| match memory.handled {
                None => before(memory.since),
                Some(handled) => look_back(policy, handled).max(before(memory.since)),
            };
            // A clock that was ahead may have handled what is still to come.
            let present = before(now.of(trigger));
            handled
                .get_or_insert_with(|| memory.map_or(present, |memory| from(memory).min(present)));
        }
    }

    /// Follows other triggers from now on, and gives what the old ones have missed until now. What
    /// has come due stays so; of a trigger that was not there before, nothing is that is past.
    pub(super) fn reschedule(
        &mut self,
        terms: &Terms<'_>,
        present: Present,
        triggers: Vec<Trigger>,
    ) -> Vec<Due> {
        let mut missed = Vec::new();
        self.gather(terms, present, &mut missed);
        let old = std::mem::take(&mut self.timed);
        let follow = |trigger: Trigger| {
            if let Some(same) = old.iter().find(|old| old.trigger == trigger) {
                return same.clone();
            }
            // Where its clock was set back, others may have been followed further than the present.
            let alike = old.iter().filter(|old| old.trigger.is_of_spans() == trigger.is_of_spans());
            let handled = alike.filter_map(|old| old.handled).max();
            let handled = handled.max(Some(present.of(&trigger)));
            Timed { trigger, handled }
        };
        self.timed = triggers.into_iter().map(follow).collect();
        missed
    }

    /// What it follows.
    pub(super) fn triggers(&self) -> Vec<Trigger> {
        self.timed.iter().map(|timed| timed.trigger.clone()).collect()
    }

    /// What the instants of a trigger are reckoned from.
    const fn base(&self, trigger: &Trigger) -> Timestamp {
        if trigger.is_of_start() { self.started } else { self.since }
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

    /// A run could not begin, since others are under way elsewhere: it waits again, unless a later
    /// one stands for it.
    pub(super) fn put_back(&mut self, policy: &JobPolicy, due: Due, present: Present) {
        let stands_for_it =
            |other: &Due| other.coalesces() && other.is_shared && other.scheduled > due.scheduled;
        let is_moot = policy.coalesce && self.waiting.iter().any(stands_for_it) || self.is_paused;
        if due.coalesces() && is_moot {
            return;
        }
        // Once more at the last moment; after that it is missed.
        let again = present.now.plus(BUSY_AGAIN);
        let not_before = if present.now < due.give_up { again.min(due.give_up) } else { again };
        self.waiting.push_front(Due { not_before, ..due });
    }

    /// Takes in a run that somebody has left.
    pub(super) fn adopt(&mut self, due: Due) {
        let waits = self.waiting.iter().any(|other| {
            (other.reason, other.scheduled) == (due.reason, due.scheduled)
                && (due.reason != RunReason::Manual || other.run_id == due.run_id)
        });
        if !waits && !self.is_paused && self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(due);
        }
    }

    /// Asks for a run; `None` if there is no room for another one that waits.
    pub(super) fn ask(&mut self, terms: &Terms<'_>, present: Present) -> Option<Due> {
        if self.waiting.len() >= WAITING_MAX {
            return None;
        }
        let due = Due {
            run_id: (terms.new_id)(),
            scheduled: present.wall,
            reason: RunReason::Manual,
            is_shared: !terms.policy.on_every_engine,
            is_adopted: false,
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
    pub(super) fn next_look(&self, present: Present) -> Moment {
        let due = self.next_due(present).map(|(_, moment)| moment);
        // One that waits for its turn is looked at when it is missed; one that ends wakes us.
        let waiting = self.waiting.iter().map(|due| {
            let is_ready = due.not_before <= present.now;
            if is_ready { due.give_up.plus(Duration::from_micros(1)) } else { due.not_before }
        });
        let bound = present.now.plus(LOOK_EVERY);
        waiting.chain(due).fold(bound, Moment::min)
    }

    /// The instant at which it is due next, by the wall clock and as a moment.
    pub(super) fn next_due(&self, present: Present) -> Option<(Timestamp, Moment)> {
        if self.is_paused {
            return None;
        }
        let next = self.timed.iter().filter_map(|Timed { trigger, handled }| {
            let due = trigger.next((*handled)?, self.base(trigger))?;
            Some(due.duration_since(present.of(trigger)))
        });
        let in_span = next.min()?.max(SignedDuration::ZERO);
        let wall = present.wall.checked_add(in_span).ok()?;
        Some((wall, present.now.plus(in_span.unsigned_abs())))
    }

    /// Takes note of what has come due since the last time.
    fn gather(&mut self, terms: &Terms<'_>, present: Present, missed: &mut Vec<Due>) {
        let mut timed = std::mem::take(&mut self.timed);
        for timed in &mut timed {
            self.gather_of(timed, terms, present, missed);
        }
        self.timed = timed;
    }

    fn gather_of(
        &mut self,
        timed: &mut Timed,
        terms: &Terms<'_>,
        present: Present,
        missed: &mut Vec<Due>,
    ) {
        let trigger = &timed.trigger;
        let (now, base) = (present.of(trigger), self.base(trigger));
        let Some(handled) = timed.handled else { return };
        let Some(last) = trigger.last(handled, now, base) else { return };
        let grace = terms.policy.misfire_grace;
        let lately = now.checked_sub(grace).unwrap_or(Timestamp::MIN).max(handled);
        let on_time: Vec<_> = if self.is_paused {
            Vec::new()
        } else if terms.policy.coalesce {
            trigger.last(lately, now, base).into_iter().collect()
        } else {
            let next = |after: &Timestamp| trigger.next(*after, base);
            let on_time = std::iter::successors(next(&lately), next);
            on_time.take_while(|at| *at <= now).take(WAITING_MAX).collect()
        };
        // What there is no room for is looked at next.
        let up_to = on_time.last().copied().unwrap_or(last);
        timed.handled = Some(up_to);
        if self.is_paused {
            return;
        }
        // Somebody looks every so often; so what is late already has come while nobody did.
        let late = trigger.last(handled, lately, base);
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
        let is_alike = |other: &&mut Due| other.coalesces() && other.is_shared == due.is_shared;
        let mut others = self.waiting.iter_mut().filter(is_alike);
        if coalesce && let Some(other) = others.next() {
            // The newest stands for both, as early as the older one could start: else what comes
            // often enough would put itself off for ever.
            let not_before = other.not_before.min(due.not_before);
            *other = Due { not_before, ..due };
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            let oldest = self.waiting.iter().position(Due::coalesces);
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
            is_adopted: false,
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
