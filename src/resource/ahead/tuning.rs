//! Changing what is loaded ahead while the engine runs.

use super::State;
use crate::clock::Moment;
use crate::entry::Entry;
use crate::error::ConfigError;
use crate::key::Key;
use crate::policy::PreloadPolicy;
use crate::resource::Resource;
use crate::resource::core::Core;

impl<K, V> Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Changes what is loaded ahead of this resource on this engine, for as long as it runs: from
    /// the next decision on. Loads under way go on; what waits for its turn does so too, unless
    /// nothing is loaded ahead any more.
    ///
    /// Start from [`Resource::preload_policy`] and change what differs. What was learned stays; in
    /// [`PreloadMode::Off`](crate::PreloadMode::Off) nothing more is. It looks at every entry where
    /// renewals or [`PreloadPolicy::extra_loads`] begin to hold, but holds no reader up.
    ///
    /// ```
    /// use forewarm::{ConfigError, PreloadMode, PreloadPolicy, Resource};
    ///
    /// fn stop_loading_ahead(users: &Resource<u64, String>) -> Result<(), ConfigError> {
    ///     users.tune(PreloadPolicy { mode: PreloadMode::Observe, ..users.preload_policy() })
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The policy cannot work; or it differs in what is decided at the start: `queue_max`,
    /// `warmed_per_second`, and [`PreloadMode::Classic`](crate::PreloadMode::Classic) with its terms,
    /// to which no other mode can change, nor back. The error names the setting, and nothing has
    /// changed.
    pub fn tune(&self, preload: PreloadPolicy) -> Result<(), ConfigError> {
        self.core.tune(preload)
    }

    /// What is loaded ahead of this resource now: as it was declared, or as it was last tuned.
    #[must_use]
    pub fn preload_policy(&self) -> PreloadPolicy {
        PreloadPolicy::clone(&self.core.ahead.policy())
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    fn tune(&self, preload: PreloadPolicy) -> Result<(), ConfigError> {
        let now = self.clock.now();
        let (renewed, was_bounded) = {
            // Changes come one after the other, each as a whole.
            let mut state = self.ahead.state.lock();
            preload.check_live(&self.ahead.policy(), &self.name)?;
            let before = (self.renews(), self.ahead.spending.is_bounded());
            let State { bucket, copies, .. } = &mut *state;
            for bucket in [bucket, copies] {
                bucket.tune(preload.loads_per_second, preload.burst, now);
            }
            self.ahead.spending.tune(preload.extra_loads);
            self.foreseeing.tune(&preload);
            self.ahead.adopt(preload);
            before
        };
        self.foreseeing.foresight.retarget(self.id);
        if !was_bounded && self.ahead.spending.is_bounded() {
            // Demand alone would have loaded what is held, and would not need it before then.
            self.fence.each(|entry| entry.set_demand_until(entry.life().fresh_until));
        }
        if !renewed && self.renews() {
            self.fence.await_due_anew(|entry| self.due_anew(entry, now));
        }
        // What has come due, or may not wait any more, is looked at.
        self.wake.notify_one();
        Ok(())
    }

    /// When an entry that did not come due does so now.
    fn due_anew(&self, entry: &Entry<K, V>, now: Moment) -> Option<Moment> {
        let life = entry.life();
        let is_renewable = entry.value().is_some() && now < life.fresh_until;
        is_renewable.then(|| self.due(&life)).flatten()
    }
}
