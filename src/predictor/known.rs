//! What was learned, in a form that outlives the process.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A key whose followers were learned.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct KnownKey {
    /// The place of its resource.
    pub(crate) resource: u16,
    pub(crate) text: Box<str>,
    /// Its reads, decayed.
    pub(crate) reads: f32,
    /// NaN until there were two reads.
    pub(crate) gap_secs: f32,
    /// The time since its last read.
    pub(crate) quiet_secs: f32,
    pub(crate) coverage: f32,
    pub(crate) followers: Vec<KnownFollower>,
}

/// A key that follows another.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct KnownFollower {
    /// Its place among the keys.
    pub(crate) to: u32,
    pub(crate) weight: f32,
    pub(crate) is_far: bool,
}

/// What follows the reads of a resource with the same id.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct KnownLeader {
    pub(crate) reads: f32,
    /// Weights by the place of the resource that follows.
    pub(crate) followers: Vec<(u16, f32)>,
}

/// What came of the predictions for a resource.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct KnownCalibration {
    /// How many cells there are: what was counted in other ones says nothing.
    pub(crate) layout: u16,
    /// Of cells that are not empty: their place, what came true, and all.
    pub(crate) cells: Vec<(u16, f32, f32)>,
    /// Recent outcomes: what came true, and all.
    pub(crate) recent: (u32, u32),
}

/// All that was learned of keys and resources.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Knowledge {
    pub(crate) keys: Vec<KnownKey>,
    /// By the place of the resource.
    pub(crate) leaders: Vec<KnownLeader>,
}

impl Knowledge {
    /// Forgets all that is known of other resources than these.
    pub(crate) fn forget_but(&mut self, is_kept: impl Fn(u16) -> bool) {
        let ids = (0..).zip(std::mem::take(&mut self.keys));
        let kept: Vec<_> = ids.filter(|(_, key)| is_kept(key.resource)).collect();
        let max = kept.len();
        self.keys = most_read(kept, max);
    }

    /// Has resources be named by other places; `None` where they are gone.
    pub(crate) fn move_to(&mut self, places: &[Option<u16>], resources: usize) {
        let moved = |place: u16| places.get(usize::from(place)).copied().flatten();
        for key in &mut self.keys {
            // A place that no resource has.
            key.resource = moved(key.resource).unwrap_or(u16::MAX);
        }
        let mut leaders = vec![KnownLeader::default(); resources];
        // No resource has a place beyond these.
        for (place, mut leader) in (0..=u16::MAX).zip(std::mem::take(&mut self.leaders)) {
            leader.followers.retain_mut(|(to, _)| {
                let at = moved(*to);
                *to = at.unwrap_or_default();
                at.is_some()
            });
            if let Some(slot) = moved(place).and_then(|place| leaders.get_mut(usize::from(place))) {
                *slot = leader;
            }
        }
        self.leaders = leaders;
    }
}

/// Keeps the `max` keys that were read most of those found, each with the name by which the others
/// know it, and has them name each other by their place instead.
pub(crate) fn most_read(mut found: Vec<(u32, KnownKey)>, max: usize) -> Vec<KnownKey> {
    found.sort_by(|a, b| b.1.reads.total_cmp(&a.1.reads));
    found.truncate(max);
    let places: HashMap<u32, u32> =
        (0..).zip(&found).map(|(place, (id, _))| (*id, place)).collect();
    let with_places = |(_, mut key): (u32, KnownKey)| {
        key.followers.retain_mut(|follower| {
            let place = places.get(&follower.to);
            follower.to = place.copied().unwrap_or_default();
            place.is_some()
        });
        key
    };
    found.into_iter().map(with_places).collect()
}

/// A figure from outside, which may be anything.
pub(super) fn amount(figure: f32) -> f32 {
    const MOST: f32 = 1e9;
    if figure.is_nan() { 0.0 } else { figure.clamp(0.0, MOST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(reads: f32, to: &[u32]) -> KnownKey {
        let follower = |to: &u32| KnownFollower { to: *to, weight: 1.0, is_far: false };
        let followers = to.iter().map(follower).collect();
        let (gap_secs, quiet_secs, coverage) = (f32::NAN, 0.0, 0.0);
        KnownKey { resource: 0, text: "k".into(), reads, gap_secs, quiet_secs, coverage, followers }
    }

    #[test]
    fn what_is_left_out_is_followed_by_nothing_and_follows_nothing() {
        let found = vec![(70, key(1.0, &[80])), (80, key(9.0, &[70, 90])), (90, key(5.0, &[80]))];
        let kept = most_read(found, 2);
        let seen: Vec<_> = kept
            .iter()
            .map(|key| (key.reads, key.followers.iter().map(|to| to.to).collect::<Vec<_>>()))
            .collect();
        assert_eq!(seen, [(9.0, vec![1]), (5.0, vec![0])]);
    }

    #[test]
    fn leaders_of_more_resources_than_have_places_are_left_out() {
        let leaders = vec![KnownLeader { reads: 1.0, followers: Vec::new() }; (1 << 16) + 1];
        let mut knowledge = Knowledge { leaders, ..Knowledge::default() };
        knowledge.move_to(&vec![Some(0); 1 << 16], 1);
        assert_eq!(knowledge.leaders.len(), 1);
    }

    #[test]
    fn figures_from_outside_are_amounts() {
        let given = [f32::NAN, -1.0, 0.5, f32::INFINITY, f32::NEG_INFINITY];
        let amounts = given.map(|figure| amount(figure).to_string());
        assert_eq!(amounts, ["0", "0", "0.5", "1000000000", "0"]);
    }
}
