//! The service at its most talkative: tokens, passwords, headers, values and keys are in nothing that it
//! says, but where somebody has asked for them.

use std::path::Path;

use forewarm::lab::{RedisOptions, RedisServer};
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::task::JoinSet;

use crate::served::{COMMON, Served, answer};
use crate::waiting::until;

/// Part of whatever must not be said; another word than that of the canaries beside it, whose watch hears
/// what the clients of this test log as well.
const FINCH: &str = "FINCH";
/// The same, as those who show bytes show them.
const FINCH_BYTES: &str = "70, 73, 78, 67, 72";
const TOKEN: &str = "FINCH-admin-token-of-more-than-32-bytes";
const READ_TOKEN: &str = "FINCH-read-token-of-more-than-32-bytes-";
const WRONG: &str = "FINCH-wrong-token-of-more-than-32-bytes";
const PASSWORD: &str = "FINCHp4ssword";
const MAIL: &str = "FINCH@example.com";

const SETTINGS: &str = r#"
[[auth.tokens]]
name = "operator"
secret = { env = "T_ADMIN" }
scopes = ["read", "write", "admin"]
[[auth.tokens]]
name = "reader"
secret = { env = "T_READ" }
scopes = ["read"]
[l2.redis]
url = { env = "REDIS_URL" }
[sources.shop.sqlite]
path = "shop.db"
[sources.crm.postgres]
url = { env = "CRM_URL" }
wait_timeout = "200ms"
[sources.quotes.http]
url = "QUOTES_URL"
headers = { authorization = { env = "QUOTES_TOKEN" } }
[resources.word]
source = "shop"
query = "select text, mail, team from word where text = $1"
aliases.mail = { field = "/mail", query = "select text from word where mail = $1" }
tags = ["team:{/team}"]
[resources.broken]
source = "shop"
query = "select json(text) as text from word where text = $1"
[resources.customer]
source = "crm"
query = "select name from customer where name = $1"
policy = { source = { attempts = 1 } }
[resources.quote]
source = "quotes"
path = "/quote/{id}"
policy = { source = { attempts = 1 } }
[snapshots.words]
source = "shop"
collections.words = { query = "select text from word", scalar = true }
[jobs.popular]
triggers = [{ every = "1h" }]
renew = { resource = "word", keys = ["FINCHkey"] }
[jobs.failing]
triggers = [{ every = "1h" }]
renew = { resource = "customer", keys = ["FINCHkey"] }
"#;

async fn make_words(folder: &Path) {
    let options = SqliteConnectOptions::new().filename(folder.join("shop.db"));
    let mut shop = SqliteConnection::connect_with(&options.create_if_missing(true)).await.unwrap();
    let sql = "create table word (text text, mail text, team text)";
    sqlx::raw_sql(sql).execute(&mut shop).await.unwrap();
    for (text, mail) in [("FINCHkey", MAIL), ("FINCHother", "FINCHother@example.com")] {
        let insert = sqlx::query("insert into word values (?, ?, 'FINCHteam')");
        insert.bind(text).bind(mail).execute(&mut shop).await.unwrap();
    }
    shop.close().await.unwrap();
}

/// A source whose answers hold the canary, and which fails for some keys.
async fn quotes(serving: &mut JoinSet<std::io::Result<()>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let quote = async |axum::extract::Path(id): axum::extract::Path<String>| match id.as_str() {
        "FINCHfails" => Err((http::StatusCode::INTERNAL_SERVER_ERROR, "FINCH")),
        "FINCHno" => Ok("no JSON: FINCH".to_owned()),
        _ => Ok(json!({ "quote": "FINCHvalue" }).to_string()),
    };
    let routes = axum::Router::new().route("/quote/{id}", axum::routing::get(quote));
    serving.spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

/// What was said by the service, but for what was asked for.
struct Said<'a> {
    served: &'a Served,
    text: String,
}

impl Said<'_> {
    /// Asks as the operator; notes what is answered.
    async fn note(&mut self, method: &str, path: &str, body: Option<Value>) -> u16 {
        let answer = self.ask(method, path, body).await;
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        self.text += &format!("{method} {path}: {status} {text}\n");
        status
    }

    /// Asks for what holds the canary; notes it only if it is a problem.
    async fn open(&mut self, method: &str, path: &str, body: Option<Value>) -> u16 {
        let answer = self.ask(method, path, body).await;
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        if status >= 400 {
            // The path is of who asks.
            self.text += &format!("a problem: {status} {text}\n");
        }
        status
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> reqwest::Response {
        let request = self.served.request(method, path).bearer_auth(TOKEN);
        let request = match body {
            Some(body) => request.json(&body),
            None => request.header("content-type", "application/json"),
        };
        request.send().await.unwrap()
    }
}

async fn read_all(said: &mut Said<'_>) {
    for (path, status) in [
        ("/v1/word/FINCHkey", 200),
        ("/v1/word/FINCHkey", 200),
        ("/v1/word/FINCHnobody", 404),
        ("/v1/word/FINCH@example.com?alias=mail", 200),
        ("/v1/word/FINCHnobody@example.com?alias=mail", 404),
        ("/v1/word/FINCHkey?alias=FINCH", 400),
        ("/v1/nothing/FINCHkey", 404),
        ("/v1/broken/FINCHkey", 502),
        ("/v1/quote/FINCHkey", 200),
        ("/v1/quote/FINCHfails", 502),
        ("/v1/quote/FINCHno", 502),
        ("/v1/words", 200),
    ] {
        assert_eq!(said.open("GET", path, None).await, status, "{path}");
    }
    // Nobody listens where the customers are.
    assert!(said.open("GET", "/v1/customer/FINCHkey", None).await >= 500);
    let ids = json!({ "ids": ["FINCHkey", "FINCHnobody"] });
    for resource in ["word", "customer", "broken", "quote"] {
        assert_eq!(said.open("POST", &format!("/v1/{resource}"), Some(ids.clone())).await, 200);
    }
}

async fn operate(said: &mut Said<'_>) {
    let keys = json!({ "keys": ["FINCHkey", "FINCHnobody"] });
    for (path, body) in [
        ("/admin/resources/word/warm", keys.clone()),
        ("/admin/resources/customer/warm", keys.clone()),
        ("/admin/resources/word/invalidate", keys),
        ("/admin/resources/word/invalidate", json!({ "tag": "team:FINCHteam" })),
        ("/admin/resources/word/invalidate", json!({ "pattern": "FINCH*" })),
        ("/admin/resources/word/preload", json!({ "burst": 10 })),
    ] {
        assert_eq!(said.note("POST", path, Some(body)).await, 200, "{path}");
    }
    remove(said).await;
    run_jobs(said).await;
    assert_eq!(said.open("POST", "/admin/snapshots/words/refresh", None).await, 200);
    let all = Some(json!({ "confirm": "forewarm" }));
    assert_eq!(said.note("POST", "/admin/invalidate", all).await, 200);
}

async fn remove(said: &mut Said<'_>) {
    for path in [
        "/v1/word/FINCHkey",
        "/v1/word/FINCH@example.com?alias=mail",
        "/v1/word?tag=team:FINCHteam",
        "/v1/word?pattern=FINCH*",
        "/v1/word?all=true&confirm=word",
    ] {
        assert_eq!(said.open("DELETE", path, None).await, 200, "{path}");
    }
    assert_eq!(said.open("DELETE", "/v1/word?all=true&confirm=FINCH", None).await, 400);
}

async fn run_jobs(said: &mut Said<'_>) {
    for job in ["popular", "failing"] {
        assert_eq!(said.note("POST", &format!("/admin/jobs/{job}/trigger"), None).await, 202);
        for action in ["pause", "resume"] {
            let path = format!("/admin/jobs/{job}/{action}");
            assert_eq!(said.note("POST", &path, None).await, 200);
        }
        let path = format!("/admin/jobs/{job}/runs");
        until("the run has ended", async || {
            let runs = answer(said.served.request("GET", &path).bearer_auth(TOKEN)).await.1;
            !runs[0]["outcome"].is_null()
        })
        .await;
    }
}

/// What is shown to operators; keys only where they are asked for.
async fn look(said: &mut Said<'_>) {
    for path in [
        "/admin/stats",
        "/admin/resources",
        "/admin/resources/word/score-card",
        "/admin/rules",
        "/admin/scheduled-jobs",
        "/admin/jobs",
        "/admin/jobs/popular/logs",
        "/admin/jobs/popular/runs",
        "/admin/jobs/failing/logs",
        "/admin/jobs/failing/runs",
        "/admin/snapshots",
        "/admin/health",
        "/admin/nodes",
        "/admin/audit?limit=1000",
        "/admin/history",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/",
    ] {
        assert_eq!(said.note("GET", path, None).await, 200, "{path}");
    }
    for path in [
        "/admin/hot-keys",
        "/admin/associations",
        "/admin/resources/word/explain?key=FINCHkey",
        "/admin/resources/word/related?key=FINCHkey",
        "/admin/snapshots/words",
    ] {
        assert_eq!(said.open("GET", path, None).await, 200, "{path}");
    }
}

/// Settings that cannot work, with the canary where something is wrong.
async fn reload(said: &mut Said<'_>, folder: &Path, settings: &str) {
    let wrong = [
        settings.replace("{ env = \"T_ADMIN\" }", "\"FINCH-written-token-of-more-than-32-bytes\""),
        settings.replace("{ env = \"T_ADMIN\" }", "{ envv = \"FINCH\" }"),
        settings.replace("{ env = \"CRM_URL\" }", "\"postgres://u:FINCHp4ssword@localhost/db\""),
        settings.replace("{ env = \"CRM_URL\" }", "[\"postgres://u:FINCHp4ssword@localhost/db\"]"),
        settings.replace("{ env = \"REDIS_URL\" }", "\"redis://u:FINCHp4ssword@localhost:x/\""),
        settings.replace("{ env = \"QUOTES_TOKEN\" }", "[\"FINCH\"]"),
        settings.replace("[l2.redis]", "[l2.redis] = \"FINCH"),
    ];
    let file = folder.join("forewarm.toml");
    for settings in wrong {
        std::fs::write(&file, &settings).unwrap();
        assert_eq!(said.note("POST", "/admin/reload", None).await, 422, "{settings}");
    }
    let good = settings.replace("every = \"1h\"", "every = \"30m\"");
    std::fs::write(&file, good).unwrap();
    assert_eq!(said.note("POST", "/admin/reload", None).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_says_nothing_that_it_was_not_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    make_words(folder.path()).await;
    let redis = RedisServer::launch(RedisOptions::default().password(PASSWORD)).await.unwrap();
    let url = redis.url();
    assert!(url.contains(FINCH), "{url}");
    let mut serving = JoinSet::new();
    let settings = COMMON.replace("[log]", "[log]\nlevel = \"trace\"");
    let settings =
        format!("{settings}{}", SETTINGS.replace("QUOTES_URL", &quotes(&mut serving).await));
    let crm = format!("postgres://canary:{PASSWORD}@127.0.0.1:1/crm");
    let variables = [
        ("T_ADMIN", TOKEN),
        ("T_READ", READ_TOKEN),
        ("REDIS_URL", &url),
        ("CRM_URL", &crm),
        ("QUOTES_TOKEN", "Bearer FINCHquotes"),
    ];
    let mut served = Served::start(folder.path(), &settings, &variables);
    let mut said = Said { served: &served, text: String::new() };
    // The dataset is loaded behind the start.
    until("it is loaded", async || said.open("GET", "/v1/words", None).await != 503).await;
    for _ in 0..2 {
        read_all(&mut said).await;
        operate(&mut said).await;
    }
    read_all(&mut said).await;
    look(&mut said).await;
    for (token, status) in [(READ_TOKEN, 403), (WRONG, 401)] {
        let request = served.request("POST", "/admin/reload").bearer_auth(token);
        let (answered, problem) = answer(request).await;
        assert_eq!(answered, status);
        said.text += &problem.to_string();
    }
    reload(&mut said, folder.path(), &settings).await;
    // L2 goes away, and what needs it says so.
    redis.kill().unwrap();
    read_all(&mut said).await;
    assert_eq!(said.open("DELETE", "/v1/word/FINCHkey", None).await, 200);
    look(&mut said).await;
    let text = said.text;
    for line in text.lines() {
        assert!(!line.contains(FINCH) || asks(line), "{line}");
    }
    served.signal("TERM");
    served.ended();
    let log = served.whole_log();
    assert!(log.lines().count() > 100, "it said little: {log}");
    for line in log.lines() {
        assert!(!line.contains(FINCH) && !line.contains(FINCH_BYTES), "{line}");
    }
}

/// Whether a line of ours has the canary only in what was asked.
fn asks(line: &str) -> bool {
    line.split_once(": ").is_some_and(|(_, answered)| !answered.contains(FINCH))
}

#[tokio::test]
async fn a_key_with_quotes_and_odd_letters_is_one_line_of_the_log() {
    const HOSTILE: &str = "a%0AFAKE%20line%0D%1B%5B31mred%22%7D,%7B%22x%22:%22%E2%80%AE";
    const ODD: &str = "aFAKE%20line%5B31mred%22%7D,%7B%22x%22:%22%E2%80%AE";
    for format in ["json", "text"] {
        let folder = tempfile::tempdir().unwrap();
        make_words(folder.path()).await;
        let settings = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"{format}\"\nlevel = \"trace\"\n
            [engine]\nlog_keys = true\n
            [sources.shop.sqlite]\npath = \"shop.db\"\n
            [resources.word]\nsource = \"shop\"\nquery = \"select text from word where text = $1\"\n"
        );
        let mut served = Served::start(folder.path(), &settings, &[]);
        // What has control characters is no key; what only looks as if is one.
        for _ in 0..2 {
            assert_eq!(served.get(&format!("/v1/word/{HOSTILE}")).await.0, 400);
            assert_eq!(served.get(&format!("/v1/word/{ODD}")).await.0, 404);
        }
        let pattern = format!("/v1/word?pattern={HOSTILE}");
        // A pattern is no place for them.
        assert_eq!(answer(served.request("DELETE", &pattern)).await.0, 400);
        served.signal("TERM");
        served.ended();
        let log = served.whole_log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("FAKE line")).collect();
        assert!(!lines.is_empty(), "{format}: {log}");
        for line in &lines {
            assert!(!line.starts_with("FAKE"), "{format}: {line}");
            assert!(!line.contains(['\u{1b}', '\r', '\u{202e}']), "{format}: {line}");
            if format == "json" {
                let event: Value = serde_json::from_str(line).unwrap();
                assert_eq!(event.get("x"), None, "{line}");
            }
        }
    }
}
