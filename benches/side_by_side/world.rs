//! What is measured: an engine with everything on, and moka.

use std::sync::Arc;

use forewarm::{Capacity, Config, Forewarm, LoadError, Loaded, Policy, Resource, SourcePolicy};

pub(crate) type Value = [u8; 200];
pub(crate) type Moka = moka::future::Cache<String, Arc<Value>>;

pub(crate) fn value() -> Arc<Value> {
    Arc::new([7; 200])
}

/// The defaults, but that the source takes as many calls as there are.
pub(crate) fn policy(entries: u64) -> Policy {
    Policy {
        capacity: Capacity::Entries(entries),
        absent_ttl: None,
        source: SourcePolicy {
            concurrency: 1 << 16,
            flights_max: 1 << 20,
            ..SourcePolicy::default()
        },
        ..Policy::default()
    }
}

/// An engine with everything on, and one resource whose loader is ready at once.
pub(crate) async fn engine(policy: Policy) -> (Forewarm, Resource<String, Value>) {
    // The seed decides which keys are neighbours in the maps; two runs are to be alike.
    let config = Config { seed: Some(7), ..Config::default() };
    let forewarm = Forewarm::builder().config(config).build().await.unwrap();
    let resource = forewarm
        .memory_resource::<String, Value>("user")
        .policy(policy)
        .load_with(|_key| async { Ok::<_, LoadError>(Loaded::found(value())) })
        .build()
        .unwrap();
    forewarm.start().await.unwrap();
    (forewarm, resource)
}

/// Spawns on the runtime that is running.
#[expect(clippy::disallowed_methods, reason = "the callers of a cache are tasks of their own")]
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> impl Future<Output = ()> {
    let task = tokio::spawn(work);
    async { task.await.unwrap() }
}

/// A runtime of two threads, on which the engines work in the background.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
