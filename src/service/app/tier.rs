//! The second tier that settings describe.

use crate::builder::Builder;
use crate::error::{ConfigError, Error};
use crate::service::settings::l2::{L2Settings, PostgresL2, RedisL2, SqliteL2, reveal};
use crate::tier::{
    PostgresOptions, PostgresTier, RedisOptions, RedisTier, SqliteOptions, SqliteTier,
};

/// Gives the engine its second tier, if there is one.
pub(super) async fn with_l2(builder: Builder, l2: Option<&L2Settings>) -> Result<Builder, Error> {
    Ok(match l2 {
        None => builder,
        Some(L2Settings::Sqlite(terms)) => builder.tier(sqlite(terms).await?),
        Some(L2Settings::Postgres(terms)) => builder.tier(postgres(terms).await?),
        Some(L2Settings::Redis(terms)) => builder.tier(redis(terms).await?),
    })
}

async fn sqlite(terms: &SqliteL2) -> Result<SqliteTier, ConfigError> {
    let options = SqliteOptions::new(&terms.path);
    let options = match terms.max_bytes {
        Some(max_bytes) => options.max_bytes(max_bytes),
        None => options,
    };
    options.open().await
}

async fn postgres(terms: &PostgresL2) -> Result<PostgresTier, ConfigError> {
    let mut options = PostgresOptions::new(&reveal("l2.postgres.url", &terms.url)?)?;
    if let Some(schema) = &terms.schema {
        options = options.schema(schema);
    }
    if let Some(max_bytes) = terms.max_bytes {
        options = options.max_bytes(max_bytes);
    }
    options.open().await
}

async fn redis(terms: &RedisL2) -> Result<RedisTier, ConfigError> {
    let mut options = match &terms.url {
        Some(url) => RedisOptions::new(reveal("l2.redis.url", url)?),
        None => {
            let urls = terms.cluster.iter().map(|url| reveal("l2.redis.cluster", url));
            RedisOptions::cluster(urls.collect::<Result<Vec<_>, _>>()?)
        }
    };
    if let Some(namespace) = &terms.namespace {
        options = options.namespace(namespace);
    }
    if let Some(password) = &terms.password {
        let password = reveal("l2.redis.password", password)?;
        options = options.credentials(terms.user.as_deref().unwrap_or("default"), password);
    }
    if let Some(ca_file) = &terms.ca_file {
        options = options.ca_file(ca_file);
    }
    options.open().await
}
