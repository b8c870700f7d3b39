//! What jobs usually do: renew, warm up, look after the health of everything.
//!
//! Each gives what [`JobBuilder::run_with`](crate::JobBuilder::run_with) takes. To remove old rows of
//! a table there is `Retention`.

use std::future::Future;
use std::sync::Arc;

use crate::builder::Forewarm;
use crate::error::LoadError;
use crate::key::Key;
use crate::resource::{Preloaded, Resource};
use crate::schedule::{JobContext, JobError};

/// Renews a set of keys from the source: for what is always wanted, such as five stocks. One that
/// fails stops none of the others; the run fails then, and is tried again.
///
/// ```
/// # use std::time::Duration;
/// # use forewarm::{Forewarm, Resource, work};
/// # fn example(forewarm: &Forewarm, stocks: &Resource<String, f64>) -> Result<(), forewarm::Error> {
/// let pinned = ["AAPL", "GOOGL", "MSFT", "AMZN", "TSLA"].map(String::from);
/// forewarm
///     .job("stocks")
///     .cron("*/5 * * * *", "UTC")
///     .run_with(work::renew(stocks, pinned))
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub fn renew<K, V>(
    resource: &Resource<K, V>,
    keys: impl IntoIterator<Item = K>,
) -> impl Fn(JobContext) -> Working + Send + Sync + 'static
where
    K: Key,
    V: Send + Sync + 'static,
{
    let (resource, keys) = (resource.clone(), Arc::new(Vec::from_iter(keys)));
    move |context| {
        let (resource, keys) = (resource.clone(), Arc::clone(&keys));
        Box::pin(async move { renew_now(&resource, keys.to_vec(), &context).await })
    }
}

/// Renews the keys of a resource that are read most, at most so many, from the source: what
/// [`Policy::refresh_every`](crate::Policy::refresh_every) does key by key, at set times.
pub fn renew_hot<K, V>(
    resource: &Resource<K, V>,
    count: usize,
) -> impl Fn(JobContext) -> Working + Send + Sync + 'static
where
    K: Key,
    V: Send + Sync + 'static,
{
    let resource = resource.clone();
    move |context| {
        let resource = resource.clone();
        Box::pin(async move {
            let hot = resource.hot_keys(count).into_iter().map(|hot| hot.key).collect();
            renew_now(&resource, hot, &context).await
        })
    }
}

/// Loads the keys that `find` gives, but for those that are fresh.
///
/// They may come from a list, a query, or what a model expects. It is told when the run was due, and
/// what to load may follow from that, such as the forecasts of tomorrow. Loads take their turn behind readers and keep to
/// [`PreloadPolicy::loads_per_second`](crate::PreloadPolicy::loads_per_second); what the deadline of
/// the job does not leave time for is not loaded.
///
/// ```
/// # use forewarm::{Forewarm, LoadError, Resource, work};
/// # fn example(forewarm: &Forewarm, forecasts: &Resource<String, f64>) -> Result<(), forewarm::Error> {
/// let warm_up = work::warm(forecasts, |context| {
///     let tomorrow = context.scheduled() + jiff::SignedDuration::from_hours(24);
///     let date = tomorrow.strftime("%F").to_string();
///     async move {
///         let cities = ["Beijing", "Shanghai"];
///         Ok::<_, LoadError>(cities.map(|city| format!("{city}:{date}")))
///     }
/// });
/// forewarm.job("warm-up").daily_at(23, 0, "Asia/Shanghai").run_with(warm_up).build()?;
/// # Ok(())
/// # }
/// ```
pub fn warm<K, V, Find, Fut, Keys>(
    resource: &Resource<K, V>,
    find: Find,
) -> impl Fn(JobContext) -> Working + Send + Sync + 'static
where
    K: Key,
    V: Send + Sync + 'static,
    Find: Fn(JobContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Keys, LoadError>> + Send + 'static,
    Keys: IntoIterator<Item = K>,
{
    let resource = resource.clone();
    move |context| {
        let (resource, finding) = (resource.clone(), find(context.clone()));
        Box::pin(async move {
            let keys = Vec::from_iter(finding.await?);
            let warmed = resource.preload(keys.iter()).await;
            report(&context, resource.name(), warmed)
        })
    }
}

/// Looks at the components of an engine ([`Forewarm::health`]), and fails if one is not up; but for
/// jobs, which tell of themselves, and would keep each other ill.
///
/// Declare its job [on every engine](crate::JobBuilder::on_every_engine): each has a health of its
/// own, and has it also while L2 does not answer.
pub fn check_health(
    forewarm: &Forewarm,
) -> impl Fn(JobContext) -> Working + Send + Sync + 'static + use<> {
    let forewarm = forewarm.clone();
    move |_context| {
        let forewarm = forewarm.clone();
        Box::pin(async move {
            let health = forewarm.health_but_jobs().await;
            // Trying again at once would only find the same.
            health.check().map_err(JobError::permanent)
        })
    }
}

/// A run under way.
pub type Working = std::pin::Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;

async fn renew_now<K, V>(
    resource: &Resource<K, V>,
    keys: Vec<K>,
    context: &JobContext,
) -> Result<(), JobError>
where
    K: Key,
    V: Send + Sync + 'static,
{
    // Another attempt need not load again what an earlier one has loaded.
    let renewed = resource.renew_since(keys, context.due_at()).await;
    report(context, resource.name(), renewed)
}

fn report(context: &JobContext, resource: &str, done: Preloaded) -> Result<(), JobError> {
    let Preloaded { loaded, absent, held, failed, refused } = done;
    let job = context.job();
    tracing::info!(job, resource, loaded, absent, held, failed, refused, "loaded ahead");
    done.complete()?;
    Ok(())
}
