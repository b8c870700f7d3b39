//! Canaries: what must not be found in anything that is said.

#[cfg(feature = "service")]
mod engines;
#[cfg(feature = "service")]
mod service;
mod suite;
pub(crate) mod watch;
