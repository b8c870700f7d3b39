//! Reading and loading through memory: loads, their limits, the life of entries, and the fence.

mod batches;
mod breaker;
mod budget;
mod end_of_day;
mod fence;
mod fence_answers;
mod fence_storm;
mod freshness;
mod negative;
mod nested;
mod policy_check;
mod read_path;
mod refused_values;
mod retry;
mod single_flight;
mod source;
mod trim;
mod ttl;
