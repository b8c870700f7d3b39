//! The log is cut, and nothing comes back for that.

use forewarm::{Change, Lag, Swept};

use super::*;

const KEY: &str = "p:user:1";

/// Sweeps until nothing is left to do.
async fn sweep(tier: &PostgresTier) -> u64 {
    let mut expired = 0;
    loop {
        let swept = in_time(tier.sweep(500)).await.unwrap();
        expired += swept.expired;
        if !swept.has_more {
            return expired;
        }
    }
}

/// Lets time pass, as it does while the tier is swept every minute.
async fn live_for(home: &Home, tier: &PostgresTier, minutes: u32) {
    for _ in 0..minutes {
        home.clock.advance(MINUTE);
        sweep(tier).await;
    }
}

/// A value that is kept for hours.
async fn keep(tier: &PostgresTier, key: &str, tags: &[&str]) {
    let permit = loading(tier, key).await;
    let (fresh_for, keep_for) = (600 * MINUTE, 600 * MINUTE);
    let fill = Fill { fresh_for, keep_for, tags, ..fill(key, permit, key.as_bytes()) };
    assert_eq!(tier.fill(&[fill]).await.unwrap(), [Filled::Stored]);
}

#[tokio::test]
async fn the_log_is_cut_and_what_was_void_stays_void() {
    let home = Home::shared().await;
    let tier = home.tier().await;
    sweep(&tier).await;
    let keys = ["p:user:1", "p:user:2", "p:user:3", "p:team:1", "p:role:1"];
    for key in keys {
        keep(&tier, key, &[key]).await;
    }
    invalidate(&tier, Selector::Tag { resource: "p:user", tag: "p:user:1" }).await;
    invalidate(&tier, Selector::Pattern { resource: "p:user", pattern: "2*" }).await;
    invalidate(&tier, Selector::Resource("p:team")).await;
    let mut db = home.other().await;
    invalidate_in(&tier, &mut db, &[Selector::Key("p:role:1")]).await;
    assert_eq!((home.count("change").await, home.count("entry").await), (4, 5));
    live_for(&home, &tier, 13).await;
    assert_eq!((home.count("change").await, home.count("entry").await), (0, 1));
    for key in keys {
        let expected = (key == "p:user:3").then(|| key.as_bytes().to_vec());
        assert_eq!(value(&tier, key).await, expected, "{key}");
        if expected.is_none() {
            load(&tier, key, b"new").await;
        }
    }
}

#[tokio::test]
async fn whoever_has_not_heard_of_what_was_cut_is_told_of_a_gap() {
    let home = Home::shared().await;
    let tier = home.tier().await;
    let (before, mut living) = (caught_up(&tier).await, caught_up(&tier).await);
    for minute in 0..40 {
        invalidate(&tier, Selector::Key(KEY)).await;
        live_for(&home, &tier, 1).await;
        // Whoever hears of everything in time never meets a gap.
        assert_eq!(news(&tier, &mut living).await.len(), 1, "{minute}");
    }
    assert!(home.count("change").await < 25);
    for since in [&before, &Cursor::default()] {
        let polled = poll(&tier, since).await;
        assert!(polled.is_gap && polled.changes.is_empty() && !polled.has_more);
        let mut since = polled.cursor;
        invalidate(&tier, Selector::Key(KEY)).await;
        assert_eq!(news(&tier, &mut since).await.len(), 1);
        news(&tier, &mut living).await;
    }
    // Nor can its puts be judged.
    let put = [fill(KEY, Permit(0), b"old")];
    assert_eq!(tier.put(NODE, &put, &before).await.unwrap(), [Filled::Refused]);
}

/// Neither the log nor its cut goes by when a change was made, but by when it could be heard of.
#[tokio::test]
async fn what_is_committed_late_is_heard_of_however_old_it_is() {
    let home = Home::shared().await;
    let (tier, mut db) = (home.tier().await, home.other().await);
    keep(&tier, KEY, &[]).await;
    let mut transaction = db.begin().await.unwrap();
    invalidate_in(&tier, &mut transaction, &[Selector::Key(KEY)]).await;
    let mut since = caught_up(&tier).await;
    for _ in 0..30 {
        invalidate(&tier, Selector::Key("p:user:2")).await;
        live_for(&home, &tier, 1).await;
        assert_eq!(news(&tier, &mut since).await.len(), 1);
    }
    assert_eq!(value(&tier, KEY).await.unwrap(), KEY.as_bytes());
    transaction.commit().await.unwrap();
    // Even if it is cut at once.
    sweep(&tier).await;
    assert_eq!(value(&tier, KEY).await, None);
    let change = Change::Key { key: KEY.into(), lag: None };
    assert_eq!(news(&tier, &mut since).await[0].change, change);
    live_for(&home, &tier, 13).await;
    assert_eq!(value(&tier, KEY).await, None);
    assert_eq!(home.count("change").await, 0);
}

#[tokio::test]
async fn a_load_that_outlasts_the_log_is_refused() {
    let home = Home::shared().await;
    let tier = home.tier().await;
    sweep(&tier).await;
    let ask = asking(KEY, Want::Value);
    // It asks for more than it can get.
    assert_eq!(tier.begin(&[ask], 600 * MINUTE).await.unwrap(), [Begun::Permit]);
    keep(&tier, "p:user:2", &[]).await;
    let renewal = asking("p:user:2", Want::Permit);
    assert_eq!(tier.begin(&[renewal], 600 * MINUTE).await.unwrap(), [Begun::Permit]);
    invalidate(&tier, Selector::Tag { resource: "p:user", tag: "red" }).await;
    live_for(&home, &tier, 13).await;
    assert_eq!(home.count("change").await, 0);
    for ask in [ask, renewal] {
        assert_eq!(fill_in(&tier, ask.key, ask.permit, b"old").await, Filled::Refused);
    }
    assert_eq!(value(&tier, "p:user:2").await.unwrap(), b"p:user:2");
}

#[tokio::test]
async fn a_lag_is_remembered_for_as_long_as_it_lasts() {
    let home = Home::shared().await;
    let tier = home.tier().await;
    let lag = Some(Lag { lasts: 60 * MINUTE, min_version: Some(7) });
    let invalidation = Invalidation { selector: Selector::Key(KEY), lag };
    tier.invalidate(NODE, &[invalidation]).await.unwrap();
    live_for(&home, &tier, 55).await;
    let permit = loading(&tier, KEY).await;
    assert_eq!(fill_in(&tier, KEY, permit, b"old").await, Filled::Refused);
    live_for(&home, &tier, 10).await;
    load(&tier, KEY, b"new").await;
    live_for(&home, &tier, 10).await;
    assert_eq!(home.count("change").await, 0);
}

/// Several sweep at once, in small steps, while others write: nothing old comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_can_be_cut_while_it_is_written() {
    let home = Home::shared().await;
    let (tier, neighbour) = (home.tier().await, home.tier().await);
    let keys: Vec<_> = (0..200).map(|nth| format!("p:user:{nth}")).collect();
    for round in 0..15 {
        for key in &keys {
            if value(&tier, key).await.is_none() {
                keep(&tier, key, &["red"]).await;
            }
        }
        let selector = match round % 3 {
            0 => Selector::Tag { resource: "p:user", tag: "red" },
            1 => Selector::Pattern { resource: "p:user", pattern: "1*" },
            _ => Selector::Resource("p:user"),
        };
        home.clock.advance(6 * MINUTE);
        let write = async { invalidate(&tier, selector).await };
        let sweeps = async {
            for _ in 0..3 {
                tier.sweep(500).await.unwrap();
            }
        };
        let others = async {
            for _ in 0..3 {
                neighbour.sweep(500).await.unwrap();
            }
        };
        tokio::join!(write, sweeps, others);
        for key in &keys {
            let is_void = round % 3 != 1 || key.starts_with("p:user:1");
            assert_eq!(value(&neighbour, key).await.is_none(), is_void, "{key} {round}");
        }
    }
}

#[tokio::test]
async fn a_flooded_log_ends_the_life_of_the_tables() {
    let home = Home::shared().await;
    let tier = home.tier().await;
    keep(&tier, KEY, &[]).await;
    let before = caught_up(&tier).await;
    let flood = "
        insert into forewarm.change (id, by, kind, subject, target, at)
        select nth, 1, 'key', 'p:user:flood', 0, 0 from generate_series(1, 400000) as nth";
    query(home.sql(flood)).execute(&mut home.other().await).await.unwrap();
    sweep(&tier).await;
    assert_eq!(home.count("change").await, 0);
    assert_eq!(value(&tier, KEY).await, None);
    assert!(poll(&tier, &before).await.is_gap);
    load(&tier, KEY, b"new").await;
    assert_eq!(value(&tier, KEY).await.unwrap(), b"new");
}

#[tokio::test]
async fn what_ends_soonest_makes_room() {
    let home = Home::shared().await;
    let tier = home.options().max_bytes(128 * 1024).open().await.unwrap();
    let values = vec![7; 10_000];
    for nth in 0..20 {
        let key = format!("p:user:{nth}");
        let permit = loading(&tier, &key).await;
        let keep_for = MINUTE * (nth + 1);
        let fill = Fill { keep_for, ..fill(&key, permit, &values) };
        assert_eq!(tier.fill(&[fill]).await.unwrap(), [Filled::Stored]);
    }
    let mut evicted = 0;
    loop {
        let swept = tier.sweep(3).await.unwrap();
        assert!(swept.evicted <= 3 && swept.expired == 0, "{swept:?}");
        evicted += swept.evicted;
        if !swept.has_more {
            break;
        }
    }
    assert_eq!((evicted, tier.size().await.unwrap().entries), (9, 11));
    assert_eq!(value(&tier, "p:user:8").await, None);
    assert_eq!(value(&tier, "p:user:9").await.unwrap(), values);
    assert_eq!(tier.sweep(3).await.unwrap(), Swept::default());
}

#[tokio::test]
async fn what_nobody_uses_any_more_is_removed() {
    let home = Home::shared().await;
    let tier = home.tier().await;
    loading(&tier, "p:user:1").await;
    let permit = loading(&tier, "p:user:2").await;
    tier.release(&[("p:user:2", permit)]).await.unwrap();
    tier.merge_hot(NODE, "p:user", &[("p:user:1", 1.0)], 5 * MINUTE).await.unwrap();
    tier.take_run(&any_run(5 * MINUTE)).await.unwrap();
    assert_eq!(sweep(&tier).await, 1);
    live_for(&home, &tier, 6).await;
    for table in ["entry", "hot", "run"] {
        assert_eq!(home.count(table).await, 0, "{table}");
    }
    live_for(&home, &tier, 60).await;
    assert!(home.count("milestone").await <= 25);
}
