//! Whether the keys that are wanted after a start are in memory.

use std::sync::OnceLock;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::sync::Mutex;

/// How an engine came to be ready: see [`Forewarm::ready`](crate::Forewarm::ready).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Readiness {
    /// What came first.
    pub by: ReadyBy,
    /// The keys that were wanted: those of before the restart and seeds, as far as they fit.
    pub wanted: usize,
    /// Those of them that were warm: held, or known to be absent.
    pub warm: usize,
}

/// Why an engine is ready.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReadyBy {
    /// The share of the keys that was asked for is warm; with no keys, at once.
    Share,
    /// The deadline has passed.
    Deadline,
    /// The engine was shut down.
    ShutDown,
}

/// How far an engine has come with the keys that are wanted after a start.
#[derive(Debug)]
pub(crate) struct Progress {
    state: Mutex<State>,
    ready: watch::Sender<Option<Readiness>>,
    /// When the engine was started.
    began: OnceLock<Timestamp>,
}

#[derive(Debug)]
struct State {
    /// The resources of which it is not known yet what they want; all of them before the start.
    unknown: usize,
    share: f64,
    wanted: usize,
    warm: usize,
}

impl Progress {
    /// Nothing is known before the start.
    pub(crate) fn new() -> Self {
        let state = State { unknown: usize::MAX, share: 1.0, wanted: 0, warm: 0 };
        let (state, ready) = (Mutex::new(state), watch::Sender::new(None));
        Self { state, ready, began: OnceLock::new() }
    }

    /// So many resources will say what they want; of all that, `share` must be warm.
    pub(crate) fn begin(&self, resources: usize, share: f64) {
        self.change(|state| {
            state.unknown = resources;
            state.share = share;
        });
    }

    /// The engine has been started.
    pub(crate) fn note_start(&self, at: Timestamp) {
        self.began.get_or_init(|| at);
    }

    /// When the engine was started, if it was.
    pub(crate) fn began(&self) -> Option<Timestamp> {
        self.began.get().copied()
    }

    /// The share of the keys that are wanted that came to be warm; also after the engine has counted as
    /// ready without.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub(crate) fn warm_share(&self) -> f64 {
        let state = self.state.lock();
        match (state.unknown, state.wanted) {
            (0, 0) => 1.0,
            (_, 0) => 0.0,
            (_, wanted) => (state.warm as f64 / wanted as f64).min(1.0),
        }
    }

    /// A resource wants so many keys.
    pub(crate) fn want(&self, keys: usize) {
        self.change(|state| {
            state.unknown = state.unknown.saturating_sub(1);
            state.wanted += keys;
        });
    }

    /// A key is warm.
    pub(crate) fn warmed(&self) {
        self.change(|state| state.warm += 1);
    }

    /// There is no room for so many of the keys.
    pub(crate) fn waive(&self, keys: usize) {
        self.change(|state| state.wanted = state.wanted.saturating_sub(keys));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let is_enough = {
            let mut state = self.state.lock();
            change(&mut state);
            state.is_enough()
        };
        if is_enough {
            self.end(ReadyBy::Share);
        }
    }

    /// It is as ready as it gets; only the first call counts.
    pub(crate) fn end(&self, by: ReadyBy) {
        let (wanted, warm) = {
            let state = self.state.lock();
            (state.wanted, state.warm)
        };
        self.ready.send_if_modified(|ready| {
            let is_first = ready.is_none();
            ready.get_or_insert(Readiness { by, wanted, warm });
            is_first
        });
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.borrow().is_some()
    }

    pub(crate) async fn ready(&self) -> Readiness {
        let mut ready = self.ready.subscribe();
        let readiness = ready.wait_for(Option::is_some).await.ok().and_then(|ready| *ready);
        // The sender lives as long as `self` is borrowed.
        readiness.unwrap_or(Readiness { by: ReadyBy::ShutDown, wanted: 0, warm: 0 })
    }
}

impl State {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    fn is_enough(&self) -> bool {
        self.unknown == 0 && self.warm as f64 >= self.wanted as f64 * self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_ready_when_all_have_said_what_they_want_and_enough_is_warm() {
        let progress = Progress::new();
        progress.begin(2, 0.9);
        progress.want(10);
        (0..9).for_each(|_| progress.warmed());
        assert!(!progress.is_ready());
        progress.want(1);
        assert!(!progress.is_ready());
        assert!((progress.warm_share() - 9.0 / 11.0).abs() < 1e-9);
        progress.waive(1);
        assert!(progress.is_ready());
        assert!((progress.warm_share() - 0.9).abs() < 1e-9);
        progress.end(ReadyBy::Deadline);
        let ready = Readiness { by: ReadyBy::Share, wanted: 10, warm: 9 };
        assert_eq!(progress.ready().await, ready);
    }

    #[tokio::test]
    async fn where_nothing_is_wanted_it_is_ready_at_once_and_not_before() {
        let progress = Progress::new();
        progress.warmed();
        assert!(!progress.is_ready());
        progress.begin(1, 1.0);
        progress.want(0);
        assert_eq!(progress.ready().await.by, ReadyBy::Share);
    }
}
