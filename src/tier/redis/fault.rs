//! What is wrong with the server, what to do about it, and how often that is said.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::time::Instant;

use crate::tier::TierError;

/// Why the server was not asked, or what it did wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the Redis tier has been closed")]
    Closed,
    #[error("there is no connection to the Redis server yet")]
    Connecting,
    #[error("the Redis server did not answer in time")]
    Silent,
    #[error("the Redis server has lost what it had, and begun a new life")]
    OtherLife,
    #[error("the Redis server gave an answer that cannot be read")]
    Unreadable,
    #[error("the namespace is in use with {0}: format, then domains")]
    Layout(String),
    #[error("the Redis server does not tell its `run_id`, by which a restart is noticed")]
    Nameless,
    #[error("not even half of the sentinels can be reached and name the same master")]
    NoMaster,
    #[error("the sentinels have replaced the Redis server")]
    Replaced,
    #[error("no node of the cluster that can be reached knows who serves the keys")]
    NoOwner,
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl From<Fault> for TierError {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}

/// What a server says that cannot serve us, or not any more, and that redis-rs has no name for.
const CODES_OF_THE_CONNECTION: [&str; 3] = ["NOAUTH", "WRONGPASS", "UNBLOCKED"];

impl Fault {
    /// Whether another connection, perhaps to another server, may get on better than this one.
    pub(super) fn is_of_the_connection(&self) -> bool {
        let Self::Redis(error) = self else {
            return matches!(
                self,
                Self::OtherLife | Self::Replaced | Self::Unreadable | Self::Silent
            );
        };
        match error.kind() {
            ErrorKind::Server(kind) => matches!(
                kind,
                ServerErrorKind::Moved
                    | ServerErrorKind::Ask
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ReadOnly
                    | ServerErrorKind::BusyLoading
            ),
            ErrorKind::Extension => {
                error.code().is_some_and(|code| CODES_OF_THE_CONNECTION.contains(&code))
            }
            _ => true,
        }
    }

    /// Whether the server has no memory to spare for what would be stored.
    pub(super) fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Redis(error) if error.code() == Some("OOM"))
    }

    /// Whether the server does not know a script by its hash.
    pub(super) fn is_of_the_script(error: &RedisError) -> bool {
        error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
    }

    /// What the operator can do.
    fn remedy(&self) -> &'static str {
        let Self::Redis(error) = self else {
            return match self {
                Self::Layout(_) => "use the same `domains` everywhere, or another `namespace`",
                Self::Nameless => "use a server that does: Redis or Valkey, 7.0 or later",
                Self::NoMaster => "see that the sentinels are up, and what they call the service",
                Self::NoOwner => "see that the cluster is up and complete",
                _ => "see that the server is up and not overloaded",
            };
        };
        match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => {
                "see that user and password are right"
            }
            (_, Some("NOPERM")) => "give the user what `RedisOptions::acl_rule` says",
            (_, Some("ERR")) => "use Redis or Valkey, 7.0 or later; or see what the problem says",
            (_, Some("OOM" | "MISCONF" | "NOREPLICAS")) => "make the server accept writes",
            _ => "see that the server is up and can be reached",
        }
    }
}

/// Tells the operator that the server cannot be used, and when it can again.
#[derive(Debug, Default)]
pub(super) struct Report {
    warned_at: Option<Instant>,
    /// Whether a warning stands that has not been taken back.
    is_open: bool,
    is_warned_of_eviction: bool,
}

/// A fault that lasts, or comes and goes, is warned of this often at most.
const WARN_EVERY: Duration = Duration::from_mins(1);

impl Report {
    pub(super) fn fault(&mut self, server: &str, fault: &Fault) {
        let now = Instant::now();
        let is_recent = |warned_at| now.duration_since(warned_at) < WARN_EVERY;
        if self.warned_at.is_some_and(is_recent) || matches!(fault, Fault::Closed) {
            return;
        }
        self.warned_at = Some(now);
        self.is_open = true;
        tracing::warn!(
            server,
            problem = %fault,
            remedy = fault.remedy(),
            "the Redis tier cannot be used as it should: reads go on without it",
        );
    }

    pub(super) fn all_is_well(&mut self, server: &str) {
        if std::mem::take(&mut self.is_open) {
            tracing::info!(server, "the Redis tier can be used again");
        }
    }

    /// Warns once of a server that removes any key when memory runs out, also those by which
    /// invalidations are remembered: no harm, but everything is void then.
    pub(super) fn eviction(&mut self, server: &str, policy: &str) {
        if policy.starts_with("allkeys-")
            && !std::mem::replace(&mut self.is_warned_of_eviction, true)
        {
            tracing::warn!(
                server,
                policy,
                remedy = "use a `maxmemory-policy` that begins with `volatile-`",
                "the Redis server may evict what the cache is kept consistent by: whatever is \
                 cached is then void",
            );
        }
    }
}
