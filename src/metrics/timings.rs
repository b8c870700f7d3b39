//! Histograms of how long loads take.

use std::fmt;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use metrics::{Histogram, Label};

use super::LOAD_SECONDS;
use crate::entry::Origin;

/// Histograms of how long calls of a loader take, by why they were made.
///
/// To find a histogram by its name costs more than to record in it, so they are found whenever
/// figures are published, and at the start: a recorder that is installed before that misses none.
#[derive(Default)]
pub(crate) struct Timings(ArcSwapOption<[Histogram; Origin::ALL.len()]>);

impl Timings {
    /// Finds the histograms of the recorder that is installed now.
    pub(crate) fn find(&self, resource: &str) {
        let histogram = |origin: Origin| {
            let origin = Label::from_static_parts("origin", origin.label());
            metrics::histogram!(
                LOAD_SECONDS,
                vec![Label::new("resource", resource.to_owned()), origin]
            )
        };
        self.0.store(Some(Origin::ALL.map(histogram).into()));
    }

    pub(crate) fn record(&self, origin: Origin, took: Duration) {
        let found = self.0.load();
        if let Some(histogram) = found.as_ref().and_then(|found| found.get(origin as usize)) {
            histogram.record(took.as_secs_f64());
        }
    }
}

impl fmt::Debug for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timings").finish_non_exhaustive()
    }
}
