//! A second tier in memory that follows paused time: one linearizable store, which several engines
//! share over [`SimTier`](super::SimTier)s, and which can be restarted, rolled back and cut short.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use forewarm::{
    Begun, Change, Cursor, Filled, HotSum, Lag, Node, Permit, Polled, Swept, TierSize, Want,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use self::epochs::Epochs;
use self::hot::Hot;
use self::lags::{Demand, Lags};
use self::log::{Log, Noted};
pub(super) use self::row::Row;
pub(super) use self::runs::{Finishing, Renewing, Runs, Taking};
use super::line::Line;
use super::tier::SimTier;

mod epochs;
mod hot;
mod lags;
mod log;
mod row;
mod runs;

/// A store that engines connect to. What it holds goes with the last handle.
#[derive(Clone)]
pub(crate) struct SimStore(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    snapshot: Mutex<Option<State>>,
    /// Incarnations begun so far: no two are alike, whatever is rolled back.
    incarnations: Mutex<u64>,
    /// How often the log has grown.
    grown: watch::Sender<u64>,
}

/// What the protocol could be without, to show that it would be missed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Removed {
    /// Values are filled whether or not their permits stand.
    Permits,
    /// Fills are not compared with the groups that were invalidated since their permits were given.
    Epochs,
    /// Values are put whoever has changed their keys meanwhile.
    Since,
    /// Values are put if nobody else has changed their keys meanwhile.
    OwnSince,
    /// Polls tell nothing.
    Changes,
    /// Polls do not tell that something may be missing.
    Gaps,
    /// Polls tell what they would have told this much earlier, as if the lease that they give ran
    /// from a late answer.
    Lease(Duration),
    /// Invalidations are acknowledged this much before they have their effect, as if gates opened
    /// too early.
    Gate(Duration),
    /// What is rolled back counts as what it was.
    Incarnations,
    /// Values are filled however the source lags behind.
    Lag,
}

/// Everything that a store holds.
#[derive(Clone)]
pub(super) struct State {
    incarnation: u64,
    rows: BTreeMap<String, Row>,
    permits: BTreeMap<String, Grant>,
    lags: Lags,
    epochs: Epochs,
    log: Log,
    hot: Hot,
    runs: Runs,
    removed: Option<Removed>,
}

/// A permit that was given.
#[derive(Clone)]
struct Grant {
    permit: Permit,
    until: Instant,
    incarnation: u64,
    /// How far the log had come.
    sequence: u64,
    demand: Option<Demand>,
}

/// An [`Ask`](forewarm::Ask) on its way.
pub(super) struct Asked {
    pub(super) key: String,
    pub(super) permit: Permit,
    pub(super) want: Want,
}

/// A [`Fill`](forewarm::Fill) on its way.
pub(super) struct Offer {
    pub(super) key: String,
    pub(super) permit: Permit,
    pub(super) row: Row,
    pub(super) version: Option<u64>,
}

impl SimStore {
    /// An empty store.
    pub(crate) fn new() -> Self {
        Self::without(None)
    }

    /// An empty store that lacks something.
    pub(crate) fn without(removed: Option<Removed>) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State::new(1, removed)),
            snapshot: Mutex::default(),
            incarnations: Mutex::new(1),
            grown: watch::Sender::new(0),
        }))
    }

    /// Gives it a time of day of its own.
    pub(crate) fn set_wall(&self, wall: Timestamp) {
        self.0.state.lock().runs.set_wall(wall);
    }

    /// A connection without faults.
    pub(crate) fn connect(&self) -> SimTier {
        self.connect_over(&Line::new(0))
    }

    /// A connection that does what its line does.
    pub(crate) fn connect_over(&self, line: &Line) -> SimTier {
        SimTier::new(self.clone(), line.clone(), self.0.grown.subscribe())
    }

    /// Keeps what it holds now, to come back to.
    pub(crate) fn take_snapshot(&self) {
        *self.0.snapshot.lock() = Some(self.0.state.lock().clone());
    }

    /// Goes back to the last snapshot, or to nothing, as a server does that is replaced by a copy
    /// which lags behind: in a new incarnation.
    pub(crate) fn roll_back(&self) {
        let mut state = self.0.state.lock();
        let incarnation = self.next_incarnation();
        let old = self.0.snapshot.lock().clone();
        let old = old.unwrap_or_else(|| State::new(incarnation, state.removed));
        if state.removed == Some(Removed::Incarnations) {
            *state = old;
            return;
        }
        let State { rows, permits, lags, runs, removed, .. } = old;
        *state = State { rows, permits, lags, runs, ..State::new(incarnation, removed) };
    }

    /// Loses everything, as a server does that restarts empty: a new incarnation begins.
    pub(crate) fn restart_empty(&self) {
        let mut state = self.0.state.lock();
        *state = State::new(self.next_incarnation(), state.removed);
    }

    fn next_incarnation(&self) -> u64 {
        let mut incarnations = self.0.incarnations.lock();
        *incarnations += 1;
        *incarnations
    }

    /// Forgets its log: whoever has not followed it to the end has missed something.
    pub(crate) fn cut_log(&self) {
        self.0.state.lock().log.cut();
    }

    /// Ends the permits that were given, as if their loads took too long.
    pub(crate) fn end_permits(&self) {
        self.0.state.lock().permits.clear();
    }

    /// Forgets its values, as a server does that lacks memory.
    pub(crate) fn evict_all(&self) {
        self.0.state.lock().rows.clear();
    }

    /// Notes a change that nothing here has made.
    pub(crate) fn tell(&self, by: Node, change: Change) {
        self.act(|state| state.log.note(by, change));
    }

    /// The keys whose values it would give.
    pub(crate) fn keys(&self) -> Vec<String> {
        let (state, now) = (self.0.state.lock(), Instant::now());
        state.rows.keys().filter(|key| state.row(key, now).is_some()).cloned().collect()
    }

    /// Whether it would give a value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.state.lock().row(key, Instant::now()).is_some()
    }

    /// Does something in one step.
    pub(super) fn act<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.0.state.lock();
        let before = state.log.sequence();
        let result = act(&mut state);
        if state.log.sequence() != before {
            self.0.grown.send_modify(|grown| *grown += 1);
        }
        result
    }
}

impl State {
    fn new(incarnation: u64, removed: Option<Removed>) -> Self {
        Self {
            incarnation,
            rows: BTreeMap::new(),
            permits: BTreeMap::new(),
            lags: Lags::default(),
            epochs: Epochs::default(),
            log: Log::default(),
            hot: Hot::default(),
            runs: Runs::default(),
            removed,
        }
    }

    pub(super) const fn removed(&self) -> Option<Removed> {
        self.removed
    }

    /// The row of a key, if it may be given to anybody.
    fn row(&self, key: &str, now: Instant) -> Option<&Row> {
        let is_void = |row: &Row| self.epochs.voids(key, row.sequence, &row.tags);
        let row = self.rows.get(key).filter(|row| row.is_kept(now))?;
        (row.incarnation == self.incarnation && !is_void(row)).then_some(row)
    }

    pub(super) fn begin(&mut self, ask: &Asked, permit_for: Duration) -> Begun {
        let now = Instant::now();
        let row = self.row(&ask.key, now).filter(|row| match ask.want {
            Want::Value => true,
            Want::Fresh | Want::Copy => row.is_fresh(now),
            Want::Permit => false,
        });
        if let Some(row) = row {
            return Begun::Hit(row.stored(now));
        }
        if ask.want == Want::Copy {
            return Begun::Miss;
        }
        let standing = self.standing(&ask.key, now);
        if standing.is_some_and(|grant| grant.permit != ask.permit) {
            return Begun::Busy;
        }
        if standing.is_none() {
            let grant = Grant {
                permit: ask.permit,
                until: now + permit_for,
                incarnation: self.incarnation,
                sequence: self.log.sequence(),
                demand: self.lags.demand(&ask.key, now),
            };
            self.permits.insert(ask.key.clone(), grant);
        }
        Begun::Permit
    }

    /// The permit of a key that stands, as far as the key tells: its value may have tags.
    fn standing(&self, key: &str, now: Instant) -> Option<&Grant> {
        let grant = self.permits.get(key).filter(|grant| now < grant.until)?;
        let is_void = self.epochs.voids(key, grant.sequence, &[]);
        (grant.incarnation == self.incarnation && !is_void).then_some(grant)
    }

    pub(super) fn fill(&mut self, offer: Offer) -> Filled {
        let (now, Offer { key, permit, row, version }) = (Instant::now(), offer);
        let sequence = self.log.sequence();
        if self.removed == Some(Removed::Permits) {
            self.rows.insert(key, row.of(self.incarnation, sequence));
            return Filled::Stored;
        }
        let Some(grant) = self.standing(&key, now).filter(|grant| grant.permit == permit) else {
            return Filled::Refused;
        };
        let (grant, demand) = (grant.clone(), self.lags.demand(&key, now));
        self.permits.remove(&key);
        let ignores_lag = self.removed == Some(Removed::Lag);
        let demands = [grant.demand, demand].into_iter().flatten().filter(|_| !ignores_lag);
        let is_behind = demands.into_iter().any(|demand| !demand.is_met_by(version));
        let ignores_groups = self.removed == Some(Removed::Epochs);
        if is_behind || !ignores_groups && self.epochs.voids(&key, grant.sequence, &row.tags) {
            return Filled::Refused;
        }
        let since = if ignores_groups { sequence } else { grant.sequence };
        self.rows.insert(key, row.of(self.incarnation, since));
        Filled::Stored
    }

    pub(super) fn release(&mut self, key: &str, permit: Permit) {
        if self.permits.get(key).is_some_and(|grant| grant.permit == permit) {
            self.permits.remove(key);
        }
    }

    pub(super) fn put(&mut self, by: Node, offers: Vec<Offer>, since: &Cursor) -> Vec<Filled> {
        // Each is judged by what was before all of them.
        let later = self.log.since(self.incarnation, since);
        let passes_over_own = self.removed == Some(Removed::OwnSince);
        let is_unchanged = |offer: &Offer| {
            let is_about = |noted: &&Noted| {
                let counts = noted.by != by || !passes_over_own;
                counts && noted.is_about(&offer.key, &offer.row.tags)
            };
            later.as_ref().is_some_and(|later| !later.iter().any(is_about))
        };
        let stores = |offer| self.removed == Some(Removed::Since) || is_unchanged(offer);
        let may_store: Vec<_> = offers.iter().map(stores).collect();
        let put = |(offer, may_store): (Offer, bool)| {
            let Offer { key, row, .. } = offer;
            self.log.note(by, Change::Key { key: key.clone(), lag: None });
            self.permits.remove(&key);
            if !may_store {
                self.rows.remove(&key);
                return Filled::Refused;
            }
            self.rows.insert(key, row.of(self.incarnation, self.log.sequence()));
            Filled::Stored
        };
        offers.into_iter().zip(may_store).map(put).collect()
    }

    pub(super) fn invalidate(&mut self, by: Node, change: Change) {
        self.log.note(by, change.clone());
        if let Change::Key { key, lag } = &change {
            self.rows.remove(key);
            self.permits.remove(key);
            self.note_lag(key, *lag);
        } else {
            self.epochs.note(change, self.log.sequence());
        }
    }

    fn note_lag(&mut self, key: &str, lag: Option<Lag>) {
        if let Some(lag) = lag {
            self.lags.note(key, lag, Instant::now());
        }
    }

    pub(super) fn expire(&mut self, by: Node, key: String) {
        self.permits.remove(&key);
        if let Some(row) = self.rows.get_mut(&key) {
            row.expire(Instant::now());
        }
        self.log.note(by, Change::Expired { key });
    }

    pub(super) fn poll(&self, since: &Cursor) -> Polled {
        let behind = match self.removed {
            Some(Removed::Lease(behind)) => behind,
            _ => Duration::ZERO,
        };
        let polled = self.log.poll(self.incarnation, since, behind);
        match self.removed {
            Some(Removed::Changes) => Polled { cursor: polled.cursor, ..Polled::default() },
            Some(Removed::Gaps) => Polled { is_gap: false, ..polled },
            _ => polled,
        }
    }

    pub(super) fn merge_hot(
        &mut self,
        by: Node,
        resource: String,
        hot: Vec<(String, f64)>,
        keep_for: Duration,
    ) -> Vec<HotSum> {
        self.hot.merge(by, resource, hot, Instant::now() + keep_for)
    }

    pub(super) const fn runs(&mut self) -> &mut Runs {
        &mut self.runs
    }

    pub(super) fn sweep(&mut self, rows_max: u32) -> Swept {
        let now = Instant::now();
        self.permits.retain(|_, grant| now < grant.until);
        self.runs.sweep();
        let useless: Vec<_> =
            self.rows.keys().filter(|key| self.row(key, now).is_none()).cloned().collect();
        let removed = useless.len().min(rows_max as usize);
        for key in &useless[..removed] {
            self.rows.remove(key);
        }
        Swept { expired: removed as u64, evicted: 0, has_more: removed < useless.len() }
    }

    pub(super) fn size(&self) -> TierSize {
        let bytes = self.rows.iter().map(|(key, row)| key.len() + row.value.len()).sum::<usize>();
        TierSize { entries: self.rows.len() as u64, bytes: bytes as u64 }
    }
}
