//! A tier in memory that follows paused time, for what must take no real time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use forewarm::{
    Ask, Begun, Cursor, Fill, Filled, Invalidation, Node, Permit, Polled, Selector, Stored, Swept,
    Tier, TierError, TierSize, Want,
};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Values in memory, for as long as somebody holds the shelf.
#[derive(Clone, Default)]
pub(super) struct Shelf(Arc<Mutex<Rows>>);

#[derive(Default)]
struct Rows {
    values: HashMap<String, Row>,
    permits: HashMap<String, (Permit, Instant)>,
}

#[derive(Clone)]
struct Row {
    value: Vec<u8>,
    loaded_at: Instant,
    fresh_until: Instant,
    keep_until: Instant,
}

impl Row {
    fn of(fill: &Fill<'_>) -> Self {
        let now = Instant::now();
        Self {
            value: fill.value.to_vec(),
            loaded_at: now - fill.age,
            fresh_until: now + fill.fresh_for,
            keep_until: now + fill.keep_for,
        }
    }

    fn stored(&self, now: Instant) -> Stored {
        Stored {
            value: self.value.clone(),
            age: now - self.loaded_at,
            fresh_for: self.fresh_until.saturating_duration_since(now),
            keep_for: self.keep_until.saturating_duration_since(now),
            is_restored: false,
            tags: Vec::new(),
        }
    }
}

impl Rows {
    fn begin(&mut self, ask: &Ask<'_>, permit_for: Duration) -> Begun {
        let now = Instant::now();
        let row = self.values.get(ask.key).filter(|row| match ask.want {
            Want::Value => now < row.keep_until,
            Want::Fresh | Want::Copy => now < row.fresh_until,
            Want::Permit => false,
        });
        if let Some(row) = row {
            return Begun::Hit(row.stored(now));
        }
        if ask.want == Want::Copy {
            return Begun::Miss;
        }
        let is_taken = |(permit, until): &(Permit, Instant)| now < *until && *permit != ask.permit;
        if self.permits.get(ask.key).is_some_and(is_taken) {
            return Begun::Busy;
        }
        self.permits.insert(ask.key.to_owned(), (ask.permit, now + permit_for));
        Begun::Permit
    }
}

impl Shelf {
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.lock().values.contains_key(key)
    }
}

impl Tier for Shelf {
    async fn begin(&self, asks: &[Ask<'_>], permit_for: Duration) -> Result<Vec<Begun>, TierError> {
        let mut rows = self.0.lock();
        Ok(asks.iter().map(|ask| rows.begin(ask, permit_for)).collect())
    }

    async fn fill(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>, TierError> {
        let mut rows = self.0.lock();
        let filled = fills.iter().map(|fill| {
            let stands = |(permit, until): (Permit, Instant)| {
                permit == fill.permit && Instant::now() < until
            };
            if !rows.permits.get(fill.key).copied().is_some_and(stands) {
                return Filled::Refused;
            }
            rows.permits.remove(fill.key);
            rows.values.insert(fill.key.to_owned(), Row::of(fill));
            Filled::Stored
        });
        Ok(filled.collect())
    }

    async fn release(&self, permits: &[(&str, Permit)]) -> Result<(), TierError> {
        let mut rows = self.0.lock();
        for (key, permit) in permits {
            if rows.permits.get(*key).is_some_and(|(standing, _)| standing == permit) {
                rows.permits.remove(*key);
            }
        }
        Ok(())
    }

    async fn put(
        &self,
        _by: Node,
        puts: &[Fill<'_>],
        _since: &Cursor,
    ) -> Result<Vec<Filled>, TierError> {
        let mut rows = self.0.lock();
        for put in puts {
            rows.permits.remove(put.key);
            rows.values.insert(put.key.to_owned(), Row::of(put));
        }
        Ok(vec![Filled::Stored; puts.len()])
    }

    async fn invalidate(
        &self,
        _by: Node,
        invalidations: &[Invalidation<'_>],
    ) -> Result<(), TierError> {
        let mut rows = self.0.lock();
        for invalidation in invalidations {
            let is_other = |key: &str| match invalidation.selector {
                Selector::Key(selected) => key != selected,
                Selector::Resource(group) => !key.starts_with(&format!("{group}:")),
                _ => panic!("an unknown selector"),
            };
            rows.values.retain(|key, _| is_other(key));
            rows.permits.retain(|key, _| is_other(key));
        }
        Ok(())
    }

    async fn poll(&self, _since: &Cursor) -> Result<Polled, TierError> {
        Ok(Polled::default())
    }

    async fn expire(&self, _by: Node, keys: &[&str]) -> Result<(), TierError> {
        let mut rows = self.0.lock();
        for key in keys {
            rows.permits.remove(*key);
            if let Some(row) = rows.values.get_mut(*key) {
                row.fresh_until = row.fresh_until.min(Instant::now());
            }
        }
        Ok(())
    }

    async fn sweep(&self, _rows_max: u32) -> Result<Swept, TierError> {
        let now = Instant::now();
        self.0.lock().values.retain(|_, row| now < row.keep_until);
        Ok(Swept::default())
    }

    async fn size(&self) -> Result<TierSize, TierError> {
        Ok(TierSize { entries: self.0.lock().values.len() as u64, bytes: 0 })
    }

    async fn close(&self) {}
}
