//! Following the log of L2: what others have changed, and the lease that this gives.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};

use super::L2;
use crate::clock::Moment;
use crate::metrics::{CHANGES_HEARD, COHERENCE_GAPS, COHERENCE_LAG, L2Op};
use crate::sync::Mutex;
use crate::task;
use crate::tier::{Change, Cursor, Polled};

/// Who heeds what others have changed.
pub(crate) trait Heed: Send + Sync {
    /// Something was changed by somebody else.
    fn heed(&self, change: &Change);

    /// Anything may have been changed.
    fn void_all(&self);

    /// Sets apart what began before now.
    fn mark(&self);

    /// Anything may have been changed before the mark, and nothing after it.
    fn void_marked(&self);
}

/// How far the log has been followed.
#[derive(Default)]
pub(super) struct Following {
    heed: OnceLock<Weak<dyn Heed>>,
    /// One poll at a time; those who come meanwhile use its answer, if it was sent late enough.
    state: tokio::sync::Mutex<State>,
    /// What puts are compared with.
    cursor: Mutex<Cursor>,
    /// When the last poll was sent that left nothing untold.
    synced_at: AtomicU64,
    gaps: AtomicU64,
    heard: AtomicU64,
}

#[derive(Default)]
struct State {
    cursor: Cursor,
    /// The changes that the last poll told of, which the next may tell of again.
    told: HashSet<u64>,
}

impl L2 {
    /// Says who heeds what others change.
    pub(crate) fn follow_for(&self, heed: Weak<dyn Heed>) {
        // An engine starts once.
        drop(self.following.heed.set(heed));
    }

    /// Waits until the log may have grown.
    pub(crate) async fn changed(&self) {
        self.tier.changed().await;
    }

    /// Hears of everything that was acknowledged before this call, and heeds it: then the lease is
    /// extended. Gives whether that was possible.
    ///
    /// Calls that come together share a poll. Dropping the future loses nothing.
    pub(crate) async fn sync(&self) -> bool {
        let called_at = self.clock.now();
        let mut state = self.following.state.lock().await;
        let synced_at = &self.following.synced_at;
        if Moment::from_bits(synced_at.load(Relaxed)) >= called_at {
            return true;
        }
        loop {
            let sent_at = self.clock.now();
            if state.cursor.0.is_empty() {
                // Nothing is known of what happened before, and everything of what happens later.
                self.heed().iter().for_each(|heed| heed.mark());
            }
            let work = self.tier.poll(&state.cursor);
            let polled = self.call(L2Op::Poll, self.config.write_timeout, work).await;
            let Some(polled) = polled else { return false };
            let has_more = polled.has_more;
            self.heed_all(&mut state, polled);
            if !has_more {
                synced_at.store(sent_at.to_bits(), Relaxed);
                self.trust.extend(sent_at);
                return true;
            }
        }
    }

    /// [`L2::sync`] for a reader, who waits no longer than for any other answer.
    pub(crate) async fn sync_for_read(&self) {
        let deadline = self.clock.now().plus(self.config.read_timeout);
        task::timeout_at(self.clock.instant(deadline), std::pin::pin!(self.sync())).await;
    }

    /// Where this engine stands in the log; nowhere, while it cannot be sure of it.
    pub(crate) fn heard(&self) -> Cursor {
        if self.trust.holds(self.clock.now()) {
            self.following.cursor.lock().clone()
        } else {
            Cursor::default()
        }
    }

    fn heed(&self) -> Option<Arc<dyn Heed>> {
        self.following.heed.get().and_then(Weak::upgrade)
    }

    fn heed_all(&self, state: &mut State, polled: Polled) {
        let heed = self.heed();
        if state.cursor.0.is_empty() {
            heed.iter().for_each(|heed| heed.void_marked());
        } else if polled.is_gap {
            self.following.gaps.fetch_add(1, Relaxed);
            tracing::warn!("changes in the second tier were missed: memory is loaded anew");
            heed.iter().for_each(|heed| heed.void_all());
        }
        let told = std::mem::take(&mut state.told);
        for logged in polled.changes {
            state.told.insert(logged.id);
            // What this engine changes, it has changed here before.
            let is_news = logged.by != self.node && !told.contains(&logged.id);
            if is_news {
                self.following.heard.fetch_add(1, Relaxed);
                heed.iter().for_each(|heed| heed.heed(&logged.change));
            }
        }
        self.following.cursor.lock().clone_from(&polled.cursor);
        state.cursor = polled.cursor;
    }

    /// Brings to the `metrics` facade what was heard, and how long ago that was everything.
    pub(super) fn publish_following(&self) {
        let Following { gaps, heard, synced_at, .. } = &self.following;
        metrics::counter!(COHERENCE_GAPS).increment(gaps.swap(0, Relaxed));
        metrics::counter!(CHANGES_HEARD).increment(heard.swap(0, Relaxed));
        // As long as nothing was heard, the lag is that since the start.
        let synced_at = Moment::from_bits(synced_at.load(Relaxed)).max(Moment::START);
        let lag_secs = self.clock.now().since(synced_at).as_secs_f64();
        metrics::gauge!(COHERENCE_LAG).set(lag_secs);
    }
}
