//! What a new dataset must be to replace the old one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::dataset::Held;
use crate::error::LoadError;
use crate::loader::{LoadContext, Loaded, Loader};

/// Says what is wrong with a new dataset, beside the one that is held.
pub(super) type Check<T> = dyn Fn(&T, Option<&T>) -> Result<(), String> + Send + Sync;

/// Loads the whole dataset.
pub(super) type Load<T> = dyn Fn() -> Loading<T> + Send + Sync;
pub(super) type Loading<T> = Pin<Box<dyn Future<Output = Result<T, LoadError>> + Send>>;

/// What a new dataset must be to replace the old one.
pub(super) struct Checks<T> {
    checks: Vec<Box<Check<T>>>,
    is_skipped: AtomicBool,
}

/// As long as it lives, every dataset passes.
pub(super) struct Skip<'a>(&'a AtomicBool);

impl Drop for Skip<'_> {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

impl<T> Checks<T> {
    pub(super) fn new(checks: Vec<Box<Check<T>>>) -> Self {
        Self { checks, is_skipped: AtomicBool::new(false) }
    }

    /// Lets every dataset pass that comes meanwhile.
    pub(super) fn skip(&self) -> Skip<'_> {
        self.is_skipped.store(true, SeqCst);
        Skip(&self.is_skipped)
    }

    fn refusal(&self, new: &T, held: Option<&T>) -> Option<String> {
        if self.is_skipped.load(SeqCst) {
            return None;
        }
        self.checks.iter().find_map(|check| check(new, held).err())
    }
}

/// Refuses a dataset that has lost more than a share of its parts, or all of them.
pub(super) fn shrinks_little<T>(
    share: f64,
    count: impl Fn(&T) -> usize,
) -> impl Fn(&T, Option<&T>) -> Result<(), String> {
    move |new, held| {
        let (new, held) = (count(new), held.map_or(0, &count));
        #[expect(clippy::cast_precision_loss, reason = "counts that large are exact enough")]
        let least = held as f64 * (1.0 - share);
        #[expect(clippy::cast_precision_loss, reason = "counts that large are exact enough")]
        let is_too_small = (new as f64) < least || (new == 0 && held > 0);
        if is_too_small {
            return Err(format!("it has {new} parts, and the one that is held has {held}"));
        }
        Ok(())
    }
}

/// The loader of the resource behind a snapshot.
pub(super) struct Checked<T> {
    pub(super) load: Box<Load<T>>,
    pub(super) checks: Arc<Checks<T>>,
    pub(super) held: Arc<Held<T>>,
}

/// An answer of the source that was refused.
#[derive(Debug, thiserror::Error)]
#[error("the new dataset is refused: {0}")]
struct Refused(String);

impl<T: Send + Sync + 'static> Loader<String, T> for Checked<T> {
    async fn load(&self, _key: &String, _cx: &LoadContext<T>) -> Result<Loaded<T>, LoadError> {
        let new = (self.load)().await?;
        match self.checks.refusal(&new, self.held.value().as_deref()) {
            Some(refusal) => Err(LoadError::permanent(Refused(refusal))),
            None => Ok(Loaded::found(new)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_may_lose_a_share_and_never_all() {
        let of = |share, held: Option<usize>, new: usize| {
            let check = shrinks_little(share, |count: &usize| *count);
            check(&new, held.as_ref()).is_ok()
        };
        assert!(of(0.5, None, 0) && of(0.5, Some(10), 5) && of(0.5, Some(0), 0));
        assert!(!of(0.5, Some(10), 4) && !of(1.0, Some(1), 0) && !of(0.0, Some(10), 9));
        assert!(of(1.0, Some(10), 1) && of(0.0, Some(10), 11));
    }
}
