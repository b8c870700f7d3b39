//! What a replay found besides the figures of its row.

use std::time::Duration;

use super::series::Series;

/// What a replay found besides the figures of its row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) series: Series,
    /// When the first request was made that is counted, since the first of all.
    pub(crate) counted_from: Duration,
    /// What is read soon after what, the surest first.
    pub(crate) associations: Vec<Association>,
    /// What is read soon after what, whichever the key, the surest first.
    pub(crate) rules: Vec<RuleFound>,
}

/// One key tends to be read soon after another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Association {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The share of the reads of `from` that a read of `to` followed.
    pub(crate) confidence: f64,
    /// The reads of `from` that it is known by, decayed.
    pub(crate) weight: f64,
}

/// The same key tends to be read of one resource soon after it was read of another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RuleFound {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The share of the reads of `from` that a read of `to` followed.
    pub(crate) confidence: f64,
}
