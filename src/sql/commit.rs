//! Invalidations that follow a commit.

use std::error::Error as StdError;
use std::fmt;

use sqlx::{Database, Transaction};
use tokio::sync::oneshot;

use super::error::{SqlError, is_sqlstate};
use crate::resource::{Delivery, Fences};

impl Fences {
    /// Commits a transaction of any database of sqlx, and then invalidates: once this has returned,
    /// no read that starts later on this engine gives a value whose load began before it.
    ///
    /// If the transaction is not committed, nothing is invalidated. If that is not known, since the
    /// connection was lost meanwhile, it is. Dropping the future does not stop it half-way, nor does
    /// the shutdown of the engine; if it was never polled, the transaction is rolled back.
    ///
    /// What it cannot do is to survive this process: if that ends between the commit and the
    /// invalidation, others may serve what was there before until its ttl ends. Where the
    /// transaction is one of the database that a `PostgresTier` is in, `PostgresTier::commit` closes
    /// that gap, since there the invalidation commits with the change. This one is for all others.
    ///
    /// ```
    /// # use forewarm::{Fences, Resource};
    /// # async fn rename(
    /// #     pool: &sqlx::SqlitePool,
    /// #     users: &Resource<i64, String>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = pool.begin().await?;
    /// sqlx::query("update person set name = 'Ada' where id = 7").execute(&mut *transaction).await?;
    /// let _applied_or_queued = Fences::new().key(users, &7).commit(transaction).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The transaction was not committed; or whether it was is not known:
    /// [`CommitError::may_have_committed`].
    pub async fn commit<DB: Database>(
        self,
        transaction: Transaction<'static, DB>,
    ) -> Result<Delivery, CommitError> {
        let Some(tasks) = self.tasks() else {
            return transaction.commit().await.map(|()| Delivery::Applied).map_err(Into::into);
        };
        let (done, ended) = oneshot::channel();
        let mut unsettled = Unsettled(Some(self));
        tasks.carry_through(async move {
            let committed = transaction.commit().await.map_err(CommitError::from);
            let fences = unsettled.0.take().unwrap_or_default();
            let result = match committed {
                Ok(()) => Ok(fences.invalidate().await),
                Err(error) => {
                    if error.may_have_committed() {
                        // The error says more than whether L2 has heard of it.
                        let _applied_or_queued = fences.invalidate().await;
                    }
                    Err(error)
                }
            };
            // The caller may have gone away.
            done.send(result).ok();
        });
        ended.await.unwrap_or_else(|_gone| Err(CommitError::unknown(None)))
    }
}

/// Fences whose transaction may have been committed: if the task ends here, this process at least
/// holds nothing of before.
struct Unsettled(Option<Fences>);

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(fences) = self.0.take() {
            fences.apply();
        }
    }
}

/// Why a transaction was not committed, or why that is not known. The text holds no value.
pub struct CommitError {
    is_unknown: bool,
    source: Option<SqlError>,
    error: Option<sqlx::Error>,
}

impl CommitError {
    fn unknown(error: Option<sqlx::Error>) -> Self {
        Self { is_unknown: true, source: None, error }
    }

    /// Whether the transaction may have been committed all the same. Then what it would have made
    /// wrong has been invalidated.
    #[must_use]
    pub const fn may_have_committed(&self) -> bool {
        self.is_unknown
    }

    /// What sqlx said: for those who tell one constraint from another, and to be kept out of logs,
    /// since it may quote values.
    #[must_use]
    pub fn into_sqlx(self) -> Option<sqlx::Error> {
        self.error
    }
}

impl From<sqlx::Error> for CommitError {
    fn from(error: sqlx::Error) -> Self {
        let is_unknown = !error
            .as_database_error()
            .is_some_and(|said| is_refusal(&said.code().unwrap_or_default()));
        let source = Some(SqlError::of(&error));
        Self { is_unknown, source, error: Some(error) }
    }
}

/// Whether the code of an error at a commit says that nothing was committed: the transaction breaks
/// a constraint that is looked at then, or is in conflict with another one, or the file is locked.
fn is_refusal(code: &str) -> bool {
    const STATES: [&str; 7] = ["22", "23", "25", "2D", "40", "42", "P0"];
    if is_sqlstate(code) {
        // Of the conflicts, one is "statement completion unknown".
        return code != "40003" && STATES.iter().any(|class| code.starts_with(class));
    }
    // Busy, locked, a constraint.
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 19))
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.is_unknown {
            true => "whether the transaction was committed is not known",
            false => "the transaction was not committed",
        })
    }
}

impl fmt::Debug for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitError")
            .field("is_unknown", &self.is_unknown)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl StdError for CommitError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as &(dyn StdError + 'static))
    }
}
