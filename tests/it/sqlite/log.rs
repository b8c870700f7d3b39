//! How long the log of a file reaches back, and what it may hold.

use std::time::Duration;

use forewarm::{Change, Cursor, Mark, Polled, Selector, SqliteTier, Tier as _};
use sqlx::{query, query_scalar};

use super::{Home, SECOND, begin, fill, put_all};
use crate::tier_contract::NODE;

const MINUTE: Duration = Duration::from_mins(1);

async fn caught_up(tier: &SqliteTier) -> Cursor {
    tier.poll(&Cursor::default()).await.unwrap().cursor
}

async fn poll(tier: &SqliteTier, since: &Cursor) -> Polled {
    tier.poll(since).await.unwrap()
}

async fn invalidate(tier: &SqliteTier, key: &str) {
    tier.invalidate(NODE, &[Selector::Key(key).into()]).await.unwrap();
}

async fn rows(home: &Home) -> i64 {
    let sql = "select count(*) from forewarm_change";
    query_scalar(sql).fetch_one(&mut home.other().await).await.unwrap()
}

#[tokio::test]
async fn the_log_reaches_back_for_ten_minutes() {
    let home = Home::new();
    let tier = home.open().await;
    let since = caught_up(&tier).await;
    invalidate(&tier, "p:user:1").await;
    home.clock.advance(9 * MINUTE);
    tier.sweep(100).await.unwrap();
    let polled = poll(&tier, &since).await;
    assert_eq!((polled.is_gap, polled.changes.len()), (false, 1));
}

#[tokio::test]
async fn whoever_stood_before_the_cut_is_told_of_a_gap() {
    let home = Home::new();
    let tier = home.open().await;
    let since = caught_up(&tier).await;
    for nth in 0..5 {
        invalidate(&tier, &format!("p:user:{nth}")).await;
    }
    let then = caught_up(&tier).await;
    home.clock.advance(11 * MINUTE);
    invalidate(&tier, "p:user:5").await;
    let mut sweeps = 1;
    while tier.sweep(2).await.unwrap().has_more {
        sweeps += 1;
    }
    assert_eq!((rows(&home).await, sweeps), (1, 3));
    let neighbour = home.open().await;
    for tier in [&tier, &neighbour] {
        assert!(poll(tier, &since).await.is_gap);
        assert!(poll(tier, &Cursor::default()).await.is_gap);
        let polled = poll(tier, &then).await;
        assert_eq!((polled.is_gap, polled.changes.len()), (false, 1));
    }
    // What is put by one who may have missed something is not stored.
    let filled = tier.put(NODE, &[fill("p:user:1", 0, b"Ada")], &since).await.unwrap();
    assert_eq!(filled, [forewarm::Filled::Refused]);
}

#[tokio::test]
async fn the_log_of_a_small_file_is_short() {
    let home = Home::new();
    let tier = home.options().max_bytes(256 * 1024).open().await.unwrap();
    let since = caught_up(&tier).await;
    for nth in 0..600 {
        invalidate(&tier, &format!("p:user:{nth}")).await;
        assert!(rows(&home).await <= 288, "256, and an eighth more");
    }
    assert!(poll(&tier, &since).await.is_gap);
    let since = caught_up(&tier).await;
    invalidate(&tier, "p:user:1").await;
    assert_eq!(poll(&tier, &since).await.changes.len(), 1);
}

#[tokio::test]
async fn a_cursor_from_the_future_leads_to_a_gap() {
    let home = Home::new();
    let tier = home.open().await;
    invalidate(&tier, "p:user:1").await;
    let [mark] = caught_up(&tier).await.0[..] else { panic!("one mark") };
    for position in [mark.position + 1, 1 << 63, u64::MAX] {
        let since = Cursor(vec![Mark { position, ..mark }]);
        let polled = poll(&tier, &since).await;
        assert_eq!((polled.is_gap, polled.cursor), (true, Cursor(vec![mark])), "{position}");
        let filled = tier.put(NODE, &[fill("p:user:2", 0, b"Ada")], &since).await.unwrap();
        assert_eq!(filled, [forewarm::Filled::Refused], "{position}");
        let sql = "delete from forewarm_change where sequence > 1";
        query(sql).execute(&mut home.other().await).await.unwrap();
        let sql = "update forewarm_meta set sequence = 1";
        query(sql).execute(&mut home.other().await).await.unwrap();
    }
}

#[tokio::test]
async fn what_this_version_cannot_read_may_have_been_anything() {
    let home = Home::new();
    let tier = home.open().await;
    let since = caught_up(&tier).await;
    let sql = "insert into forewarm_change
        values (1, -1, 'later', 'p:user', '', -7, 'x', 0), (2, 0, '', '', '', 9, '', 0)";
    query(sql).execute(&mut home.other().await).await.unwrap();
    let sql = "update forewarm_meta set sequence = 2";
    query(sql).execute(&mut home.other().await).await.unwrap();
    let polled = poll(&tier, &since).await;
    let changes: Vec<_> = polled.changes.iter().map(|logged| &logged.change).collect();
    assert_eq!(changes, [&Change::Unknown, &Change::Unknown]);
}

#[tokio::test]
async fn keys_with_a_nul_are_told_in_full() {
    let home = Home::new();
    let tier = home.open().await;
    let since = caught_up(&tier).await;
    let (nul, tag) = ("p:user:1\0x", "red\0");
    let selectors = [
        Selector::Key("p:user:1"),
        Selector::Key(nul),
        Selector::Tag { resource: "p:user", tag },
        Selector::Pattern { resource: "p:user", pattern: "a\0*" },
    ];
    tier.invalidate(NODE, &selectors.map(Into::into)).await.unwrap();
    tier.expire(NODE, &[nul]).await.unwrap();
    let filled = tier.put(NODE, &[fill(nul, 0, b"x")], &since).await.unwrap();
    assert_eq!(filled, [forewarm::Filled::Refused]);
    let told: Vec<_> = poll(&tier, &since).await.changes;
    let told: Vec<_> = told.into_iter().map(|logged| logged.change).collect();
    let [key, resource] = [nul, "p:user"].map(str::to_owned);
    let expected = [
        Change::Key { key: "p:user:1".into(), lag: None },
        Change::Key { key: key.clone(), lag: None },
        Change::Tag { resource: resource.clone(), tag: tag.into() },
        Change::Pattern { resource, pattern: "a\0*".into() },
        Change::Expired { key: key.clone() },
        Change::Key { key, lag: None },
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_full_log_is_polled_while_it_is_cut() {
    let home = Home::new();
    let tier = home.options().max_bytes(128 * 1024).open().await.unwrap();
    let mut since = caught_up(&tier).await;
    for nth in 0..500 {
        let key = format!("p:user:{nth}");
        put_all(&tier, &[fill(&key, 0, b"Ada")]).await.unwrap();
        let polled = poll(&tier, &since).await;
        assert!(!polled.is_gap, "whoever keeps up misses nothing");
        assert_eq!(polled.changes.len(), 1);
        since = polled.cursor;
        tier.invalidate(NODE, &[Selector::Key(&key).into()]).await.unwrap();
        since = poll(&tier, &since).await.cursor;
    }
    home.clock.advance(SECOND);
    assert_eq!(begin(&tier, "p:user:1", 1).await, forewarm::Begun::Permit);
}
