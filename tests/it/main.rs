//! Everything that crosses modules, in one binary.

#[cfg(feature = "sqlite")]
#[cfg(test)]
mod sqlite;
#[cfg(feature = "sqlite")]
#[cfg(test)]
mod tier_contract;
