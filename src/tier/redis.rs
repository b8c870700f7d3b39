//! The second tier on a server of its own: Redis or Valkey.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use self::apart::Apart;
use self::changer::Turns;
use self::domains::Domains;
use self::fault::{Fault, Report};
use self::link::Shared;
pub use self::options::RedisOptions;
use self::options::Settings;
use self::poll::{Since, Told};
use self::subscriber::Subscriber;
use super::{
    Ask, Begun, Cursor, EndRun, Fill, Filled, HotSum, Invalidation, JobMemory, Node, Permit,
    Polled, RenewRun, RunRow, RunTaken, Selector, Swept, TakeRun, Tier, TierError, TierSize,
};
use crate::error::ConfigError;
use crate::task::Tasks;

mod apart;
mod begin;
mod change;
mod changer;
mod domains;
mod fault;
mod fill;
mod hot;
mod invalidate;
mod link;
mod names;
mod open;
mod options;
mod poll;
mod reply;
mod route;
mod runs;
mod script;
mod subscriber;
mod sweep;
mod value;

/// Redis or Valkey, 7.0 or later, as the second tier of any number of engines: one server, the
/// master of a service that sentinels watch over, or a cluster.
///
/// A server that cannot be used (down, frozen, still loading, out of memory, without the right
/// password) is no error of `open`: every call then fails fast, a warning says what to do, and the
/// next call tries again, not more often than ten times a second.
///
/// What a server has acknowledged is lost when it restarts, or when a copy that lags takes its
/// place. That is noticed before anything else is asked of the server: everything that is stored is
/// void then, and [`Tier::poll`] tells of a gap. So nothing needs to be kept on disk. A move of keys
/// from node to node of a cluster counts as such a loss.
///
/// Ages follow the clock of the server. What has ended is removed by the server; when it runs out
/// of memory, it should remove what ends some time, so its `maxmemory-policy` should begin with
/// `volatile-`. A master that has lost its copies, and may be replaced without knowing, should have
/// `min-replicas-to-write` set: then it stops answering.
///
/// Of [`TierSize`], the bytes are all that the servers use; the values are counted up to some
/// thousand keys, and estimated beyond.
pub struct RedisTier {
    domains: Domains,
    shared: Arc<Shared>,
    turns: Turns,
    /// For the leases of runs.
    apart: Apart,
    is_closed: AtomicBool,
}

/// The most changes that one poll gives, and the fewest that it gives of one domain.
const CHANGES_MAX: usize = 4_000;
const CHANGES_MIN: usize = 100;

/// Changes of one domain that one poll gives at most.
const CHANGES_OF_A_DOMAIN: usize = 1_000;

/// How long what is under way may take to end when the tier is closed.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

impl RedisTier {
    /// Begins to use the server at a URL such as `redis://user:password@host:6379/0`, with the
    /// defaults of [`RedisOptions`].
    ///
    /// # Errors
    ///
    /// A URL that cannot be read. A server that cannot be used is no error.
    pub async fn open(url: impl Into<String>) -> Result<Self, ConfigError> {
        RedisOptions::new(url).open().await
    }

    async fn start(settings: Settings) -> Result<Self, ConfigError> {
        let tasks = Tasks::of_this_runtime().ok_or_else(|| {
            ConfigError::new("tier", "is opened outside of a tokio runtime", "open it inside")
        })?;
        let Settings { route, apart, namespace, response_timeout, domains: count, clock } =
            settings;
        let turns = Turns::new(&namespace);
        let shared = Arc::new(Shared {
            route,
            namespace,
            layout: format!("{FORMAT}/{count}"),
            response_timeout,
            clock,
            tasks,
            hints: Notify::new(),
            report: Report::default().into(),
        });
        let domains = Domains::new(count, &shared);
        if let [first, ..] = domains.links() {
            let slot = first.names.slot();
            let subscriber = Subscriber::new(Arc::clone(&shared), slot, turns.tier);
            shared.tasks.spawn_loop(subscriber.run());
        }
        // What is wrong with the server has been logged, and every call will say it.
        domains.each(|_, link| async move { link.attempt().await }).await;
        Ok(Self { domains, shared, turns, apart, is_closed: AtomicBool::new(false) })
    }

    /// What is invalidated in one domain: the keys that lie there, and whatever is no key.
    fn part<'a>(&self, domain: usize, of: &[Invalidation<'a>]) -> Vec<Invalidation<'a>> {
        let concerns = |invalidation: &&Invalidation<'a>| match invalidation.selector {
            Selector::Key(key) => self.domains.place(key) == domain,
            _ => true,
        };
        of.iter().filter(concerns).copied().collect()
    }

    /// From where to read each domain.
    fn since(&self, cursor: &Cursor) -> impl Fn(usize) -> Since {
        let marks = cursor.0.clone();
        let count = self.domains.links().len();
        move |domain| match marks.get(domain) {
            _ if marks.is_empty() => Since::Start,
            Some(mark) if marks.len() == count => Since::Mark(*mark),
            _ => Since::Lost,
        }
    }
}

/// Raised when keys are laid out in another way.
const FORMAT: u32 = 1;

fn all<A>(answers: Vec<Result<A, Fault>>) -> Result<Vec<A>, TierError> {
    Ok(answers.into_iter().collect::<Result<_, _>>()?)
}

impl Tier for RedisTier {
    async fn begin(&self, asks: &[Ask<'_>], permit_for: Duration) -> Result<Vec<Begun>, TierError> {
        let begin = |_, link, asks| begin::begin(link, asks, permit_for);
        let begun = self.domains.spread(asks, |ask| ask.key, begin).await;
        let links = self.domains.links();
        if !links.iter().any(|link| link.is_open()) {
            return all(begun);
        }
        // A node of a cluster that is down must not take the others with it.
        let is_down = |ask: &Ask<'_>| {
            links.get(self.domains.place(ask.key)).is_some_and(|link| !link.is_open())
        };
        let or_miss = |(begun, ask)| match begun {
            Err(_) if is_down(ask) => Ok(Begun::Miss),
            begun => begun,
        };
        all(begun.into_iter().zip(asks).map(or_miss).collect())
    }

    async fn fill(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>, TierError> {
        all(self
            .domains
            .spread(fills, |fill| fill.key, |_, link, fills| fill::fill(link, fills))
            .await)
    }

    async fn release(&self, permits: &[(&str, Permit)]) -> Result<(), TierError> {
        let release = |_, link, permits| fill::release(link, permits);
        all(self.domains.spread(permits, |(key, _)| key, release).await).map(drop)
    }

    async fn put(
        &self,
        by: Node,
        puts: &[Fill<'_>],
        since: &Cursor,
    ) -> Result<Vec<Filled>, TierError> {
        let (changer, since) = (self.turns.next(by), self.since(since));
        let put = |domain, link, puts| {
            let mark = match since(domain) {
                Since::Mark(mark) => Some(mark),
                // Whoever has not heard of anything cannot know that nothing has happened.
                Since::Start | Since::Lost => None,
            };
            fill::put(link, puts, changer.clone(), mark)
        };
        all(self.domains.spread(puts, |put| put.key, put).await)
    }

    async fn invalidate(
        &self,
        by: Node,
        invalidations: &[Invalidation<'_>],
    ) -> Result<(), TierError> {
        let changer = self.turns.next(by);
        let invalidate = |domain, link| {
            invalidate::invalidate(link, self.part(domain, invalidations), changer.clone())
        };
        all(self.domains.each(invalidate).await).map(drop)
    }

    async fn expire(&self, by: Node, keys: &[&str]) -> Result<(), TierError> {
        let changer = self.turns.next(by);
        let expire = |_, link, keys| invalidate::expire(link, keys, changer.clone());
        all(self.domains.spread(keys, |key| key, expire).await).map(drop)
    }

    async fn poll(&self, since: &Cursor) -> Result<Polled, TierError> {
        let count = self.domains.links().len();
        let page = (CHANGES_MAX / count.max(1)).clamp(CHANGES_MIN, CHANGES_OF_A_DOMAIN);
        let since = self.since(since);
        let told = self.domains.each(|domain, link| poll::poll(link, since(domain), page)).await;
        let (mut polled, mut told_of) = (Polled::default(), HashSet::new());
        for Told { mark, changes, is_gap, has_more } in all(told)? {
            polled.cursor.0.push(mark);
            polled.is_gap |= is_gap;
            polled.has_more |= has_more;
            // What all domains were told needs to be told once.
            let news = changes.into_iter().filter(|logged| told_of.insert(logged.id));
            polled.changes.extend(news);
        }
        Ok(polled)
    }

    async fn changed(&self) {
        self.shared.hints.notified().await;
    }

    async fn merge_hot(
        &self,
        by: Node,
        resource: &str,
        hot: &[(&str, f64)],
        keep_for: Duration,
    ) -> Result<Vec<HotSum>, TierError> {
        let link = self.domains.link(resource)?;
        Ok(hot::merge_hot(link, by, resource, hot, keep_for).await?)
    }

    async fn meet_jobs(&self, jobs: &[&str], at: Timestamp) -> Result<Vec<JobMemory>, TierError> {
        let meet = |_, link, jobs| runs::meet_jobs(link, jobs, at);
        all(self.domains.spread(jobs, |job| job, meet).await)
    }

    async fn take_run(&self, run: &TakeRun<'_>) -> Result<RunTaken, TierError> {
        Ok(runs::take_run(self.domains.link(run.job)?, run).await?)
    }

    async fn renew_runs(&self, runs: &[RenewRun<'_>]) -> Result<Vec<bool>, TierError> {
        if self.is_closed.load(Relaxed) {
            return Err(Fault::Closed.into());
        }
        let renew = |_, link, of| runs::renew(&self.apart, link, of);
        all(self.domains.spread(runs, |run| run.job, renew).await)
    }

    async fn end_run(&self, run: &EndRun<'_>) -> Result<bool, TierError> {
        Ok(runs::end_run(self.domains.link(run.job)?, run).await?)
    }

    async fn runs(&self, job: &str, count: u32) -> Result<Vec<RunRow>, TierError> {
        Ok(runs::newest(self.domains.link(job)?, job, count).await?)
    }

    async fn lapsed_runs(&self, jobs: &[&str]) -> Result<Vec<RunRow>, TierError> {
        let lapsed = |domain, link| async move {
            let is_here = |job: &&&str| self.domains.place(job) == domain;
            let here: Vec<_> = jobs.iter().filter(is_here).copied().collect();
            if here.is_empty() { Ok(Vec::new()) } else { runs::lapsed(&link, &here).await }
        };
        Ok(all(self.domains.each(lapsed).await)?.into_iter().flatten().collect())
    }

    async fn sweep(&self, rows_max: u32) -> Result<Swept, TierError> {
        let mut left = u64::from(rows_max);
        let mut swept = Swept::default();
        for link in self.domains.links() {
            let removed = sweep::sweep(link, left).await?;
            swept.expired += removed;
            left = left.saturating_sub(removed);
        }
        swept.has_more = left == 0;
        Ok(swept)
    }

    async fn size(&self) -> Result<TierSize, TierError> {
        Ok(sweep::size(self.domains.links()).await?)
    }

    async fn close(&self) {
        self.is_closed.store(true, Relaxed);
        self.apart.close();
        self.domains.links().iter().for_each(|link| link.close());
        self.shared.tasks.shut_down(CLOSE_WITHIN).await;
    }
}

impl Drop for RedisTier {
    fn drop(&mut self) {
        self.shared.tasks.stop();
    }
}

impl fmt::Debug for RedisTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, server) = (&self.shared.namespace, self.shared.route.describe());
        f.debug_struct("RedisTier")
            .field("namespace", namespace)
            .field("server", &server)
            .finish_non_exhaustive()
    }
}
