//! What the engine promises, tried from outside.

#[cfg(feature = "service")]
#[cfg(test)]
mod demo;
#[cfg(feature = "sqlite")]
#[cfg(test)]
mod sqlite;
#[cfg(feature = "sqlite")]
#[cfg(test)]
mod tier_contract;
