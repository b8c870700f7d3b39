//! Jobs: work that is done at set times, on one engine of those that share an L2.

pub use self::builder::JobBuilder;
pub use self::context::{JobContext, JobError};
#[cfg(feature = "service")]
pub(crate) use self::gap::usual_gap;
pub use self::job::{Job, JobStatus};
pub(crate) use self::jobs::Jobs;
pub use self::log::{Run, RunOutcome, RunReason};
pub use self::policy::{CatchUp, JobPolicy};
pub use self::trigger::Trigger;

mod builder;
mod context;
mod core;
mod due;
mod gap;
mod job;
mod jobs;
mod leases;
mod log;
mod plan;
mod policy;
mod rhythm;
mod runner;
mod share;
mod stored;
mod taking;
mod trigger;
