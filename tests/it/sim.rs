//! Engines over a simulated store.

pub(crate) use self::line::{Fate, Line, Op, Weather};
pub(crate) use self::store::{Removed, SimStore};
pub(crate) use self::tier::SimTier;

mod contract;
mod line;
mod store;
mod tier;

mod engine;
mod history;
mod nemesis;
mod run;
mod script;
mod seeds;
mod thing;
mod truth;
mod worker;
