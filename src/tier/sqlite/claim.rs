//! Names that can be taken once.

use std::time::Duration;

use sqlx::query_scalar;
use sqlx::sqlite::SqliteConnection;

use super::queue::Write;
use super::turn::{Turn, millis};

/// Takes a name.
#[derive(Debug)]
pub(super) struct Claim {
    name: String,
    keep_for: i64,
}

const CLAIM: &str = "
    insert into forewarm_claim (name, until)
    values (?1, ?2)
    on conflict (name) do update set until = excluded.until
    where forewarm_claim.until <= ?3
    returning true";

impl Claim {
    pub(super) fn new(name: &str, keep_for: Duration) -> Self {
        Self { name: name.to_owned(), keep_for: millis(keep_for) }
    }
}

impl Write for Claim {
    /// Whether nobody had it.
    type Answer = bool;

    async fn write(&self, db: &mut SqliteConnection, turn: Turn) -> Result<bool, sqlx::Error> {
        let until = turn.now.saturating_add(self.keep_for);
        let claim = query_scalar(CLAIM).bind(&*self.name).bind(until).bind(turn.now);
        Ok(claim.fetch_optional(db).await?.unwrap_or(false))
    }
}
