//! Data access over sqlx: values from queries, invalidations after commits, clean-up by age.

pub use self::commit::CommitError;
pub use self::database::{KeyList, SqlDatabase};
pub use self::error::SqlError;
pub use self::loader::SqlLoader;
pub use self::retention::{Removed, Retention, RetentionError, StoredAs};

mod commit;
mod database;
mod error;
mod loader;
mod many;
mod name;
#[cfg(feature = "postgres")]
mod postgres;
mod retention;
#[cfg(feature = "sqlite")]
mod sqlite;
