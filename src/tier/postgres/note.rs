//! What is invalidated, as the rows of the log have it.

use std::collections::HashMap;

use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{Postgres, query};

use super::begin::is_storable;
use super::connections::Call;
use super::turn::{Turn, millis, ordered};
use crate::key::{Part, Pattern};
use crate::tier::{Invalidation, Node, Row, Selector};

/// Rows of the log, column by column.
#[derive(Debug, Default)]
pub(super) struct Note<'a> {
    by: i64,
    ids: Vec<i64>,
    kinds: Vec<&'a str>,
    subjects: Vec<&'a str>,
    details: Vec<&'a str>,
    likenesses: Vec<Option<String>>,
    lags: Vec<Option<i64>>,
    min_versions: Vec<Option<i64>>,
    channel: Option<&'a str>,
}

/// The patterns of a resource that are remembered. Each look-up in the resource compares its key
/// with those that came after the value; more void the whole resource, which is never too little.
const PATTERNS_MAX: i64 = 1000;

/// The rows in the log are what voids values and permits. Nothing else is written, and nothing read,
/// so that a transaction that does this meets no other.
const NOTE: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $9 as now
    ),
    told as (
        insert into forewarm.change (
            id, by, kind, subject, detail, likeness, target, lag_ms, min_version, at
        )
        select
            ask.id, $1, ask.kind, ask.subject, ask.detail, ask.likeness,
            forewarm.target(ask.kind, ask.subject, ask.detail),
            ask.lag_ms, ask.min_version, present.now
        from present
        cross join unnest(
            $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
            $8::bigint[]
        ) as ask (id, kind, subject, detail, likeness, lag_ms, min_version)
    )
    select pg_notify($10, '') where $10 is not null";

/// The same, and what is void by it is removed if nobody holds it, so that it takes up no room. Too
/// many patterns become one for the whole resource.
const NOTE_AND_REMOVE: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $9 as now
    ),
    crowded as materialized (
        select ask.subject
        from (
            select distinct ask.subject
            from unnest($3::text[], $4::text[]) as ask (kind, subject)
            where ask.kind = 'pattern'
        ) as ask
        where $11 <= (
            select count(*)
            from (
                select 1 from forewarm.change as change
                where change.target = forewarm.target('pattern', ask.subject, '')
                limit $11
            ) as pattern
        )
    ),
    told as (
        insert into forewarm.change (
            id, by, kind, subject, detail, likeness, target, lag_ms, min_version, at
        )
        select
            ask.id, $1,
            note.kind, ask.subject, note.detail, note.likeness,
            forewarm.target(note.kind, ask.subject, note.detail),
            ask.lag_ms, ask.min_version, present.now
        from present
        cross join unnest(
            $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
            $8::bigint[]
        ) as ask (id, kind, subject, detail, likeness, lag_ms, min_version)
        left join crowded on crowded.subject = ask.subject and ask.kind = 'pattern'
        cross join lateral (
            select
                case when crowded.subject is null then ask.kind else 'resource' end as kind,
                case when crowded.subject is null then ask.detail else '' end as detail,
                case when crowded.subject is null then ask.likeness end as likeness
        ) as note
    ),
    removed as (
        delete from forewarm.entry
        where digest in (
            select entry.digest
            from forewarm.entry as entry
            where entry.digest in (
                select sha256(convert_to(ask.subject, 'UTF8'))
                from unnest($3::text[], $4::text[]) as ask (kind, subject)
                where ask.kind = 'key'
            )
            for update skip locked
        )
    )
    select pg_notify($10, '') where $10 is not null";

impl<'a> Note<'a> {
    /// Notes of invalidations.
    pub(super) fn of(
        invalidations: impl IntoIterator<Item = &'a Invalidation<'a>>,
        by: Node,
    ) -> Self {
        let mut note = Self { by: by.0.cast_signed(), ..Self::default() };
        let mut patterns: HashMap<&str, i64> = HashMap::new();
        for invalidation in invalidations {
            let selector = invalidation.selector;
            if let Selector::Pattern { resource, .. } = selector {
                *patterns.entry(resource).or_default() += 1;
            }
            let lag = invalidation.lag.filter(|_lag| matches!(selector, Selector::Key(_)));
            let is_crowded = |resource| patterns.get(resource) > Some(&PATTERNS_MAX);
            let (row, likeness) = match selector {
                Selector::Pattern { resource, .. } if is_crowded(resource) => {
                    (Selector::Resource(resource).into(), None)
                }
                Selector::Pattern { resource, pattern } => match likeness(resource, pattern) {
                    Some(likeness) => (selector.into(), Some(likeness)),
                    // What cannot be read may match anything.
                    None => (Selector::Resource(resource).into(), None),
                },
                _ => (storable(selector).into(), None),
            };
            note.push(row, likeness);
            note.lags.push(lag.map(|lag| millis(lag.lasts)));
            note.min_versions.push(lag.and_then(|lag| lag.min_version).map(ordered));
        }
        note
    }

    /// Where others are told that there is news.
    pub(super) fn hint(self, channel: Option<&'a str>) -> Self {
        Self { channel, ..self }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Notes them in a transaction that is not ours.
    pub(super) async fn run_in(
        &self,
        transaction: &mut PgConnection,
        turn: Turn<'_>,
    ) -> Result<(), sqlx::Error> {
        self.bound(turn, NOTE).execute(transaction).await.map(drop)
    }

    fn bound<'q>(&'q self, turn: Turn<'_>, sql: &'static str) -> Query<'q, Postgres, PgArguments> {
        query(turn.sql(sql))
            .bind(self.by)
            .bind(&*self.ids)
            .bind(&*self.kinds)
            .bind(&*self.subjects)
            .bind(&*self.details)
            .bind(&*self.likenesses)
            .bind(&*self.lags)
            .bind(&*self.min_versions)
            .bind(turn.ahead)
            .bind(self.channel)
    }

    fn push(&mut self, row: Row<'a>, likeness: Option<String>) {
        self.ids.push(fastrand::i64(..));
        self.kinds.push(row.kind);
        self.subjects.push(row.subject);
        self.details.push(row.detail);
        self.likenesses.push(likeness);
    }
}

impl Call for Note<'_> {
    type Answer = ();

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<(), sqlx::Error> {
        let note = self.bound(turn, NOTE_AND_REMOVE).bind(PATTERNS_MAX);
        note.execute(db).await.map(drop)
    }
}

/// What to invalidate so that the selector can be written down: of a key or a tag that cannot be
/// stored, its resource. Others may hold such a key in their memory.
fn storable(selector: Selector<'_>) -> Selector<'_> {
    match selector {
        Selector::Key(key) if !is_storable(key) => Selector::Resource(resource_of(key)),
        Selector::Tag { resource, tag } if !is_storable(tag) => Selector::Resource(resource),
        other => other,
    }
}

/// `{prefix}:{resource}` of a full key.
pub(super) fn resource_of(key: &str) -> &str {
    let end = key.match_indices(':').nth(1).map_or(key.len(), |(at, _)| at);
    let resource = key.get(..end).unwrap_or(key);
    // There is none with a NUL; whatever is asked for, it is not in the store.
    resource.split('\0').next().unwrap_or(resource)
}

/// A pattern of a resource as `like` reads it, on the full key.
fn likeness(resource: &str, pattern: &str) -> Option<String> {
    let pattern: Pattern = pattern.parse().ok()?;
    let prefix = resource.chars().chain([':']).map(Part::Char);
    let mut likeness = String::new();
    for part in prefix.chain(pattern.parts().iter().copied()) {
        match part {
            Part::Any => likeness.push('%'),
            Part::One => likeness.push('_'),
            Part::Char(sign) => {
                if ['%', '_', '\\'].contains(&sign) {
                    likeness.push('\\');
                }
                likeness.push(sign);
            }
        }
    }
    Some(likeness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_written_as_the_database_reads_it() {
        for (pattern, expected) in [
            ("4?:*", Some(r"p\_:r:4_:%")),
            (r"100%_\*", Some(r"p\_:r:100\%\_*")),
            (r"a\\b", Some(r"p\_:r:a\\b")),
            ("", None),
        ] {
            assert_eq!(likeness("p_:r", pattern).as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn what_cannot_be_stored_is_invalidated_with_its_resource() {
        let resource = Selector::Resource("p:user");
        assert_eq!(storable(Selector::Key("p:user:a\0b:c")), resource);
        assert_eq!(storable(Selector::Tag { resource: "p:user", tag: "\0" }), resource);
        assert_eq!(storable(Selector::Key("p:user:1")), Selector::Key("p:user:1"));
        assert_eq!(storable(Selector::Key("p:\0")), Selector::Resource("p:"));
    }
}
