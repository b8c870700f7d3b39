//! Sharing which keys are hot with the other engines on the same L2.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use crate::entry::Reason;
use crate::key::Key;
use crate::predictor::Candidate;

/// So many keys of a resource are shared.
const SHARED_MAX: usize = 100;
/// Keys of less heat are not hot.
const HEAT_MIN: f64 = 1.0;

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Tells the other engines what is hot here, and copies from L2 what is hot elsewhere. What is
    /// told is forgotten after `keep_for`.
    pub(super) async fn share_hot(self: Arc<Self>, keep_for: Duration) {
        let Some(shared) = self.shared.as_ref().filter(|shared| shared.holds_values) else {
            return;
        };
        if !shared.l2.is_up() {
            return;
        }
        let hottest = self.fence.hottest(SHARED_MAX, self.clock.now());
        let named = hottest.iter().take_while(|hot| hot.heat >= HEAT_MIN);
        let named: Vec<_> =
            named.filter_map(|hot| Some((self.stored_key(hot.entry.key())?, hot.heat))).collect();
        let hot: Vec<_> = named.iter().map(|(key, heat)| (&**key, *heat)).collect();
        let Some(elsewhere) = shared.l2.merge_hot(&self.group, &hot, keep_for).await else {
            return;
        };
        if self.loads_ahead() {
            let lacking = elsewhere.into_iter().take(SHARED_MAX).filter_map(|hot| {
                let key = self.parse(&hot.key).filter(|key| !self.holds_fresh(key))?;
                let hash = self.fence.hash(&key);
                Some(Candidate::new(key, hash, 1.0, Reason::Elsewhere))
            });
            let lacking: Vec<_> = lacking.collect();
            self.copy_ahead(lacking);
        }
    }
}
