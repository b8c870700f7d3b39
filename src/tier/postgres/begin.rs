//! Looking values up, and giving permits for those that are not there.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::query_as;

use super::connections::Call;
use super::turn::{Turn, millis, span};
use crate::tier::{Ask, Begun, Stored, Want};

/// A value that was found, and the place of its key among those asked for.
pub(super) type Found = (usize, Stored);

/// Whether PostgreSQL can store the text: it has none with a NUL.
pub(super) fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

/// Whether a value that was found answers an ask.
pub(super) fn answers(ask: &Ask<'_>, stored: &Stored) -> bool {
    match ask.want {
        Want::Value => true,
        Want::Fresh | Want::Copy => !stored.fresh_for.is_zero(),
        Want::Permit => false,
    }
}

/// Looks for the values of those asks that want one.
#[derive(Debug)]
pub(super) struct LookUp<'a> {
    keys: Vec<&'a str>,
    places: Vec<usize>,
}

/// A row that is loaded more than 5 s from now was stored by a clock that has been set back since.
const LOOK_UP: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $2 as now
    )
    select
        ask.nth,
        entry.value,
        entry.tags,
        present.now - entry.loaded_at,
        entry.fresh_until - present.now,
        entry.keep_until - present.now
    from present
    cross join unnest($1::text[]) with ordinality as ask (key, nth)
    join forewarm.entry as entry on entry.digest = sha256(convert_to(ask.key, 'UTF8'))
    where entry.value is not null
      and entry.keep_until > present.now
      and entry.loaded_at <= present.now + 5000
      and not exists (
          select 1 from forewarm.change as change
          where change.target = any (entry.targets)
            and change.xid >= pg_snapshot_xmin(entry.seen)
            and not pg_visible_in_snapshot(change.xid, entry.seen)
            and (change.likeness is null or entry.key like change.likeness)
      )";

impl<'a> LookUp<'a> {
    pub(super) fn new(asks: &[Ask<'a>]) -> Self {
        let wanted = asks.iter().enumerate();
        let wanted = wanted.filter(|(_, ask)| ask.want != Want::Permit && is_storable(ask.key));
        let (places, keys) = wanted.map(|(place, ask)| (place, ask.key)).unzip();
        Self { keys, places }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Call for LookUp<'_> {
    type Answer = Vec<Found>;

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<Vec<Found>, sqlx::Error> {
        type Row = (i64, Vec<u8>, Vec<String>, i64, i64, i64);
        let rows: Vec<Row> =
            query_as(turn.sql(LOOK_UP)).bind(&*self.keys).bind(turn.ahead).fetch_all(db).await?;
        let found = |(nth, value, tags, age, fresh_for, keep_for): Row| {
            let stored = Stored {
                value,
                age: span(age),
                fresh_for: span(fresh_for),
                keep_for: span(keep_for),
                is_restored: false,
                tags,
            };
            let place = usize::try_from(nth).ok()?.checked_sub(1)?;
            Some((*self.places.get(place)?, stored))
        };
        Ok(rows.into_iter().filter_map(found).collect())
    }
}

/// Gives permits for keys, unless a value has come in meanwhile or somebody else is loading it.
#[derive(Debug)]
pub(super) struct Grant<'a> {
    /// No key comes twice.
    asks: Vec<&'a Ask<'a>>,
    permit_for: i64,
}

/// The permit that each key now has, where it was given here.
pub(super) type Granted = HashMap<String, i64>;

/// The longest that a permit lasts. The log is cut on the assumption that none is older.
const PERMIT_MAX: Duration = Duration::from_mins(10);

/// What answers instead of a permit: a value that ends after `keep_until`, or is fresh after
/// `fresh_until`, of the row that was to be inserted. The row that is there may have come in after
/// this statement began; what is decided of it is decided under its lock.
///
/// A permit that was given after now was given by a clock that has been set back since. A permit
/// that is asked for again is as old as it was: the load may have begun with the first answer.
const GRANT: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $5 as now
    )
    insert into forewarm.entry as entry (
        digest, key, targets, loaded_at, fresh_until, keep_until,
        permit, permit_since, permit_until, permit_seen, ends_at
    )
    select
        sha256(convert_to(ask.key, 'UTF8')),
        ask.key,
        forewarm.targets(ask.key, '{}'),
        present.now,
        case when ask.want = 'permit' then 9223372036854775807 else present.now end,
        case when ask.want = 'value' then present.now else 9223372036854775807 end,
        ask.permit,
        present.now,
        present.now + $4,
        pg_current_snapshot(),
        present.now + $4
    from present
    cross join unnest($1::text[], $2::bigint[], $3::text[]) as ask (key, permit, want)
    order by 1
    on conflict (digest) do update
    set permit = excluded.permit,
        permit_until = excluded.permit_until,
        permit_since = case entry.permit
            when excluded.permit then entry.permit_since else excluded.permit_since
        end,
        permit_seen = case entry.permit
            when excluded.permit then entry.permit_seen else excluded.permit_seen
        end,
        ends_at = greatest(entry.ends_at, excluded.ends_at)
    where not (
            entry.value is not null
            and (
                entry.keep_until > excluded.keep_until
                or entry.fresh_until > excluded.fresh_until
            )
            and entry.loaded_at <= excluded.loaded_at + 5000
            and not exists (
                select 1 from forewarm.change as change
                where change.target = any (entry.targets)
                  and change.xid >= pg_snapshot_xmin(entry.seen)
                  and not pg_visible_in_snapshot(change.xid, entry.seen)
                  and (change.likeness is null or entry.key like change.likeness)
            )
        )
      and (
            entry.permit is null
            or entry.permit = excluded.permit
            or entry.permit_until <= excluded.permit_since
            or entry.permit_since > excluded.permit_since + 5000
            or exists (
                select 1 from forewarm.change as change
                where change.target = any (excluded.targets)
                  and change.xid >= pg_snapshot_xmin(entry.permit_seen)
                  and not pg_visible_in_snapshot(change.xid, entry.permit_seen)
                  and (change.likeness is null or entry.key like change.likeness)
            )
        )
    returning entry.key, entry.permit";

impl<'a> Grant<'a> {
    /// Of the asks for one key the first one gets the permit.
    pub(super) fn new(asks: &'a [Ask<'a>], permit_for: Duration) -> Self {
        let mut keys = HashSet::new();
        let asks = asks.iter().filter(|ask| keys.insert(ask.key)).collect();
        Self { asks, permit_for: millis(permit_for.min(PERMIT_MAX)) }
    }
}

impl Call for Grant<'_> {
    type Answer = Granted;

    // The caller may have begun to load with the first answer, which was lost; an invalidation that
    // has come since must not be forgotten by a second.
    const RESENDS: bool = false;

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<Granted, sqlx::Error> {
        let word = |want| match want {
            Want::Value => "value",
            Want::Fresh | Want::Copy => "fresh",
            Want::Permit => "permit",
        };
        let permits: Vec<(String, i64)> = query_as(turn.sql(GRANT))
            .bind(self.asks.iter().map(|ask| ask.key).collect::<Vec<_>>())
            .bind(self.asks.iter().map(|ask| ask.permit.0.cast_signed()).collect::<Vec<_>>())
            .bind(self.asks.iter().map(|ask| word(ask.want)).collect::<Vec<_>>())
            .bind(self.permit_for)
            .bind(turn.ahead)
            .fetch_all(db)
            .await?;
        Ok(permits.into_iter().collect())
    }
}

/// Whether an ask got the permit of its key.
pub(super) fn is_granted(granted: &Granted, ask: &Ask<'_>) -> bool {
    granted.get(ask.key) == Some(&ask.permit.0.cast_signed())
}

/// Fills in the values that were found for asks that have no answer yet.
pub(super) fn answer_with(begun: &mut [Option<Begun>], asks: &[Ask<'_>], found: Vec<Found>) {
    for (place, stored) in found {
        let ask = asks.get(place).filter(|ask| answers(ask, &stored));
        if let Some((begun @ None, _)) = begun.get_mut(place).zip(ask) {
            *begun = Some(Begun::Hit(stored));
        }
    }
}
