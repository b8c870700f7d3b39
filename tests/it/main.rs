//! What the engine promises, tried from outside.

#[cfg(feature = "sqlite")]
#[cfg(test)]
mod l2;
#[cfg(feature = "sqlite")]
#[cfg(test)]
mod sqlite;
#[cfg(feature = "sqlite")]
#[cfg(test)]
mod tier_contract;
