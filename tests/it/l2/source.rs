//! A source that can be held and can fail, and that counts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use forewarm::{LoadContext, LoadError, Loaded, Loader};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

/// Users by number, as a database would have them.
#[derive(Clone)]
pub(super) struct Source(Arc<State>);

struct State {
    users: Mutex<HashMap<u32, String>>,
    calls: Mutex<Vec<Vec<u32>>>,
    bad: Mutex<HashSet<u32>>,
    is_down: AtomicBool,
    is_held: AtomicBool,
    passes: Semaphore,
    read: watch::Sender<usize>,
}

impl Source {
    /// A source with the users 1 to 200.
    pub(super) fn new() -> Self {
        let users = (1..=200).map(|id| (id, format!("user {id}"))).collect();
        Self(Arc::new(State {
            users: Mutex::new(users),
            calls: Mutex::default(),
            bad: Mutex::default(),
            is_down: AtomicBool::new(false),
            is_held: AtomicBool::new(false),
            passes: Semaphore::new(0),
            read: watch::Sender::new(0),
        }))
    }

    pub(super) fn set(&self, id: u32, user: &str) {
        self.0.users.lock().insert(id, user.to_owned());
    }

    /// Whether the source fails.
    pub(super) fn fail(&self, is_down: bool) {
        self.0.is_down.store(is_down, SeqCst);
    }

    /// Makes one row unreadable.
    pub(super) fn spoil(&self, id: u32) {
        self.0.bad.lock().insert(id);
    }

    /// Holds what is loaded from now on: it has been read, and is not given away.
    pub(super) fn hold(&self) {
        self.0.is_held.store(true, SeqCst);
    }

    /// Holds no further loads; those that are held stay so.
    pub(super) fn hold_no_more(&self) {
        self.0.is_held.store(false, SeqCst);
    }

    /// Lets one of the loads that are held go on.
    pub(super) fn release(&self) {
        self.0.passes.add_permits(1);
    }

    /// Waits until this many calls have read what they will bring.
    pub(super) async fn has_read(&self, calls: usize) {
        self.0.read.subscribe().wait_for(|read| *read >= calls).await.unwrap();
    }

    /// The keys of each call so far.
    pub(super) fn calls(&self) -> Vec<Vec<u32>> {
        self.0.calls.lock().clone()
    }

    /// The keys loaded so far.
    pub(super) fn loads(&self) -> usize {
        self.0.calls.lock().iter().map(Vec::len).sum()
    }

    async fn answer(&self, ids: &[u32]) -> Vec<Result<Loaded<String>, LoadError>> {
        self.0.calls.lock().push(ids.to_vec());
        let answers = ids.iter().map(|id| self.user(*id)).collect();
        let is_held = self.0.is_held.load(SeqCst);
        self.0.read.send_modify(|read| *read += 1);
        if is_held {
            self.0.passes.acquire().await.unwrap().forget();
        }
        answers
    }

    fn user(&self, id: u32) -> Result<Loaded<String>, LoadError> {
        if self.0.is_down.load(SeqCst) {
            return Err(LoadError::transient("the source is down"));
        }
        if self.0.bad.lock().contains(&id) {
            return Err(LoadError::permanent("the row cannot be read"));
        }
        Ok(self.0.users.lock().get(&id).cloned().into())
    }
}

impl Loader<u32, String> for Source {
    async fn load(&self, id: &u32, _cx: &LoadContext<String>) -> Result<Loaded<String>, LoadError> {
        self.answer(&[*id]).await.remove(0)
    }

    fn keys_per_call(&self) -> usize {
        2_000
    }

    async fn load_many(
        &self,
        keys: &[(u32, LoadContext<String>)],
    ) -> Vec<Result<Loaded<String>, LoadError>> {
        let ids: Vec<_> = keys.iter().map(|(id, _)| *id).collect();
        self.answer(&ids).await
    }
}
