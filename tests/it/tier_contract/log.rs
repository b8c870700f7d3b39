//! What is changed is told to everybody who asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use forewarm::{Change, Cursor, Fill, Invalidation, Lag, Logged, Permit, Selector, Tier as _};
use tokio::task::JoinSet;

use super::puts::strangers;
use super::reader::{Reader, caught_up};
use super::world::{OTHER, fill};
use super::{Bed, Case, NODE, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(a_new_store_has_nothing_to_tell),
        Case::of(a_change_is_told_with_its_maker),
        Case::of(every_selector_is_told_as_it_was_given),
        Case::of(puts_and_expiries_are_told),
        Case::of(what_is_known_of_the_source_is_told),
        Case::of(what_changes_nothing_is_not_told),
        Case::of(a_batch_is_told_in_full),
        Case::of(changes_of_one_key_are_told_apart),
        Case::of(a_poll_from_the_same_place_tells_the_same),
        Case::of(whoever_comes_late_hears_everything),
        Case::of(three_thousand_changes_are_told_page_by_page),
        Case::of(a_cursor_of_another_life_leads_to_a_gap),
        Case::of(a_restart_loses_no_change),
        Case::of(whatever_was_acknowledged_is_in_the_next_poll),
    ]
}

const KEY: &str = "p:user:1";

fn key(key: &str) -> Change {
    Change::Key { key: key.to_owned(), lag: None }
}

async fn a_new_store_has_nothing_to_tell<B: Bed>(world: World<B>) {
    let polled = world.tier.poll(&Cursor::default()).await.unwrap();
    assert_eq!((polled.is_gap, polled.has_more), (false, false));
    assert_eq!(polled.changes, []);
    assert_ne!(polled.cursor, Cursor::default());
    let again = world.tier.poll(&polled.cursor).await.unwrap();
    assert_eq!((again.is_gap, again.has_more, again.changes.len()), (false, false, 0));
}

async fn a_change_is_told_with_its_maker<B: Bed>(world: World<B>) {
    let mut reader = Reader::new(&*world.tier).await;
    for by in [NODE, OTHER, forewarm::Node::NONE, forewarm::Node(u64::MAX)] {
        world.tier.invalidate(by, &[Selector::Key(KEY).into()]).await.unwrap();
        let news = reader.news(&*world.tier).await;
        let [logged] = &news[..] else { panic!("{news:?}") };
        assert_eq!((logged.by, &logged.change), (by, &key(KEY)));
    }
}

async fn every_selector_is_told_as_it_was_given<B: Bed>(world: World<B>) {
    let mut reader = Reader::new(&*world.tier).await;
    let resource = || "p:user".to_owned();
    let odd = "%_'\"\\[é] \u{1f600}";
    for (selector, change) in [
        (Selector::Key(KEY), key(KEY)),
        (Selector::Resource("p:user"), Change::Resource { resource: resource() }),
        (
            Selector::Tag { resource: "p:user", tag: odd },
            Change::Tag { resource: resource(), tag: odd.into() },
        ),
        (
            Selector::Pattern { resource: "p:user", pattern: r"4?\**[a]" },
            Change::Pattern { resource: resource(), pattern: r"4?\**[a]".into() },
        ),
    ] {
        world.select(selector).await;
        assert_eq!(reader.changes(&*world.tier).await, [change]);
    }
}

async fn puts_and_expiries_are_told<B: Bed>(world: World<B>) {
    let mut reader = Reader::new(&*world.tier).await;
    world.put(KEY, b"Ada").await;
    assert_eq!(reader.changes(&*world.tier).await, [key(KEY)]);
    world.tier.expire(NODE, &[KEY]).await.unwrap();
    assert_eq!(reader.changes(&*world.tier).await, [Change::Expired { key: KEY.into() }]);
    // Others may hold what is not there.
    world.tier.expire(NODE, &["p:user:2"]).await.unwrap();
    assert_eq!(reader.changes(&*world.tier).await, [Change::Expired { key: "p:user:2".into() }]);
}

async fn what_is_known_of_the_source_is_told<B: Bed>(world: World<B>) {
    let mut reader = Reader::new(&*world.tier).await;
    for min_version in [None, Some(0), Some(7), Some(1 << 53 | 1), Some(u64::MAX)] {
        let lag = Some(Lag { lasts: B::UNIT * 3, min_version });
        let invalidation = Invalidation { selector: Selector::Key(KEY), lag };
        world.tier.invalidate(NODE, &[invalidation]).await.unwrap();
        let expected = Change::Key { key: KEY.into(), lag };
        assert_eq!(reader.changes(&*world.tier).await, [expected]);
    }
}

async fn what_changes_nothing_is_not_told<B: Bed>(world: World<B>) {
    let mut reader = Reader::new(&*world.tier).await;
    world.load(KEY, b"Ada").await;
    let permit = world.renewing(KEY).await;
    world.tier.release(&[(KEY, permit)]).await.unwrap();
    world.tier.invalidate(NODE, &[]).await.unwrap();
    world.tier.expire(NODE, &[]).await.unwrap();
    world.tier.put(NODE, &[], &reader.cursor).await.unwrap();
    world.tier.sweep(10).await.unwrap();
    world.value(KEY).await;
    assert_eq!(reader.changes(&*world.tier).await, []);
}

async fn a_batch_is_told_in_full<B: Bed>(world: World<B>) {
    let mut reader = Reader::new(&*world.tier).await;
    let selectors = [
        Selector::Key(KEY),
        Selector::Tag { resource: "p:team", tag: "red" },
        Selector::Key("p:user:2"),
        Selector::Resource("p:role"),
        Selector::Pattern { resource: "p:team", pattern: "*" },
    ];
    world.tier.invalidate(OTHER, &selectors.map(Into::into)).await.unwrap();
    let changes = reader.changes(&*world.tier).await;
    let team = || "p:team".to_owned();
    for expected in [
        key(KEY),
        key("p:user:2"),
        Change::Resource { resource: "p:role".into() },
        Change::Tag { resource: team(), tag: "red".into() },
        Change::Pattern { resource: team(), pattern: "*".into() },
    ] {
        assert!(changes.contains(&expected), "{expected:?} in {changes:?}");
    }
    assert_eq!(changes.len(), 5, "{changes:?}");
}

async fn changes_of_one_key_are_told_apart<B: Bed>(world: World<B>) {
    let mut reader = Reader::new(&*world.tier).await;
    for _ in 0..3 {
        world.invalidate(KEY).await;
        assert_eq!(reader.changes(&*world.tier).await, [key(KEY)]);
    }
    for _ in 0..3 {
        world.invalidate(KEY).await;
    }
    assert_eq!(reader.changes(&*world.tier).await, [key(KEY), key(KEY), key(KEY)]);
}

async fn a_poll_from_the_same_place_tells_the_same<B: Bed>(world: World<B>) {
    let since = world.caught_up().await;
    world.invalidate(KEY).await;
    world.put("p:user:2", b"Bob").await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut changes = world.tier.poll(&since).await.unwrap().changes;
        changes.sort_by_key(|logged| logged.id);
        told.push(changes);
    }
    assert_eq!(told[0], told[1]);
    let has = |change: &Change| told[0].iter().any(|logged: &Logged| logged.change == *change);
    assert!(has(&key(KEY)) && has(&key("p:user:2")), "{told:?}");
}

async fn whoever_comes_late_hears_everything<B: Bed>(world: World<B>) {
    world.invalidate(KEY).await;
    world.invalidate_resource("p:team").await;
    let polled = world.tier.poll(&Cursor::default()).await.unwrap();
    let changes: Vec<_> = polled.changes.into_iter().map(|logged| logged.change).collect();
    assert!(changes.contains(&key(KEY)), "{changes:?}");
    assert!(changes.contains(&Change::Resource { resource: "p:team".into() }), "{changes:?}");
    assert!(!polled.is_gap);
}

async fn three_thousand_changes_are_told_page_by_page<B: Bed>(world: World<B>) {
    let mut reader = Reader::new(&*world.tier).await;
    let keys: Vec<_> = (0..3_000).map(|nth| format!("p:user:{nth}")).collect();
    for keys in keys.chunks(500) {
        let selectors: Vec<_> = keys.iter().map(|key| Selector::Key(key).into()).collect();
        world.tier.invalidate(NODE, &selectors).await.unwrap();
    }
    let changes = reader.changes(&*world.tier).await;
    assert_eq!(changes.len(), 3_000);
    let told: BTreeSet<_> = changes
        .into_iter()
        .map(|change| match change {
            Change::Key { key, lag: None } => key,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, keys.into_iter().collect());
    world.invalidate(KEY).await;
    assert_eq!(reader.changes(&*world.tier).await, [key(KEY)]);
}

async fn a_cursor_of_another_life_leads_to_a_gap<B: Bed>(world: World<B>) {
    world.invalidate(KEY).await;
    let since = world.caught_up().await;
    for since in strangers(&since) {
        let polled = world.tier.poll(&since).await.unwrap();
        assert!(polled.is_gap, "{since:?}");
        // From there on nothing is missed.
        let since = caught_up(&*world.tier, polled.cursor).await;
        world.invalidate("p:user:2").await;
        let polled = world.tier.poll(&since).await.unwrap();
        assert!(!polled.is_gap);
        assert!(polled.changes.iter().any(|logged| logged.change == key("p:user:2")));
    }
}

async fn a_restart_loses_no_change<B: Bed>(mut world: World<B>) {
    let since = world.caught_up().await;
    world.invalidate(KEY).await;
    world.restart().await;
    world.invalidate("p:user:2").await;
    let polled = world.tier.poll(&since).await.unwrap();
    let has = |key: &Change| polled.changes.iter().any(|logged| logged.change == *key);
    assert!(polled.is_gap || has(&key(KEY)) && has(&key("p:user:2")), "{polled:?}");
}

/// Those who change something at once may be logged in another order than they were acknowledged.
async fn whatever_was_acknowledged_is_in_the_next_poll<B: Bed>(world: World<B>) {
    let neighbour = world.neighbour().await;
    let mut tasks = JoinSet::new();
    for nth in 0..4 {
        let (one, two) = (Arc::clone(&world.tier), Arc::clone(&neighbour));
        let (writes, reads) = if nth % 2 == 0 { (one, two) } else { (two, one) };
        let mut reader = Reader::new(&*world.tier).await;
        let since = reader.cursor.clone();
        tasks.spawn(async move {
            for round in 0..25 {
                let name = format!("p:user:{nth}:{round}");
                let put = Fill { tags: &["red"], ..fill::<B>(&name, Permit(0), b"Ada") };
                if round % 5 == 0 {
                    writes.put(NODE, &[put], &since).await.unwrap();
                } else {
                    writes.invalidate(NODE, &[Selector::Key(&name).into()]).await.unwrap();
                }
                let changes = reader.changes(&*reads).await;
                assert!(changes.contains(&key(&name)), "{name} in {changes:?}");
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}
