//! The engine over its second tier: what reads and changes do there, and what its faults do to
//! them.

mod changes;
mod copies;
mod faults;
mod faulty;
mod hung;
mod interleavings;
pub(crate) mod log;
mod outbox;
mod paths;
mod permits;
mod restart;
mod secrets;
mod source;
mod trust;
mod unreadable;
mod upkeep;
mod world;
