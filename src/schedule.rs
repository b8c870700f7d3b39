//! Jobs: work that is done at set times, on one engine of those that share an L2.

pub use self::trigger::Trigger;

mod trigger;
