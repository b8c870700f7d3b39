//! Reads that belong together.

use std::future::Future;
use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::FixedState;

/// The reads of one client of an engine: what is read after what is learned within it.
///
/// Whatever reads belong together makes a good client: a session, a user, a connection. Made by
/// [`Forewarm::scope_of`](crate::Forewarm::scope_of), or by
/// [`Forewarm::scope`](crate::Forewarm::scope) for the length of a future. A scope does not follow
/// `tokio::spawn` by itself:
///
/// ```
/// # async fn example() {
/// use forewarm::Scope;
///
/// let scope = Scope::current();
/// tokio::spawn(async move {
///     let work = async { /* reads that belong to the same client */ };
///     match scope {
///         Some(scope) => scope.run(work).await,
///         None => work.await,
///     }
/// });
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Scope {
    /// Tells the scopes of different engines apart.
    engine: usize,
    client: u64,
}

impl Scope {
    /// The scope of a client of an engine, with the seed of that engine: since nobody can foresee
    /// it, nobody can choose clients that collide.
    pub(crate) fn new(engine: usize, seed: u64, client: &(impl Hash + ?Sized)) -> Self {
        Self { engine, client: FixedState::with_seed(seed).hash_one(client) }
    }

    /// The scope that the caller runs in, if any: the innermost.
    #[must_use]
    pub fn current() -> Option<Self> {
        local::current()
    }

    /// Whether the caller runs in a scope.
    #[inline]
    pub(crate) fn is_current() -> bool {
        local::current().is_some()
    }

    /// Runs a future in this scope.
    pub fn run<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        local::scope(self, future)
    }

    /// Calls a function in this scope.
    pub fn enter<R>(self, function: impl FnOnce() -> R) -> R {
        local::enter(self, function)
    }

    /// The client, if the scope is one of this engine.
    pub(crate) fn client_of(self, engine: usize) -> Option<u64> {
        (self.engine == engine).then_some(self.client)
    }
}

/// The scope of the task that is running.
#[cfg(not(shuttle))]
mod local {
    use std::cell::Cell;

    use super::Scope;
    use crate::current;

    thread_local! {
        static SCOPE: Cell<Option<Scope>> = const { Cell::new(None) };
    }

    #[inline]
    pub(super) fn current() -> Option<Scope> {
        SCOPE.get()
    }

    pub(super) fn scope<F: Future>(scope: Scope, future: F) -> impl Future<Output = F::Output> {
        current::within(&SCOPE, Some(scope), future)
    }

    pub(super) fn enter<R>(scope: Scope, function: impl FnOnce() -> R) -> R {
        current::enter(&SCOPE, Some(scope), function)
    }
}

/// Under shuttle nothing is learned.
#[cfg(shuttle)]
mod local {
    use super::Scope;

    pub(super) const fn current() -> Option<Scope> {
        None
    }

    pub(super) fn scope<F: Future>(_scope: Scope, future: F) -> impl Future<Output = F::Output> {
        future
    }

    pub(super) fn enter<R>(_scope: Scope, function: impl FnOnce() -> R) -> R {
        function()
    }
}
