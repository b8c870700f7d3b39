//! What an engine remembers across restarts.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// What an engine remembers across restarts, and when it is ready after one.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct MemoryConfig {
    /// The file in which it is remembered: see [`Builder::memory`](crate::Builder::memory). Default:
    /// `None`, nothing is.
    pub file: Option<PathBuf>,
    /// How often the file is written; what was learned since is lost if the process is killed. At
    /// least 1 s. Default: 30 s.
    #[serde(with = "crate::span")]
    pub flush_every: Duration,
    /// The keys of a resource that are remembered, those with the highest scores. Default: 10,000.
    pub keys_max: usize,
    /// The keys whose followers are remembered, over all resources, those that are read most.
    /// Default: 65,536, which is some megabytes.
    pub learned_max: usize,
    /// The share of what is wanted after a start that must be in memory for the engine to be ready,
    /// more than 0 and at most 1: see [`Forewarm::ready`](crate::Forewarm::ready). Default: 0.9.
    pub ready_share: f64,
    /// The engine is ready after this time in any case. Default: 30 s.
    #[serde(with = "crate::span")]
    pub ready_deadline: Duration,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            file: None,
            flush_every: Duration::from_secs(30),
            keys_max: 10_000,
            learned_max: 1 << 16,
            ready_share: 0.9,
            ready_deadline: Duration::from_secs(30),
        }
    }
}

/// More often than this, writing would cost more than it could save.
const FLUSH_MIN: Duration = Duration::from_secs(1);
/// More keys than these do not fit in a file that is read.
const KEYS_MAX: usize = 1 << 20;

impl MemoryConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.file.as_ref().is_some_and(|file| file.file_name().is_none()) {
            let remedy = "name a file in a directory that exists, or leave it out";
            return Err(ConfigError::new("memory.file", "names no file", remedy));
        }
        if self.flush_every < FLUSH_MIN {
            let problem = format!("is {:?}", self.flush_every);
            return Err(ConfigError::new("memory.flush_every", problem, "use `1s` or more"));
        }
        for (field, count) in
            [("memory.keys_max", self.keys_max), ("memory.learned_max", self.learned_max)]
        {
            if !(1..=KEYS_MAX).contains(&count) {
                let problem = format!("is {count}");
                return Err(ConfigError::new(field, problem, "use 1 to 1048576"));
            }
        }
        if !(self.ready_share > 0.0 && self.ready_share <= 1.0) {
            let problem = format!("is {}", self.ready_share);
            let remedy = "use a share more than 0 and at most 1";
            return Err(ConfigError::new("memory.ready_share", problem, remedy));
        }
        if self.ready_deadline.is_zero() {
            let remedy = "use a span such as `30s`";
            return Err(ConfigError::new("memory.ready_deadline", "is zero", remedy));
        }
        Ok(())
    }
}
