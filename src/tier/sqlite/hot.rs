//! Which keys are read most on the engines that share a file.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_as};

use super::begin::{is_storable, json};
use super::queue::Write;
use super::turn::{Turn, millis};
use crate::tier::{HotSum, Node, TierError};

/// Notes the hottest keys of an engine, and gives those of the others.
#[derive(Debug)]
pub(super) struct MergeHot {
    by: Node,
    resource: String,
    /// `[key, score]` for each.
    hot: Arc<str>,
    keep_for: i64,
    answers_max: i64,
}

/// The most keys that one engine may note for a resource.
const NOTED_MAX: usize = 10_000;

/// The most keys that whoever has noted fewer is told.
const ANSWERS_MAX: usize = 1000;

const FORGET: &str = "
    delete from forewarm_hot where resource = ?1 and node = ?2";

const NOTE: &str = "
    insert into forewarm_hot (resource, node, key, score, until)
    select ?1, ?2, ask.value ->> 0, ask.value ->> 1, ?4
    from json_each(?3) as ask
    where true
    on conflict (resource, node, key) do update set score = excluded.score";

const SUMS: &str = "
    select hot.key, sum(hot.score)
    from forewarm_hot as hot
    where hot.resource = ?1 and hot.node <> ?2 and hot.until > ?3
    group by hot.key
    order by sum(hot.score) desc, hot.key
    limit ?4";

impl MergeHot {
    pub(super) fn new(
        by: Node,
        resource: &str,
        hot: &[(&str, f64)],
        keep_for: Duration,
    ) -> Result<Self, TierError> {
        let mut noted = hot.to_vec();
        noted.retain(|(key, score)| is_storable(key) && score.is_finite());
        noted.sort_by(|(_, one), (_, two)| two.total_cmp(one));
        noted.truncate(NOTED_MAX);
        Ok(Self {
            by,
            resource: resource.to_owned(),
            hot: json(&noted)?,
            keep_for: millis(keep_for),
            answers_max: i64::try_from(hot.len().max(ANSWERS_MAX)).map_err(TierError::new)?,
        })
    }
}

impl Write for MergeHot {
    type Answer = Vec<HotSum>;

    async fn write(
        &self,
        db: &mut SqliteConnection,
        turn: Turn,
    ) -> Result<Vec<HotSum>, sqlx::Error> {
        let node = self.by.0.cast_signed();
        query(FORGET).bind(&*self.resource).bind(node).execute(&mut *db).await?;
        let note = query(NOTE).bind(&*self.resource).bind(node).bind(&*self.hot);
        note.bind(turn.now.saturating_add(self.keep_for)).execute(&mut *db).await?;
        let sums = query_as(SUMS).bind(&*self.resource).bind(node).bind(turn.now);
        let sums: Vec<(String, f64)> = sums.bind(self.answers_max).fetch_all(db).await?;
        Ok(sums.into_iter().map(|(key, score)| HotSum { key, score }).collect())
    }
}
