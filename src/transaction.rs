//! Invalidations that commit with a transaction of the application.

use sqlx::{Postgres, Transaction};

use crate::resource::Fences;
use crate::tier::{PostgresTier, TierError};

impl PostgresTier {
    /// Commits a transaction of the application together with the invalidations of what it has made
    /// wrong, and then does the local step: when this has returned, no read that starts later on
    /// this engine gives what was loaded before, and the other engines hear of it within the
    /// coherence window, even if this process dies right after the commit. If the transaction does
    /// not commit, nothing has happened.
    ///
    /// The transaction must be one of the database that the tier is in.
    ///
    /// ```no_run
    /// # use forewarm::{Fences, PostgresTier, Resource, TierError};
    /// # async fn example(
    /// #     tier: &PostgresTier,
    /// #     pool: &sqlx::PgPool,
    /// #     users: &Resource<i64, String>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = pool.begin().await?;
    /// sqlx::query("update person set name = 'Ada' where id = 7").execute(&mut *transaction).await?;
    /// tier.commit(transaction, Fences::new().key(users, &7)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The invalidations could not be written, and nothing was committed; or the commit failed, and
    /// whether it took place is not known: then what is held here has been voided all the same.
    pub async fn commit(
        &self,
        mut transaction: Transaction<'_, Postgres>,
        fences: Fences,
    ) -> Result<(), TierError> {
        self.invalidate_in(&mut transaction, &fences.invalidations()).await?;
        let committed = transaction.commit().await;
        fences.apply();
        committed.map_err(TierError::new)
    }
}
