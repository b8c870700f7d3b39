//! Values from queries.

use forewarm::{SqlDatabase, SqlLoader};
use sqlx::{Pool, Postgres, Sqlite, query, query_scalar};

use super::*;

const ONE: &str = "select id, name from person where id = $1";
const MANY_IN_SQLITE: &str =
    "select id, name from person where id in (select value from json_each($1))";
const MANY_IN_POSTGRES: &str = "select id, name from person where id = any($1)";

fn in_sqlite(pool: &SqlitePool) -> SqlLoader<Sqlite, i64, User> {
    SqlLoader::new(pool.clone(), ONE).query_many(MANY_IN_SQLITE, "id")
}

fn in_postgres(pool: &PgPool) -> SqlLoader<Postgres, i64, User> {
    SqlLoader::new(pool.clone(), ONE).query_many(MANY_IN_POSTGRES, "id")
}

async fn names(users: &Resource<i64, User>, ids: &[i64]) -> Vec<Option<String>> {
    let values = users.get_many(ids).await.into_iter();
    values.map(|value| value.unwrap().map(|user| user.name.clone())).collect()
}

#[tokio::test]
async fn a_row_is_a_value_and_no_row_is_an_absence() {
    let (file, pool) = (sqlite_with_tables().await, postgres_with_tables().await);
    for users in [resource(in_sqlite(&file.pool)).await, resource(in_postgres(&pool)).await] {
        let ada = User { id: 1, name: "Ada".into() };
        assert_eq!(users.get(&1).await.unwrap().as_deref(), Some(&ada));
        assert_eq!(users.get(&9).await.unwrap(), None);
        // Both are remembered.
        assert_eq!(users.get(&9).await.unwrap(), None);
        let found = names(&users, &[3, 9, 2, 1, 2]).await;
        let expected = [Some("Edsger"), None, Some("Grace"), Some("Ada"), Some("Grace")];
        assert_eq!(found, expected.map(|name| name.map(str::to_owned)));
    }
}

/// C38: as many queries as it takes, and no more.
async fn hundred_keys_are_one_query<DB: SqlDatabase>(loader: SqlLoader<DB, i64, User>) {
    let (loader, calls) = Counted::new(loader);
    let users = resource(loader).await;
    let ids: Vec<_> = (1..=100).collect();
    let found = names(&users, &ids).await;
    assert_eq!(found.iter().flatten().count(), 3);
    assert_eq!(calls.load(SeqCst), 1);
    names(&users, &ids).await;
    assert_eq!(calls.load(SeqCst), 1);
    // What is held is not asked for again.
    names(&users, &(51..=150).collect::<Vec<_>>()).await;
    assert_eq!(calls.load(SeqCst), 2);
}

#[tokio::test]
async fn a_hundred_keys_are_one_query() {
    hundred_keys_are_one_query(in_sqlite(&sqlite_with_tables().await.pool)).await;
    hundred_keys_are_one_query(in_postgres(&postgres_with_tables().await)).await;
}

/// The server says so itself: each statement takes a number of a sequence, once.
#[tokio::test]
async fn the_server_gets_one_statement_for_a_hundred_keys() {
    let pool = postgres_with_tables().await;
    query("create sequence statement minvalue 0 start 0").execute(&pool).await.unwrap();
    let one = "select id, name from person
        where (select nextval('statement')) >= 0 and id = $1";
    let many = "select id, name from person
        where (select nextval('statement')) >= 0 and id = any($1)";
    let taken = async || {
        let sql = "select last_value + is_called::int from statement";
        query_scalar::<_, i64>(sql).fetch_one(&pool).await.unwrap()
    };
    let users: SqlLoader<Postgres, i64, User> = SqlLoader::new(pool.clone(), one);
    let users = resource(users.query_many(many, "id")).await;
    names(&users, &(1..=100).collect::<Vec<_>>()).await;
    assert_eq!(taken().await, 1);
    for id in 1_000..1_100 {
        users.get(&id).await.unwrap();
    }
    assert_eq!(taken().await, 101);
}

/// What people would write into a form to break it.
fn hostile_keys() -> Vec<String> {
    let long = "x".repeat(100_000);
    let keys = [
        "' or '1'='1",
        "'; drop table thing; --",
        "\"",
        "\\",
        "\\'",
        "$1",
        "$2",
        "?",
        "?1",
        "{}",
        "{\"a\":1}",
        "[1]",
        "1",
        "null",
        "true",
        "\",\"",
        "%",
        "_",
        "",
        " ",
        "\u{1}",
        "a\nb",
        "a\tb",
        "\u{7f}",
        "é",
        "e\u{301}",
        "\u{202e}",
        "𝔘𝔫𝔦",
        "\u{fffd}",
        "\u{feff}",
        &long,
    ];
    keys.map(str::to_owned).into()
}

async fn hostile_keys_are_keys<DB: SqlDatabase>(
    loader: SqlLoader<DB, String, (i64,)>,
    keys: &[String],
) {
    let things = resource(loader.map(|(nth,)| nth)).await;
    let find = async |key: &String| things.get(key).await.unwrap().as_deref().copied();
    for (nth, key) in (0..).zip(keys) {
        assert_eq!(find(key).await, Some(nth), "{key:.20}");
    }
    let _applied = things.invalidate_all().await;
    let together: Vec<_> = things.get_many(keys).await;
    for (nth, found) in (0..).zip(together) {
        assert_eq!(found.unwrap().as_deref(), Some(&nth));
    }
    for key in keys {
        assert_eq!(find(&format!("{key}!")).await, None, "{key:.20}");
    }
}

#[tokio::test]
async fn hostile_keys_are_keys_in_sqlite() {
    let file = SqliteFile::new();
    let table = "create table thing (name text primary key, nth integer not null) strict";
    query(table).execute(&file.pool).await.unwrap();
    let keys: Vec<_> = hostile_keys();
    for (nth, key) in (0_i64..).zip(&keys) {
        let insert = query("insert into thing values ($1, $2)").bind(key).bind(nth);
        insert.execute(&file.pool).await.unwrap();
    }
    let many = "select nth, name from thing where name in (select value from json_each($1))";
    let loader = SqlLoader::new(file.pool.clone(), "select nth from thing where name = $1");
    hostile_keys_are_keys(loader.query_many(many, "name"), &keys).await;
}

#[tokio::test]
async fn hostile_keys_are_keys_in_postgres() {
    let pool = postgres().await;
    let table = "create table thing (name text not null, nth bigint not null)";
    query(table).execute(&pool).await.unwrap();
    let keys: Vec<_> = hostile_keys();
    for (nth, key) in (0_i64..).zip(&keys) {
        let insert = query("insert into thing values ($1, $2)").bind(key).bind(nth);
        insert.execute(&pool).await.unwrap();
    }
    let many = "select nth, name from thing where name = any($1)";
    let loader = SqlLoader::new(pool.clone(), "select nth from thing where name = $1");
    hostile_keys_are_keys(loader.query_many(many, "name"), &keys).await;
}

/// A text with a NUL is none in PostgreSQL, and the others of its call know nothing of it.
#[tokio::test]
async fn a_key_that_cannot_be_bound_fails_alone() {
    let pool = postgres().await;
    let table = "create table thing (name text primary key, nth bigint not null)";
    query(table).execute(&pool).await.unwrap();
    query("insert into thing values ('a', 1)").execute(&pool).await.unwrap();
    let one = SqlLoader::new(pool, "select nth from thing where name = $1");
    let many = "select nth, name from thing where name = any($1)";
    let things = resource(one.query_many(many, "name").map(|(nth,): (i64,)| nth)).await;
    let keys = ["a", "s3cret\0", "b"].map(str::to_owned);
    let [good, bad, absent] = &things.get_many(&keys).await[..] else { panic!("three") };
    assert_eq!(good.as_ref().unwrap().as_deref(), Some(&1));
    assert_eq!(absent.as_ref().unwrap(), &None);
    let error = bad.as_ref().unwrap_err();
    assert!(!error.is_transient() && !said(error).contains("s3cret"), "{}", said(error));
}

/// SQLite has texts with a NUL.
#[tokio::test]
async fn a_nul_in_a_key_leads_to_no_other_key() {
    let file = SqliteFile::new();
    let table = "create table thing (name text primary key, nth integer not null)";
    query(table).execute(&file.pool).await.unwrap();
    for (nth, key) in (0_i64..).zip(["a", "a\0b", "a\0"]) {
        let insert = query("insert into thing values ($1, $2)").bind(key).bind(nth);
        insert.execute(&file.pool).await.unwrap();
    }
    let many = "select nth, name from thing where name in (select value from json_each($1))";
    let loader = SqlLoader::new(file.pool.clone(), "select nth from thing where name = $1");
    let keys = ["a", "a\0b", "a\0"].map(str::to_owned);
    hostile_keys_are_keys(loader.query_many(many, "name"), &keys).await;
}

/// The database finds `ADA` where `Ada` is asked for, in both ways of asking.
#[tokio::test]
async fn keys_that_only_the_database_takes_for_the_same_are_found_in_a_batch_too() {
    let file = SqliteFile::new();
    let rows = "create table person (name text primary key collate nocase, age integer not null);
        insert into person values ('Ada', 36), ('Grace', 85)";
    sqlx::raw_sql(rows).execute(&file.pool).await.unwrap();
    let one = SqlLoader::new(file.pool.clone(), "select age from person where name = $1");
    let many = "select age, name from person where name in (select value from json_each($1))";
    let ages = resource(one.query_many(many, "name").map(|(age,): (i64,)| age)).await;
    // Also beside the spelling that the table holds.
    let keys = ["ADA", "ada", "Ada", "Grace", "Edsger"].map(str::to_owned);
    let found = ages.get_many(&keys).await.into_iter();
    let found: Vec<_> = found.map(|age| age.unwrap().as_deref().copied()).collect();
    assert_eq!(found, [Some(36), Some(36), Some(36), Some(85), None]);
}

/// A key of two parts, as a place is.
#[tokio::test]
async fn a_key_of_several_parts_binds_them_itself() {
    let file = SqliteFile::new();
    let rows = "create table tile (x integer, y integer, name text not null);
        insert into tile values (1, 2, 'here'), (2, 1, 'there')";
    sqlx::raw_sql(rows).execute(&file.pool).await.unwrap();
    let sql = "select name from tile where x = $1 and y = $2";
    let loader = SqlLoader::binding(file.pool.clone(), sql, |query, key: &forewarm::Segments| {
        key.iter().fold(query, |query, part| query.bind(part.parse::<i64>().unwrap_or_default()))
    });
    let tiles = resource(loader.map(|(name,): (String,)| name)).await;
    let here = tiles.get(&forewarm::Segments::new([1, 2])).await.unwrap();
    assert_eq!(here.as_deref().map(String::as_str), Some("here"));
    assert_eq!(tiles.get(&forewarm::Segments::new([1, 3])).await.unwrap(), None);
}

/// D3-24, X-28: the newest of a stream, and the limit is that of the resource.
async fn lists<DB: SqlDatabase>(
    newest: impl Fn(u32) -> SqlLoader<DB, i64, Vec<String>>,
    insert: impl AsyncFn(i64, i64, String),
) {
    for nth in 0..60 {
        insert(nth, nth % 2, format!("message {nth}")).await;
    }
    let engine = engine().await;
    let of = |name: &str, limit| {
        engine.memory_resource(name).policy(plain()).loader(newest(limit)).build().unwrap()
    };
    let (two, fifty) = (of("newest_2", 2), of("newest_50", 50));
    let read = async |messages: &Resource<i64, Vec<String>>, stream| {
        messages.get(&stream).await.unwrap().unwrap()
    };
    assert_eq!(*read(&two, 0).await, ["message 58", "message 56"]);
    assert_eq!(read(&fifty, 0).await.len(), 30);
    assert_eq!(*read(&two, 1).await, ["message 59", "message 57"]);
    // No row is an empty list, and not an absence.
    assert!(read(&two, 7).await.is_empty());
    let _applied = two.invalidate_all().await;
    let together = two.get_many(&[1, 7, 0]).await;
    let together: Vec<_> = together.into_iter().map(|list| list.unwrap().unwrap().len()).collect();
    assert_eq!(together, [2, 0, 2]);
}

const NEWEST: &str = "select text from message where stream = $1 order by id desc limit $2";

#[tokio::test]
async fn a_list_has_the_limit_of_its_resource() {
    let file = sqlite_with_tables().await;
    let pool = &file.pool;
    let each = |streams: &str| {
        sqlx::AssertSqlSafe(format!(
            "select text, stream from (
                select *, row_number() over (partition by stream order by id desc) as nth
                from message where stream {streams}
            ) as numbered where nth <= $2 order by id desc"
        ))
    };
    let insert = "insert into message values ($1, $2, $3)";
    lists(
        |limit| {
            let loader = SqlLoader::<Sqlite, i64, (String,)>::new(pool.clone(), NEWEST);
            let many = each("in (select value from json_each($1))");
            loader.map(|(text,)| text).list(limit).query_many(many, "stream")
        },
        async |id, stream, text| {
            query(insert).bind(id).bind(stream).bind(text).execute(pool).await.unwrap();
        },
    )
    .await;
    let pool = &postgres_with_tables().await;
    lists(
        |limit| {
            let loader = SqlLoader::<Postgres, i64, (String,)>::new(pool.clone(), NEWEST);
            loader.map(|(text,)| text).list(limit).query_many(each("= any($1)"), "stream")
        },
        async |id, stream, text| {
            query(insert).bind(id).bind(stream).bind(text).execute(pool).await.unwrap();
        },
    )
    .await;
}

/// What would be written otherwise into JSON than it is stored is refused, since it would be found
/// absent.
#[tokio::test]
async fn keys_that_json_cannot_hold_are_refused_in_a_batch() {
    #[derive(Clone, Debug, Eq, Hash, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Tag([u8; 2]);
    impl std::fmt::Display for Tag {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{},{}", self.0[0], self.0[1])
        }
    }
    impl std::str::FromStr for Tag {
        type Err = std::num::ParseIntError;
        fn from_str(text: &str) -> Result<Self, Self::Err> {
            let (one, two) = text.split_once(',').unwrap_or_default();
            Ok(Self([one.parse()?, two.parse()?]))
        }
    }
    impl sqlx::Type<Sqlite> for Tag {
        fn type_info() -> sqlx::sqlite::SqliteTypeInfo {
            <[u8] as sqlx::Type<Sqlite>>::type_info()
        }
    }
    impl sqlx::Encode<'_, Sqlite> for Tag {
        fn encode_by_ref(
            &self,
            buffer: &mut sqlx::sqlite::SqliteArgumentsBuffer,
        ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
            sqlx::Encode::<Sqlite>::encode(self.0.to_vec(), buffer)
        }
    }
    impl sqlx::Decode<'_, Sqlite> for Tag {
        fn decode(
            value: sqlx::sqlite::SqliteValueRef<'_>,
        ) -> Result<Self, sqlx::error::BoxDynError> {
            let bytes: Vec<u8> = sqlx::Decode::<Sqlite>::decode(value)?;
            Ok(Self(bytes.try_into().map_err(|_bytes| "not two bytes")?))
        }
    }
    let file = SqliteFile::new();
    let rows = "create table thing (tag blob primary key, nth integer not null);
        insert into thing values (x'0102', 1)";
    sqlx::raw_sql(rows).execute(&file.pool).await.unwrap();
    let one = SqlLoader::new(file.pool.clone(), "select nth from thing where tag = $1");
    let many = "select nth, tag from thing where tag in (select value from json_each($1))";
    let things = resource(one.query_many(many, "tag").map(|(nth,): (i64,)| nth)).await;
    let keys = [Tag([1, 2]), Tag([3, 4])];
    let refused = things.get_many(&keys).await;
    let error = refused[0].as_ref().unwrap_err();
    assert!(!error.is_transient() && said(error).contains("query_many"), "{}", said(error));
}

/// A load within a load takes a connection of the same pool, of which there is one.
#[tokio::test]
async fn a_connection_is_free_again_when_the_value_is_there() {
    let url = shared().await.new_database().await.unwrap();
    let pool = postgres_at(&url, 1);
    sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
    let (users, calls) = Counted::new(in_postgres(&pool));
    let users = resource(users).await;
    let _held: Vec<_> = users.get_many(&[1, 2, 3]).await;
    let connection = in_time(pool.acquire()).await.unwrap();
    // What is held needs none.
    assert_eq!(names(&users, &[1, 2, 3]).await.len(), 3);
    assert_eq!(calls.load(SeqCst), 1);
    drop(connection);
}

/// The copy has not got the change yet.
#[tokio::test]
async fn what_was_changed_lately_is_asked_of_the_primary() {
    let (copy, primary) = (sqlite_with_tables().await, sqlite_with_tables().await);
    let loader = in_sqlite(&copy.pool).primary(primary.pool.clone());
    let engine = engine().await;
    let policy = Policy { replica_lag: Some(Duration::from_mins(1)), ..plain() };
    let users = engine.memory_resource("user").policy(policy).loader(loader).build().unwrap();
    assert_eq!(names(&users, &[1]).await, [Some("Ada".to_owned())]);
    let change = "update person set name = 'Lovelace' where id < 3";
    query(change).execute(&primary.pool).await.unwrap();
    let _applied = users.invalidate(&1).await;
    assert_eq!(names(&users, &[1]).await, [Some("Lovelace".to_owned())]);
    // The others may be old.
    assert_eq!(names(&users, &[2]).await, [Some("Grace".to_owned())]);
    let debug = format!("{:?}", in_postgres_at_a_secret_place());
    assert!(!debug.contains("s3cret"), "{debug}");
}

fn in_postgres_at_a_secret_place() -> SqlLoader<Postgres, i64, User> {
    in_postgres(&postgres_at("postgres://ada:s3cret@127.0.0.1:1/s3cret", 1))
}

/// The pools of both kinds make loaders of both kinds.
#[expect(dead_code, reason = "it is compiled")]
fn any_database<DB>(pool: Pool<DB>) -> SqlLoader<DB, i64, User>
where
    DB: SqlDatabase,
    User: for<'r> FromRow<'r, DB::Row>,
    i64: for<'q> sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    SqlLoader::new(pool, ONE)
}
