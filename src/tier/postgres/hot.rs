//! What engines tell each other of the keys that are read most.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::query_as;

use super::begin::is_storable;
use super::connections::Call;
use super::turn::{Turn, millis};
use crate::tier::{HotSum, Node};

/// Notes the keys that are read most on one engine, and sums up what the others have noted.
#[derive(Debug)]
pub(super) struct MergeHot<'a> {
    by: i64,
    resource: &'a str,
    keys: Vec<&'a str>,
    scores: Vec<f64>,
    keep_for: i64,
}

/// The keys that are kept of one engine, and that are given.
const KEYS_MAX: usize = 1000;

const MERGE_HOT: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $6 as now
    ),
    noted as (
        insert into forewarm.hot (resource, node, keys, scores, until)
        select $1, $2, $3, $4, present.now + $5 from present
        on conflict (resource, node) do update
        set keys = excluded.keys, scores = excluded.scores, until = excluded.until
    )
    select noted.key, sum(noted.score)
    from present
    join forewarm.hot as hot
        on hot.resource = $1 and hot.node <> $2 and hot.until > present.now
    cross join lateral unnest(hot.keys, hot.scores) as noted (key, score)
    group by noted.key
    order by 2 desc, 1
    limit 1000";

impl<'a> MergeHot<'a> {
    pub(super) fn new(
        by: Node,
        resource: &'a str,
        hot: &[(&'a str, f64)],
        keep_for: Duration,
    ) -> Self {
        let mut hot: Vec<_> = hot
            .iter()
            .copied()
            .filter(|(key, score)| is_storable(key) && score.is_finite())
            .collect();
        hot.sort_by(|(_, one), (_, two)| two.total_cmp(one));
        let (keys, scores) = hot.into_iter().take(KEYS_MAX).unzip();
        Self { by: by.0.cast_signed(), resource, keys, scores, keep_for: millis(keep_for) }
    }
}

impl Call for MergeHot<'_> {
    type Answer = Vec<HotSum>;

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<Vec<HotSum>, sqlx::Error> {
        let sums: Vec<(String, f64)> = query_as(turn.sql(MERGE_HOT))
            .bind(self.resource)
            .bind(self.by)
            .bind(&*self.keys)
            .bind(&*self.scores)
            .bind(self.keep_for)
            .bind(turn.ahead)
            .fetch_all(db)
            .await?;
        Ok(sums.into_iter().map(|(key, score)| HotSum { key, score }).collect())
    }
}
