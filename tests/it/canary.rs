//! Canaries: what must not be found in anything that is said.

#[cfg(feature = "service")]
mod engines;
mod suite;
pub(crate) mod watch;
