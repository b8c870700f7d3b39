//! Tasks of a tokio runtime.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of one engine.
#[derive(Debug)]
pub(crate) struct Tasks {
    runtime: Handle,
    /// Loads and writes: they end by themselves.
    works: TaskTracker,
    /// Loops: they end when they are told to.
    loops: TaskTracker,
    stop: CancellationToken,
    abort: CancellationToken,
    /// Whether a loop has ended by a panic.
    is_broken: Arc<AtomicBool>,
}

/// How long it is waited for work that has been aborted.
const ABORTED_WITHIN: Duration = Duration::from_millis(500);

impl Tasks {
    /// Tasks of the runtime that the caller is in, or `None` outside of one.
    pub(crate) fn of_this_runtime() -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        let (works, loops) = (TaskTracker::new(), TaskTracker::new());
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let is_broken = Arc::new(AtomicBool::new(false));
        Some(Self { runtime, works, loops, stop, abort, is_broken })
    }

    /// Runs `work` to its end, whatever becomes of the caller.
    ///
    /// It is polled once at once, in the caller's place: work that can end without waiting costs
    /// no task.
    pub(crate) fn launch(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut work = Box::pin(work);
        if work.as_mut().now_or_never().is_none() {
            self.spawn(work);
        }
    }

    /// Runs `work` to its end in a task of its own.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let aborted = self.abort.clone().cancelled_owned();
        let work = async move {
            // An aborted work is dropped, and what it holds lands itself as it goes. It is not
            // asked first: with the slot of another one that was dropped it would begin a load.
            tokio::select! {
                biased;
                () = aborted => {}
                () = work => {}
            }
        };
        self.works.spawn_on(work, &self.runtime);
    }

    /// Runs `work` to its end, which a shutdown waits for until its deadline, and never cuts off.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(dead_code, reason = "used by commits")
    )]
    pub(crate) fn carry_through(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (token, aborted) = (self.works.token(), self.abort.clone().cancelled_owned());
        let work = async move {
            let mut work = Box::pin(work);
            tokio::select! {
                biased;
                () = &mut work => return,
                () = aborted => drop(token),
            }
            work.await;
        };
        drop(self.runtime.spawn(work));
    }

    /// Runs a loop that watches [`Tasks::stopped`].
    pub(crate) fn spawn_loop(&self, work: impl Future<Output = ()> + Send + 'static) {
        let is_broken = Arc::clone(&self.is_broken);
        let work = async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                is_broken.store(true, Relaxed);
                tracing::error!("work in the background has panicked, and ended");
            }
        };
        self.loops.spawn_on(work, &self.runtime);
    }

    /// Whether a loop has ended by a panic.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken.load(Relaxed)
    }

    /// Runs `work` on a thread and a runtime of its own, so that it goes on whatever holds up the
    /// threads of this one. Nobody waits for its end. `follows_runtime` is for time that a test has
    /// paused: then it stays here, since no other runtime shows that time.
    pub(crate) fn spawn_apart(
        &self,
        name: &str,
        follows_runtime: bool,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        if follows_runtime {
            drop(self.runtime.spawn(work));
            return;
        }
        let run = || match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(work),
            Err(error) => tracing::error!(%error, "a thread has no runtime of its own"),
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        if let Err(error) = thread {
            tracing::error!(%error, name, "a thread cannot be started");
        }
    }

    /// Runs what blocks its thread, and waits for it; `None` if it panicked, or has no thread.
    ///
    /// The thread is its own, since a disk may hang, which cannot be aborted: neither shutdown nor
    /// the end of the runtime wait for it. `follows_runtime` is for time that a test has paused:
    /// that stands still only while a thread of the runtime is at work.
    pub(crate) async fn run_blocking<R: Send + 'static>(
        &self,
        name: &str,
        follows_runtime: bool,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        if follows_runtime {
            return self.runtime.spawn_blocking(work).await.ok();
        }
        let ((done, ended), runtime) = (oneshot::channel(), self.runtime.clone());
        let run = move || {
            // What is dropped here may have to spawn.
            let _inside = runtime.enter();
            // Whoever has gone does not wait for it any more.
            drop(done.send(work()));
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        if let Err(error) = thread {
            tracing::error!(%error, name, "a thread cannot be started");
        }
        ended.await.ok()
    }

    /// Whether shutdown has begun.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Ends when shutdown begins.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        self.stop.clone().cancelled_owned()
    }

    /// Waits until no work is under way.
    pub(crate) async fn settled(&self) {
        self.works.close();
        self.works.wait().await;
        self.works.reopen();
    }

    /// Stops the loops, and waits for loops and work until `deadline`; then aborts what is left.
    /// Gives whether everything ended by itself.
    pub(crate) async fn shut_down(&self, deadline: Duration) -> bool {
        self.stop.cancel();
        self.works.close();
        self.loops.close();
        let ended = async {
            self.loops.wait().await;
            self.works.wait().await;
        };
        let in_time = tokio::time::timeout(deadline, ended).await.is_ok();
        self.abort.cancel();
        // Work that blocks its thread cannot be aborted, and is not waited for.
        drop(tokio::time::timeout(ABORTED_WITHIN, self.works.wait()).await);
        in_time
    }

    /// Tells the loops to stop, without waiting for them.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}

/// Waits until `instant`.
pub(crate) async fn sleep_until(instant: Instant) {
    Box::pin(tokio::time::sleep_until(instant)).await;
}

/// Waits for `work` until `instant`; `None` if it took longer. The caller pins it, so that it is
/// not moved into this future as well.
pub(crate) async fn timeout_at<F: Future>(
    instant: Instant,
    mut work: Pin<&mut F>,
) -> Option<F::Output> {
    // What is ready at once needs no timer; and a timer is large, so that it stands apart.
    let first = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
    match first {
        Poll::Ready(output) => Some(output),
        Poll::Pending => Box::pin(tokio::time::timeout_at(instant, work)).await.ok(),
    }
}
