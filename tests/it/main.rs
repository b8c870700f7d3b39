//! What the engine promises, tried from outside.

#[cfg(test)]
mod coherence;
#[cfg(feature = "service")]
#[cfg(test)]
mod demo;
#[cfg(test)]
mod foresight;
#[cfg(feature = "sqlite")]
#[cfg(test)]
mod l2;
#[cfg(feature = "service")]
#[cfg(test)]
mod lab;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod preload_waits;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod readme;
#[cfg(feature = "service")]
#[cfg(test)]
mod replay;
#[cfg(feature = "service")]
#[cfg(test)]
mod replay_sweep;
#[cfg(feature = "service")]
#[cfg(test)]
mod report;
#[cfg(test)]
mod sim;
#[cfg(feature = "sqlite")]
#[cfg(test)]
mod sqlite;
#[cfg(test)]
mod tier_contract;
