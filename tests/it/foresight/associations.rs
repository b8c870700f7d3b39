//! What is learned of keys that are read after one another, and what it lets load ahead.

mod ahead;
mod followers;
mod relations;
mod restraint;
mod rules;
mod scopes;
mod user_code;

use std::time::Duration;

use forewarm::{Config, Forewarm, Key, LearningConfig, Policy, PreloadPolicy, Resource};
use tokio::time::sleep;

use super::source::{Source, config, others_run, plain, secs};

/// Longer than reads belong together, and longer than the ttl of [`learning`].
const REST: Duration = secs(400);

/// A policy with a ttl of a minute that loads what follows, and renews nothing.
fn learning() -> Policy {
    Policy { preload: PreloadPolicy { renewals: false, ..PreloadPolicy::default() }, ..plain() }
}

/// An engine that forgets half of what it learned in this time.
async fn engine_forgetting_in(half_life: Duration) -> Forewarm {
    let learning = LearningConfig { half_life, ..LearningConfig::default() };
    Forewarm::builder().config(Config { learning, ..config() }).build().await.unwrap()
}

/// A resource over a source.
fn resource<K: Key>(
    forewarm: &Forewarm,
    name: &str,
    policy: Policy,
    source: &Source<K>,
) -> Resource<K, String> {
    forewarm.resource(name).policy(policy).loader(source.clone()).build().unwrap()
}

/// Reads a key, lets the engine do what that leads to, and waits a second.
async fn read<K: Key>(items: &Resource<K, String>, key: K) {
    items.get(&key).await.unwrap();
    others_run().await;
    sleep(secs(1)).await;
}

/// Reads keys one after another, `times` times, with a rest after each time.
async fn read_in_turn(items: &Resource<u64, String>, keys: &[u64], times: u64) {
    for _ in 0..times {
        for key in keys {
            read(items, *key).await;
        }
        sleep(REST).await;
    }
}

/// The texts of the keys that are known to follow a key, best first.
fn followers(items: &Resource<u64, String>, key: u64) -> Vec<String> {
    items.related(&key).iter().map(|related| related.key.to_string()).collect()
}

/// How surely one key is known to follow another; 0 if it is not known to.
fn confidence(items: &Resource<u64, String>, from: u64, to: u64) -> f64 {
    let to = to.to_string();
    let related = items.related(&from);
    related.iter().find(|related| *related.key == *to).map_or(0.0, |related| related.confidence)
}
