//! Who is let in.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::served::{COMMON, SHOP, Served, answer, make_shop};
use crate::waiting::until;

const READ: &str = "read-token-read-token-read-token-0001";
const WRITE: &str = "write-token-write-token-write-token-02";
const ADMIN: &str = "admin-token-admin-token-admin-token-03";

const TOKENS: [(&str, &str); 3] = [("T_READ", READ), ("T_WRITE", WRITE), ("T_ADMIN", ADMIN)];

/// A service with a token for each scope.
fn guarded(folder: &std::path::Path, more: &str) -> Served {
    let auth = r#"
        [[auth.tokens]]
        name = "reader"
        secret = { env = "T_READ" }
        scopes = ["read"]
        [[auth.tokens]]
        name = "writer"
        secret = { env = "T_WRITE" }
        scopes = ["read", "write"]
        [[auth.tokens]]
        name = "operator"
        secret = { env = "T_ADMIN" }
        scopes = ["read", "write", "admin"]
    "#;
    let common = COMMON.replace("[server]", &format!("[server]\n{more}"));
    Served::start(folder, &format!("{common}{SHOP}{auth}"), &TOKENS)
}

/// All that the service answers: methods and paths, with something in place of parameters.
async fn routes(served: &Served) -> Vec<(String, String)> {
    let described = served.request("GET", "/openapi.json").bearer_auth(READ);
    let (status, document) = answer(described).await;
    assert_eq!(status, 200);
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{resource}", "user").replace("{id}", "popular");
        let path = path.replace("{name}", if path.contains("snapshots") { "faq" } else { "user" });
        assert!(!path.contains('{'), "{path}");
        for method in item.as_object().unwrap().keys() {
            routes.push((method.to_uppercase(), path.clone()));
        }
    }
    assert!(routes.len() > 30, "{routes:?}");
    routes
}

/// What needs no token; all else does.
const PUBLIC: [(&str, &str); 2] = [("GET", "/healthz"), ("GET", "/readyz")];

#[tokio::test]
async fn each_route_needs_a_token_unless_it_is_listed_as_public() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = guarded(folder.path(), "");
    for (method, path) in routes(&served).await {
        let (status, problem) = answer(served.request(&method, &path)).await;
        if PUBLIC.contains(&(&*method, &*path)) {
            assert_eq!(status, 200, "{method} {path}");
        } else {
            assert_eq!(status, 401, "{method} {path}: {problem}");
        }
    }
    for path in ["/", "/favicon.svg", "/assets/dashboard.js", "/assets/dashboard.css"] {
        assert_eq!(served.request("GET", path).send().await.unwrap().status(), 200, "{path}");
        assert_eq!(answer(served.request("POST", path)).await.0, 401, "{path}");
    }
    // What is not there needs one as well, so that nobody learns what is.
    for path in ["/nothing", "/admin", "/v1", "/admin/"] {
        assert_eq!(answer(served.request("GET", path)).await.0, 401, "{path}");
        assert_eq!(answer(served.request("GET", path).bearer_auth(READ)).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_token_does_what_its_scopes_allow() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = guarded(folder.path(), "");
    for (method, path) in routes(&served).await {
        if path == "/admin/events" {
            continue;
        }
        let with = |token| {
            let request = served.request(&method, &path).bearer_auth(token);
            answer(request.header("content-type", "application/json"))
        };
        let is_read = method == "GET" || (method == "POST" && path.starts_with("/v1/"));
        let (status, problem) = with(READ).await;
        assert_eq!(status == 403, !is_read, "{method} {path} to read: {status} {problem}");
        let is_write = method == "DELETE"
            || (path.starts_with("/admin/resources/")
                && (path.ends_with("/invalidate") || path.ends_with("/warm")));
        let (status, problem) = with(WRITE).await;
        assert_eq!(status == 403, !is_read && !is_write, "{method} {path} to write: {problem}");
        let (status, problem) = with(ADMIN).await;
        assert!(![401, 403].contains(&status), "{method} {path} to all: {status} {problem}");
        assert!(status < 500, "{method} {path}: {status} {problem}");
    }
    let audit = served.request("GET", "/admin/audit?limit=100").bearer_auth(READ);
    let (_, audit) = answer(audit).await;
    let rows: Vec<_> = audit.as_array().unwrap().iter().collect();
    let is_noted =
        |by: &str, action: &str| rows.iter().any(|row| row["by"] == by && row["action"] == action);
    for action in ["trigger", "pause", "resume", "refresh"] {
        assert!(is_noted("operator", action) && !is_noted("reader", action), "{action}: {audit}");
    }
}

#[tokio::test]
async fn wrong_tokens_are_refused_and_many_of_them_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = guarded(folder.path(), "");
    let long = "x".repeat(5_000);
    let wrong = ["", "x", &READ[1..], &format!("{READ}x"), &long];
    for token in wrong {
        let (status, problem) =
            answer(served.request("GET", "/v1/user/1").bearer_auth(token)).await;
        assert_eq!(status, 401, "{problem}");
    }
    for kind in ["Basic", "Token", "bearer  ", "Bearerx"] {
        let request = served.request("GET", "/v1/user/1");
        let request = request.header("authorization", format!("{kind} {}", &READ[1..]));
        assert_eq!(answer(request).await.0, 401, "{kind}");
    }
    // The scheme is no matter of case (RFC 9110, 11.1).
    let request =
        served.request("GET", "/v1/user/1").header("authorization", format!("bearer {READ}"));
    assert_eq!(answer(request).await.0, 200);
    assert_eq!(answer(served.request("GET", "/v1/user/1").bearer_auth("x")).await.0, 401);
    // Ten came by now.
    let (status, problem) = answer(served.request("GET", "/v1/user/1").bearer_auth("x")).await;
    assert_eq!(status, 429, "{problem}");
    // Behind a proxy all have one address: who has a token is not shut out by those who have none.
    assert_eq!(answer(served.request("GET", "/v1/user/1").bearer_auth(READ)).await.0, 200);
    assert_eq!(answer(served.request("GET", "/healthz")).await.0, 200);
    let log = served.log();
    assert!(![READ, WRITE, ADMIN].iter().any(|token| log.contains(token)), "{log}");
}

#[tokio::test]
async fn requests_under_other_names_and_of_other_pages_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = guarded(folder.path(), r#"hosts = ["cache.example.com", "other.example.com:81"]"#);
    let ours = served.address().to_owned();
    let with = |name: &'static str, value: String| {
        answer(served.request("GET", "/v1/user/1").bearer_auth(READ).header(name, value))
    };
    for host in [
        "cache.example.com",
        "CACHE.example.com:8443",
        "other.example.com:81",
        "localhost",
        "[::1]:7700",
        &ours,
    ] {
        assert_eq!(with("host", host.to_owned()).await.0, 200, "{host}");
    }
    for host in [
        "evil.example.com",
        "cache.example.com.evil.com",
        "other.example.com:82",
        "localhost.evil.com",
        "127.0.0.1.evil.com",
        "",
        "[",
    ] {
        let (status, problem) = with("host", host.to_owned()).await;
        assert_eq!(status, 421, "{host}: {problem}");
    }
    assert_eq!(with("origin", format!("http://{ours}")).await.0, 200);
    for origin in ["http://evil.example.com", "null", "http://localhost:1", "evil"] {
        assert_eq!(with("origin", origin.to_owned()).await.0, 403, "{origin}");
    }
    for (site, status) in
        [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403)]
    {
        assert_eq!(with("sec-fetch-site", site.to_owned()).await.0, status, "{site}");
    }
    // A link from elsewhere leads to the page, and to nothing else.
    for (path, status) in [("/", 200), ("/admin/stats", 403)] {
        let visit = served.request("GET", path).bearer_auth(READ);
        let visit =
            visit.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate");
        assert_eq!(visit.send().await.unwrap().status(), status, "{path}");
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_too_slow_or_no_json_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let more = r#"
        body_bytes_max = 1000
        body_timeout = "100ms"
        batch_keys_max = 10
        header_timeout = "200ms"
    "#;
    let served = guarded(folder.path(), more);
    let request = || served.request("POST", "/v1/user").bearer_auth(READ);
    let json = "application/json";
    let large = json!({ "ids": ["1".repeat(1_000)] }).to_string();
    let typed =
        |kind: &str, body: &str| request().header("content-type", kind).body(body.to_owned());
    let cases = [
        (typed(json, &large), 413),
        (typed(json, r#"{"ids": [1"#), 400),
        (typed(json, r#"{"ids": ["1"], "more": 1}"#), 400),
        (typed(json, &"[".repeat(900)), 400),
        (typed(json, r#"{"ids": ["1"]} {"ids": ["2"]}"#), 400),
        (typed(json, r#"[["1"]]"#), 400),
        (typed("text/plain", r#"{"ids": []}"#), 415),
        (request().body(r#"{"ids": []}"#), 415),
        (request().json(&json!({ "ids": vec!["1"; 11] })), 400),
        (typed("Application/JSON; charset=utf-8", r#"{"ids": []}"#), 200),
    ];
    for (nth, (request, status)) in cases.into_iter().enumerate() {
        let (answered, problem) = answer(request).await;
        assert_eq!(answered, status, "case {nth}: {problem}");
    }
    let address = served.address().to_owned();
    let slow = tokio::task::spawn_blocking(move || {
        // A body that does not come.
        let head = format!(
            "POST /v1/user HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {READ}\r\n\
             content-type: application/json\r\ncontent-length: 100\r\n\r\n["
        );
        let late = said(&address, head.as_bytes());
        // Headers that do not come: the connection is closed.
        let none = said(&address, b"GET /healthz HTTP/1.1\r\nhost:");
        // Headers that do not end.
        let mut endless = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n".to_vec();
        endless.extend(b"x: y\r\n".repeat(20_000));
        (late, none, said(&address, &endless))
    });
    let (late, none, endless) = slow.await.unwrap();
    assert!(late.starts_with("HTTP/1.1 408"), "{late}");
    assert!(none.is_empty() || none.starts_with("HTTP/1.1 408"), "{none}");
    assert!(endless.is_empty() || endless.starts_with("HTTP/1.1 431"), "{endless}");
    assert_eq!(answer(served.request("GET", "/healthz")).await.0, 200);
}

/// What is answered to what is sent, until the other side closes.
fn said(address: &str, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    // The other side may close before all is sent.
    drop(stream.write_all(sent));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_put_off() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = guarded(folder.path(), "requests_per_second = 0.001");
    assert_eq!(answer(served.request("GET", "/healthz")).await.0, 200);
    let put_off = served.request("GET", "/healthz").send().await.unwrap();
    assert_eq!(put_off.status(), 429);
    assert_eq!(put_off.headers()["retry-after"], "1");
}

#[tokio::test]
async fn parts_can_be_made_public_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let auth = r#"
        [auth]
        tokens = [{ name = "t", secret = { env = "T_READ" }, scopes = ["read"] }]
        public = ["metrics", "data"]
    "#;
    let public = format!("{COMMON}{SHOP}{auth}");
    let served = Served::start(folder.path(), &public, &TOKENS);
    for (path, status) in
        [("/metrics", 200), ("/v1/user/1", 200), ("/openapi.json", 401), ("/admin/stats", 401)]
    {
        assert_eq!(served.request("GET", path).send().await.unwrap().status(), status, "{path}");
    }
    assert_eq!(answer(served.request("DELETE", "/v1/user/1")).await.0, 401);
}

#[test]
fn it_refuses_to_be_reached_from_elsewhere_without_tokens_and_tls() {
    let folder = tempfile::tempdir().unwrap();
    let listen = "[server]\nlisten = \"0.0.0.0:0\"\n";
    let token =
        "[[auth.tokens]]\nname = \"t\"\nsecret = { env = \"T_READ\" }\nscopes = [\"read\"]\n";
    for (settings, named) in
        [(listen.to_owned(), "auth.tokens"), (format!("{listen}{token}"), "allow_insecure")]
    {
        std::fs::write(folder.path().join("forewarm.toml"), settings).unwrap();
        let output =
            crate::served::command(folder.path(), ["serve"]).envs(TOKENS).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(named), "{said}");
        assert!(said.contains("forewarm.toml:2: `server.listen`"), "{said}");
    }
}

/// What a counter of `/metrics` has come to.
async fn refused(served: &Served, why: &str) -> u64 {
    let metrics = served.request("GET", "/metrics").bearer_auth(READ).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let name = format!("forewarm_http_refused_total{{why=\"{why}\"}} ");
    let found = metrics.lines().find_map(|line| line.strip_prefix(&name));
    found.unwrap_or_else(|| panic!("there is no {name}: {metrics}")).parse().unwrap()
}

#[tokio::test]
async fn what_would_change_something_is_said_to_be_json_also_without_a_body() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = guarded(folder.path(), "");
    for (method, path) in routes(&served).await {
        if method == "GET" || path.starts_with("/v1/") {
            continue;
        }
        let request = || served.request(&method, &path).bearer_auth(ADMIN);
        // What a form of a page can send.
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            let form = request().header("content-type", kind).body("{}");
            assert_eq!(answer(form).await.0, 415, "{method} {path} as {kind}");
        }
        assert_eq!(answer(request()).await.0, 415, "{method} {path}");
        // Who may not learns nothing more.
        assert_eq!(answer(served.request(&method, &path)).await.0, 401, "{method} {path}");
    }
    let audit = answer(served.request("GET", "/admin/audit").bearer_auth(READ)).await.1;
    assert_eq!(audit, json!([]));
    let said = served.request("POST", "/admin/jobs/popular/pause").bearer_auth(ADMIN);
    let said = said.header("content-type", "application/json");
    assert_eq!(answer(said).await.0, 200);
}

#[tokio::test]
async fn who_is_refused_is_counted_and_told_of_but_not_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = guarded(folder.path(), "");
    assert_eq!(refused(&served, "token").await, 0);
    for _ in 0..50 {
        answer(served.request("GET", "/v1/user/1").bearer_auth("wrong")).await;
    }
    answer(served.request("GET", "/v1/user/1")).await;
    answer(served.request("DELETE", "/v1/user/1").bearer_auth(READ)).await;
    let host = served.request("GET", "/v1/user/1").header("host", "evil.example.com");
    answer(host).await;
    for (why, count) in [("token", 10), ("tokens", 40), ("no_token", 1), ("scope", 1), ("host", 1)]
    {
        assert_eq!(refused(&served, why).await, count, "{why}");
    }
    let lines = served.log().matches("a request was refused").count();
    assert!((1..=15).contains(&lines), "{lines} lines: {}", served.log());
    assert!(!served.log().contains("wrong"), "{}", served.log());
}

#[tokio::test]
async fn what_it_is_made_of_is_told_to_who_has_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = guarded(folder.path(), "");
    let asked = |token: Option<&'static str>| {
        let request = served.request("GET", "/readyz");
        answer(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    };
    until("what it begins with is warm", async || asked(None).await.0 == 200).await;
    for token in [None, Some("wrong")] {
        let (status, said) = asked(token).await;
        assert_eq!((status, said), (200, json!({ "ready": true, "state": "up" })), "{token:?}");
    }
    for token in [READ, ADMIN] {
        let (_, said) = asked(Some(token)).await;
        assert_eq!(said["components"][0]["name"], "background", "{said}");
    }
}

#[tokio::test]
async fn what_is_known_of_addresses_and_listeners_is_kept_when_settings_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = guarded(folder.path(), "");
    let reload = || {
        let request = served.request("POST", "/admin/reload").bearer_auth(ADMIN);
        answer(request.json(&json!({})))
    };
    for _ in 0..10 {
        answer(served.request("GET", "/v1/user/1").bearer_auth("wrong")).await;
    }
    let mut kept = served.request("GET", "/admin/events").bearer_auth(READ).send().await.unwrap();
    assert_eq!(reload().await.0, 200);
    let wrong = answer(served.request("GET", "/v1/user/1").bearer_auth("wrong")).await;
    assert_eq!(wrong.0, 429, "they were forgotten");
    // The tokens are the same: who listens goes on.
    for _ in 0..3 {
        assert!(kept.chunk().await.unwrap().is_some(), "it does not listen any more");
    }
    // The token is not let in any more, and nor is what it has begun.
    let file = folder.path().join("forewarm.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = settings.split_once("[[auth.tokens]]").unwrap();
    let (_reader, after) = rest.split_once("[[auth.tokens]]").unwrap();
    std::fs::write(&file, format!("{before}[[auth.tokens]]{after}")).unwrap();
    assert_eq!(reload().await.0, 200);
    let ended = async { while kept.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(std::time::Duration::from_secs(30), ended).await.unwrap();
}
