//! What a resource remembers across restarts.

use std::time::Duration;

use super::core::Core;
use crate::clock::Moment;
use crate::engine::{HotText, Remembered};
use crate::key::Key;
use crate::l1::Lookup;
use crate::policy::PreloadMode;
use crate::score::Past;

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// What is to be remembered, of at most so many keys; `None` if nothing is.
    ///
    /// What was hot before the last restart and is not in memory yet is not forgotten for that: a
    /// source that is away while two processes start must not cost the second one its memory.
    pub(super) fn remember(&self, keys_max: usize) -> Option<Remembered> {
        if self.ahead.policy().mode == PreloadMode::Off || !self.keeps() {
            return None;
        }
        let now = self.clock.now();
        let held = self.fence.hottest(keys_max, now).into_iter();
        let held = held.filter_map(|hot| self.hot(hot.entry.key(), &hot.past, now));
        let is_missing =
            |key: &K, hash: u64| self.fence.l1().fresh_until(Lookup::new(hash, key)).is_none();
        let missing = self.unwarmed().into_iter().filter_map(|(key, hash)| {
            is_missing(&key, hash).then(|| self.hot(&key, &self.fence.absent(hash), now))?
        });
        let mut hot: Vec<_> = held.chain(missing).collect();
        hot.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        hot.truncate(keys_max);
        let hot = hot.into_iter().map(|(_, hot)| hot).collect();
        Some(Remembered { hot, calibration: self.calibration().known() })
    }

    /// A key's heat, and what is to be remembered of it.
    fn hot(&self, key: &K, past: &Past, now: Moment) -> Option<(f64, HotText)> {
        let recorder = self.fence.recorder();
        let habit = recorder.habit(past, now);
        if habit.score <= 0.0 {
            return None;
        }
        let text = self.ask_user(|| key.to_string())?.into();
        Some((recorder.heat(past, now), HotText { text, habit }))
    }

    /// Takes over what was remembered by a process that ended `away` ago; gives how many of the keys
    /// are keys still.
    pub(super) fn recall(&self, remembered: &Remembered, away: Duration) -> usize {
        self.calibration().recall(&remembered.calibration);
        self.recall_hot(&remembered.hot, away)
    }
}
