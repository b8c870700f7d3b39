//! Invalidations that follow a commit.

use forewarm::lab::{Proxy, Way};
use forewarm::{Alias, Delivery, Fences, L2Config, SqlLoader, SqliteTier};
use sqlx::{Postgres, Sqlite, Transaction, query};
use tokio::task::JoinSet;

use super::*;

const ONE: &str = "select id, name from person where id = $1";
const RENAME: &str = "update person set name = 'Lovelace' where id = 1";

async fn in_sqlite(pool: &SqlitePool) -> Resource<i64, User> {
    let loader: SqlLoader<Sqlite, _, _> = SqlLoader::new(pool.clone(), ONE);
    resource(loader).await
}

async fn in_postgres(pool: &PgPool) -> Resource<i64, User> {
    let loader: SqlLoader<Postgres, _, _> = SqlLoader::new(pool.clone(), ONE);
    resource(loader).await
}

async fn name(users: &Resource<i64, User>, id: i64) -> String {
    users.get(&id).await.unwrap().unwrap().name.clone()
}

fn is_held(users: &Resource<i64, User>) -> bool {
    users.peek(&1).is_some()
}

async fn renaming(pool: &PgPool) -> Transaction<'static, Postgres> {
    let mut transaction = pool.begin().await.unwrap();
    query(RENAME).execute(&mut *transaction).await.unwrap();
    transaction
}

#[tokio::test]
async fn a_committed_change_is_seen_by_the_next_read() {
    let file = sqlite_with_tables().await;
    let users = in_sqlite(&file.pool).await;
    assert_eq!((name(&users, 1).await, name(&users, 2).await), ("Ada".into(), "Grace".into()));
    let mut transaction = file.pool.begin().await.unwrap();
    query(RENAME).execute(&mut *transaction).await.unwrap();
    // Nobody else knows of it.
    assert_eq!(name(&users, 1).await, "Ada");
    let committed = Fences::new().key(&users, &1).commit(transaction).await;
    assert_eq!(committed.unwrap(), Delivery::Applied);
    assert_eq!(name(&users, 1).await, "Lovelace");
    assert_eq!(users.stats().loads, 3);

    let pool = postgres_with_tables().await;
    let users = in_postgres(&pool).await;
    assert_eq!(name(&users, 1).await, "Ada");
    let transaction = renaming(&pool).await;
    let committed = Fences::new().all(&users).commit(transaction).await;
    assert_eq!(committed.unwrap(), Delivery::Applied);
    assert_eq!(name(&users, 1).await, "Lovelace");
}

#[tokio::test]
async fn what_is_rolled_back_changes_nothing() {
    let pool = postgres_with_tables().await;
    let users = in_postgres(&pool).await;
    assert_eq!(name(&users, 1).await, "Ada");
    let fences = Fences::new().key(&users, &1);
    renaming(&pool).await.rollback().await.unwrap();
    drop(fences);
    // A future that was never polled.
    drop(Fences::new().key(&users, &1).commit(renaming(&pool).await));
    assert!(is_held(&users));
    until("the rows are free", async || {
        query("select from person for update nowait").execute(&pool).await.is_ok()
    })
    .await;
    assert_eq!(name(&users, 1).await, "Ada");
    assert_eq!(users.stats().loads, 1);
}

/// A constraint that is looked at when it is committed.
#[tokio::test]
async fn what_the_database_refuses_to_commit_changes_nothing() {
    let tables = "
        create table team (id bigint primary key);
        create table person (id bigint primary key, name text not null, team bigint
            references team (id) deferrable initially deferred);
        insert into person values (1, 'Ada', null)";
    let move_on = "update person set team = 7 where id = 1";
    let file = SqliteFile::new();
    sqlx::raw_sql(tables).execute(&file.pool).await.unwrap();
    let users = in_sqlite(&file.pool).await;
    assert_eq!(name(&users, 1).await, "Ada");
    let mut transaction = file.pool.begin().await.unwrap();
    query(move_on).execute(&mut *transaction).await.unwrap();
    let error = Fences::new().key(&users, &1).commit(transaction).await.unwrap_err();
    assert!(!error.may_have_committed(), "{error:?}");
    assert!(error.into_sqlx().unwrap().as_database_error().unwrap().is_foreign_key_violation());
    assert!(is_held(&users));

    let pool = postgres().await;
    sqlx::raw_sql(tables).execute(&pool).await.unwrap();
    let users = in_postgres(&pool).await;
    assert_eq!(name(&users, 1).await, "Ada");
    let mut transaction = pool.begin().await.unwrap();
    query(move_on).execute(&mut *transaction).await.unwrap();
    let error = Fences::new().key(&users, &1).commit(transaction).await.unwrap_err();
    assert!(!error.may_have_committed(), "{error:?}");
    // What the server tells besides quotes the key that is missing.
    assert!(!format!("{error} {error:?}").contains("(7)"), "{error:?}");
    assert!(is_held(&users));
}

#[tokio::test]
async fn a_file_that_is_busy_at_the_commit_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // Without a log of its own, a reader keeps others from committing.
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("app.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Delete)
        .busy_timeout(Duration::ZERO);
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
    sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
    let users = in_sqlite(&pool).await;
    assert_eq!(name(&users, 1).await, "Ada");
    let mut reader = pool.begin().await.unwrap();
    query("select * from person").fetch_all(&mut *reader).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    query(RENAME).execute(&mut *transaction).await.unwrap();
    let error = Fences::new().key(&users, &1).commit(transaction).await.unwrap_err();
    assert!(!error.may_have_committed(), "{error:?}");
    assert!(is_held(&users));
    reader.rollback().await.unwrap();
    assert_eq!(users.get(&1).await.unwrap().unwrap().name, "Ada");
}

/// A database behind a network that fails.
struct Far {
    proxy: Proxy,
    /// Through the network, and around it.
    far: PgPool,
    near: PgPool,
}

/// A user who is held, and a transaction from afar that gives it another name.
async fn renaming_from_afar() -> (Far, Resource<i64, User>, Transaction<'static, Postgres>) {
    let far = Far::new().await;
    let users = in_postgres(&far.near).await;
    assert_eq!(name(&users, 1).await, "Ada");
    let transaction = renaming(&far.far).await;
    (far, users, transaction)
}

impl Far {
    async fn new() -> Self {
        let near_url = shared().await.new_database().await.unwrap();
        let proxy = Proxy::start(shared().await.addr()).await.unwrap();
        let near_address = shared().await.addr().to_string();
        let far_url = near_url.replace(&near_address, &proxy.addr().to_string());
        let (far, near) = (postgres_at(&far_url, 2), postgres_at(&near_url, 2));
        sqlx::raw_sql(TABLES).execute(&near).await.unwrap();
        Self { proxy, far, near }
    }

    async fn is_renamed(&self) -> bool {
        let name: String = sqlx::query_scalar("select name from person where id = 1")
            .fetch_one(&self.near)
            .await
            .unwrap();
        name == "Lovelace"
    }
}

#[tokio::test]
async fn where_it_is_not_known_whether_it_was_committed_it_is_invalidated() {
    let (far, users, transaction) = renaming_from_afar().await;
    far.proxy.lose_replies_to("COMMIT", 1);
    let mut committing = JoinSet::new();
    committing.spawn(Fences::new().key(&users, &1).commit(transaction));
    until("it is committed", async || far.is_renamed().await).await;
    // Nobody knows yet, so nothing has been promised.
    assert!(is_held(&users));
    far.proxy.reset().await;
    let error = in_time(committing.join_next()).await.unwrap().unwrap().unwrap_err();
    assert!(error.may_have_committed(), "{error:?}");
    assert_eq!(name(&users, 1).await, "Lovelace");
}

/// A connection that was lost before: the server may have heard of the commit, for all we know.
#[tokio::test]
async fn a_connection_that_was_lost_before_the_commit_is_taken_to_be_unknown() {
    let (far, users, transaction) = renaming_from_afar().await;
    far.proxy.reset().await;
    let error = Fences::new().key(&users, &1).commit(transaction).await.unwrap_err();
    assert!(error.may_have_committed(), "{error:?}");
    assert!(!is_held(&users));
    assert_eq!(name(&users, 1).await, "Ada");
}

#[tokio::test]
async fn a_caller_who_goes_away_in_the_middle_leaves_nothing_old_behind() {
    let (far, users, transaction) = renaming_from_afar().await;
    far.proxy.block(Way::ToClient);
    let mut committing = JoinSet::new();
    committing.spawn(Fences::new().key(&users, &1).commit(transaction));
    until("it is committed", async || far.is_renamed().await).await;
    committing.shutdown().await;
    assert!(is_held(&users));
    far.proxy.heal().await;
    until("it is invalidated", async || !is_held(&users)).await;
    assert_eq!(name(&users, 1).await, "Lovelace");
}

#[tokio::test]
async fn a_shutdown_does_not_cut_a_commit_off() {
    let far = Far::new().await;
    let engine = engine().await;
    let loader: SqlLoader<Postgres, i64, User> = SqlLoader::new(far.near.clone(), ONE);
    let users = engine.memory_resource("user").policy(plain()).loader(loader).build().unwrap();
    assert_eq!(name(&users, 1).await, "Ada");
    let transaction = renaming(&far.far).await;
    far.proxy.block(Way::ToClient);
    let mut committing = JoinSet::new();
    committing.spawn(Fences::new().key(&users, &1).commit(transaction));
    until("it is committed", async || far.is_renamed().await).await;
    assert!(!engine.shutdown(Duration::ZERO).await, "it has waited for the commit");
    far.proxy.heal().await;
    let _applied = in_time(committing.join_next()).await.unwrap().unwrap().unwrap();
    assert!(!is_held(&users));
    // And afterwards.
    let mut transaction = far.near.begin().await.unwrap();
    query("update person set name = 'King' where id = 1").execute(&mut *transaction).await.unwrap();
    let _applied = in_time(Fences::new().key(&users, &1).commit(transaction)).await.unwrap();
    assert!(!far.is_renamed().await);
}

/// Nothing to invalidate is no reason not to commit.
#[tokio::test]
async fn no_fences_commit_too() {
    let pool = postgres_with_tables().await;
    let transaction = renaming(&pool).await;
    assert_eq!(Fences::new().commit(transaction).await.unwrap(), Delivery::Applied);
    let users = in_postgres(&pool).await;
    assert_eq!(name(&users, 1).await, "Lovelace");
}

/// Two engines over one L2: what one commits, the other hears of.
#[tokio::test]
async fn other_engines_hear_of_what_was_committed() {
    let file = sqlite_with_tables().await;
    let l2 = tempfile::tempdir().unwrap();
    let node = async || {
        let tier = SqliteTier::open(l2.path().join("l2.db")).await.unwrap();
        let config =
            L2Config { read_timeout: IN_TIME, write_timeout: IN_TIME, ..L2Config::default() };
        let config = forewarm::Config { l2: config, ..forewarm::Config::default() };
        let engine = Forewarm::builder().config(config).tier(tier).build().await.unwrap();
        let loader: SqlLoader<Sqlite, i64, (String,)> =
            SqlLoader::new(file.pool.clone(), "select name from person where id = $1");
        let names = engine.resource("name").policy(plain()).loader(loader.map(|(name,)| name));
        let names: Resource<i64, String> = names.build().unwrap();
        engine.start().await.unwrap();
        (engine, names)
    };
    let ((here, names), (_there, others)) = (node().await, node().await);
    let read = async |names: &Resource<i64, String>| names.get(&1).await.unwrap().unwrap();
    assert_eq!((&**read(&names).await, &**read(&others).await), ("Ada", "Ada"));
    let mut transaction = file.pool.begin().await.unwrap();
    query(RENAME).execute(&mut *transaction).await.unwrap();
    let committed = Fences::new().key(&names, &1).commit(transaction).await.unwrap();
    assert_eq!(committed, Delivery::Applied);
    assert_eq!(&**read(&names).await, "Lovelace");
    until("the other has heard", async || &**read(&others).await == "Lovelace").await;
    here.shutdown(IN_TIME).await;
}

/// D2-06: after a change of a name, the old one misses and the new one hits.
#[tokio::test]
async fn a_name_that_is_given_by_a_transaction_leads_to_its_new_owner() {
    let file = sqlite_with_tables().await;
    let pool = file.pool.clone();
    let by_name = Alias::new(
        "name",
        |user: &User| Some(user.name.clone()),
        move |name| {
            let pool = pool.clone();
            async move {
                let sql = "select id from person where lower(name) = $1";
                Ok(sqlx::query_scalar(sql).bind(name).fetch_optional(&pool).await?)
            }
        },
    );
    let engine = engine().await;
    let loader: SqlLoader<Sqlite, i64, User> = SqlLoader::new(file.pool.clone(), ONE);
    let users = engine
        .memory_resource("user")
        .policy(plain())
        .alias(by_name.normalized_by(|name| name.trim().to_lowercase()))
        .loader(loader)
        .build()
        .unwrap();
    let find = async |name| users.get_by("name", name).await.unwrap().map(|user| user.id);
    assert_eq!((find("ADA ").await, find("lovelace").await), (Some(1), None));
    let mut transaction = file.pool.begin().await.unwrap();
    query(RENAME).execute(&mut *transaction).await.unwrap();
    let fences = Fences::new().key(&users, &1).name(&users, "name", "Lovelace").unwrap();
    assert_eq!(fences.commit(transaction).await.unwrap(), Delivery::Applied);
    assert_eq!((find("ada").await, find("Lovelace").await), (None, Some(1)));
    assert!(Fences::new().name(&users, "no_such_alias", "x").is_err());
}

/// Changes that were committed elsewhere.
#[tokio::test]
async fn fences_can_be_applied_by_themselves() {
    let file = sqlite_with_tables().await;
    let users = in_sqlite(&file.pool).await;
    assert_eq!(name(&users, 1).await, "Ada");
    query(RENAME).execute(&file.pool).await.unwrap();
    let fences = Fences::new().key(&users, &1).matching(&users, "2*").unwrap();
    assert_eq!(fences.invalidate().await, Delivery::Applied);
    assert_eq!(name(&users, 1).await, "Lovelace");
}
