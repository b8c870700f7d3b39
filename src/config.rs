//! The settings of an engine, apart from the policies of its resources.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::key::Name;

pub use self::memory::MemoryConfig;

mod memory;

/// The settings of an engine, apart from the policies of its resources.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Config {
    /// What the keys of this engine begin with in L2; engines with different prefixes never see
    /// each other's entries. `shop` and `shop:` are the same. Default: `forewarm`.
    pub prefix: String,
    /// The most calls of loaders at a time, over all resources. Default: 256.
    pub loads_max: usize,
    /// Shows the text of keys in logs and errors. Default: false, since keys are often personal
    /// data; a short hash is shown instead.
    pub log_keys: bool,
    /// The level at which a miss is logged; a hit is always at `debug`. Default: `debug`.
    pub miss_level: MissLevel,
    /// How often each resource logs a summary at `info`; `None` never does. Default: 1 minute.
    #[serde(with = "crate::span::optional")]
    pub summary_every: Option<Duration>,
    /// Makes hashing, jitter and evictions repeat from run to run: for tests and replays. Default:
    /// `None`, a new seed for each engine.
    pub seed: Option<u64>,
    /// What the engine learns of reads that follow each other.
    pub learning: LearningConfig,
    /// What is remembered across restarts.
    pub memory: MemoryConfig,
    /// How the engine deals with its L2.
    pub l2: L2Config,
}

/// What an engine learns of reads that follow each other.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct LearningConfig {
    /// The keys whose followers are remembered, over all resources; at most 16,777,216. When there
    /// are more, those read least are forgotten. Default: 65,536, which is about 10 MiB.
    pub keys_max: usize,
    /// The clients whose last reads are remembered; see [`Forewarm::scope`](crate::Forewarm::scope).
    /// Default: 16,384.
    pub clients_max: usize,
    /// Reads of a client further apart than this do not belong together. Default: 5 minutes.
    #[serde(with = "crate::span")]
    pub idle: Duration,
    /// The time in which what was learned loses half its weight. Default: 7 days.
    #[serde(with = "crate::span")]
    pub half_life: Duration,
}

impl Default for LearningConfig {
    fn default() -> Self {
        Self {
            keys_max: 1 << 16,
            clients_max: 1 << 14,
            idle: Duration::from_mins(5),
            half_life: Duration::from_hours(7 * 24),
        }
    }
}

impl LearningConfig {
    fn check(&self) -> Result<(), ConfigError> {
        for (field, count) in
            [("learning.keys_max", self.keys_max), ("learning.clients_max", self.clients_max)]
        {
            if !(1..=1 << 24).contains(&count) {
                let problem = format!("is {count}");
                return Err(ConfigError::new(field, problem, "use 1 to 16777216"));
            }
        }
        for (field, span) in [("learning.idle", self.idle), ("learning.half_life", self.half_life)]
        {
            if span.is_zero() {
                return Err(ConfigError::new(field, "is zero", "use a span such as `5m`"));
            }
        }
        Ok(())
    }
}

/// The level at which misses are logged.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MissLevel {
    /// One line per miss for those who look for it.
    #[default]
    Debug,
    /// One line per miss for everybody.
    Info,
}

/// How the engine deals with its L2.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct L2Config {
    /// The longest that a read waits for an answer of L2 before it goes on without; it asks twice
    /// where a stored value turns out not to be what it needs. Default: 100 ms.
    #[serde(with = "crate::span")]
    pub read_timeout: Duration,
    /// The longest that a write waits for L2; an invalidation is queued after it. Default: 500 ms.
    #[serde(with = "crate::span")]
    pub write_timeout: Duration,
    /// The longest that a load waits for another engine that is loading the same key. Default:
    /// 250 ms.
    #[serde(with = "crate::span")]
    pub busy_wait: Duration,
    /// After this many failures in a row L2 is left alone. Default: 5.
    pub breaker_failures: u32,
    /// How long L2 is left alone before one call tries it again. Default: 500 ms.
    #[serde(with = "crate::span")]
    pub breaker_open_for: Duration,
    /// The invalidations of a resource that may wait for L2; when there are more, the whole
    /// resource is invalidated there instead. Default: 100,000.
    pub outbox_max: usize,
    /// Values whose encoding is longer than this many bytes are compressed. Default: 1 KiB, since
    /// short ones grow.
    pub compress_over_bytes: usize,
    /// The coherence window: how long after an invalidation has been applied on one engine another
    /// one may still serve what it held, at most; 250 ms to 1 minute. Usually it is milliseconds; this
    /// bounds it whatever fails, since an engine that has not heard from L2 for so long serves from
    /// memory only what it has loaded within. A quarter of it is the longest time between two polls
    /// of the log. Default: 2 s.
    #[serde(with = "crate::span")]
    pub window: Duration,
    /// How often the keys that are read most are shared with the other engines on this L2, so that
    /// what is hot on one is copied by all; `None` never does. Default: 10 s.
    #[serde(with = "crate::span::optional")]
    pub share_hot_every: Option<Duration>,
    /// Has one in this many invalidations checked a window later: what the tiers hold of the key is
    /// compared with what the source says, which costs up to two loads, and whatever differs is
    /// counted in `forewarm_stale_observed_total`. `None` checks none. Default: `None`.
    pub probe_one_in: Option<u32>,
    /// How often expired rows are removed. Default: 1 minute.
    #[serde(with = "crate::span")]
    pub sweep_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prefix: "forewarm".to_owned(),
            loads_max: 256,
            log_keys: false,
            miss_level: MissLevel::default(),
            summary_every: Some(Duration::from_mins(1)),
            seed: None,
            learning: LearningConfig::default(),
            memory: MemoryConfig::default(),
            l2: L2Config::default(),
        }
    }
}

impl Default for L2Config {
    fn default() -> Self {
        Self {
            read_timeout: Duration::from_millis(100),
            write_timeout: Duration::from_millis(500),
            busy_wait: Duration::from_millis(250),
            breaker_failures: 5,
            breaker_open_for: Duration::from_millis(500),
            outbox_max: 100_000,
            compress_over_bytes: 1024,
            window: Duration::from_secs(2),
            share_hot_every: Some(Duration::from_secs(10)),
            probe_one_in: None,
            sweep_every: Duration::from_mins(1),
        }
    }
}

/// The shortest and the longest coherence window.
const WINDOW_MIN: Duration = Duration::from_millis(250);
const WINDOW_MAX: Duration = Duration::from_mins(1);

impl Config {
    /// Says what cannot work, and gives the prefix in its normal form.
    pub(crate) fn check(&self) -> Result<Name, ConfigError> {
        let prefix = Name::parse(&self.prefix).map_err(|error| {
            let problem = error.to_string();
            ConfigError::new("prefix", problem, "use 1 to 64 printable bytes without `:`")
        })?;
        if self.loads_max == 0 {
            return Err(ConfigError::new("loads_max", "is zero", "use 1 or more"));
        }
        if self.l2.breaker_failures == 0 {
            return Err(ConfigError::new("l2.breaker_failures", "is zero", "use 1 or more"));
        }
        if self.l2.outbox_max == 0 {
            return Err(ConfigError::new("l2.outbox_max", "is zero", "use 1 or more"));
        }
        for (field, span) in [
            ("summary_every", self.summary_every.unwrap_or(Duration::MAX)),
            ("l2.read_timeout", self.l2.read_timeout),
            ("l2.write_timeout", self.l2.write_timeout),
            ("l2.busy_wait", self.l2.busy_wait),
            ("l2.breaker_open_for", self.l2.breaker_open_for),
            ("l2.sweep_every", self.l2.sweep_every),
            ("l2.share_hot_every", self.l2.share_hot_every.unwrap_or(Duration::MAX)),
        ] {
            if span.is_zero() {
                return Err(ConfigError::new(field, "is zero", "use a span such as `100ms`"));
            }
        }
        if !(WINDOW_MIN..=WINDOW_MAX).contains(&self.l2.window) {
            let problem = format!("is {:?}", self.l2.window);
            return Err(ConfigError::new("l2.window", problem, "use 250 ms to 1 minute"));
        }
        if self.l2.probe_one_in == Some(0) {
            let remedy = "use 1 or more, or leave it out";
            return Err(ConfigError::new("l2.probe_one_in", "is zero", remedy));
        }
        self.learning.check()?;
        self.memory.check()?;
        Ok(prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Config);

    #[test]
    fn the_default_works() {
        assert_eq!(Config::default().check().unwrap().as_str(), "forewarm");
    }

    #[test]
    fn what_cannot_work_is_refused_and_named() {
        let cases: [(&str, Spoil); 16] = [
            ("prefix", |c| c.prefix = "a:b".into()),
            ("loads_max", |c| c.loads_max = 0),
            ("summary_every", |c| c.summary_every = Some(Duration::ZERO)),
            ("l2.read_timeout", |c| c.l2.read_timeout = Duration::ZERO),
            ("l2.outbox_max", |c| c.l2.outbox_max = 0),
            ("l2.breaker_failures", |c| c.l2.breaker_failures = 0),
            ("l2.window", |c| c.l2.window = Duration::from_millis(249)),
            ("l2.share_hot_every", |c| c.l2.share_hot_every = Some(Duration::ZERO)),
            ("l2.probe_one_in", |c| c.l2.probe_one_in = Some(0)),
            ("memory.file", |c| c.memory.file = Some("".into())),
            ("memory.flush_every", |c| c.memory.flush_every = Duration::from_millis(999)),
            ("memory.keys_max", |c| c.memory.keys_max = 0),
            ("memory.learned_max", |c| c.memory.learned_max = 1 << 21),
            ("memory.ready_share", |c| c.memory.ready_share = 0.0),
            ("memory.ready_share", |c| c.memory.ready_share = f64::NAN),
            ("memory.ready_deadline", |c| c.memory.ready_deadline = Duration::ZERO),
        ];
        for (field, spoil) in cases {
            let mut config = Config::default();
            spoil(&mut config);
            assert_eq!(config.check().unwrap_err().field(), field);
        }
    }
}
