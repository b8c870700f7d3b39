//! Making values stale.

use sqlx::postgres::PgConnection;
use sqlx::query;

use super::begin::is_storable;
use super::connections::Call;
use super::turn::Turn;
use crate::tier::{EXPIRED, Node};

/// Makes values stale, and voids permits.
#[derive(Debug)]
pub(super) struct Expire<'a> {
    by: i64,
    ids: Vec<i64>,
    keys: Vec<&'a str>,
    channel: Option<&'a str>,
}

const EXPIRE: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $5 as now
    ),
    told as (
        insert into forewarm.change (id, by, kind, subject, target, at)
        select ask.id, $1, $4, ask.key, forewarm.target($4, ask.key, ''), present.now
        from present cross join unnest($2::bigint[], $3::text[]) as ask (id, key)
    ),
    expired as (
        update forewarm.entry as entry
        set fresh_until = least(entry.fresh_until, present.now),
            permit = null,
            permit_since = null,
            permit_until = null,
            permit_seen = null
        from present, (
            select distinct sha256(convert_to(key, 'UTF8')) as digest
            from unnest($3::text[]) as ask (key)
            order by 1
        ) as ask
        where entry.digest = ask.digest
          and (entry.permit is not null or entry.fresh_until > present.now)
    )
    select pg_notify($6, '') where $6 is not null";

impl<'a> Expire<'a> {
    pub(super) fn new(keys: &[&'a str], by: Node) -> Self {
        let keys: Vec<_> = keys.iter().copied().filter(|key| is_storable(key)).collect();
        let ids = keys.iter().map(|_key| fastrand::i64(..)).collect();
        Self { by: by.0.cast_signed(), ids, keys, channel: None }
    }

    /// Where others are told that there is news.
    pub(super) fn hint(self, channel: Option<&'a str>) -> Self {
        Self { channel, ..self }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Call for Expire<'_> {
    type Answer = ();

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<(), sqlx::Error> {
        query(turn.sql(EXPIRE))
            .bind(self.by)
            .bind(&*self.ids)
            .bind(&*self.keys)
            .bind(EXPIRED)
            .bind(turn.ahead)
            .bind(self.channel)
            .execute(db)
            .await?;
        Ok(())
    }
}
