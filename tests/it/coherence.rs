//! Several engines over one store: what one changes, the others heed in time.

mod expiry;
mod gaps;
mod groups;
mod hints;
mod hot;
mod joining;
mod lag;
mod lease;
mod memory_only;
mod nodes;
mod own;
mod partition;
mod pause;
mod probe;
mod put;
mod single_flight;
mod source;
mod versions;
mod world;
