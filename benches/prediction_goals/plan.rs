//! What the goals want replayed.

use std::collections::{BTreeMap, BTreeSet};

use crate::setting::Setting;
use crate::traces;

/// The policies and thresholds of every setting.
#[derive(Debug, Default)]
pub(crate) struct Plan(BTreeMap<Setting, Wanted>);

/// What a setting is replayed with; demand alone always comes with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    policies: BTreeSet<&'static str>,
    /// In thousandths.
    thresholds: BTreeSet<u32>,
}

/// The one threshold that counts wherever nothing else is said: the default.
pub(crate) const DEFAULT: u32 = 500;

/// The thresholds of a sweep, in thousandths. The ends are for rivals that pay much, or next to
/// nothing.
pub(crate) const SWEEP: [u32; 19] =
    [20, 30, 60, 100, 150, 200, 250, 300, 350, 400, 500, 600, 700, 800, 900, 950, 970, 990, 1_000];

impl Plan {
    /// Adds policies to those of a setting, which has this threshold at least.
    pub(crate) fn want(&mut self, setting: Setting, policies: &[&'static str]) {
        let wanted = self.0.entry(setting).or_default();
        wanted.policies.insert("demand");
        wanted.policies.extend(policies);
        wanted.thresholds.insert(DEFAULT);
    }

    /// Adds the engine under all thresholds.
    pub(crate) fn sweep(&mut self, setting: Setting) {
        self.want(setting, &["forewarm"]);
        self.0.entry(setting).or_default().thresholds.extend(SWEEP);
    }

    /// All of it, the longest first, so that the end is not spent waiting for one of them.
    pub(crate) fn settings(self) -> Vec<(Setting, Wanted)> {
        let mut settings: Vec<_> = self.0.into_iter().collect();
        settings.sort_by_key(|(setting, wanted)| std::cmp::Reverse(wanted.requests(setting)));
        settings
    }
}

impl Wanted {
    /// About how many requests are made in all.
    pub(crate) fn requests(&self, setting: &Setting) -> u64 {
        let under_thresholds = u64::from(self.policies.contains("forewarm"));
        let replays = self.policies.len() as u64
            + under_thresholds * (self.thresholds.len() as u64).saturating_sub(1);
        traces::requests(setting.source) * replays
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let policies = self.policies.iter().map(|policy| ("--policy", (*policy).to_owned()));
        let thresholds = self.thresholds.iter();
        let thresholds = thresholds.map(|it| ("--threshold", (f64::from(*it) / 1e3).to_string()));
        policies.chain(thresholds).flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }
}
