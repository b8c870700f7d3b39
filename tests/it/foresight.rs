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
mod scrapes;
mod script;
mod source;
mod staging;
mod statistics;
