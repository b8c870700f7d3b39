//! A two-tier cache that loads hot keys before they are asked for.
//!
//! A key of a [`Resource`] is read through the memory of this process and a second tier; on a miss
//! its [`Loader`] is called once, however many callers wait. Every read is recorded too, and the
//! record decides which keys are worth loading ahead of their next read.
//!
//! ```
//! use std::time::Duration;
//! use forewarm::{Bytes, Forewarm, LoadError};
//!
//! # async fn name_of(id: u64) -> Result<Option<String>, std::io::Error> { Ok(Some(format!("user {id}"))) }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), forewarm::Error> {
//! // One engine per process.
//! let forewarm = Forewarm::builder().prefix("shop").build().await?;
//!
//! // One resource per kind of thing.
//! let users = forewarm
//!     .resource::<u64, String>("user")
//!     .ttl(Duration::from_secs(60))
//!     .capacity(Bytes::mib(64))
//!     .load_with(|id| async move { name_of(id).await.map_err(LoadError::transient) })
//!     .build()?;
//!
//! // Registration closes, work in the background begins.
//! forewarm.start().await?;
//!
//! assert_eq!(users.get(&7).await?.as_deref().map(String::as_str), Some("user 7"));
//! // After the row has changed:
//! let _ = users.invalidate(&7).await;
//! # forewarm.shutdown(Duration::from_secs(1)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # The journeys
//!
//! * **Read** ([`Resource::get`]): memory; else one flight per key, which asks L2, then the source
//!   under its limits, then stores and tells everybody who waits.
//! * **Recorded read**: a hit adds to words in the entry that it has in hand; a miss to a bounded
//!   table.
//! * **Preload**: entries that come due and will probably be read again are loaded, within a
//!   budget; so are the keys given to [`Resource::preload`].
//! * **Invalidate** ([`Resource::invalidate`], and of many keys at once
//!   [`Resource::invalidate_tag`], [`Resource::invalidate_matching`],
//!   [`Resource::invalidate_all`]): the entry goes, the flight under way can no longer store or be
//!   joined, then L2 hears of it, and from its log the other engines do. [`Tier`] says what is
//!   promised, and what is not.
//! * **Commit** (`Fences::commit`, `PostgresTier::commit`): a transaction of the application, and what
//!   it makes wrong.
//! * **Restart** ([`Builder::memory`]): the hottest keys and what was learned of them are read from
//!   a file, and loaded best first, behind everything that somebody waits for.
//! * **Renew a dataset** ([`Forewarm::snapshot`]): one engine loads it when it is due, the others take
//!   it from L2, and readers find it behind a pointer.
//! * **Run a job** ([`Forewarm::job`]): what is due is taken by one engine of those that share an L2,
//!   under a lease that another one takes over, runs with attempts and a deadline, and is one row of
//!   the log.
//!
//! `ARCHITECTURE.md` in the repository tells the rest.
//!
//! # Features
//!
//! * `sqlite` (default): the embedded second tier, `SqliteTier`; processes of one machine can share
//!   its file.
//! * `postgres`: the second tier in a PostgreSQL database, `PostgresTier`, whose invalidations can
//!   take part in the transactions of the application.
//! * `redis`: the second tier in Redis or Valkey, `RedisTier`: one server, Sentinel or Cluster.
//! * `tower`: scopes for services built with tower, `ScopeLayer`.
//! * `service`: the command `forewarm`.
//!
//! With `sqlite` or `postgres` there is also data access over sqlx: `SqlLoader`, `Fences::commit`,
//! `Retention`.
#![cfg_attr(docsrs, feature(doc_cfg))]

// Words: no async, no I/O.
mod clock;
mod config;
#[cfg(not(shuttle))]
mod current;
mod entry;
mod error;
mod key;
mod metrics;
mod policy;
mod scope;
mod score;
mod span;
mod sync;
mod task;

// The memory of reads: pure functions of what was read and of the present moment.
mod predictor;
mod recorder;

// The outside.
mod limits;
mod loader;
mod tier;

// Reading and loading.
mod coherence;
mod engine;
mod fence;
mod flight;
mod foresight;
mod l1;
mod resource;
mod schedule;
mod stats;

// Whole datasets.
mod snapshot;

// Changes that commit with the application's.
#[cfg(feature = "postgres")]
mod transaction;

// Data access over sqlx.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

// Work behind the readers.
mod background;
mod memory;
mod preloader;
mod upkeep;

// Assembly and shell.
mod builder;
mod health;
#[cfg(feature = "service")]
#[doc(hidden)]
pub mod lab;
#[cfg(feature = "service")]
mod replay;
#[cfg(feature = "tower")]
mod scope_layer;
#[cfg(feature = "service")]
#[doc(hidden)]
pub mod service;
pub mod work;

// For the benchmarks.
#[doc(hidden)]
pub mod measured;

// So that the examples in the README and the guides are compiled, and run where they need no server.
#[cfg(all(doctest, feature = "sqlite", feature = "postgres"))]
#[doc = include_str!("../README.md")]
mod readme {}
#[cfg(all(doctest, feature = "sqlite", feature = "postgres"))]
#[doc = include_str!("../docs/library.md")]
mod library {}
#[cfg(all(doctest, feature = "sqlite", feature = "postgres"))]
#[doc = include_str!("../docs/consistency.md")]
mod consistency {}
#[cfg(all(doctest, feature = "postgres", feature = "redis", feature = "sqlite"))]
#[doc = include_str!("../docs/migration.md")]
mod migration {}

// For the fuzz targets.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

pub use self::builder::{Builder, Forewarm};
pub use self::clock::{Clock, Moment};
pub use self::coherence::NodeSeen;
pub use self::config::{Config, L2Config, LearningConfig, MemoryConfig, MissLevel};
pub use self::engine::{Readiness, ReadyBy};
pub use self::entry::{Freshness, Origin, Reason};
pub use self::error::{ConfigError, Error, LoadError};
pub use self::flight::ReadFrom;
pub use self::health::{ComponentHealth, Health, HealthState, Unhealthy};
pub use self::key::{
    FullKey, Key, KeyLabel, ParsePatternError, ParseSegmentsError, Pattern, Segments,
};
pub use self::limits::BreakerState;
pub use self::loader::{LoadContext, Loaded, Loader};
pub use self::metrics::{METRICS, Metric, MetricKind};
pub use self::policy::{
    Bytes, Capacity, Classic, EarlyRefresh, ParseCapacityError, Partition, Policy, PreloadMode,
    PreloadPolicy, SourcePolicy, Store, TrustOnRestart,
};
pub use self::predictor::{PredictionStats, Reliability};
pub use self::resource::{
    Alias, Bundle, Bundled, Delivery, Explanation, Fences, HeldEntry, HotKey, InvalidateOptions,
    LearnedPair, LearnedRule, NotPreloaded, Preloaded, Read, ReadOptions, RelatedKey, Resource,
    ResourceBuilder, Verdict,
};
pub use self::schedule::{
    CatchUp, Job, JobBuilder, JobContext, JobError, JobPolicy, JobStatus, Run, RunOutcome,
    RunReason, Trigger,
};
pub use self::scope::Scope;
#[cfg(feature = "tower")]
pub use self::scope_layer::{ScopeLayer, Scoped};
pub use self::snapshot::{Snapshot, SnapshotBuilder, SnapshotStatus};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use self::sql::{
    CommitError, KeyList, Removed, Retention, RetentionError, SqlDatabase, SqlError, SqlLoader,
    StoredAs,
};
pub use self::stats::ResourceStats;
pub use self::tier::{
    Ask, Begun, Change, Cursor, EndRun, Fill, Filled, HotSum, Invalidation, JobMemory, Lag, Logged,
    Mark, Node, Permit, Polled, RenewRun, RunId, RunRow, RunTaken, Selector, Stored, Swept,
    TakeRun, Tier, TierError, TierSize, Want,
};
#[cfg(feature = "postgres")]
pub use self::tier::{PostgresOptions, PostgresTier};
#[cfg(feature = "redis")]
pub use self::tier::{RedisOptions, RedisTier};
#[cfg(feature = "sqlite")]
pub use self::tier::{SqliteOptions, SqliteTier};
