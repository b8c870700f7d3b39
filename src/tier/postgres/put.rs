//! Storing values in the place of what is there, unless somebody has changed that.

use std::collections::HashSet;

use sqlx::postgres::PgConnection;
use sqlx::query_as;

use super::connections::Call;
use super::fill::Columns;
use super::snapshot::Snapshot;
use super::turn::Turn;
use crate::tier::{Cursor, Fill, Node};

/// Invalidates keys, and stores their new values where that is safe.
#[derive(Debug)]
pub(super) struct PutIn<'a> {
    columns: Columns<'a>,
    ids: Vec<i64>,
    by: i64,
    incarnation: i64,
    since: Snapshot,
    channel: Option<&'a str>,
}

/// The last value of a key that comes twice is stored.
///
/// What has been changed is a hindrance unless it had been told at the cursor: this may be carried
/// out late. A change that is committed while this statement runs voids the value that it stores, as any other does.
///
/// What is stored takes the place of the permit in the row itself; its change has a target that
/// voids nothing, or it would void what it tells of. Where nothing is stored, the change voids what
/// is there.
const PUT: &str = "
    with present as materialized (
        select
            (extract(epoch from clock_timestamp()) * 1000)::bigint + $10 as now,
            meta.incarnation = $13
                and forewarm.covers($14::text::pg_snapshot, meta.cut) as is_told
        from forewarm.meta as meta
    ),
    ask as materialized (
        select distinct on (digest)
            sha256(convert_to(ask.key, 'UTF8')) as digest,
            ask.key,
            ask.id,
            ask.value,
            present.now,
            least(present.now, $11) - ask.age as loaded_at,
            least(present.now, $11) + ask.fresh_for as fresh_until,
            least(present.now, $11) + ask.keep_for as keep_until,
            ($6::text[])[ask.tags_from : ask.tags_to] as tags,
            forewarm.targets(ask.key, ($6::text[])[ask.tags_from : ask.tags_to]) as targets,
            present.is_told
        from present
        cross join unnest(
            $1::text[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[],
            $7::integer[], $8::integer[], $9::bigint[]
        ) with ordinality as ask (
            key, value, age, fresh_for, keep_for, tags_from, tags_to, id, nth
        )
        order by digest, nth desc
    ),
    judged as materialized (
        select
            ask.*,
            ask.is_told and not exists (
                select 1 from forewarm.change as change
                where change.target = any (ask.targets || forewarm.target('put', ask.key, ''))
                  and change.xid >= pg_snapshot_xmin($14::text::pg_snapshot)
                  and not pg_visible_in_snapshot(change.xid, $14::text::pg_snapshot)
                  and (change.likeness is null or ask.key like change.likeness)
            ) as is_stored
        from ask
    ),
    stored as (
        insert into forewarm.entry as entry (
            digest, key, value, tags, targets, loaded_at, fresh_until, keep_until, seen, ends_at
        )
        select
            digest, key, value, tags, targets, loaded_at, fresh_until, keep_until,
            pg_current_snapshot(), keep_until
        from judged where is_stored
        order by digest
        on conflict (digest) do update
        set value = excluded.value,
            tags = excluded.tags,
            targets = excluded.targets,
            loaded_at = excluded.loaded_at,
            fresh_until = excluded.fresh_until,
            keep_until = excluded.keep_until,
            seen = excluded.seen,
            permit = null,
            permit_since = null,
            permit_until = null,
            permit_seen = null,
            ends_at = excluded.ends_at
    ),
    told as (
        insert into forewarm.change (id, by, kind, subject, target, at)
        select
            id, $12, 'key', key,
            forewarm.target(case when is_stored then 'put' else 'key' end, key, ''), now
        from judged
    ),
    hinted as materialized (select pg_notify($15, '') where $15 is not null)
    select judged.key, judged.is_stored from judged left join hinted on true";

impl<'a> PutIn<'a> {
    pub(super) fn new(puts: impl IntoIterator<Item = &'a Fill<'a>>, by: Node) -> Self {
        let columns = Columns::new(puts);
        let ids = columns.keys.iter().map(|_key| fastrand::i64(..)).collect();
        let (incarnation, since) = (0, Snapshot::NOTHING);
        Self { columns, ids, by: by.0.cast_signed(), incarnation, since, channel: None }
    }

    /// Where whoever puts the values stands. Otherwise nothing is stored.
    pub(super) fn since(mut self, cursor: &Cursor) -> Self {
        if let Some((incarnation, since)) = Snapshot::of(cursor) {
            (self.incarnation, self.since) = (incarnation, since);
        }
        self
    }

    /// Where others are told that there is news.
    pub(super) fn hint(self, channel: Option<&'a str>) -> Self {
        Self { channel, ..self }
    }
}

impl Call for PutIn<'_> {
    /// The keys whose values were stored.
    type Answer = HashSet<String>;

    async fn run(
        &self,
        db: &mut PgConnection,
        turn: Turn<'_>,
    ) -> Result<HashSet<String>, sqlx::Error> {
        let Self { columns, .. } = self;
        let judged: Vec<(String, bool)> = query_as(turn.sql(PUT))
            .bind(&*columns.keys)
            .bind(&*columns.values)
            .bind(&*columns.ages)
            .bind(&*columns.fresh_fors)
            .bind(&*columns.keep_fors)
            .bind(&*columns.tags)
            .bind(&*columns.tags_from)
            .bind(&*columns.tags_to)
            .bind(&*self.ids)
            .bind(turn.ahead)
            .bind(turn.clocks.server_ms())
            .bind(self.by)
            .bind(self.incarnation)
            .bind(self.since.to_string())
            .bind(self.channel)
            .fetch_all(db)
            .await?;
        if judged.is_empty() {
            // No life of the tables is noted: nothing has been done.
            return Err(sqlx::Error::RowNotFound);
        }
        Ok(judged.into_iter().filter_map(|(key, is_stored)| is_stored.then_some(key)).collect())
    }
}
