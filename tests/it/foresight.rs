//! Reading, remembering, loading ahead, and what can be seen of it: through the public interface,
//! without a second tier.

mod associations;
mod attribution;
mod clock;
mod hot_keys;
mod keys;
mod lifecycle;
mod loaders;
mod logs;
mod memory_bound;
mod metrics;
mod preloader;
mod recorder;
mod score;
#[cfg(feature = "service")]
mod scrape;
pub(crate) mod scrapes;
mod script;
pub(crate) mod source;
mod staging;
mod statistics;
mod tuning;
