//! A run before it begins.

use jiff::Timestamp;

use super::log::RunReason;
use crate::clock::Moment;
use crate::tier::RunId;

/// A run that is to be started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Due {
    pub(super) run_id: RunId,
    pub(super) scheduled: Timestamp,
    pub(super) reason: RunReason,
    /// Whether it is one of those that are done by one engine of several, so that one has to take it.
    pub(super) is_shared: bool,
    /// Whether it has been begun before, by an engine that has gone or has lost it.
    pub(super) is_adopted: bool,
    pub(super) not_before: Moment,
    /// After this it is missed.
    pub(super) give_up: Moment,
}

impl Due {
    /// A run that somebody has left.
    pub(super) const fn adopted(run_id: RunId, scheduled: Timestamp, reason: RunReason) -> Self {
        Self {
            run_id,
            scheduled,
            reason,
            is_shared: true,
            is_adopted: true,
            not_before: Moment::START,
            give_up: Moment::NEVER,
        }
    }

    /// Whether it stands for an instant, so that a later one may stand for it.
    pub(super) fn coalesces(&self) -> bool {
        self.reason != RunReason::Manual && !self.is_adopted
    }
}
