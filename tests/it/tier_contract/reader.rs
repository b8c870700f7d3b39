//! One who reads the log of a store.

use std::collections::HashMap;

use forewarm::{Change, Cursor, Logged, Tier};

/// One who reads the log of a store, and forgets nothing of it.
pub(super) struct Reader {
    pub(super) cursor: Cursor,
    heard: HashMap<u64, Logged>,
}

/// The most changes that one poll may give.
const PAGE_MAX: usize = 5000;

impl Reader {
    /// One who has heard of everything that has happened so far.
    pub(super) async fn new(tier: &impl Tier) -> Self {
        let mut reader = Self { cursor: Cursor::default(), heard: HashMap::new() };
        reader.news(tier).await;
        reader
    }

    /// What has not been heard of before. There must be no gap.
    pub(super) async fn news(&mut self, tier: &impl Tier) -> Vec<Logged> {
        let mut news = Vec::new();
        loop {
            let polled = tier.poll(&self.cursor).await.unwrap();
            assert!(!polled.is_gap, "a gap after {:?}", self.cursor);
            assert!(polled.changes.len() <= PAGE_MAX, "{} changes", polled.changes.len());
            for logged in polled.changes {
                match self.heard.insert(logged.id, logged.clone()) {
                    None => news.push(logged),
                    Some(before) => assert_eq!(logged, before, "one id, two changes"),
                }
            }
            self.cursor = polled.cursor;
            if !polled.has_more {
                return news;
            }
        }
    }

    /// The changes that have not been heard of before.
    pub(super) async fn changes(&mut self, tier: &impl Tier) -> Vec<Change> {
        self.news(tier).await.into_iter().map(|logged| logged.change).collect()
    }
}

/// The cursor of one who stood at `since`, and has heard of everything that has happened so far.
pub(super) async fn caught_up(tier: &impl Tier, mut since: Cursor) -> Cursor {
    loop {
        let polled = tier.poll(&since).await.unwrap();
        since = polled.cursor;
        if !polled.has_more {
            return since;
        }
    }
}
