//! How the source is asked: slowly, so that much can come in between, and not always with success.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::counters::{Counters, value_of};
use crate::error::LoadError;
use crate::loader::{LoadContext, Loaded, Loader};

/// Loads the counters.
#[derive(Debug)]
pub(super) struct Loads {
    counters: Arc<Counters>,
    random: Mutex<fastrand::Rng>,
}

/// What chance decides of a load.
struct Course {
    before: Duration,
    after: Duration,
    failure: Option<LoadError>,
    ttl: Option<Duration>,
}

/// How many tags there are; each key has one of them.
pub(super) const TAGS: u32 = 8;

/// What is loaded is fresh for this long, if a load does not say otherwise: longer than a window,
/// so that what is stale has the time to be seen.
pub(super) const TTL: Duration = Duration::from_secs(12);

/// The tag of a key.
pub(super) fn tag_of(key: u32) -> String {
    format!("tag-{}", key % TAGS)
}

impl Loads {
    pub(super) fn new(counters: Arc<Counters>, random: fastrand::Rng) -> Self {
        Self { counters, random: Mutex::new(random) }
    }

    fn course(&self) -> Course {
        let mut random = self.random.lock();
        let millis = |millis: u64| Duration::from_millis(millis);
        let after = match random.u32(..100) {
            0..10 => 0,
            10..98 => random.u64(..20),
            _ => 200,
        };
        let failure = match random.u32(..200) {
            0 => Some(LoadError::transient("a failure that passes")),
            1 | 2 => Some(LoadError::permanent("a failure that stays")),
            _ => None,
        };
        let is_short = random.u32(..8) == 0;
        let ttl = is_short.then(|| millis(random.u64(200..2_000)));
        Course { before: millis(random.u64(..3)), after: millis(after), failure, ttl }
    }
}

impl Loader<u32, u64> for Loads {
    async fn load(&self, key: &u32, _cx: &LoadContext<u64>) -> Result<Loaded<u64>, LoadError> {
        let Course { before, after, failure, ttl } = self.course();
        pause(before).await;
        let version = self.counters.read(*key).map_err(LoadError::transient)?;
        // What was read is old already when it gets to the cache.
        pause(after).await;
        if let Some(failure) = failure {
            return Err(failure);
        }
        let loaded = Loaded::from(value_of(version)).version(version).tags([tag_of(*key)]);
        Ok(match ttl {
            Some(ttl) => loaded.ttl(ttl),
            None => loaded,
        })
    }
}

async fn pause(span: Duration) {
    if !span.is_zero() {
        tokio::time::sleep(span).await;
    }
}
