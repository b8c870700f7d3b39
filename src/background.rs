//! Work behind the readers: loops that run until shutdown.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::task::{self, Tasks};

/// When a job runs next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// At this moment, or when it is woken.
    At(crate::clock::Moment),
    /// After this time, or when it is woken.
    After(Duration),
    /// When it is woken.
    Woken,
    /// Never: what it works for is gone.
    Never,
}

/// Runs `job` again and again: when it says, and when `wake` is notified, which may be before a run
/// has ended. Runs never overlap, and shutdown lets the present one end.
pub(crate) fn repeat<Job, Run>(tasks: &Tasks, clock: Clock, wake: Arc<Notify>, mut job: Job)
where
    Job: FnMut() -> Run + Send + 'static,
    Run: Future<Output = Next> + Send,
{
    let stopped = tasks.stopped();
    tasks.spawn_loop(async move {
        let mut stopped = std::pin::pin!(stopped);
        loop {
            let next = job().await;
            let due = async {
                match next {
                    Next::At(moment) => task::sleep_until(clock.instant(moment)).await,
                    Next::After(span) => {
                        task::sleep_until(clock.instant(clock.now().plus(span))).await;
                    }
                    Next::Woken | Next::Never => std::future::pending().await,
                }
            };
            if next == Next::Never {
                return;
            }
            tokio::select! {
                biased;
                () = &mut stopped => return,
                () = wake.notified() => {}
                () = due => {}
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    #[tokio::test(start_paused = true)]
    async fn a_job_runs_when_it_says_and_when_it_is_woken() {
        let tasks = Tasks::of_this_runtime().unwrap();
        let (wake, runs) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&runs);
        repeat(&tasks, Clock::system(), Arc::clone(&wake), move || {
            counted.fetch_add(1, SeqCst);
            async { Next::After(Duration::from_mins(1)) }
        });
        for (passed_secs, expected) in [(0, 1), (59, 1), (1, 2), (60, 3)] {
            tokio::time::sleep(Duration::from_secs(passed_secs)).await;
            tokio::task::yield_now().await;
            assert_eq!(runs.load(SeqCst), expected);
        }
        wake.notify_one();
        tokio::task::yield_now().await;
        assert_eq!(runs.load(SeqCst), 4);
        assert!(tasks.shut_down(Duration::from_secs(1)).await);
        wake.notify_one();
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(runs.load(SeqCst), 4);
    }
}
