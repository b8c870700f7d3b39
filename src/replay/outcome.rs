//! What a replay found besides the figures of its row.

use std::time::Duration;

use super::series::Series;
use crate::resource::{LearnedPair, LearnedRule};

/// What a replay found besides the figures of its row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) series: Series,
    /// When the first request was made that is counted, since the first of all.
    pub(crate) counted_from: Duration,
    /// What is usually read after what, most often first.
    pub(crate) pairs: Vec<LearnedPair>,
    /// What is usually read after what, whichever the key, surest first.
    pub(crate) rules: Vec<LearnedRule>,
}
