//! What looks like SQL, wherever it comes in, over databases that speak it.

use std::collections::BTreeSet;
use std::path::Path;

use forewarm::Pattern;
use forewarm::lab::{PostgresOptions, PostgresServer};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use crate::served::{COMMON, Served, answer};

/// What sqlmap and its like send: quotes, comments, stacked statements, unions, delays, encodings.
const INJECTIONS: [&str; 24] = [
    "' or '1'='1",
    "1 or 1=1",
    "1; drop table user; --",
    "1'; drop table user; --",
    "1\"; drop table user; --",
    "1) or (1=1",
    "1 union select id, name, email, team from user",
    "' union select sql, 1, 1, 1 from sqlite_master --",
    "1 /*!50000 or */ 1",
    "1/**/or/**/1=1",
    "1 and sleep(5)",
    "1; select pg_sleep(5); --",
    "1 and randomblob(1000000000)",
    "1 || (select name from user)",
    "admin'--",
    "admin' #",
    "$1",
    "?1",
    ":id",
    "%' or 1=1 --",
    "\\' or 1=1 --",
    "\u{2019} or 1=1 --",
    "1\u{0} or 1=1",
    "{id}",
];

const TABLES: &str = "
    create table person (id bigint primary key, name text, email text);
    create table word (text text primary key);";

/// What is cached, with the database and the L2 put before it.
const RESOURCES: &str = r#"
[resources.person]
source = "shop"
key = "integer"
query = "select id, name, email from person where id = $1"
query_many = "select id, name, email from person where id {in $1}"
key_column = "id"
aliases.email = { field = "/email", query = "select id from person where email = $1" }
tags = ["everybody"]
policy = { trust_on_restart = "within_ttl" }
[resources.word]
source = "shop"
query = "select text from word where text = $1"
query_many = "select text from word where text {in $1}"
key_column = "text"
tags = ["word:{/text}"]
policy = { trust_on_restart = "within_ttl" }
"#;

/// A key of a resource.
type Held = (&'static str, String);

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The texts that a database can hold.
fn texts() -> impl Iterator<Item = &'static str> {
    INJECTIONS.into_iter().filter(|text| !text.contains('\0'))
}

fn rows() -> Vec<String> {
    let person = |id| format!("insert into person values ({id}, 'p {id}', 'p{id}@example.com')");
    let word = |text: &str| format!("insert into word values ('{}')", text.replace('\'', "''"));
    (1..=10).map(person).chain(texts().map(word)).collect()
}

/// All keys that there are.
fn everything() -> BTreeSet<Held> {
    let people = (1..=10).map(|id| ("person", id.to_string()));
    people.chain(texts().map(|text| ("word", text.to_owned()))).collect()
}

/// The keys that are answered, with what they should be; from memory alone, if so.
async fn held(served: &Served, only_if_cached: bool) -> BTreeSet<Held> {
    let mut held = BTreeSet::new();
    for (resource, key) in everything() {
        let mut request = served.request("GET", &format!("/v1/{resource}/{}", encoded(&key)));
        if only_if_cached {
            request = request.header("cache-control", "only-if-cached");
        }
        let (status, value) = answer(request).await;
        let expected = match (status, resource) {
            (200, "word") => json!({ "text": key }),
            (200, _) => json!({
                "id": key.parse::<u32>().unwrap(),
                "name": format!("p {key}"),
                "email": format!("p{key}@example.com"),
            }),
            _ => continue,
        };
        assert_eq!(value, expected, "{resource} {key:?}");
        held.insert((resource, key));
    }
    held
}

/// Reads by a text, in every way.
async fn read_by(served: &Served, text: &str) {
    let in_path = encoded(text);
    for path in [format!("/v1/person/{in_path}"), format!("/v1/person/{in_path}?alias=email")] {
        assert_eq!(served.get(&path).await.0, 404, "{text:?} in {path}");
    }
    for resource in ["person", "word"] {
        let ids = json!({ "ids": [text, "1"] });
        let (status, batch) = served.post(&format!("/v1/{resource}"), &ids).await;
        let is_word = resource == "word";
        let (by_text, by_one) = (&batch["values"][text], &batch["values"]["1"]);
        assert_eq!((status, &batch["errors"]), (200, &json!({})), "{text:?} in a batch");
        assert_eq!((by_text.is_object(), by_one.is_object()), (is_word, !is_word), "{batch}");
    }
}

async fn remove(served: &Served, path: &str) {
    let (status, done) = answer(served.request("DELETE", path)).await;
    assert_eq!((status, &done["delivery"]), (200, &json!("applied")), "{path}: {done}");
}

/// Invalidates by a text, in every way in which it means nothing that there is.
async fn remove_nothing(served: &Served, text: &str) {
    let in_path = encoded(text);
    for path in [
        format!("/v1/person/{in_path}"),
        format!("/v1/person/{in_path}?alias=email"),
        format!("/v1/person?tag={in_path}"),
        format!("/v1/person?pattern={in_path}"),
        format!("/v1/word?tag={in_path}"),
    ] {
        remove(served, &path).await;
    }
}

/// Sends each text wherever one is taken; what is left.
async fn send_all(served: &Served) -> BTreeSet<Held> {
    let mut left = everything();
    assert_eq!(held(served, false).await, left);
    for (nth, text) in texts().enumerate() {
        read_by(served, text).await;
        // If another pattern had meant it, it has come back by that.
        left.insert(("word", text.to_owned()));
        remove_nothing(served, text).await;
        // Some are left for the others to do no harm to.
        if nth % 4 == 0 {
            remove(served, &format!("/v1/word?pattern={}", encoded(text))).await;
            let pattern: Pattern = text.parse().unwrap();
            left.retain(|(resource, key)| *resource != "word" || !pattern.matches(key));
        }
        if nth % 4 == 1 {
            let tag = encoded(&format!("word:{text}"));
            remove(served, &format!("/v1/word?tag={tag}")).await;
            left.remove(&("word", text.to_owned()));
        }
        assert_eq!(held(served, true).await, left, "after {text:?}");
    }
    left
}

/// Whatever is sent, only what it means goes: from memory, and from L2, as a start after it shows where
/// the source has nothing any more.
async fn only_what_is_meant_goes(
    folder: &Path,
    settings: &str,
    variables: &[(&str, &str)],
    empty_source: impl AsyncFnOnce(),
) {
    let mut served = Served::start(folder, settings, variables);
    let left = send_all(&served).await;
    assert!(left.len() > 15 && left.len() < everything().len(), "{left:?}");
    served.signal("TERM");
    assert!(served.ended().success());
    empty_source().await;
    let served = Served::start(folder, settings, variables);
    assert_eq!(held(&served, false).await, left, "in L2");
    nul_is_refused(&served).await;
}

/// A text that not every database can hold is nobody's, whatever it is to be.
async fn nul_is_refused(served: &Served) {
    for (method, path) in [
        ("GET", "/v1/word/1%00"),
        ("GET", "/v1/person/1%00"),
        ("GET", "/v1/person/p1@example.com%00?alias=email"),
        ("GET", "/admin/resources/word/explain?key=1%00"),
        ("DELETE", "/v1/word/1%00"),
        ("DELETE", "/v1/word?tag=1%00"),
        ("DELETE", "/v1/word?pattern=1%00*"),
    ] {
        let (status, problem) = answer(served.request(method, path)).await;
        assert_eq!((status, &problem["status"]), (400, &json!(400)), "{method} {path}: {problem}");
    }
    for (path, body) in [
        ("/v1/word", json!({ "ids": ["1", "1\0"] })),
        ("/admin/resources/word/warm", json!({ "keys": ["1\0"] })),
        ("/admin/resources/word/invalidate", json!({ "keys": ["1\0"] })),
        ("/admin/resources/word/invalidate", json!({ "tag": "1\0" })),
        ("/admin/resources/word/invalidate", json!({ "pattern": "1\0" })),
    ] {
        let (status, problem): (u16, Value) = served.post(path, &body).await;
        assert_eq!(status, 400, "{path} {body}: {problem}");
    }
}

#[tokio::test]
async fn what_looks_like_sql_is_a_text_for_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("shop.db"));
    let mut shop = SqliteConnection::connect_with(&options.create_if_missing(true)).await.unwrap();
    sqlx::raw_sql(TABLES).execute(&mut shop).await.unwrap();
    for row in rows() {
        sqlx::raw_sql(AssertSqlSafe(row)).execute(&mut shop).await.unwrap();
    }
    let resources = RESOURCES.replace("{in $1}", "in (select value from json_each($1))");
    let databases = "[l2.sqlite]\npath = \"l2.db\"\n[sources.shop.sqlite]\npath = \"shop.db\"";
    let settings = format!("{COMMON}{databases}{resources}");
    only_what_is_meant_goes(folder.path(), &settings, &[], async || {
        let sql = "select count(*) from person";
        let left: i64 = sqlx::query_scalar(sql).fetch_one(&mut shop).await.unwrap();
        assert_eq!(left, 10);
        sqlx::raw_sql("delete from person; delete from word").execute(&mut shop).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_looks_like_sql_is_a_text_for_postgres() {
    let folder = tempfile::tempdir().unwrap();
    let server = PostgresServer::launch(PostgresOptions::default()).await.unwrap();
    let url = server.new_database().await.unwrap();
    let mut shop = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(TABLES).execute(&mut shop).await.unwrap();
    for row in rows() {
        sqlx::raw_sql(AssertSqlSafe(row)).execute(&mut shop).await.unwrap();
    }
    let resources = RESOURCES.replace("{in $1}", "= any($1)");
    let databases = "[l2.postgres]\nurl = { env = \"T_URL\" }\n[sources.shop.postgres]\nurl = { env = \"T_URL\" }";
    let settings = format!("{COMMON}{databases}{resources}");
    only_what_is_meant_goes(folder.path(), &settings, &[("T_URL", &url)], async || {
        let sql = "select count(*) from person";
        let left: i64 = sqlx::query_scalar(sql).fetch_one(&mut shop).await.unwrap();
        assert_eq!(left, 10);
        sqlx::raw_sql("delete from person; delete from word").execute(&mut shop).await.unwrap();
    })
    .await;
}
