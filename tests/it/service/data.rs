//! The data API.

use reqwest::header::{HeaderMap, IF_NONE_MATCH};
use serde_json::{Value, json};

use crate::served::{COMMON, SHOP, Served, answer, make_shop};
use crate::waiting::{until, until_some};

fn settings() -> String {
    format!("{COMMON}{SHOP}")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_value_comes_with_where_it_is_from_how_old_it_is_and_what_it_is_known_by() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);

    let first = served.request("GET", "/v1/user/7").send().await.unwrap();
    assert_eq!(first.status(), 200);
    assert_eq!(text(first.headers(), "cache-status"), "forewarm; fwd=miss; stored");
    assert_eq!(text(first.headers(), "content-type"), "application/json");
    // It is as the source has just said it.
    assert!(!first.headers().contains_key("age"));
    let etag = text(first.headers(), "etag").to_owned();
    let user: Value = first.json().await.unwrap();
    assert_eq!(user, json!({ "id": 7, "name": "user 7", "email": "U7@example.com", "team": 2 }));

    let second = served.request("GET", "/v1/user/7").send().await.unwrap();
    let status = text(second.headers(), "cache-status");
    assert!(
        status.starts_with("forewarm; hit; ttl=") && status.ends_with("; detail=l1"),
        "{status}"
    );
    let age: u64 = text(second.headers(), "age").parse().unwrap();
    assert!(age < 60, "{age}");
    assert_eq!(text(second.headers(), "server-timing"), "l1;dur=0");
    assert_eq!(text(second.headers(), "etag"), etag);

    for held in [etag.clone(), format!("\"other\", W/{etag}"), "*".to_owned()] {
        let same = served.request("GET", "/v1/user/7").header(IF_NONE_MATCH, &held);
        let same = same.send().await.unwrap();
        assert_eq!((same.status().as_u16(), text(same.headers(), "etag")), (304, &*etag), "{held}");
        assert!(same.bytes().await.unwrap().is_empty());
    }
    let head = served.request("HEAD", "/v1/user/7").send().await.unwrap();
    assert_eq!((head.status().as_u16(), text(head.headers(), "etag")), (200, &*etag));
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    let cases = [
        ("/v1/user/4711", 404),
        ("/v1/user/no-number", 404),
        ("/v1/nobody/1", 404),
        ("/v1/user", 404),
        ("/v1/user/1?alias=phone", 400),
        ("/v1/user/1?unknown=1", 400),
        ("/v2/user/1", 404),
        ("/v1/user/%FF", 400),
    ];
    for (path, status) in cases {
        let (answered, problem) = served.get(path).await;
        assert_eq!(answered, status, "{path}: {problem}");
        assert_eq!(problem["status"], status, "{path}: {problem}");
        assert_eq!(problem["type"], "about:blank", "{path}: {problem}");
        assert!(problem["detail"].is_string(), "{path}: {problem}");
    }
    // That there is none is remembered.
    let again = served.request("GET", "/v1/user/4711").send().await.unwrap();
    assert!(text(again.headers(), "cache-status").starts_with("forewarm; hit; ttl="));
}

#[tokio::test]
async fn a_value_is_found_by_its_other_names_and_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    let (status, user) = served.get("/v1/user/%20u8@EXAMPLE.com?alias=email").await;
    assert_eq!((status, &user["id"]), (200, &json!(8)));
    assert_eq!(served.get("/v1/user/nobody@example.com?alias=email").await.0, 404);

    let ids = json!({ "ids": ["1", "2", "x", "4711", "2"] });
    let (status, batch) = served.post("/v1/user", &ids).await;
    assert_eq!(status, 200);
    assert_eq!(batch["errors"], json!({}));
    assert_eq!(batch["values"]["2"]["name"], "user 2");
    assert_eq!((&batch["values"]["x"], &batch["values"]["4711"]), (&Value::Null, &Value::Null));
    assert_eq!(batch["values"].as_object().unwrap().len(), 4);
    assert_eq!(served.get("/v1/faq").await.1["sec_ids"], json!([1, 2]));
}

#[tokio::test]
async fn what_is_invalidated_is_asked_for_anew_by_key_name_tag_pattern_and_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    let cases = [
        "/v1/user/7",
        "/v1/user/u7@example.com?alias=email",
        "/v1/user?tag=team:2",
        "/v1/user?pattern=7",
        "/v1/user?all=true&confirm=user",
    ];
    for (nth, path) in cases.iter().enumerate() {
        served.get("/v1/user/7").await;
        let name = format!("name {nth}");
        let sql = "update user set name = ? where id = 7";
        sqlx::query(sql).bind(&name).execute(&mut shop).await.unwrap();
        let (status, done) = answer(served.request("DELETE", path)).await;
        assert_eq!((status, &done["delivery"]), (200, &json!("applied")), "{path}: {done}");
        assert_eq!(served.get("/v1/user/7").await.1["name"], name, "{path}");
    }
    // A trial counts, and changes nothing.
    for path in ["/v1/user?tag=team:2&dry_run=true", "/v1/user?all=true&dry_run=true"] {
        let (status, done) = answer(served.request("DELETE", path)).await;
        assert_eq!((status, &done["delivery"]), (200, &json!("dry_run")), "{path}: {done}");
        assert_eq!(done["entries"], 1, "{path}");
    }
    for path in [
        "/v1/user?all=true",
        "/v1/user?all=true&confirm=users",
        "/v1/user",
        "/v1/user?tag=a&pattern=b",
        "/v1/user/7?min_version=9223372036854775808",
        "/v1/user/7?min_version=-1",
        "/v1/user/u7@example.com?alias=email&min_version=1",
    ] {
        assert_eq!(answer(served.request("DELETE", path)).await.0, 400, "{path}");
    }
    let held = served.request("GET", "/v1/user/7").send().await.unwrap();
    assert!(text(held.headers(), "cache-status").contains("detail=l1"));
}

#[tokio::test]
async fn a_client_can_ask_for_younger_values_or_only_for_what_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = make_shop(folder.path()).await;
    let at_once = settings().replace("[server]", "[server]\nreload_min_age = \"0s\"");
    let served = Served::start(folder.path(), &at_once, &[]);
    let asking = |control: &'static str| {
        served.request("GET", "/v1/user/7").header("cache-control", control)
    };
    assert_eq!(answer(asking("only-if-cached")).await.0, 504);
    let unknown = served.request("GET", "/v1/user/7?alias=phone");
    assert_eq!(answer(unknown.header("cache-control", "only-if-cached")).await.0, 400);
    served.get("/v1/user/7").await;
    assert_eq!(answer(asking("only-if-cached")).await.0, 200);
    let sql = "update user set name = 'new' where id = 7";
    sqlx::query(sql).execute(&mut shop).await.unwrap();
    assert_eq!(answer(asking("max-age=3600")).await.1["name"], "user 7");
    let forced = asking("no-cache").send().await.unwrap();
    assert_eq!(text(forced.headers(), "cache-status"), "forewarm; fwd=request; stored");
    assert_eq!(forced.json::<Value>().await.unwrap()["name"], "new");
    assert_eq!(served.get("/v1/user/7").await.1["name"], "new");
}

#[tokio::test]
async fn what_is_kept_nowhere_is_kept_nowhere_on_its_way_either() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let settings = settings().replace("[resources.right]", "[resources.right]\nstore = \"none\"");
    let served = Served::start(folder.path(), &settings, &[]);
    for _ in 0..2 {
        let right = served.request("GET", "/v1/right/7").send().await.unwrap();
        assert_eq!(text(right.headers(), "cache-status"), "forewarm; fwd=miss");
        assert_eq!(text(right.headers(), "cache-control"), "no-store");
    }
    assert_eq!(
        text(served.request("GET", "/v1/user/7").send().await.unwrap().headers(), "cache-control"),
        "no-cache"
    );
}

#[tokio::test]
async fn reads_of_a_client_belong_together_one_by_one_and_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let settings = settings().replace("[server]", "[server]\nclient_header = \"x-client\"");
    let served = Served::start(folder.path(), &settings, &[]);
    // Of each client, 2 comes after 1; between them, others read what they like.
    for client in 0..40 {
        let batch = |ids: Value| {
            let request = served.request("POST", "/v1/user").header("x-client", client);
            request.json(&json!({ "ids": ids }))
        };
        assert_eq!(answer(batch(json!(["1"]))).await.0, 200);
        let other = served.request("GET", &format!("/v1/word/{client}"));
        assert_eq!(answer(other.header("x-client", client + 1_000)).await.0, 404);
        assert_eq!(answer(batch(json!(["2"]))).await.0, 200);
    }
    let confidence = until_some("it is known that 2 follows 1", async || {
        let (_, related) = served.get("/admin/resources/user/related?key=1").await;
        let two = related.as_array().unwrap().iter().find(|related| related["key"] == "2").cloned();
        two.and_then(|two| two["confidence"].as_f64())
    })
    .await;
    assert!(confidence > 0.8, "{confidence}");
}

/// Numbers that are others once they are read as floating point, and names in no order.
const NUMBERS: &str =
    r#"{"z": [1.50, 12345678901234567890.123456789, 1180591620717411303424], "a": -0, "m": 1e2}"#;

#[tokio::test]
async fn numbers_and_the_order_of_names_are_the_same_wherever_they_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = make_shop(folder.path()).await;
    sqlx::raw_sql("create table thing (id text primary key, said json)")
        .execute(&mut shop)
        .await
        .unwrap();
    for id in ["1", "2", "3"] {
        let insert = sqlx::query("insert into thing values (?, ?)").bind(id).bind(NUMBERS);
        insert.execute(&mut shop).await.unwrap();
    }
    let more = r#"
[resources.thing]
source = "shop"
query = "select said, id from thing where id = $1"
query_many = "select said, id from thing where id in (select value from json_each($1))"
key_column = "id"
[resources.short]
source = "shop"
query = "select said, id from thing where id = $1"
trim = { "/said/z" = 2 }
[resources.list]
source = "shop"
query = "select said from thing where id >= $1 limit $2"
limit = 2
[snapshots.things]
source = "shop"
collections.all = { query = "select said, id from thing where id = '1'" }
"#;
    let all =
        format!("{}{more}", settings()).replace("[server]", "[server]\nbatch_bytes_max = 300");
    let served = Served::start(folder.path(), &all, &[]);
    let text = async |method: &str, path: &str, body: &str| {
        let request = served.request(method, path).header("content-type", "application/json");
        request.body(body.to_owned()).send().await.unwrap().text().await.unwrap()
    };
    let thing = format!("{{\"said\":{NUMBERS},\"id\":\"1\"}}");
    let short = thing.replace(", 1180591620717411303424]", "]");
    let other = thing.replace("\"1\"", "\"2\"");
    let list = format!("[{{\"said\":{NUMBERS}}},{{\"said\":{NUMBERS}}}]");
    let all = format!("\"all\":[{thing}]");
    // The second time from memory.
    for _ in 0..2 {
        assert_eq!(text("GET", "/v1/thing/1", "").await, thing);
        assert_eq!(text("GET", "/v1/short/1", "").await, short);
        assert_eq!(text("GET", "/v1/list/1", "").await, list);
        let batch = text("POST", "/v1/thing", r#"{"ids": ["2", "9", "1", "2"]}"#).await;
        let expected = format!("\"values\":{{\"2\":{other},\"9\":null,\"1\":{thing}}}");
        assert_eq!(batch, format!("{{{expected},\"errors\":{{}}}}"));
    }
    until("they are loaded", async || served.get("/v1/things").await.0 != 503).await;
    assert_eq!(text("GET", "/v1/things", "").await, format!("{{{all}}}"));
    let shown = text("GET", "/admin/snapshots/things", "").await;
    assert!(shown.starts_with(&format!("{{{all},\"last_updated_at\":\"2")), "{shown}");
    assert!(serde_json::from_str::<Value>(&shown).unwrap()["next_refresh_at"].is_null(), "{shown}");

    // What there is no room for is said, and the rest is answered.
    let (status, batch) = served.post("/v1/thing", &json!({ "ids": ["1", "2", "3", "9"] })).await;
    let values = batch["values"].as_object().unwrap();
    assert_eq!((status, values.len(), &values["9"]), (200, 3, &Value::Null), "{batch}");
    assert_eq!(batch["errors"]["3"]["status"], 413, "{batch}");
}

#[tokio::test]
async fn what_is_no_key_is_refused_wherever_keys_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    let long = "1".repeat(513);
    let cases = [
        ("", "is empty"),
        (&*long, "has 513 bytes: 512 at most"),
        ("1\n", "control"),
        ("1\u{85}", "control"),
    ];
    for (key, problem) in cases {
        let is_told =
            |said: &Value| said["detail"].as_str().is_some_and(|said| said.contains(problem));
        let escaped: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for path in ["explain", "related"] {
            let (status, said) =
                served.get(&format!("/admin/resources/user/{path}?key={escaped}")).await;
            assert!(status == 400 && is_told(&said), "{path} {key:?}: {status} {said}");
        }
        for path in ["invalidate", "warm"] {
            let body = json!({ "keys": ["1", key] });
            let (status, said) = served.post(&format!("/admin/resources/user/{path}"), &body).await;
            assert!(status == 400 && is_told(&said), "{path} {key:?}: {status} {said}");
        }
        let (status, batch) = served.post("/v1/user", &json!({ "ids": ["1", key] })).await;
        assert!(status == 200 && batch["values"]["1"]["id"] == 1, "{batch}");
        assert!(is_told(&batch["errors"][key]), "{key:?}: {batch}");
        // No path has an empty part.
        if key.is_empty() {
            continue;
        }
        for (method, query) in
            [("GET", ""), ("GET", "?alias=email"), ("DELETE", ""), ("DELETE", "?alias=email")]
        {
            let path = format!("/v1/user/{escaped}{query}");
            let (status, said) = answer(served.request(method, &path)).await;
            assert!(status == 400 && is_told(&said), "{method} {path}: {status} {said}");
        }
    }
}

#[tokio::test]
async fn the_strictest_word_of_a_reader_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = make_shop(folder.path()).await;
    let open = settings().replace("[server]", "[server]\nreload_min_age = \"0s\"");
    let served = Served::start(folder.path(), &open, &[]);
    served.get("/v1/user/7").await;
    for (nth, wanted) in ["no-cache, max-age=3600", "max-age=3600, no-cache"].iter().enumerate() {
        let name = format!("name {nth}");
        let rename = sqlx::query("update user set name = ? where id = 7").bind(&name);
        rename.execute(&mut shop).await.unwrap();
        let asked = served.request("GET", "/v1/user/7").header("cache-control", *wanted);
        let user: Value = asked.send().await.unwrap().json().await.unwrap();
        assert_eq!(user["name"], name, "{wanted}");
    }
    // And what is not asked from the source is found where it is held.
    let held = served.request("GET", "/v1/user/7").header("cache-control", "only-if-cached");
    assert_eq!(held.send().await.unwrap().json::<Value>().await.unwrap()["name"], "name 1");
}

#[tokio::test]
async fn a_reader_cannot_go_past_the_cache_as_often_as_they_like() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = make_shop(folder.path()).await;
    let hour = settings().replace("[server]", "[server]\nreload_min_age = \"1h\"");
    let served = Served::start(folder.path(), &hour, &[]);
    served.get("/v1/user/7").await;
    let sql = "update user set name = 'new' where id = 7";
    sqlx::query(sql).execute(&mut shop).await.unwrap();
    for wanted in ["no-cache", "max-age=0", "no-cache, max-age=1"] {
        let asked = served.request("GET", "/v1/user/7").header("cache-control", wanted);
        let said = asked.send().await.unwrap();
        assert!(text(said.headers(), "cache-status").starts_with("forewarm; hit"), "{wanted}");
        assert_eq!(said.json::<Value>().await.unwrap()["name"], "user 7", "{wanted}");
    }
}
