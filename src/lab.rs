//! Servers of one's own, and a network that can be disturbed: for trying what happens when an L2
//! fails. Only for tests and for the command.

pub use self::error::LabError;
pub use self::postgres_server::{PostgresOptions, PostgresServer};
pub use self::proxy::{Proxy, Traffic, Way};
pub use self::ready::Data;
pub use self::redis_server::{Persistence, RedisOptions, RedisServer};

mod error;
mod keeper;
mod port;
mod postgres_server;
mod program;
mod proxy;
mod ready;
mod redis_server;
mod user;
