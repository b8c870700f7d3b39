//! What the engine promises, tried from outside.

#[cfg(test)]
mod aliases;
#[cfg(feature = "service")]
#[cfg(test)]
mod browser;
#[cfg(feature = "sqlite")]
#[cfg(test)]
mod canary;
#[cfg(test)]
mod coherence;
#[cfg(feature = "service")]
#[cfg(test)]
mod commands;
#[cfg(feature = "service")]
#[cfg(test)]
mod dashboard;
#[cfg(feature = "service")]
#[cfg(test)]
mod demo;
#[cfg(feature = "service")]
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod documents;
#[cfg(feature = "service")]
#[cfg(test)]
mod examples;
#[cfg(feature = "service")]
#[cfg(test)]
mod faults;
#[cfg(test)]
mod foresight;
#[cfg(test)]
mod guides;
#[cfg(feature = "service")]
#[cfg(test)]
mod herd;
#[cfg(feature = "service")]
#[cfg(test)]
mod jobs;
#[cfg(feature = "sqlite")]
#[cfg(test)]
mod l2;
#[cfg(feature = "service")]
#[cfg(test)]
mod lab;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod metrics_page;
#[cfg(feature = "postgres")]
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod preload_waits;
#[cfg(feature = "service")]
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod readme;
#[cfg(feature = "service")]
#[cfg(test)]
mod redis;
#[cfg(feature = "service")]
#[cfg(test)]
mod replay;
#[cfg(feature = "service")]
#[cfg(test)]
mod replay_restart;
#[cfg(feature = "service")]
#[cfg(test)]
mod replay_sweep;
#[cfg(feature = "service")]
#[cfg(test)]
mod report;
#[cfg(test)]
mod schedule;
#[cfg(feature = "service")]
#[cfg(test)]
mod served;
#[cfg(feature = "service")]
#[cfg(test)]
mod service;
#[cfg(feature = "service")]
#[cfg(test)]
mod service_cli;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod snapshots;
#[cfg(feature = "service")]
#[cfg(test)]
mod sql;
#[cfg(feature = "sqlite")]
#[cfg(test)]
mod sqlite;
#[cfg(test)]
mod tier_contract;
#[cfg(feature = "service")]
#[cfg(test)]
mod verify;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod work;
