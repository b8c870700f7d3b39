//! A two-tier cache that loads hot keys before they are asked for.
#![cfg_attr(docsrs, feature(doc_cfg))]

// Words: no async, no I/O.
pub mod clock;
mod config;
mod entry;
mod error;
mod key;
mod metrics;
mod policy;
mod score;
mod sync;
mod task;

// The memory of reads: pure functions of what was read and of the present moment.
mod predictor;
mod recorder;

// The outside.
mod limits;
mod loader;
mod tier;

// The command.
#[cfg(feature = "service")]
mod replay;

#[cfg(fuzzing)]
pub mod fuzzing;

pub use self::config::{Config, L2Config, MissLevel};
pub use self::entry::{Freshness, Origin, Reason};
pub use self::error::{ConfigError, Error, LoadError};
pub use self::key::{FullKey, Key, KeyLabel, Segments};
pub use self::limits::BreakerState;
pub use self::loader::{LoadContext, Loaded, Loader};
pub use self::policy::{
    Bytes, Capacity, Classic, EarlyRefresh, Policy, PreloadMode, PreloadPolicy, SourcePolicy,
    Store, TrustOnRestart,
};
pub use self::tier::*;
