//! Everything that crosses modules, in one binary.

#[cfg(all(test, feature = "sqlite"))]
mod sqlite;
#[cfg(all(test, feature = "sqlite"))]
mod tier_contract;
