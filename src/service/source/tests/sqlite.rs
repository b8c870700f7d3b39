//! What is particular to SQLite.

use serde_json::json;
use sqlx::SqlitePool;

use super::*;

const TABLES: &str = "
    create table person (id integer primary key, name text not null, team integer not null);
    insert into person values (1, 'Ada', 7), (2, 'Grace', 7), (3, 'Edsger', 8);
    create table kind (
        id text primary key, whole integer, part real, words text, bytes blob, truth boolean,
        said json, spoilt JSON, big integer
    );
    insert into kind values
        ('a', 42, 0.5, 'é \"x\"', x'00ff', true, '{\"b\": [1, 2]}', '{', 9223372036854775807),
        ('b', null, 9e999, '', x'', 2, 'null', x'01', -9223372036854775808),
        ('c', 'words', 1, x'ff', null, 0, '1', null, cast(x'41ff42' as text));
";

const ONE: &str = "select id, name from person where id = $1";
const MANY: &str = "select id, name from person where id in (select value from json_each($1))";

#[tokio::test]
async fn a_row_is_an_object_and_every_value_has_a_place_in_json() {
    let database = Database::sqlite(TABLES).await;
    let kinds = resource(&database.source, parts("select * from kind where id = $1")).await;
    let expected = json!({
        "id": "a", "whole": 42, "part": 0.5, "words": "é \"x\"", "bytes": "AP8=", "truth": true,
        "said": { "b": [1, 2] }, "spoilt": "{", "big": i64::MAX,
    });
    assert_eq!(value(&kinds, "a").await, Some(expected));
    let expected = json!({
        "id": "b", "whole": null, "part": null, "words": "", "bytes": "", "truth": 2,
        "said": null, "spoilt": "AQ==", "big": i64::MIN,
    });
    assert_eq!(value(&kinds, "b").await, Some(expected));
    let expected = json!({
        "id": "c", "whole": "words", "part": 1.0, "words": "/w==", "bytes": null, "truth": false,
        "said": 1, "spoilt": null, "big": "A\u{fffd}B",
    });
    assert_eq!(value(&kinds, "c").await, Some(expected));
    assert_eq!(value(&kinds, "d").await, None);
}

#[tokio::test]
async fn only_columns_that_are_declared_as_json_are_read_as_json() {
    let database = Database::sqlite(TABLES).await;
    let sql = "select it.said as renamed, '[1]' as words, json('[1]') as made
        from (select * from kind) as it where id = $1";
    let kinds = resource(&database.source, parts(sql)).await;
    let expected = json!({ "renamed": { "b": [1, 2] }, "words": "[1]", "made": "[1]" });
    assert_eq!(value(&kinds, "a").await, Some(expected));
}

#[tokio::test]
async fn a_list_has_the_rows_in_their_order_up_to_its_limit() {
    let database = Database::sqlite(TABLES).await;
    let sql = "select name from person where team = $1 order by id desc limit $2";
    for (limit, expected) in [(1, json!(["Grace"])), (5, json!(["Grace", "Ada"]))] {
        let list = LoadParts { limit: Some(limit), scalar: Some(true), ..parts(sql) };
        let names = resource(&database.source, list).await;
        assert_eq!(value(&names, "7").await, Some(expected));
        assert_eq!(value(&names, "9").await, Some(json!([])));
    }
    let list = LoadParts { limit: Some(5), ..parts(sql) };
    let names = resource(&database.source, list).await;
    assert_eq!(value(&names, "8").await, Some(json!([{ "name": "Edsger" }])));
}

#[tokio::test]
async fn many_keys_are_found_at_once_whatever_they_are_bound_as() {
    let database = Database::sqlite(TABLES).await;
    let many = LoadParts { query_many: Some(MANY), key_column: Some("id"), ..parts(ONE) };
    // A query for one key that fails tells that the other one was asked.
    let only_many = LoadParts { query: Some("select no from person where id = $1"), ..many };
    for key in [KeyKind::Text, KeyKind::Integer] {
        let people = resource(&database.source, LoadParts { key: Some(key), ..only_many }).await;
        let found = values(&people, &["3", "9", "1"]).await;
        let person = |id, name| Some(json!({ "id": id, "name": name }));
        assert_eq!(found, [person(3, "Edsger"), None, person(1, "Ada")], "{key:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_no_integer_is_nobody_and_the_database_is_not_asked() {
    let home = tempfile::tempdir().unwrap();
    let missing = home.path().join("missing.db");
    let source = open(&format!("sqlite = {{ path = {missing:?} }}"));
    let integer = LoadParts { key: Some(KeyKind::Integer), ..parts(ONE) };
    let many = LoadParts { query_many: Some(MANY), key_column: Some("id"), ..integer };
    for parts in [integer, many] {
        let people = resource(&source, parts).await;
        for key in ["", "x", "01", "1 or 1=1", "9223372036854775808", "1\0"] {
            assert_eq!(value(&people, key).await, None, "{key:?}");
        }
        assert_eq!(values(&people, &["x", "1.0"]).await, [None, None]);
        assert!(people.get("1").await.unwrap_err().is_transient(), "it is not there");
    }
}

#[tokio::test]
async fn a_batch_asks_for_the_integers_among_its_keys_only() {
    let database = Database::sqlite(TABLES).await;
    let many = LoadParts { query_many: Some(MANY), key_column: Some("id"), ..parts(ONE) };
    let many = LoadParts { key: Some(KeyKind::Integer), ..many };
    let people = resource(&database.source, many).await;
    let found = values(&people, &["x", "2", "02", "1"]).await;
    let names: Vec<_> = found.iter().map(|it| it.as_ref().map(|it| it["name"].clone())).collect();
    assert_eq!(names, [None, Some("Grace".into()), None, Some("Ada".into())]);
}

#[tokio::test]
async fn a_file_that_comes_later_is_found_then() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("shop.db");
    let source = open(&format!("sqlite = {{ path = {path:?} }}"));
    let people = resource(&source, parts(ONE)).await;
    assert!(people.get("1").await.unwrap_err().is_transient());
    assert!(source.ping().await.is_err());
    assert!(source.check(&load(parts(ONE))).await.unwrap_err().is_transient());
    let connect = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let owner = SqlitePool::connect_with(connect).await.unwrap();
    raw_sql(TABLES).execute(&owner).await.unwrap();
    assert_eq!(value(&people, "1").await, Some(json!({ "id": 1, "name": "Ada" })));
    source.ping().await.unwrap();
    source.check(&load(parts(ONE))).await.unwrap();
    source.close().await;
    assert!(source.ping().await.is_err());
}

#[tokio::test]
async fn nothing_is_changed_through_a_source() {
    let database = Database::sqlite(TABLES).await;
    let error = database.source.keys("delete from person returning id").await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    let people = resource(&database.source, parts("delete from person returning $1")).await;
    assert!(people.get("1").await.is_err());
    assert_eq!(database.source.keys("select id from person").await.unwrap().len(), 3);
}

#[tokio::test]
async fn keys_and_names_are_texts_whatever_their_type() {
    let database = Database::sqlite(TABLES).await;
    let source = &database.source;
    let keys = source.keys("select team from person order by id").await.unwrap();
    assert_eq!(keys, ["7", "7", "8"]);
    let keys = source.keys("select part from kind order by id").await.unwrap();
    assert_eq!(keys, ["0.5", "1.0"], "no infinity, which is no text");
    let find = source.find("select id from person where name = $1");
    assert_eq!(find("Grace".into()).await.unwrap().as_deref(), Some("2"));
    assert_eq!(find("grace".into()).await.unwrap(), None);
    let null = source.find("select null where $1 is not null");
    assert_eq!(null("x".into()).await.unwrap(), None);
}

#[tokio::test]
async fn a_collection_has_all_rows() {
    let database = Database::sqlite(TABLES).await;
    let sql = "select id, name from person where team = 7 order by id";
    let expected = json!([{ "id": 1, "name": "Ada" }, { "id": 2, "name": "Grace" }]);
    assert_eq!(collected(&database.source, sql, false).await, expected);
    let ids = "select id from person order by id";
    assert_eq!(collected(&database.source, ids, true).await, json!([1, 2, 3]));
    let none = "select id from person where false";
    assert_eq!(collected(&database.source, none, false).await, json!([]));
}

#[tokio::test]
async fn more_than_a_million_rows_are_refused() {
    let database = Database::sqlite(TABLES).await;
    let sql = "with recursive row(n) as (select 1 union all select n + 1 from row)
        select n from row";
    let error = in_time(database.source.keys(sql)).await.unwrap_err();
    assert!(!error.is_transient() && said(&error).contains("1000000 rows"), "{}", said(&error));
}

#[tokio::test]
async fn what_the_database_does_not_take_is_told_without_asking() {
    let database = Database::sqlite(TABLES).await;
    let many = LoadParts { query_many: Some(MANY), key_column: Some("id"), ..parts(ONE) };
    for good in [parts(ONE), many] {
        database.source.check(&load(good)).await.unwrap();
    }
    let cases = [
        ("query", parts("select nothing from person where id = $1")),
        ("query", parts("selec 1")),
        ("query", parts("select id from person")),
        ("query", parts("select id from person where id = $1 and team = $2")),
        ("query", LoadParts { limit: Some(5), ..parts(ONE) }),
        ("query", LoadParts { scalar: Some(true), ..parts(ONE) }),
        ("query", parts("-- $1")),
        ("query_many", LoadParts { query_many: Some("select 1"), ..many }),
        ("key_column", LoadParts { key_column: Some("team"), ..many }),
    ];
    for (expected, parts) in cases {
        let checked = database.source.check(&load(parts)).await;
        let error = checked.expect_err(&format!("{parts:?}"));
        assert!(!error.is_transient(), "{error}");
        assert_eq!(field(&error), expected, "{error}: {parts:?}");
        let error = error.within("resources.user");
        assert_eq!(field(&error), format!("resources.user.{expected}"));
    }
    database.source.check_query(query("select 1 where $1", 1)).await.unwrap();
    let error = database.source.check_query(query("select 1 where $1", 0)).await.unwrap_err();
    assert_eq!(field(&error), "aliases.email.query");
}

#[tokio::test]
async fn numbers_and_the_order_of_names_stay_as_they_are_stored() {
    let tables = format!(
        "create table thing (z integer primary key, said json, a real);
        insert into thing values (1, '{NUMBERS}', 1e21), (2, ' [ 1.50 ] ', 0.1);"
    );
    let database = Database::sqlite(&tables).await;
    let one = "select z, said, a from thing where z = $1";
    let many = "select z, said, a from thing where z in (select value from json_each($1))";
    let many = LoadParts { query_many: Some(many), key_column: Some("z"), ..parts(one) };
    let things = resource(&database.source, many).await;
    let row = format!("{{\"z\":1,\"said\":{NUMBERS},\"a\":1e+21}}");
    assert_eq!(texts(&things, "1").await, [row.clone(), row.clone()]);
    let all = database.source.collect("select z, said, a from thing order by z", false).await;
    assert_eq!(all.unwrap(), format!("[{row},{{\"z\":2,\"said\": [ 1.50 ] ,\"a\":0.1}}]"));
    let scalars = database.source.collect("select said from thing where z = 1", true).await;
    assert_eq!(scalars.unwrap(), format!("[{NUMBERS}]"));
    // The last one counts, as it does for who reads what has several.
    let twice = database.source.collect("select z, a, 7 as z from thing where z = 2", false).await;
    assert_eq!(twice.unwrap(), "[{\"a\":0.1,\"z\":7}]");
}
