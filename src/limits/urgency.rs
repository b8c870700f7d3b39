//! How urgent a load is, which may grow while it waits.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use tokio::sync::Notify;

use super::Class;

/// How urgent a load is, and what it need not wait for.
///
/// A preload that somebody asks for becomes demand. A load that another loader waits for borrows
/// the slots which that loader holds: otherwise loaders could fill all slots and wait, inside them,
/// for loads that wait for slots.
#[derive(Debug)]
pub(crate) struct Urgency {
    class: AtomicU8,
    lent: AtomicU8,
    changed: Notify,
}

/// Whose slot is lent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lent {
    /// The source's own.
    Source = 1,
    /// The one that all sources of the engine share.
    Engine = 2,
}

impl Urgency {
    pub(crate) fn new(class: Class) -> Self {
        Self { class: AtomicU8::new(class as u8), lent: AtomicU8::new(0), changed: Notify::new() }
    }

    /// Makes it at least as urgent as `class`.
    pub(crate) fn raise(&self, class: Class) {
        if self.class.fetch_min(class as u8, Relaxed) > class as u8 {
            self.changed.notify_waiters();
        }
    }

    /// Lends it a slot.
    pub(crate) fn lend(&self, lent: Lent) {
        if self.lent.fetch_or(lent as u8, Relaxed) & lent as u8 == 0 {
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn is_lent(&self, lent: Lent) -> bool {
        self.lent.load(Relaxed) & lent as u8 != 0
    }

    pub(crate) fn class(&self) -> Class {
        match self.class.load(Relaxed) {
            0 => Class::Demand,
            1 => Class::Refresh,
            _ => Class::Preload,
        }
    }

    /// Ends at the next change after this call.
    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }
}
