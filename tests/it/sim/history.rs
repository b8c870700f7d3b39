//! What has happened, and whether it may have: the oracle.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use forewarm::{Delivery, Error};
use parking_lot::Mutex;

use super::thing::{Kind, LAG, Thing, What};
use super::truth::Truth;

/// What has happened. A handle.
#[derive(Clone)]
pub(super) struct History(Arc<State>);

struct State {
    truth: Truth,
    window: Duration,
    changes: Mutex<Vec<Changed>>,
    /// The engines that have gone away.
    gone: Mutex<BTreeSet<usize>>,
    found: Mutex<Found>,
}

/// What came of a simulation.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Found {
    /// What has happened, line by line.
    pub(super) trace: Vec<String>,
    /// What must not happen.
    pub(super) violations: Vec<String>,
    pub(super) counts: Counts,
}

/// How often something happened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    pub(super) reads: usize,
    pub(super) errors: usize,
    pub(super) unverified: usize,
    pub(super) queued: usize,
}

/// A change, from its call on.
struct Changed {
    engine: usize,
    kind: Kind,
    what: What,
    called: u64,
    /// Once it has returned: the event, and since when every engine must heed it within a window.
    returned: Option<u64>,
    applied_at: Option<Duration>,
    returned_at: Option<Duration>,
    /// It was queued on an engine that has gone away.
    is_lost: bool,
    /// The store has forgotten that the source lagged behind.
    is_forgotten: bool,
}

/// A change that is under way.
#[derive(Clone, Copy)]
pub(super) struct Changing {
    place: usize,
    pub(super) called: u64,
}

/// A read that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) engine: usize,
    pub(super) kind: Kind,
    pub(super) how: How,
    started: u64,
    started_at: Duration,
}

/// What a reader accepts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How {
    pub(super) max_age: Option<Duration>,
    pub(super) wants_fresh: bool,
}

impl Counts {
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            reads: self.reads + other.reads,
            errors: self.errors + other.errors,
            unverified: self.unverified + other.unverified,
            queued: self.queued + other.queued,
        }
    }
}

impl History {
    pub(super) fn new(truth: Truth, window: Duration) -> Self {
        let (changes, gone, found) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(State { truth, window, changes, gone, found }))
    }

    /// Notes something in the trace.
    pub(super) fn note(&self, what: &str) {
        let at = self.0.truth.now();
        self.0.found.lock().trace.push(format!("{:>6} ms {what}", at.as_millis()));
    }

    fn violated(&self, what: String) {
        self.note(&format!("!!! {what}"));
        self.0.found.lock().violations.push(what);
    }

    /// A change is called.
    pub(super) fn calls(&self, engine: usize, kind: Kind, what: What) -> Changing {
        let called = self.0.truth.tick();
        self.note(&format!("e{engine} {} {what:?} called #{called}", kind.name()));
        let mut changes = self.0.changes.lock();
        changes.push(Changed {
            engine,
            kind,
            what,
            called,
            returned: None,
            applied_at: None,
            returned_at: None,
            is_lost: false,
            is_forgotten: false,
        });
        Changing { place: changes.len() - 1, called }
    }

    /// A change has returned.
    pub(super) fn returned(&self, changing: Changing, delivery: Delivery) {
        let (tick, now) = (self.0.truth.tick(), self.0.truth.now());
        let mut changes = self.0.changes.lock();
        let changed = &mut changes[changing.place];
        (changed.returned, changed.returned_at) = (Some(tick), Some(now));
        changed.is_lost = self.0.gone.lock().contains(&changed.engine);
        changed.applied_at = (delivery == Delivery::Applied).then_some(now);
        let (engine, called) = (changed.engine, changed.called);
        drop(changes);
        self.note(&format!("e{engine} change #{called} {delivery:?}"));
        self.0.found.lock().counts.queued += usize::from(delivery == Delivery::Queued);
    }

    /// An engine goes away: nobody delivers what waits there.
    pub(super) fn goes_away(&self, engine: usize) {
        self.0.gone.lock().insert(engine);
        let mut changes = self.0.changes.lock();
        let undelivered =
            |changed: &&mut Changed| changed.engine == engine && changed.applied_at.is_none();
        changes.iter_mut().filter(undelivered).for_each(|changed| changed.is_lost = true);
    }

    /// The store loses what it knows: also of copies that lag behind.
    pub(super) fn is_forgotten(&self) {
        let now = self.0.truth.now();
        for changed in self.0.changes.lock().iter_mut() {
            let is_over = changed.returned_at.is_some_and(|returned_at| returned_at + LAG < now);
            changed.is_forgotten |= changed.kind == Kind::Lagging && !is_over;
        }
    }

    /// Everything that waited has been delivered.
    pub(super) fn all_is_delivered(&self) {
        let now = self.0.truth.now();
        for changed in self.0.changes.lock().iter_mut().filter(|changed| !changed.is_lost) {
            changed.applied_at.get_or_insert(now);
        }
    }

    /// A read begins.
    pub(super) fn reads(&self, engine: usize, kind: Kind, how: How) -> Reading {
        let (started, started_at) = (self.0.truth.tick(), self.0.truth.now());
        Reading { engine, kind, how, started, started_at }
    }

    /// A read has ended with an error.
    pub(super) fn failed(&self, reading: Reading, key: u32, error: &Error, is_gone: bool) {
        self.0.found.lock().counts.errors += 1;
        let (from, until) = (reading.started_at, self.0.truth.now());
        let may_fail = match error {
            Error::Overloaded { .. } => true,
            Error::ShutDown => is_gone,
            Error::Load { .. } => self.0.truth.could_fail(from, until),
            _ => false,
        };
        let Reading { engine, kind, .. } = reading;
        self.note(&format!("e{engine} {} {key}: {error}", kind.name()));
        if !may_fail {
            self.violated(format!("e{engine} {} {key}: {error}: {error:?}", kind.name()));
        }
    }

    /// A read has ended with an answer.
    pub(super) fn ended(&self, reading: Reading, key: u32, thing: Option<&Thing>) {
        self.0.found.lock().counts.reads += 1;
        let mut line = format!("e{} {} {key} =", reading.engine, reading.kind.name());
        match thing {
            Some(Thing { version, tick, is_put, .. }) => {
                write!(line, " v{version} of #{tick}{}", if *is_put { " put" } else { "" })
                    .unwrap();
            }
            None => line.push_str(" none"),
        }
        write!(line, ", read from #{}", reading.started).unwrap();
        self.note(&line);
        for wrong in self.judge(reading, key, thing) {
            self.violated(format!("{line}: {wrong}"));
        }
    }

    /// An answer was labelled as one that may be void.
    pub(super) fn unverified(&self) {
        self.0.found.lock().counts.unverified += 1;
    }

    /// What is wrong with an answer.
    fn judge(&self, reading: Reading, key: u32, thing: Option<&Thing>) -> Vec<String> {
        let mut wrong = Vec::new();
        let truth = &self.0.truth;
        let Some(tick) =
            thing.map(|thing| thing.tick).or_else(|| truth.last_absent(reading.kind, key))
        else {
            return vec!["it was never absent".to_owned()];
        };
        if let Some(thing) = thing {
            if thing.key != key {
                wrong.push(format!("it is that of {}", thing.key));
                return wrong;
            }
            if !truth.has_been(reading.kind, thing) {
                wrong.push("it never was so".to_owned());
            }
            let max_age = reading.how.max_age;
            if max_age.is_some_and(|max_age| thing.at + max_age < reading.started_at) {
                wrong.push(format!("it is of {:?}, too old", thing.at));
            }
        }
        for changed in self.0.changes.lock().iter() {
            let is_older = tick < changed.called && changed.kind == reading.kind;
            // Of groups it is not known that their source lags behind.
            let is_promised = reading.kind != Kind::Lagging
                || !changed.is_forgotten && matches!(changed.what, What::Key(_) | What::Put(_));
            let wants_fresh = reading.how.wants_fresh;
            if is_older && is_promised && changed.what.selects(key, thing, wants_fresh) {
                wrong.extend(self.missed(reading, changed));
            }
        }
        wrong
    }

    /// Whether a reader should have heard of a change.
    fn missed(&self, reading: Reading, changed: &Changed) -> Option<String> {
        let Changed { engine, what, called, returned, applied_at, .. } = *changed;
        let is_own = engine == reading.engine;
        if is_own && returned.is_some_and(|returned| returned < reading.started) {
            return Some(format!("its own {what:?} #{called} had returned"));
        }
        let applied_at = applied_at?;
        // What was loaded from a copy before its engine heard of the change is as old as the copy.
        let lag = if reading.kind == Kind::Lagging { LAG } else { Duration::ZERO };
        (applied_at + self.0.window + lag <= reading.started_at).then(|| {
            format!("{what:?} #{called} of e{engine} was applied at {} ms", applied_at.as_millis())
        })
    }

    /// What has come of everything.
    pub(super) fn found(&self) -> Found {
        self.0.found.lock().clone()
    }
}
