//! Who changes something.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::script::Call;
use crate::tier::Node;

/// Numbers what a tier changes, so that what all domains are told is known to be one change.
#[derive(Debug)]
pub(super) struct Turns {
    /// Tells this tier from others, in whosever name they change things.
    pub(super) tier: u64,
    next: AtomicU64,
    channel: String,
}

impl Turns {
    pub(super) fn new(namespace: &str) -> Self {
        let channel = channel(namespace);
        Self { tier: fastrand::u64(..), next: AtomicU64::new(1), channel }
    }

    /// The next change.
    pub(super) fn next(&self, by: Node) -> Changer {
        let turn = self.next.fetch_add(1, Relaxed);
        Changer { by, tier: self.tier, turn, channel: self.channel.clone() }
    }
}

/// The channel on which changes are announced.
pub(super) fn channel(namespace: &str) -> String {
    format!("{namespace}:changed")
}

/// Who changes something.
#[derive(Clone, Debug)]
pub(super) struct Changer {
    by: Node,
    tier: u64,
    turn: u64,
    channel: String,
}

impl Changer {
    /// Adds what the scripts that change something are told of it.
    pub(super) fn introduce(&self, call: &mut Call<'_>) {
        call.arg(self.channel.clone().into_bytes());
        call.arg(self.by.0.to_be_bytes().to_vec());
        call.arg(self.tier.to_be_bytes().to_vec());
        call.number(self.turn);
    }
}
