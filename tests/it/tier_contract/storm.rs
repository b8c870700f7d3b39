//! Loads and invalidations of one key at once: no hit is older than an invalidation before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use forewarm::{Ask, Begun, Cursor, Fill, Permit, Selector, Tier, Want};
use tokio::task::{JoinSet, yield_now};

use super::NODE;
use super::reader::caught_up;
use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(no_hit_is_older_than_the_last_invalidation),
        Case::of(no_hit_is_older_than_the_last_invalidation_of_the_resource),
        Case::of(no_hit_is_older_than_the_last_invalidation_of_the_tag),
        Case::of(no_hit_is_older_than_the_last_invalidation_of_the_pattern),
        Case::of(a_fill_without_a_permit_would_be_noticed),
    ]
}

const KEY: &str = "p:user:1";
const TAG: &str = "all";
const READERS: usize = 4;
const WRITERS: u64 = 2;
const WRITES: u64 = 50;

/// A source with one number that only grows, and a tier before it.
struct Source<T> {
    tier: Arc<T>,
    unit: Duration,
    written: AtomicU64,
    /// The newest number whose invalidation has been acknowledged.
    acknowledged: AtomicU64,
    permits: AtomicU64,
    hits: AtomicU64,
    stale_hits: AtomicU64,
}

impl<T: Tier> Source<T> {
    fn new(tier: Arc<T>, unit: Duration) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            tier,
            unit,
            written: zero(),
            acknowledged: zero(),
            permits: zero(),
            hits: zero(),
            stale_hits: zero(),
        }
    }

    async fn write(&self, selector: Selector<'_>) {
        let written = self.written.fetch_add(1, SeqCst) + 1;
        self.tier.invalidate(NODE, &[selector.into()]).await.unwrap();
        self.acknowledged.fetch_max(written, SeqCst);
    }

    /// Looks the number up, and compares it with what must have been invalidated by then.
    async fn begin(&self) -> (Begun, Permit) {
        let permit = Permit(self.permits.fetch_add(1, SeqCst));
        let acknowledged = self.acknowledged.load(SeqCst);
        let ask = Ask { key: KEY, permit, want: Want::Value };
        let begun = self.tier.begin(&[ask], self.unit).await.unwrap().remove(0);
        if let Begun::Hit(stored) = &begun {
            let value = u64::from_le_bytes(stored.value.as_slice().try_into().unwrap());
            self.hits.fetch_add(1, SeqCst);
            if value < acknowledged {
                self.stale_hits.fetch_add(1, SeqCst);
            }
        }
        (begun, permit)
    }

    async fn read(&self) {
        if let (Begun::Permit, permit) = self.begin().await {
            let value = self.written.load(SeqCst).to_le_bytes();
            // Between load and fill anything may happen.
            yield_now().await;
            self.tier.fill(&[self.fill(permit, &value)]).await.unwrap();
        }
    }

    fn fill<'a>(&self, permit: Permit, value: &'a [u8]) -> Fill<'a> {
        let (fresh_for, keep_for) = (self.unit, self.unit);
        let (age, tags, version) = (Duration::ZERO, &[TAG][..], None);
        Fill { key: KEY, permit, value, age, fresh_for, keep_for, tags, version }
    }
}

async fn no_hit_is_older_than_the_last_invalidation<B: Bed>(world: World<B>) {
    storm(world, Selector::Key(KEY)).await;
}

async fn no_hit_is_older_than_the_last_invalidation_of_the_resource<B: Bed>(world: World<B>) {
    storm(world, Selector::Resource("p:user")).await;
}

async fn no_hit_is_older_than_the_last_invalidation_of_the_tag<B: Bed>(world: World<B>) {
    storm(world, Selector::Tag { resource: "p:user", tag: TAG }).await;
}

async fn no_hit_is_older_than_the_last_invalidation_of_the_pattern<B: Bed>(world: World<B>) {
    storm(world, Selector::Pattern { resource: "p:user", pattern: "?" }).await;
}

async fn storm<B: Bed>(world: World<B>, selector: Selector<'static>) {
    let source = Arc::new(Source::new(Arc::clone(&world.tier), B::UNIT));
    let mut tasks = JoinSet::new();
    for _ in 0..WRITERS {
        let source = Arc::clone(&source);
        tasks.spawn(async move {
            for _ in 0..WRITES {
                source.write(selector).await;
            }
        });
    }
    for _ in 0..READERS {
        let source = Arc::clone(&source);
        tasks.spawn(async move {
            while source.acknowledged.load(SeqCst) < WRITERS * WRITES {
                source.read().await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    for _ in 0..2 {
        source.read().await;
    }
    assert!(source.hits.load(SeqCst) > 0, "nothing was ever served");
    assert_eq!(source.stale_hits.load(SeqCst), 0, "of {} hits", source.hits.load(SeqCst));
}

/// The order of events that permits are there for, with and without them: if this found nothing,
/// neither would the storms.
async fn a_fill_without_a_permit_would_be_noticed<B: Bed>(world: World<B>) {
    for (is_conditional, stale_hits) in [(true, 0), (false, 1)] {
        let source = Source::new(Arc::clone(&world.tier), B::UNIT);
        source.write(Selector::Key(KEY)).await;
        let (begun, permit) = source.begin().await;
        assert_eq!(begun, Begun::Permit);
        let loaded = source.written.load(SeqCst).to_le_bytes();
        source.write(Selector::Key(KEY)).await;
        let fills = [source.fill(permit, &loaded)];
        if is_conditional {
            source.tier.fill(&fills).await.unwrap();
        } else {
            let since = caught_up(&*source.tier, Cursor::default()).await;
            source.tier.put(NODE, &fills, &since).await.unwrap();
        }
        source.begin().await;
        assert_eq!(source.stale_hits.load(SeqCst), stale_hits, "{is_conditional}");
    }
}
