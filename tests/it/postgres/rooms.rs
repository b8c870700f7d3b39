//! What is stored, where, and by whom.

use forewarm::{Change, Config, Forewarm, L2Config};

use super::*;

#[tokio::test]
async fn keys_of_ten_kilobytes_are_kept_apart_and_told() {
    let home = Home::shared().await;
    let tier = home.tier().await;
    // Nothing that could be compressed away.
    let mut rng = fastrand::Rng::with_seed(1);
    let long: String = (0..10_000).map(|_| rng.alphanumeric()).collect();
    let [one, two] = ["1", "2"].map(|end| format!("p:user:{long}{end}"));
    load(&tier, &one, b"one").await;
    load(&tier, &two, b"two").await;
    let mut since = caught_up(&tier).await;
    invalidate(&tier, Selector::Key(&one)).await;
    assert_eq!(
        (value(&tier, &one).await, value(&tier, &two).await.unwrap()),
        (None, b"two".to_vec())
    );
    let change = Change::Key { key: one.clone(), lag: None };
    assert_eq!(news(&tier, &mut since).await[0].change, change);
    load(&tier, &one, b"one").await;
    let mut db = home.other().await;
    invalidate_in(&tier, &mut db, &[Selector::Key(&one)]).await;
    assert_eq!(value(&tier, &one).await, None);
}

/// There is no NUL in the database. Others may hold such a key in their memory.
#[tokio::test]
async fn what_cannot_be_stored_is_not_and_is_invalidated_with_its_resource() {
    let home = Home::shared().await;
    let tier = home.tier().await;
    let odd = "p:user:a\0b";
    assert_eq!(begin(&tier, odd).await.0, Begun::Miss);
    assert_eq!(fill_in(&tier, odd, Permit(1), b"Ada").await, Filled::Refused);
    tier.release(&[(odd, Permit(1))]).await.unwrap();
    let permit = loading(&tier, "p:user:1").await;
    let tagged = Fill { tags: &["a\0"], ..fill("p:user:1", permit, b"Ada") };
    assert_eq!(tier.fill(&[tagged]).await.unwrap(), [Filled::Refused]);

    let resource = Change::Resource { resource: "p:user".into() };
    let mut since = caught_up(&tier).await;
    invalidate(&tier, Selector::Key(odd)).await;
    invalidate(&tier, Selector::Tag { resource: "p:user", tag: "\0" }).await;
    tier.expire(NODE, &[odd]).await.unwrap();
    let put = [fill(odd, Permit(0), b"Ada"), fill("p:user:2", Permit(0), b"Bob")];
    tier.put(NODE, &put[..1], &since).await.unwrap();
    let mut db = home.other().await;
    invalidate_in(&tier, &mut db, &[Selector::Key(odd)]).await;
    let news = news(&tier, &mut since).await;
    assert!(news.iter().all(|logged| logged.change == resource), "{news:?}");
    assert_eq!(news.len(), 5);
    // One that cannot be stored does not hinder the others.
    assert_eq!(tier.merge_hot(NODE, "p:user", &[(odd, 1.0)], MINUTE).await.unwrap(), []);
}

#[tokio::test]
async fn schemas_are_worlds_of_their_own() {
    let (home, other) = (Home::shared().await, Home::shared().await);
    let (tier, stranger) = (home.tier().await, other.tier().await);
    load(&tier, "p:user:1", b"Ada").await;
    let mut since = caught_up(&stranger).await;
    assert_eq!(value(&stranger, "p:user:1").await, None);
    invalidate(&tier, Selector::Key("p:user:1")).await;
    assert_eq!(news(&stranger, &mut since).await, []);
    for tier in [&tier, &stranger] {
        let taken = in_time(tier.take_run(&any_run(MINUTE))).await.unwrap();
        assert!(matches!(taken, forewarm::RunTaken::Ours { attempts_before: 0, .. }), "{taken:?}");
    }
}

#[tokio::test]
async fn several_processes_may_create_the_tables_at_once() {
    let home = Home::shared().await;
    let tiers = futures_util::future::join_all((0..6).map(|_| home.tier())).await;
    for (nth, tier) in tiers.iter().enumerate() {
        load(tier, &format!("p:user:{nth}"), b"Ada").await;
    }
    let mut cursors: Vec<_> = Vec::new();
    for tier in &tiers {
        cursors.push(caught_up(tier).await.0[0].incarnation);
    }
    cursors.dedup();
    assert_eq!(cursors.len(), 1, "all of them live the same life");
}

/// A role that may not create anything, in a schema that somebody else has prepared.
#[tokio::test]
async fn whoever_may_use_the_tables_need_not_be_able_to_create_them() {
    let server = shared().await;
    let home = Home::at(server.new_database().await.unwrap());
    drop(home.tier().await);
    let mut db = home.other().await;
    for sql in [
        "create role clerk login",
        "grant usage on schema forewarm. to clerk",
        "grant select, insert, update, delete, truncate on all tables in schema forewarm. to clerk",
    ] {
        let schema = format!("\"{}\"", home.schema.replace('"', "\"\""));
        let sql = AssertSqlSafe(sql.replace("forewarm.", &schema));
        query(sql).execute(&mut db).await.unwrap();
    }
    let url = home.url.replace("postgres://postgres@", "postgres://clerk@");
    let clerk = PostgresOptions::new(&url).unwrap().schema(home.schema.clone());
    let clerk = clerk.open().await.unwrap();
    load(&clerk, "p:user:1", b"Ada").await;
    invalidate(&clerk, Selector::Key("p:user:1")).await;
    assert_eq!(value(&clerk, "p:user:1").await, None);
    in_time(clerk.sweep(10)).await.unwrap();
    let stranger = PostgresOptions::new(&url).unwrap().schema("another").open().await.unwrap();
    let error = in_time(stranger.size()).await.unwrap_err();
    assert!(format!("{error:?}").contains("permission denied"), "{error:?}");
}

#[tokio::test]
async fn clones_share_the_connections() {
    let home = Home::shared().await;
    let tier = home.options().connections(1).open().await.unwrap();
    let clone = tier.clone();
    load(&tier, "p:user:1", b"Ada").await;
    assert_eq!(value(&clone, "p:user:1").await.unwrap(), b"Ada");
    drop(tier);
    assert_eq!(value(&clone, "p:user:1").await.unwrap(), b"Ada");
    clone.close().await;
    assert!(clone.size().await.is_err());
}

#[tokio::test]
async fn an_engine_uses_it() {
    let home = Home::shared().await;
    let l2 = L2Config { read_timeout: IN_TIME, write_timeout: IN_TIME, ..L2Config::default() };
    let config = Config { prefix: "p".into(), l2, ..Config::default() };
    let mut hits = Vec::new();
    for round in 0..2 {
        let engine = Forewarm::builder().config(config.clone()).tier(home.tier().await);
        let engine = engine.build().await.unwrap();
        let users = engine.resource::<u64, String>("user").ttl(10 * MINUTE);
        let users = users.load_with(move |id| async move { Ok(Some(format!("{id} of {round}"))) });
        let users = users.build().unwrap();
        engine.start().await.unwrap();
        hits.push(users.get(&7).await.unwrap().as_deref().cloned());
        engine.shutdown(SECOND).await;
    }
    assert_eq!(hits, [Some("7 of 0".to_owned()), Some("7 of 0".to_owned())]);
}
