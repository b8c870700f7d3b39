//! Looking values up.

use std::sync::Arc;

use sqlx::query_as;
use sqlx::sqlite::SqliteConnection;

use super::begin::{is_storable, json};
use super::turn::span;
use crate::tier::{Ask, Stored, TierError, Want};

/// A value that was found, and the place of its key among those asked for.
pub(super) type Found = (usize, Stored);

/// The keys whose values are wanted.
#[derive(Debug)]
pub(super) enum Keys {
    One(Arc<str>),
    /// As one parameter; those that are not wanted leave a gap.
    List(Arc<str>),
}

impl Keys {
    pub(super) fn wanted_by(asks: &[Ask<'_>]) -> Result<Self, TierError> {
        let is_wanted = |ask: &Ask<'_>| ask.want != Want::Permit && is_storable(ask.key);
        if let [ask] = asks
            && is_wanted(ask)
        {
            return Ok(Self::One(ask.key.into()));
        }
        let keys = asks.iter().map(|ask| is_wanted(ask).then_some(ask.key));
        json(&keys.collect::<Vec<_>>()).map(Self::List)
    }
}

/// The values of the keys that may be served.
pub(super) async fn look_up(
    db: &mut SqliteConnection,
    keys: &Keys,
    now: i64,
) -> Result<Vec<Found>, sqlx::Error> {
    match keys {
        Keys::One(key) => {
            let stored = look_up_one(db, key, now).await?;
            Ok(stored.map(|stored| (0, stored)).into_iter().collect())
        }
        Keys::List(list) => look_up_list(db, list, now).await,
    }
}

/// A row that is loaded more than 5 s from now was stored by a clock that has been set back since.
const LOOK_UP_ONE: &str = "
    select
        value,
        session <> (select session from forewarm_meta),
        loaded_at,
        fresh_until,
        keep_until,
        tags
    from forewarm_standing_entry
    where key = ?1
      and keep_until > ?2
      and loaded_at <= ?2 + 5000";

async fn look_up_one(
    db: &mut SqliteConnection,
    key: &str,
    now: i64,
) -> Result<Option<Stored>, sqlx::Error> {
    type Row = (Vec<u8>, bool, i64, i64, i64, String);
    let row: Option<Row> = query_as(LOOK_UP_ONE).bind(key).bind(now).fetch_optional(db).await?;
    Ok(row.map(|(value, is_restored, loaded_at, fresh_until, keep_until, tags)| {
        stored(value, is_restored, [loaded_at, fresh_until, keep_until], &tags, now)
    }))
}

/// All of it in one row: each row crosses over from SQLite's thread by itself, and costs more there
/// than to be found. The bytes of the values come one after the other, since JSON has none.
const LOOK_UP_LIST: &str = "
    select
        json_group_array(json_array(
            ask.key,
            entry.session <> (select session from forewarm_meta),
            entry.loaded_at,
            entry.fresh_until,
            entry.keep_until,
            entry.tags,
            length(entry.value)
        )),
        cast(group_concat(iif(length(entry.value) <= ?3, entry.value, x''), '') as blob)
    from json_each(?1) as ask
    cross join forewarm_standing_entry as entry on entry.key = ask.value
    where entry.keep_until > ?2
      and entry.loaded_at <= ?2 + 5000";

/// What is longer is looked up by itself: SQLite would hold all of it several times, and what it
/// can put together has a limit.
const BYTES_TOGETHER_MAX: u16 = 8 * 1024;

/// The place of a key, whether its value is restored, the three times, the tags, and the length.
type Head = (usize, u8, i64, i64, i64, String, usize);

async fn look_up_list(
    db: &mut SqliteConnection,
    list: &str,
    now: i64,
) -> Result<Vec<Found>, sqlx::Error> {
    let sql = query_as(LOOK_UP_LIST).bind(list).bind(now).bind(BYTES_TOGETHER_MAX);
    let (heads, values): (String, Option<Vec<u8>>) = sql.fetch_one(&mut *db).await?;
    let heads: Vec<Head> = serde_json::from_str(&heads).map_err(unreadable)?;
    let (mut rest, mut found) = (values.as_deref().unwrap_or_default(), Vec::new());
    let mut long = Vec::new();
    for (place, is_restored, loaded_at, fresh_until, keep_until, tags, length) in heads {
        if length > BYTES_TOGETHER_MAX.into() {
            long.push(place);
            continue;
        }
        let (value, others) = rest.split_at_checked(length).ok_or_else(|| unreadable(SHORT))?;
        let times = [loaded_at, fresh_until, keep_until];
        found.push((place, stored(value.to_vec(), is_restored != 0, times, &tags, now)));
        rest = others;
    }
    if !long.is_empty() {
        let keys: Vec<Option<String>> = serde_json::from_str(list).map_err(unreadable)?;
        for place in long {
            let Some(Some(key)) = keys.get(place) else { continue };
            let stored = look_up_one(db, key, now).await?;
            found.extend(stored.map(|stored| (place, stored)));
        }
    }
    Ok(found)
}

/// As where the texts of the file are not in UTF-8.
const SHORT: &str = "the values are shorter than they are said to be";

fn unreadable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(why.into())
}

fn stored(
    value: Vec<u8>,
    is_restored: bool,
    [loaded_at, fresh_until, keep_until]: [i64; 3],
    tags: &str,
    now: i64,
) -> Stored {
    Stored {
        value,
        age: span(loaded_at, now),
        fresh_for: span(now, fresh_until),
        keep_for: span(now, keep_until),
        is_restored,
        tags: tags_in(tags),
    }
}

fn tags_in(list: &str) -> Vec<String> {
    // SQLite has read the list already, to compare the tags with what was invalidated.
    if list == "[]" { Vec::new() } else { serde_json::from_str(list).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tier::{Begun, Fill, Filled, Permit, SqliteTier, Tier as _};

    const HOUR: Duration = Duration::from_hours(1);

    fn asks<'a>(keys: &[&'a str], want: Want) -> Vec<Ask<'a>> {
        let ask = |(nth, key): (u64, &&'a str)| Ask { key, permit: Permit(nth), want };
        (1..).zip(keys).map(ask).collect()
    }

    #[tokio::test]
    async fn a_batch_gives_each_key_its_own_value_whatever_is_in_it() {
        let home = tempfile::tempdir().unwrap();
        let tier = SqliteTier::open(home.path().join("cache.db")).await.unwrap();
        let just = vec![0xff; BYTES_TOGETHER_MAX.into()];
        let long = [&just[..], b"l"].concat();
        let longer = [&long[..], &long].concat();
        let cases: [(&str, &[u8], &[&str]); 6] = [
            ("p:r:empty", b"", &[]),
            ("p:r:long", &long, &["long"]),
            ("p:r:zeros", b"\0\0a\0", &["a \"b\"\\", "é"]),
            ("p:r:\"quoted\"", b"[1,2],", &[]),
            ("p:r:longer", &longer, &[]),
            ("p:r:just", &just, &["just"]),
        ];
        let keys = cases.map(|(key, ..)| key);
        let asked = asks(&keys, Want::Permit);
        tier.begin(&asked, HOUR).await.unwrap();
        let fills = asked.iter().zip(&cases).map(|(ask, (key, value, tags))| Fill {
            key,
            permit: ask.permit,
            value,
            age: Duration::ZERO,
            fresh_for: HOUR,
            keep_for: HOUR,
            tags,
            version: None,
        });
        let fills: Vec<_> = fills.collect();
        assert_eq!(tier.fill(&fills).await.unwrap(), [Filled::Stored; 6]);
        // A key that is not there, and one that is not wanted.
        let mut asked = asks(&[&["p:r:none"], &keys[..]].concat(), Want::Copy);
        asked.push(Ask { key: "p:r:zeros", permit: Permit(9), want: Want::Permit });
        let begun = tier.begin(&asked, HOUR).await.unwrap();
        assert!(matches!(begun[..], [Begun::Miss, .., Begun::Permit]), "{begun:?}");
        for (begun, (key, value, tags)) in begun.into_iter().skip(1).zip(cases) {
            let Begun::Hit(stored) = begun else { panic!("{key}: {begun:?}") };
            assert!(stored.value == value, "{key}");
            assert_eq!(stored.tags, tags, "{key}");
        }
    }

    #[tokio::test]
    async fn no_key_of_a_batch_need_be_there() {
        let home = tempfile::tempdir().unwrap();
        let tier = SqliteTier::open(home.path().join("cache.db")).await.unwrap();
        for keys in [&["p:r:1", "p:r:2"][..], &["p:r:1"], &[]] {
            let begun = tier.begin(&asks(keys, Want::Copy), HOUR).await.unwrap();
            assert_eq!(begun.len(), keys.len());
            assert!(begun.iter().all(|begun| matches!(begun, Begun::Miss)), "{begun:?}");
        }
    }
}
