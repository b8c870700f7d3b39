//! Keys and names that would be something else if they were not bound.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;

/// What tools send that look for statements that are put together of texts.
const INJECTIONS: [&str; 46] = [
    "'",
    "''",
    "\"",
    "`",
    "\\",
    "\\'",
    "' or '1'='1",
    "' or 1=1 --",
    "' or 1=1 #",
    "' or 1=1/*",
    "\" or \"\"=\"",
    "1 or 1=1",
    "1) or (1=1",
    "') or ('1'='1",
    "1; drop table thing",
    "'; drop table thing; --",
    "1'; delete from thing where 'a'='a",
    "'; update thing set nth = 0; --",
    "'; insert into thing values ('x', 1); --",
    "' union select 0, name from thing --",
    "' union all select null, null, null --",
    "-1 union select 1, sql from sqlite_schema",
    "' and 1=cast((select version()) as int) --",
    "'||(select pg_sleep(10))||'",
    "'; select pg_sleep(10); --",
    "1; waitfor delay '0:0:10' --",
    "1 and sleep(10)",
    "' and randomblob(1000000000) --",
    "'; copy thing to program 'id'; --",
    "'; attach database '/tmp/x' as x; --",
    "'; pragma writable_schema = 1; --",
    "$1",
    "$2",
    "?1",
    ":name",
    "@name",
    "%",
    "_",
    "$$; drop table thing; $$",
    "E'\\x27'",
    "\u{2019} or 1=1",
    "\u{ff07} or 1=1 --",
    "%27%20or%201=1",
    "{1,2}",
    "[\"a\"]",
    "{\"$ne\": null}",
];

/// Others that are texts like any.
fn texts() -> Vec<String> {
    let odd =
        ["null", "NULL", "true", "0", "-0", "1e3", " ", "\t", "\n", "\r\n", "\u{1}", "\u{7f}"];
    let wide = ["é", "e\u{301}", "\u{202e}x", "\u{10ffff}", "\u{feff}", "👩\u{200d}💻"];
    let long = ["'".repeat(500), "(".repeat(500), "é".repeat(250)];
    let fixed = INJECTIONS.into_iter().chain(odd).chain(wide).map(str::to_owned);
    fixed.chain(long).collect()
}

const TABLE: &str = "create table thing (name text primary key, nth integer not null)";
const ONE: &str = "select nth, name from thing where name = $1";

/// Each text is found under itself and nothing else, and the table is what it was.
async fn every_text_is_only_itself(source: &Source, many: &str) {
    let texts = texts();
    let keys: Vec<_> = texts.iter().map(String::as_str).collect();
    each_is_found(source, many, &keys).await;
    let find = source.find("select nth from thing where name = $1");
    for (nth, key) in keys.iter().enumerate() {
        assert_eq!(find((*key).to_owned()).await.unwrap(), Some(nth.to_string()), "{key:.40?}");
    }
    let left = source.keys("select name from thing").await.unwrap();
    assert_eq!(left.into_iter().collect::<BTreeSet<_>>(), texts.into_iter().collect());
}

/// One by one, and all at once.
async fn each_is_found(source: &Source, many: &str, keys: &[&str]) {
    let parts = LoadParts { query_many: Some(many), key_column: Some("name"), ..parts(ONE) };
    let things = resource(source, parts).await;
    let expected = |nth: usize| Some(json!({ "nth": nth, "name": keys[nth] }));
    for (nth, key) in keys.iter().enumerate() {
        assert_eq!(value(&things, key).await, expected(nth), "{key:.40?}");
        assert_eq!(value(&things, &format!("{key}!")).await, None, "{key:.40?}");
    }
    let _applied = things.invalidate_all().await;
    for (nth, found) in values(&things, keys).await.into_iter().enumerate() {
        assert_eq!(found, expected(nth), "in a batch: {:.40?}", keys[nth]);
    }
}

/// Nothing but an integer is bound as one.
async fn no_text_is_an_integer(source: &Source) {
    let sql = "select nth, name from thing where nth = $1";
    let things = resource(source, LoadParts { key: Some(KeyKind::Integer), ..parts(sql) }).await;
    for key in texts().iter().filter(|key| *key != "0") {
        assert_eq!(value(&things, key).await, None, "{key:.40?}");
    }
    assert_eq!(value(&things, "0").await.unwrap()["name"], "'");
}

#[tokio::test]
async fn every_text_is_only_itself_in_sqlite() {
    let database = Database::sqlite(TABLE).await;
    for (nth, text) in (0_i64..).zip(texts()) {
        let insert = sqlx::query("insert into thing values ($1, $2)").bind(text).bind(nth);
        insert.execute(&database.owner).await.unwrap();
    }
    let many = "select nth, name from thing where name in (select value from json_each($1))";
    in_time(every_text_is_only_itself(&database.source, many)).await;
    in_time(no_text_is_an_integer(&database.source)).await;
}

#[tokio::test]
async fn every_text_is_only_itself_in_postgres() {
    let database = Database::postgres(TABLE).await;
    for (nth, text) in (0_i32..).zip(texts()) {
        let insert = sqlx::query("insert into thing values ($1, $2)").bind(text).bind(nth);
        insert.execute(&database.owner).await.unwrap();
    }
    let many = "select nth, name from thing where name = any($1)";
    in_time(every_text_is_only_itself(&database.source, many)).await;
    in_time(no_text_is_an_integer(&database.source)).await;
}
