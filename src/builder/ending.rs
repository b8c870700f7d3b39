//! How an engine ends.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Forewarm;
use crate::memory;

/// The times by which the parts of an end must have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// When work under way is aborted.
    pub(crate) work: Instant,
    /// When nothing is waited for any more: that L2 is told, and that what was learned is written.
    pub(crate) all: Instant,
}

/// What of an end was done by its deadlines.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "service"), expect(dead_code, reason = "the service says what it was"))]
pub(crate) struct Ended {
    /// All work ended by itself.
    pub(crate) work: bool,
    /// L2 has heard of all that it was to hear of.
    pub(crate) told: bool,
    /// What is to be remembered was looked at for a last time.
    pub(crate) written: bool,
}

/// The least time that L2 and the file of the memory get, if the work has taken all.
pub(crate) const LAST_MIN: Duration = Duration::from_secs(1);
/// The longest that L2 is tried at the end.
const TELL_MAX: Duration = Duration::from_secs(5);
/// The rest between two tries.
const TELL_AGAIN: Duration = Duration::from_millis(100);

impl Deadlines {
    /// Deadlines a span from now.
    pub(crate) fn after(span: Duration) -> Self {
        let now = Instant::now();
        // As long as a clock goes, where somebody waits for ever.
        let work = now.checked_add(span).unwrap_or_else(|| now + Duration::from_hours(1 << 16));
        Self { work, all: work + LAST_MIN }
    }
}

impl Forewarm {
    /// Stops the work in the background, waits for what is under way, tells L2 what it has not heard of
    /// yet, and ends its use. What has not ended by `deadline` is aborted, and those who wait for it get
    /// [`Error::ShutDown`](crate::Error::ShutDown). Gives whether everything ended by itself.
    ///
    /// L2 is told, and what was learned is written, by the same deadline, or within a second after it.
    ///
    /// What is in memory can still be read, with an L2 for as long as its coherence window lasts;
    /// whatever would have to be loaded is an error.
    pub async fn shutdown(&self, deadline: Duration) -> bool {
        self.end_by(Deadlines::after(deadline)).await.work
    }

    /// The same by two deadlines, and what was done by them.
    pub(crate) async fn end_by(&self, deadlines: Deadlines) -> Ended {
        let until_work = deadlines.work.saturating_duration_since(Instant::now());
        let work = self.engine.tasks.shut_down(until_work).await;
        // The one must not take the time of the other: L2 may hang, and so may a disk.
        let (told, written) =
            tokio::join!(self.end_l2(deadlines.all), self.write_memory(deadlines.all));
        let ended = Ended { work, told, written };
        tracing::info!(work, told, written, "shut down");
        ended
    }

    /// Ends the use of L2, which is told first of what it has not heard of, and would else be forgotten
    /// with this process. Gives whether it has heard of everything.
    async fn end_l2(&self, deadline: Instant) -> bool {
        let telling = deadline.min(Instant::now() + TELL_MAX);
        let in_time = self.engine.jobs.end(deadline).await;
        let Some(l2) = &self.engine.l2 else { return in_time };
        let told = self.deliver_all_by(telling).await;
        let closing = async {
            l2.leave_nodes(self.engine.prefix.as_str()).await;
            l2.close().await;
        };
        // What has not ended by then ends with the process.
        let is_closed = timeout_at(deadline, closing).await.is_ok();
        tracing::debug!(is_closed, "the use of L2 has ended");
        told && in_time
    }

    /// Tells L2 until then; gives whether it has heard of everything.
    async fn deliver_all_by(&self, deadline: Instant) -> bool {
        let told = timeout_at(deadline, self.deliver_all()).await.is_ok();
        if !told {
            tracing::warn!(
                "L2 could not be told of all invalidations; other engines may read what it holds until it ends by its ttl"
            );
        }
        told
    }

    /// Tells L2 until it has heard of everything.
    async fn deliver_all(&self) {
        if self.deliver_queued().await {
            return;
        }
        tracing::info!("L2 does not take what it has missed; it is tried again");
        while !self.deliver_queued().await {
            tokio::time::sleep(TELL_AGAIN).await;
        }
    }

    async fn deliver_queued(&self) -> bool {
        let mut is_done = true;
        for resource in self.engine.resources() {
            is_done &= resource.deliver_queued().await;
        }
        is_done
    }

    /// Writes what is to be remembered, a last time; gives whether that ended in time.
    pub(crate) async fn write_memory(&self, deadline: Instant) -> bool {
        let Some(memory) = &self.memory else { return true };
        // A disk that hangs must not hold the process up for ever.
        let written = timeout_at(deadline, memory::end(&self.engine, memory)).await.is_ok();
        if !written {
            tracing::warn!("the memory could not be written a last time: the disk does not answer");
        }
        written
    }
}
