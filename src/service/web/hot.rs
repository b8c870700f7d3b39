//! The keys that are read most, found once for all who ask within a moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::Service;
use crate::clock::{Clock, Moment};

/// What was found lately, by the resource that was asked for or none. To find them looks at each key
/// in memory: whoever holds the lock does so, one at a time, on a thread where nobody is held up.
#[derive(Debug, Default)]
pub(super) struct HotKeys {
    clock: Clock,
    found: Arc<Mutex<BTreeMap<Option<String>, Found>>>,
}

#[derive(Debug)]
struct Found {
    at: Moment,
    limit: usize,
    rows: Vec<HotKeyRow>,
}

/// A key that is read often.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct HotKeyRow {
    /// The resource.
    resource: String,
    /// The key.
    key: String,
    /// Its reads, each weighing half as much after a half-life.
    score: f64,
    /// Its reads per second; `null` before the second.
    rate: Option<f64>,
    /// What it is ordered by: the score, and less in proportion where the rate is below 8 reads in
    /// a half-life.
    heat: f64,
}

/// How old an answer may be.
const LASTS: Duration = Duration::from_secs(2);

impl HotKeys {
    /// The first of a resource or of all, the hottest first, as they were within the last two seconds.
    pub(super) async fn of(
        service: Arc<Service>,
        resource: Option<String>,
        limit: usize,
    ) -> Vec<HotKeyRow> {
        let mut held = Arc::clone(&service.hot.found).lock_owned().await;
        let now = service.hot.clock.now();
        held.retain(|_, found| now.since(found.at) < LASTS);
        if let Some(found) = held.get(&resource).filter(|found| found.limit >= limit) {
            return found.rows.iter().take(limit).cloned().collect();
        }
        // The lock goes along: who goes away meanwhile makes no room for another search.
        let search = tokio::task::spawn_blocking(move || {
            let rows = search(&service, resource.as_deref(), limit);
            let found = Found { at: service.hot.clock.now(), limit, rows: rows.clone() };
            held.insert(resource, found);
            rows
        });
        search.await.unwrap_or_default()
    }
}

fn search(service: &Service, resource: Option<&str>, limit: usize) -> Vec<HotKeyRow> {
    let all = service.app.resources().into_iter();
    let mut rows = Vec::new();
    for (name, served) in all.filter(|(name, _)| resource.is_none_or(|wanted| wanted == *name)) {
        rows.extend(served.documents.hot_keys(limit).into_iter().map(|hot| HotKeyRow {
            resource: name.to_owned(),
            key: hot.key,
            score: hot.score,
            rate: hot.rate,
            heat: hot.heat,
        }));
        rows.sort_by(|one, other| other.heat.total_cmp(&one.heat));
        rows.truncate(limit);
    }
    rows
}
