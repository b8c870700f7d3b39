//! Snapshots: whole datasets that are replaced at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use self::dataset::Dataset;
use crate::error::Error;

pub use self::builder::SnapshotBuilder;

mod builder;
mod checks;
mod dataset;

/// A whole dataset, such as all sections of a help centre, that is loaded at the start, renewed at
/// set times, and replaced at once.
///
/// Reading it takes no lock and waits for nothing. What was read stays as it is; whoever asks again
/// gets the new one. A renewal that fails, or whose answer is refused, leaves the old one in place
/// for as long as it takes: [`SnapshotStatus`] tells how old it is. A handle is cheap to clone.
///
/// It is a resource of one key and a job, both with the name of the snapshot, so L2, limits, log
/// and metrics are theirs: what L2 holds is used by a process that starts and by the other engines,
/// and the source is asked once for all of them.
///
/// ```
/// use std::time::Duration;
/// use forewarm::{Forewarm, LoadError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), forewarm::Error> {
/// let forewarm = Forewarm::builder().build().await?;
/// let sections = forewarm
///     .snapshot::<Vec<String>>("sections")
///     .daily_at(0, 0, "Europe/Berlin")
///     .refuse_shrinking(0.5, Vec::len)
///     .load_with(|| async { Ok::<_, LoadError>(vec!["Billing".into(), "Login".into()]) })
///     .build()?;
/// forewarm.start().await?;
///
/// assert_eq!(sections.loaded().await?.len(), 2);
/// assert_eq!(sections.get().map(|sections| sections.len()), Some(2));
/// # forewarm.shutdown(Duration::from_secs(1)).await;
/// # Ok(())
/// # }
/// ```
pub struct Snapshot<T: Send + Sync + 'static> {
    dataset: Arc<Dataset<T>>,
}

/// How a snapshot is doing. Times are written as ISO 8601 in UTC.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SnapshotStatus {
    /// Its name.
    pub name: String,
    /// When the load of what it holds began; `None` if it holds nothing yet.
    pub last_updated_at: Option<Timestamp>,
    /// The time since then.
    pub age: Option<Duration>,
    /// When it is due to be renewed next; `None` if it is not, and before the start of the engine.
    /// After a failure it is tried again earlier.
    pub next_refresh_at: Option<Timestamp>,
    /// Why the last renewal failed; `None` if it did not.
    pub last_error: Option<String>,
    /// The renewals that have failed since the last one that did not, each attempt counted.
    pub consecutive_failures: u64,
}

impl<T: Send + Sync + 'static> Snapshot<T> {
    /// The dataset as it is now; `None` if none was loaded yet.
    #[must_use]
    pub fn get(&self) -> Option<Arc<T>> {
        self.dataset.value()
    }

    /// The dataset as it is now; waits for the first one, which comes after the start of the engine.
    ///
    /// # Errors
    ///
    /// The engine was shut down before one came.
    pub async fn loaded(&self) -> Result<Arc<T>, Error> {
        self.dataset.loaded().await
    }

    /// Renews it now, here and on the other engines that share its L2. Who calls while one is under way
    /// that somebody else has asked for gets what that one brings.
    ///
    /// If it fails, it is tried again behind the caller.
    ///
    /// # Errors
    ///
    /// The source failed, or what it gave was refused; the old dataset stays.
    pub async fn refresh(&self) -> Result<Arc<T>, Error> {
        self.dataset.refresh(true).await
    }

    /// Renews it now, and takes what the source gives: for a dataset that has become so much
    /// smaller, or so different, that the checks refuse it, and that is right all the same.
    ///
    /// # Errors
    ///
    /// The source failed; the old dataset stays.
    pub async fn refresh_unchecked(&self) -> Result<Arc<T>, Error> {
        self.dataset.refresh(false).await
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> SnapshotStatus {
        self.dataset.status()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.dataset.name()
    }
}

impl<T: Send + Sync + 'static> Clone for Snapshot<T> {
    fn clone(&self) -> Self {
        Self { dataset: Arc::clone(&self.dataset) }
    }
}

/// Without the dataset.
impl<T: Send + Sync + 'static> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("status", &self.status()).finish_non_exhaustive()
    }
}
