//! What every second tier must do: the same cases for all of them.

use std::any::{Any, type_name};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use forewarm::Tier;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
pub(crate) use self::runs::any_run;
pub(crate) use self::world::{NODE, World};

mod batches;
mod hot;
mod invalidation;
mod keys;
mod lag;
mod late;
mod log;
mod patterns;
mod permits;
mod puts;
mod reader;
mod resources;
mod restart;
mod run_rows;
mod runs;
mod shared;
mod storm;
mod sweeping;
mod tags;
mod time;
mod values;
mod world;

/// A store that cases can be tried on.
pub(crate) trait Bed: Sized + 'static {
    type Tier: Tier;

    /// The span that the cases reckon in: long enough that nothing ends while a case runs, short
    /// enough that it can be let pass.
    const UNIT: Duration;

    /// Whether values from before a restart are marked as restored. Where the store itself goes on
    /// while nobody uses it, no invalidation is missed, and nothing is.
    const MARKS_RESTORED: bool = true;

    /// A store of its own, with nothing in it.
    async fn new() -> Self;

    /// Begins to use the store. If others use it already, it is shared with them. If it was in use
    /// before and nobody uses it now, this is a restart.
    async fn open(&self) -> Self::Tier;

    /// Lets time pass.
    async fn pass(&self, span: Duration);
}

/// One thing that a tier must do.
pub(crate) struct Case<B: Bed> {
    name: &'static str,
    run: Box<dyn FnOnce(World<B>) -> LocalBoxFuture<'static, ()>>,
}

impl<B: Bed> Case<B> {
    /// A case that has the name of its function.
    fn of<R, F>(run: R) -> Self
    where
        R: FnOnce(World<B>) -> F + 'static,
        F: Future<Output = ()> + 'static,
    {
        let path = type_name::<R>();
        let path = path.split('<').next().unwrap_or(path);
        let name = path.rsplit_once("tier_contract::").map_or(path, |(_, name)| name);
        Self { name, run: Box::new(|world| run(world).boxed_local()) }
    }
}

/// Tries every case, each on a store of its own, and names those that fail.
pub(crate) async fn holds_for<B: Bed>() {
    let mut cases = Vec::new();
    cases.extend(values::cases::<B>());
    cases.extend(permits::cases::<B>());
    cases.extend(invalidation::cases::<B>());
    cases.extend(resources::cases::<B>());
    cases.extend(tags::cases::<B>());
    cases.extend(patterns::cases::<B>());
    cases.extend(lag::cases::<B>());
    cases.extend(puts::cases::<B>());
    cases.extend(log::cases::<B>());
    cases.extend(shared::cases::<B>());
    cases.extend(hot::cases::<B>());
    cases.extend(runs::cases::<B>());
    cases.extend(run_rows::cases::<B>());
    cases.extend(batches::cases::<B>());
    cases.extend(keys::cases::<B>());
    cases.extend(time::cases::<B>());
    cases.extend(sweeping::cases::<B>());
    cases.extend(restart::cases::<B>());
    cases.extend(late::cases::<B>());
    cases.extend(storm::cases::<B>());

    let count = cases.len();
    let mut failed = Vec::new();
    for Case { name, run } in cases {
        let world = World::new(B::new().await).await;
        if let Err(panic) = AssertUnwindSafe(run(world)).catch_unwind().await {
            failed.push(format!("{name}: {}", said(&*panic)));
        }
    }
    assert!(failed.is_empty(), "{} of {count} cases failed:\n{}", failed.len(), failed.join("\n"));
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}
