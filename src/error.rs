//! What can go wrong, and what the caller is told.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use crate::key::KeyLabel;

/// What a call to the cache can fail with.
///
/// An L2 that cannot be reached is not in this list: a read then goes on to the source, and the
/// failure shows in the metrics. Errors are cheap to clone, since one failure answers every caller
/// that waited for the same load.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The loader failed, and no stale value was left to serve.
    #[error("loading key {key} of resource `{resource}` failed")]
    Load {
        /// The resource.
        resource: Arc<str>,
        /// The key that was asked for.
        key: KeyLabel,
        /// What the loader said.
        source: LoadError,
    },
    /// The load had not ended by its deadline.
    #[error("loading key {key} of resource `{resource}` took longer than {deadline:?}")]
    Deadline {
        /// The resource.
        resource: Arc<str>,
        /// The key that was asked for.
        key: KeyLabel,
        /// The deadline that the policy sets.
        deadline: Duration,
    },
    /// The loader panicked.
    #[error("the loader of resource `{resource}` panicked at key {key}")]
    Panicked {
        /// The resource.
        resource: Arc<str>,
        /// The key that was asked for.
        key: KeyLabel,
    },
    /// A loader read the very key that it was loading, directly or through other loaders.
    #[error(
        "the load of key {key} of resource `{resource}` waits for itself: a loader must not read its own key"
    )]
    Recursive {
        /// The resource.
        resource: Arc<str>,
        /// The key that was asked for.
        key: KeyLabel,
    },
    /// The source has failed so often that it is left alone for a while.
    #[error("the source of resource `{resource}` is failing and is left alone for {retry_in:?}")]
    BreakerOpen {
        /// The resource.
        resource: Arc<str>,
        /// When the source will be tried again.
        retry_in: Duration,
    },
    /// So many loads are waiting that another one is refused.
    #[error("resource `{resource}` already has {flights} loads under way or waiting")]
    Overloaded {
        /// The resource.
        resource: Arc<str>,
        /// The limit, in keys.
        flights: usize,
    },
    /// So many runs of the job are waiting that another one is refused.
    #[error("job `{job}` already has {waiting} runs that wait")]
    JobBusy {
        /// The job.
        job: Arc<str>,
        /// The limit, in runs.
        waiting: usize,
    },
    /// The engine has been shut down; what is in memory can still be read.
    #[error("the engine has been shut down")]
    ShutDown,
    /// A configuration that cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Error {
    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Load { source, .. } => source.is_transient(),
            Self::Deadline { .. }
            | Self::BreakerOpen { .. }
            | Self::Overloaded { .. }
            | Self::JobBusy { .. } => true,
            Self::Panicked { .. } | Self::Recursive { .. } | Self::ShutDown | Self::Config(_) => {
                false
            }
        }
    }
}

/// Why a loader could not answer.
///
/// A source that answered "there is no such thing" has not failed: that is
/// [`Loaded::absent`](crate::Loaded::absent).
#[derive(Clone)]
pub struct LoadError {
    transient: bool,
    source: Arc<dyn StdError + Send + Sync>,
}

impl LoadError {
    /// A failure that may pass, such as a lost connection: it is tried again.
    pub fn transient(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { transient: true, source: source.into().into() }
    }

    /// A failure that will not pass, such as a row that cannot be read: it is not tried again, and
    /// does not count against the source.
    pub fn permanent(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { transient: false, source: source.into().into() }
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.transient
    }
}

impl Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.transient { "transient" } else { "permanent" };
        write!(f, "{kind} failure of the source")
    }
}

impl fmt::Debug for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadError")
            .field("transient", &self.transient)
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for LoadError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}

/// A setting that cannot work. The engine refuses to start with it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{field}` {problem}: {remedy}")]
pub struct ConfigError {
    field: String,
    problem: String,
    remedy: String,
}

impl ConfigError {
    pub(crate) fn new(
        field: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), problem: problem.into(), remedy: remedy.into() }
    }

    /// The same setting as part of `whole`.
    pub(crate) fn within(self, whole: &str) -> Self {
        Self { field: format!("{whole}.{}", self.field), ..self }
    }

    /// The setting, such as `user.ttl`.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_of_sources_is_kept_and_not_repeated() {
        let source = LoadError::transient("connection reset");
        let error = Error::Load {
            resource: "user".into(),
            key: KeyLabel::plain(&42),
            source: source.clone(),
        };
        assert_eq!(error.to_string(), "loading key 42 of resource `user` failed");
        let chain = error.source().and_then(StdError::source).unwrap();
        assert_eq!(chain.to_string(), "connection reset");
        assert!(error.is_transient() && source.is_transient());
    }
}
