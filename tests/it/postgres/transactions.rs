//! Invalidations that belong to a transaction of the application.

use std::collections::HashMap;

use forewarm::{Change, Lag};

use super::*;

const KEY: &str = "p:user:1";

fn key(key: &str) -> Change {
    Change::Key { key: key.to_owned(), lag: None }
}

/// A selector of each kind, all of which name the key.
fn selectors() -> [Selector<'static>; 4] {
    [
        Selector::Key(KEY),
        Selector::Resource("p:user"),
        Selector::Tag { resource: "p:user", tag: "red" },
        Selector::Pattern { resource: "p:user", pattern: "?" },
    ]
}

#[tokio::test]
async fn what_a_transaction_invalidates_is_void_from_its_commit_on() {
    let home = Home::shared().await;
    let (tier, mut db) = (home.tier().await, home.other().await);
    for selector in selectors() {
        load(&tier, KEY, b"old").await;
        let mut since = caught_up(&tier).await;
        let mut transaction = db.begin().await.unwrap();
        invalidate_in(&tier, &mut transaction, &[selector]).await;
        // To the others, nothing has happened yet.
        assert_eq!(value(&tier, KEY).await.unwrap(), b"old");
        assert_eq!(news(&tier, &mut since).await, []);
        transaction.commit().await.unwrap();
        assert_eq!(value(&tier, KEY).await, None, "{selector:?}");
        let news = news(&tier, &mut since).await;
        assert_eq!((news.len(), news[0].by), (1, Node::NONE), "{news:?}");
        load(&tier, KEY, b"new").await;
        assert_eq!(value(&tier, KEY).await.unwrap(), b"new");
        invalidate(&tier, Selector::Key(KEY)).await;
    }
}

#[tokio::test]
async fn what_a_transaction_invalidates_stays_if_it_is_rolled_back() {
    let home = Home::shared().await;
    let (tier, mut db) = (home.tier().await, home.other().await);
    load(&tier, KEY, b"Ada").await;
    let mut since = caught_up(&tier).await;
    let mut transaction = db.begin().await.unwrap();
    invalidate_in(&tier, &mut transaction, &selectors()).await;
    transaction.rollback().await.unwrap();
    let mut transaction = db.begin().await.unwrap();
    let mut inner = transaction.begin().await.unwrap();
    invalidate_in(&tier, &mut inner, &selectors()).await;
    inner.rollback().await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(news(&tier, &mut since).await, []);
    assert_eq!(value(&tier, KEY).await.unwrap(), b"Ada");
}

#[tokio::test]
async fn whoever_dies_after_the_commit_has_told_everybody() {
    let home = Home::shared().await;
    let (tier, neighbour) = (home.tier().await, home.tier().await);
    load(&tier, KEY, b"old").await;
    let mut since = caught_up(&neighbour).await;
    let mut db = home.other().await;
    let mut transaction = db.begin().await.unwrap();
    invalidate_in(&tier, &mut transaction, &[Selector::Key(KEY)]).await;
    transaction.commit().await.unwrap();
    // Nothing more is heard of it.
    drop((tier, db));
    assert_eq!(value(&neighbour, KEY).await, None);
    assert_eq!(news(&neighbour, &mut since).await[0].change, key(KEY));
}

/// A load that began before the commit has read what was there before.
#[tokio::test]
async fn a_load_that_began_before_the_commit_is_void_when_it_is_committed() {
    let home = Home::shared().await;
    let (tier, mut db) = (home.tier().await, home.other().await);
    for selector in selectors() {
        let [before, within, late] = ["p:user:1", "p:user:2", "p:user:3"];
        let begun_before = loading(&tier, before).await;
        let mut transaction = db.begin().await.unwrap();
        let selector_of =
            |key| if let Selector::Key(_) = selector { Selector::Key(key) } else { selector };
        let selectors = [before, within, late].map(selector_of);
        invalidate_in(&tier, &mut transaction, &selectors).await;
        // Nobody waits for the transaction.
        let begun_within = loading(&tier, within).await;
        let begun_late = loading(&tier, late).await;
        assert_eq!(fill_in(&tier, before, begun_before, b"old").await, Filled::Stored);
        assert_eq!(fill_in(&tier, within, begun_within, b"old").await, Filled::Stored);
        assert_eq!(value(&tier, within).await.unwrap(), b"old");
        transaction.commit().await.unwrap();
        assert_eq!(fill_in(&tier, late, begun_late, b"old").await, Filled::Refused);
        for key in [before, within, late] {
            assert_eq!(value(&tier, key).await, None, "{key} {selector:?}");
            load(&tier, key, b"new").await;
        }
        invalidate(&tier, Selector::Resource("p:user")).await;
    }
}

#[tokio::test]
async fn a_put_does_not_hide_what_a_transaction_changes_meanwhile() {
    let home = Home::shared().await;
    let (tier, mut db) = (home.tier().await, home.other().await);
    let mut transaction = db.begin().await.unwrap();
    invalidate_in(&tier, &mut transaction, &[Selector::Key(KEY)]).await;
    let since = caught_up(&tier).await;
    let put = [fill(KEY, Permit(0), b"old")];
    assert_eq!(tier.put(NODE, &put, &since).await.unwrap(), [Filled::Stored]);
    let since = caught_up(&tier).await;
    transaction.commit().await.unwrap();
    assert_eq!(value(&tier, KEY).await, None);
    // The cursor is from before the commit, although it is from after the call.
    assert_eq!(tier.put(NODE, &put, &since).await.unwrap(), [Filled::Refused]);
    assert_eq!(value(&tier, KEY).await, None);
}

/// The one that began first is committed last.
#[tokio::test]
async fn transactions_are_heard_of_whatever_the_order_of_their_commits() {
    let home = Home::shared().await;
    let tier = home.tier().await;
    let mut since = caught_up(&tier).await;
    let mut connections = [home.other().await, home.other().await, home.other().await];
    let [one, two, three] = &mut connections;
    let mut first = one.begin().await.unwrap();
    invalidate_in(&tier, &mut first, &[Selector::Key("p:user:1")]).await;
    let mut second = two.begin().await.unwrap();
    invalidate_in(&tier, &mut second, &[Selector::Key("p:user:2")]).await;
    let mut third = three.begin().await.unwrap();
    invalidate_in(&tier, &mut third, &[Selector::Key("p:user:3")]).await;
    for (transaction, name) in [(third, "p:user:3"), (second, "p:user:2"), (first, "p:user:1")] {
        assert_eq!(news(&tier, &mut since).await, []);
        transaction.commit().await.unwrap();
        let news = news(&tier, &mut since).await;
        assert_eq!((news.len(), &news[0].change), (1, &key(name)), "{news:?}");
    }
}

/// What is told once is not told again while somebody else's transaction stays open.
#[tokio::test]
async fn a_transaction_that_stays_open_makes_nobody_hear_things_twice() {
    let home = Home::shared().await;
    let (tier, mut db) = (home.tier().await, home.other().await);
    let mut transaction = db.begin().await.unwrap();
    query("create temporary table foreign_work (id int)").execute(&mut *transaction).await.unwrap();
    let mut since = caught_up(&tier).await;
    for nth in 0..20 {
        let name = format!("p:user:{nth}");
        invalidate(&tier, Selector::Key(&name)).await;
        let news = news(&tier, &mut since).await;
        assert_eq!((news.len(), &news[0].change), (1, &key(&name)), "{news:?}");
        load(&tier, &name, b"new").await;
        assert_eq!(value(&tier, &name).await.unwrap(), b"new");
    }
    transaction.rollback().await.unwrap();
    assert_eq!(news(&tier, &mut since).await, []);
}

#[tokio::test]
async fn transactions_that_invalidate_the_same_neither_wait_for_each_other_nor_fail() {
    let home = Home::shared().await;
    let (tier, mut one, mut two) = (home.tier().await, home.other().await, home.other().await);
    load(&tier, KEY, b"old").await;
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let sql = || AssertSqlSafe(format!("begin isolation level {isolation}"));
        let mut first = one.begin_with(sql()).await.unwrap();
        let mut second = two.begin_with(sql()).await.unwrap();
        invalidate_in(&tier, &mut first, &selectors()).await;
        invalidate_in(&tier, &mut second, &selectors()).await;
        let lag = Some(Lag { lasts: Duration::from_millis(1), min_version: None });
        let lagging = [Invalidation { selector: Selector::Key("p:team:1"), lag }];
        tier.invalidate_in(&mut first, &lagging).await.unwrap();
        tier.invalidate_in(&mut second, &lagging).await.unwrap();
        // Nor do the tier's own calls.
        invalidate(&tier, Selector::Key(KEY)).await;
        invalidate(&tier, Selector::Resource("p:user")).await;
        load(&tier, KEY, b"old").await;
        first.commit().await.unwrap();
        second.commit().await.unwrap();
        assert_eq!(value(&tier, KEY).await, None, "{isolation}");
    }
}

#[tokio::test]
async fn any_search_path_will_do() {
    let home = Home::shared().await;
    let (tier, mut db) = (home.tier().await, home.other().await);
    for path in ["", "pg_temp", "public, pg_catalog"] {
        load(&tier, KEY, b"old").await;
        query("select set_config('search_path', $1, false)")
            .bind(path)
            .execute(&mut db)
            .await
            .unwrap();
        invalidate_in(&tier, &mut db, &selectors()).await;
        assert_eq!(value(&tier, KEY).await, None, "{path:?}");
    }
}

#[tokio::test]
async fn the_application_needs_one_right_only() {
    let home = Home::at(shared().await.new_database().await.unwrap());
    let (tier, mut db) = (home.tier().await, home.other().await);
    let schema = home.schema.replace('"', "\"\"");
    for sql in [
        "create role application login".to_owned(),
        format!("grant usage on schema \"{schema}\" to application"),
        format!("grant insert on \"{schema}\".change to application"),
        "set role application".to_owned(),
    ] {
        query(AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
    }
    load(&tier, KEY, b"old").await;
    let lag = Some(Lag { lasts: MINUTE, min_version: None });
    let invalidations = [Invalidation { selector: Selector::Key(KEY), lag }];
    tier.invalidate_in(&mut db, &invalidations).await.unwrap();
    invalidate_in(&tier, &mut db, &selectors()).await;
    assert_eq!(value(&tier, KEY).await, None);
    let permit = loading(&tier, KEY).await;
    assert_eq!(fill_in(&tier, KEY, permit, b"old").await, Filled::Refused);
}

#[tokio::test]
async fn nothing_is_asked_of_the_server_for_nothing() {
    let home = Home::shared().await;
    let (tier, mut db) = (home.tier().await, home.other().await);
    tier.invalidate_in(&mut db, &[]).await.unwrap();
    assert_eq!(home.count("change").await, 0);
}

#[tokio::test]
async fn a_lag_counts_from_the_commit() {
    let home = Home::shared().await;
    let (tier, mut db) = (home.tier().await, home.other().await);
    let lasts = Duration::from_millis(400);
    let lag = Some(Lag { lasts, min_version: Some(7) });
    let mut transaction = db.begin().await.unwrap();
    let invalidation = Invalidation { selector: Selector::Key(KEY), lag };
    tier.invalidate_in(&mut transaction, &[invalidation]).await.unwrap();
    query("select pg_sleep(0.5)").execute(&mut *transaction).await.unwrap();
    let mut since = caught_up(&tier).await;
    transaction.commit().await.unwrap();
    let permit = loading(&tier, KEY).await;
    assert_eq!(fill_in(&tier, KEY, permit, b"old").await, Filled::Refused);
    assert_eq!(news(&tier, &mut since).await[0].change, Change::Key { key: KEY.into(), lag });
    until("the lag has ended", async || {
        let permit = loading(&tier, KEY).await;
        fill_in(&tier, KEY, permit, b"new").await == Filled::Stored
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_changes_more_than_a_reader_can_be_told_leads_to_a_gap() {
    let home = Home::shared().await;
    let (tier, mut db) = (home.tier().await, home.other().await);
    let before = caught_up(&tier).await;
    let keys: Vec<_> = (0..5_000).map(|nth| format!("p:user:{nth}")).collect();
    let selectors: Vec<_> = keys.iter().map(|key| Selector::Key(key)).collect();
    load(&tier, &keys[4_999], b"old").await;
    let mut transaction = db.begin().await.unwrap();
    for selectors in selectors.chunks(1_000) {
        invalidate_in(&tier, &mut transaction, selectors).await;
    }
    transaction.commit().await.unwrap();
    assert_eq!(value(&tier, &keys[4_999]).await, None);
    invalidate(&tier, Selector::Key("p:user:later")).await;
    let polled = poll(&tier, &before).await;
    assert!(polled.is_gap && polled.changes.is_empty());
    let mut since = polled.cursor;
    assert_eq!(news(&tier, &mut since).await, []);
}

/// A page ends between transactions; one that is open then is heard of when it is committed.
#[tokio::test]
async fn what_is_committed_between_two_pages_is_heard_of() {
    let home = Home::shared().await;
    let (tier, mut db) = (home.tier().await, home.other().await);
    let before = caught_up(&tier).await;
    let mut transaction = db.begin().await.unwrap();
    invalidate_in(&tier, &mut transaction, &[Selector::Key("p:user:open")]).await;
    let keys: Vec<_> = (0..9_000).map(|nth| format!("p:user:{nth}")).collect();
    for keys in keys.chunks(1_500) {
        let selectors: Vec<_> = keys.iter().map(|key| Selector::Key(key).into()).collect();
        tier.invalidate(NODE, &selectors).await.unwrap();
    }
    let mut polled = poll(&tier, &before).await;
    assert!(polled.has_more && !polled.is_gap);
    transaction.commit().await.unwrap();
    let (mut heard, mut pages) = (HashMap::new(), 0);
    loop {
        heard.extend(polled.changes.into_iter().map(|logged| (logged.id, logged.change)));
        pages += 1;
        if !polled.has_more {
            break;
        }
        polled = poll(&tier, &polled.cursor).await;
        assert!(!polled.is_gap);
    }
    assert!(heard.values().any(|change| *change == key("p:user:open")));
    assert_eq!((heard.len(), pages), (9_001, 3));
}
