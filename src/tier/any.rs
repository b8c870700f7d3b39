//! A tier of a type that is no longer known.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;

use super::{
    Ask, Begun, Cursor, EndRun, Fill, Filled, HotSum, Invalidation, JobMemory, Node, Permit,
    Polled, RenewRun, RunRow, RunTaken, Swept, TakeRun, Tier, TierError, TierSize,
};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, TierError>> + Send + 'a>>;

/// A [`Tier`] of a type that is no longer known.
pub(crate) trait AnyTier: Send + Sync + 'static {
    fn begin<'a>(&'a self, asks: &'a [Ask<'a>], permit_for: Duration) -> Answer<'a, Vec<Begun>>;
    fn fill<'a>(&'a self, fills: &'a [Fill<'a>]) -> Answer<'a, Vec<Filled>>;
    fn release<'a>(&'a self, permits: &'a [(&'a str, Permit)]) -> Answer<'a, ()>;
    fn put<'a>(
        &'a self,
        by: Node,
        puts: &'a [Fill<'a>],
        since: &'a Cursor,
    ) -> Answer<'a, Vec<Filled>>;
    fn invalidate<'a>(&'a self, by: Node, invalidations: &'a [Invalidation<'a>]) -> Answer<'a, ()>;
    fn expire<'a>(&'a self, by: Node, keys: &'a [&'a str]) -> Answer<'a, ()>;
    fn poll<'a>(&'a self, since: &'a Cursor) -> Answer<'a, Polled>;
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    fn merge_hot<'a>(
        &'a self,
        by: Node,
        resource: &'a str,
        hot: &'a [(&'a str, f64)],
        keep_for: Duration,
    ) -> Answer<'a, Vec<HotSum>>;
    fn meet_jobs<'a>(&'a self, jobs: &'a [&'a str], at: Timestamp) -> Answer<'a, Vec<JobMemory>>;
    fn take_run<'a>(&'a self, run: &'a TakeRun<'a>) -> Answer<'a, RunTaken>;
    fn renew_runs<'a>(&'a self, runs: &'a [RenewRun<'a>]) -> Answer<'a, Vec<bool>>;
    fn end_run<'a>(&'a self, run: &'a EndRun<'a>) -> Answer<'a, bool>;
    fn runs<'a>(&'a self, job: &'a str, count: u32) -> Answer<'a, Vec<RunRow>>;
    fn lapsed_runs<'a>(&'a self, jobs: &'a [&'a str]) -> Answer<'a, Vec<RunRow>>;
    fn sweep(&self, rows_max: u32) -> Answer<'_, Swept>;
    fn size(&self) -> Answer<'_, TierSize>;
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<T: Tier> AnyTier for T {
    fn begin<'a>(&'a self, asks: &'a [Ask<'a>], permit_for: Duration) -> Answer<'a, Vec<Begun>> {
        Box::pin(Tier::begin(self, asks, permit_for))
    }

    fn fill<'a>(&'a self, fills: &'a [Fill<'a>]) -> Answer<'a, Vec<Filled>> {
        Box::pin(Tier::fill(self, fills))
    }

    fn release<'a>(&'a self, permits: &'a [(&'a str, Permit)]) -> Answer<'a, ()> {
        Box::pin(Tier::release(self, permits))
    }

    fn put<'a>(
        &'a self,
        by: Node,
        puts: &'a [Fill<'a>],
        since: &'a Cursor,
    ) -> Answer<'a, Vec<Filled>> {
        Box::pin(Tier::put(self, by, puts, since))
    }

    fn invalidate<'a>(&'a self, by: Node, invalidations: &'a [Invalidation<'a>]) -> Answer<'a, ()> {
        Box::pin(Tier::invalidate(self, by, invalidations))
    }

    fn expire<'a>(&'a self, by: Node, keys: &'a [&'a str]) -> Answer<'a, ()> {
        Box::pin(Tier::expire(self, by, keys))
    }

    fn poll<'a>(&'a self, since: &'a Cursor) -> Answer<'a, Polled> {
        Box::pin(Tier::poll(self, since))
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Tier::changed(self))
    }

    fn merge_hot<'a>(
        &'a self,
        by: Node,
        resource: &'a str,
        hot: &'a [(&'a str, f64)],
        keep_for: Duration,
    ) -> Answer<'a, Vec<HotSum>> {
        Box::pin(Tier::merge_hot(self, by, resource, hot, keep_for))
    }

    fn meet_jobs<'a>(&'a self, jobs: &'a [&'a str], at: Timestamp) -> Answer<'a, Vec<JobMemory>> {
        Box::pin(Tier::meet_jobs(self, jobs, at))
    }

    fn take_run<'a>(&'a self, run: &'a TakeRun<'a>) -> Answer<'a, RunTaken> {
        Box::pin(Tier::take_run(self, run))
    }

    fn renew_runs<'a>(&'a self, runs: &'a [RenewRun<'a>]) -> Answer<'a, Vec<bool>> {
        Box::pin(Tier::renew_runs(self, runs))
    }

    fn end_run<'a>(&'a self, run: &'a EndRun<'a>) -> Answer<'a, bool> {
        Box::pin(Tier::end_run(self, run))
    }

    fn runs<'a>(&'a self, job: &'a str, count: u32) -> Answer<'a, Vec<RunRow>> {
        Box::pin(Tier::runs(self, job, count))
    }

    fn lapsed_runs<'a>(&'a self, jobs: &'a [&'a str]) -> Answer<'a, Vec<RunRow>> {
        Box::pin(Tier::lapsed_runs(self, jobs))
    }

    fn sweep(&self, rows_max: u32) -> Answer<'_, Swept> {
        Box::pin(Tier::sweep(self, rows_max))
    }

    fn size(&self) -> Answer<'_, TierSize> {
        Box::pin(Tier::size(self))
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Tier::close(self))
    }
}
