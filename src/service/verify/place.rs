//! Where the L2 is that the nodes share, and how an engine gets to it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::unfenced::Unfenced;
use crate::builder::Builder;
use crate::error::ConfigError;
use crate::tier::{PostgresOptions, RedisOptions, SqliteTier, Tier};

/// Where the L2 is that the nodes share.
#[derive(Clone, Deserialize, Serialize)]
pub(super) enum Place {
    Sqlite { path: PathBuf },
    Redis { url: String },
    Postgres { url: String },
}

/// What everything in Redis begins with, and in which schema of PostgreSQL it is: apart from what
/// others have there.
const NAMESPACE: &str = "forewarm-verify";
const SCHEMA: &str = "forewarm_verify";

impl Place {
    /// Gives an engine its L2. If it is not fenced, it breaks its promises; `permits` is the first
    /// of those that it makes up then.
    pub(super) async fn open(
        &self,
        builder: Builder,
        is_fenced: bool,
        permits: u64,
    ) -> Result<Builder, ConfigError> {
        let with = With { builder, is_fenced, permits };
        Ok(match self {
            Self::Sqlite { path } => with.tier(SqliteTier::open(path).await?),
            Self::Redis { url } => {
                with.tier(RedisOptions::new(url).namespace(NAMESPACE).open().await?)
            }
            Self::Postgres { url } => {
                with.tier(PostgresOptions::new(url)?.schema(SCHEMA).open().await?)
            }
        })
    }
}

struct With {
    builder: Builder,
    is_fenced: bool,
    permits: u64,
}

impl With {
    fn tier(self, tier: impl Tier) -> Builder {
        if self.is_fenced {
            self.builder.tier(tier)
        } else {
            self.builder.tier(Unfenced::new(tier, self.permits))
        }
    }
}

/// Without the URL, which may have a password in it.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => f.debug_struct("Sqlite").field("path", path).finish(),
            Self::Redis { .. } => f.debug_struct("Redis").finish_non_exhaustive(),
            Self::Postgres { .. } => f.debug_struct("Postgres").finish_non_exhaustive(),
        }
    }
}
