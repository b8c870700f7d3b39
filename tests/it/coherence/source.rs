//! A source with a copy that may lag behind, which counts who asks it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use forewarm::{LoadContext, LoadError, Loaded, Loader};
use parking_lot::Mutex;
use tokio::time::sleep;

/// Users by number. A handle, which the engines over one store share.
#[derive(Clone, Default)]
pub(super) struct Source(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    users: BTreeMap<u32, User>,
    /// What is answered to those who do not ask where changes are made, if it is something else.
    copies: BTreeMap<u32, User>,
    /// How long an answer takes, after the source has been read.
    takes: Duration,
    is_down: bool,
    has_no_primary: bool,
    loads: Vec<u32>,
    /// Those of them that asked where changes are made.
    at_primary: usize,
}

#[derive(Clone, Default)]
struct User {
    name: String,
    tags: Vec<&'static str>,
    version: u64,
}

impl Source {
    /// Changes a user; gives the version that it has then.
    pub(super) fn set(&self, id: u32, name: &str) -> u64 {
        let mut state = self.0.lock();
        let user = state.users.entry(id).or_default();
        user.version += 1;
        name.clone_into(&mut user.name);
        user.version
    }

    pub(super) fn tag(&self, id: u32, tags: &[&'static str]) {
        self.0.lock().users.entry(id).or_default().tags = tags.to_vec();
    }

    /// Has a copy hold what there is of a user now, whatever is changed later.
    pub(super) fn lag_behind(&self, id: u32) {
        let mut state = self.0.lock();
        let user = state.users.entry(id).or_default().clone();
        state.copies.insert(id, user);
    }

    /// Has the copies hold what there is.
    pub(super) fn catch_up(&self) {
        self.0.lock().copies.clear();
    }

    /// Answers from a copy even those who ask where changes are made.
    pub(super) fn have_no_primary(&self) {
        self.0.lock().has_no_primary = true;
    }

    pub(super) fn take(&self, span: Duration) {
        self.0.lock().takes = span;
    }

    pub(super) fn fail(&self, is_down: bool) {
        self.0.lock().is_down = is_down;
    }

    /// The keys loaded so far.
    pub(super) fn loads(&self) -> usize {
        self.0.lock().loads.len()
    }

    /// Those of them that were loaded where changes are made.
    pub(super) fn at_primary(&self) -> usize {
        self.0.lock().at_primary
    }

    fn read(&self, id: u32, at_primary: bool) -> Result<Loaded<String>, LoadError> {
        let mut state = self.0.lock();
        state.loads.push(id);
        state.at_primary += usize::from(at_primary);
        if state.is_down {
            return Err(LoadError::transient("the source is down"));
        }
        let copy = state.copies.get(&id).filter(|_| !at_primary || state.has_no_primary);
        let Some(user) = copy.or_else(|| state.users.get(&id)) else { return Ok(Loaded::absent()) };
        let loaded = Loaded::found(user.name.clone()).tags(user.tags.iter().copied());
        Ok(loaded.version(user.version))
    }
}

impl Loader<u32, String> for Source {
    async fn load(&self, id: &u32, cx: &LoadContext<String>) -> Result<Loaded<String>, LoadError> {
        let answer = self.read(*id, cx.prefers_primary());
        let takes = self.0.lock().takes;
        if !takes.is_zero() {
            sleep(takes).await;
        }
        answer
    }
}
