//! Servers of one's own, and a network that can be disturbed: for trying what happens when an L2
//! fails. Only for tests and for the command.

pub use self::error::LabError;
pub use self::postgres_options::PostgresOptions;
pub use self::postgres_server::PostgresServer;
pub use self::proxy::{Proxy, Traffic, Way};
pub use self::redis_cluster::RedisCluster;
pub use self::redis_options::{Persistence, RedisOptions};
pub use self::redis_server::RedisServer;
pub use self::sentinel::Sentinel;
pub use self::start::Data;

mod certificates;
mod error;
mod home;
mod keeper;
mod port;
mod postgres_options;
mod postgres_server;
mod program;
mod proxy;
mod redis_cluster;
mod redis_options;
mod redis_server;
mod sentinel;
mod start;
mod template;
mod user;
