//! Spawning and waiting: the only place that may.
//!
//! Under `cfg(shuttle)` the same interface stands on shuttle's executor, which has no timers: there
//! a deadline never comes.

#[cfg(not(shuttle))]
pub(crate) use self::runtime::{Tasks, sleep_until, timeout_at};

#[cfg(shuttle)]
pub(crate) use self::explored::{Tasks, sleep_until, timeout_at};

#[cfg(not(shuttle))]
mod runtime;

#[cfg(shuttle)]
mod explored;
