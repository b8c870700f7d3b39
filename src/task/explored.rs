//! Tasks of shuttle's executor, for exploring orders of events. There are no timers: a deadline
//! never comes, and a wait is over at once.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;

/// The tasks of one engine.
#[derive(Debug)]
pub(crate) struct Tasks;

impl Tasks {
    pub(crate) fn of_this_runtime() -> Option<Self> {
        Some(Self)
    }

    pub(crate) fn launch(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut work = Box::pin(work);
        if work.as_mut().now_or_never().is_none() {
            self.spawn(work);
        }
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        // The handle detaches when it is dropped.
        drop(shuttle::future::spawn(work));
    }

    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(dead_code, reason = "used by commits")
    )]
    pub(crate) fn carry_through(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.spawn(work);
    }

    pub(crate) fn spawn_loop(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.spawn(work);
    }

    pub(crate) fn is_broken(&self) -> bool {
        false
    }

    pub(crate) fn spawn_apart(
        &self,
        _name: &str,
        _follows_runtime: bool,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.spawn(work);
    }

    pub(crate) async fn run_blocking<R: Send + 'static>(
        &self,
        _name: &str,
        _follows_runtime: bool,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        Some(work())
    }

    pub(crate) fn is_stopping(&self) -> bool {
        false
    }

    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        std::future::pending()
    }

    pub(crate) async fn settled(&self) {}

    pub(crate) async fn shut_down(&self, _deadline: Duration) -> bool {
        true
    }

    pub(crate) fn stop(&self) {}
}

pub(crate) async fn sleep_until(_instant: Instant) {
    shuttle::future::yield_now().await;
}

pub(crate) async fn timeout_at<F: Future>(
    _instant: Instant,
    work: Pin<&mut F>,
) -> Option<F::Output> {
    Some(work.await)
}
