//! What is remembered of a resource across restarts.

use serde::{Deserialize, Serialize};

use crate::predictor::KnownCalibration;
use crate::recorder::Habit;

/// What is remembered of a resource across restarts: texts of keys and numbers, never values.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Remembered {
    /// The keys that are read most, those with the highest scores first.
    pub(crate) hot: Vec<HotText>,
    pub(crate) calibration: KnownCalibration,
}

/// A key that is read much.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct HotText {
    pub(crate) text: Box<str>,
    pub(crate) habit: Habit,
}
