//! The data API.

use reqwest::header::{HeaderMap, IF_NONE_MATCH};
use serde_json::{Value, json};

use crate::served::{COMMON, SHOP, Served, answer, make_shop, until_some};

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

#[tokio::test]
async fn what_looks_like_sql_is_a_text_wherever_it_comes_in() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = make_shop(folder.path()).await;
    for text in INJECTIONS {
        // SQLite's texts end at a NUL for some of its functions; what is looked for is the whole.
        sqlx::query("insert into word values (?)").bind(text).execute(&mut shop).await.unwrap();
    }
    let served = Served::start(folder.path(), &settings(), &[]);
    for text in INJECTIONS {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (status, found) = served.get(&format!("/v1/word/{encoded}")).await;
        if text.chars().any(char::is_control) {
            assert_eq!(status, 400, "{text:?}: {found}");
            continue;
        }
        assert_eq!((status, &found["text"]), (200, &json!(text)), "{text:?}");
        let (status, _) = served.get(&format!("/v1/user/{encoded}")).await;
        assert_eq!(status, 404, "{text:?} as a number");
        let (status, _) = served.get(&format!("/v1/user/{encoded}?alias=email")).await;
        assert_eq!(status, 404, "{text:?} as a name");
        let (status, batch) = served.post("/v1/user", &json!({ "ids": [text] })).await;
        assert_eq!((status, &batch["values"][text]), (200, &Value::Null), "{text:?} in a batch");
        for part in ["tag", "pattern"] {
            let path = format!("/v1/user?{part}={encoded}");
            let (status, done) = answer(served.request("DELETE", &path)).await;
            assert!([200, 400].contains(&status), "{text:?} as a {part}: {done}");
        }
    }
    let left: i64 =
        sqlx::query_scalar("select count(*) from user").fetch_one(&mut shop).await.unwrap();
    assert_eq!(left, 100);
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
        ("\0", "control"),
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
