//! The commands that check settings and ask a service, run as people run them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;
use std::thread;

use serde_json::Value;

use crate::commands::{
    OPS, READER, SHOP, TOKENS, ask, asking, command, fed, serve, shop, status, stop, texts,
};
use crate::served::Served;

/// Words that are parted by spaces.
fn words(text: &str) -> Vec<&str> {
    text.split(' ').filter(|word| !word.is_empty()).collect()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// What a command prints that must go well.
fn printed(served: &Served, home: &Path, line: &str) -> String {
    let output = ask(served, home, OPS, &words(line));
    let (out, notes) = texts(&output);
    assert_eq!(code(&output), 0, "{line}: {notes}");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_says_what_the_service_knows_in_words_and_in_json() {
    let home = shop().await;
    let served = serve(home.path(), &format!("{SHOP}{TOKENS}"));
    for _ in 0..3 {
        for id in 1..=3 {
            assert_eq!(status(&served, &format!("/v1/user/{id}"), READER).await, 200);
        }
    }
    let lines = [
        ("health", "It is ready, and up", "/state"),
        ("stats", "9 reads", "/total_accesses"),
        ("hot-keys --resource user --limit 2", "reads/s", "/1/score"),
        ("explain user 1", "probability", "/verdict/verdict"),
        ("explain user nobody", "in memory    nothing", "/summary"),
        ("jobs", "by hand", "/1/triggers"),
        ("jobs list", "every 1h", "/0/name"),
        ("jobs trigger popular", "Job popular triggered: run ", "/run_id"),
        ("jobs runs popular --limit 1", "manual", "/0/reason"),
        ("jobs pause hourly", "Job hourly paused", "/is_paused"),
        ("jobs resume hourly", "Job hourly resumed", "/is_paused"),
        ("invalidate user 1 2 --dry-run", "Nothing was done: memory holds 2 entries", "/entries"),
        ("invalidate user 1", "It is forgotten: memory held 1 entry", "/delivery"),
        ("invalidate user --tag team:2", "It is forgotten", "/delivery"),
        ("invalidate user --pattern 3*", "It is forgotten", "/delivery"),
        ("invalidate user --all --yes", "It is forgotten", "/delivery"),
    ];
    for (line, said, field) in lines {
        let text = printed(&served, home.path(), line);
        assert!(text.contains(said), "{line}: {text}");
        let json = printed(&served, home.path(), &format!("{line} --json"));
        let json: Value = serde_json::from_str(&json).unwrap();
        assert!(json.pointer(field).is_some(), "{line}: no {field} in {json}");
        for shown in [text, json.to_string()] {
            assert!(!shown.contains('\u{1b}'), "colours without a terminal: {shown}");
            assert!(!shown.contains(OPS) && !shown.contains(READER), "{shown}");
        }
    }
    let (ended, log) = stop(served);
    assert!(ended.success(), "{log}");
    assert!(!log.contains(OPS) && !log.contains(READER), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_what_the_service_answers() {
    let home = shop().await;
    let served = serve(home.path(), SHOP);
    // When it is due next is told to the nanosecond, by a clock that goes on.
    printed(&served, home.path(), "jobs pause hourly");
    for (line, path) in [
        ("jobs --json", "/admin/jobs"),
        ("jobs runs popular --json", "/admin/jobs/popular/runs?limit=10"),
        ("hot-keys --json", "/admin/hot-keys?limit=10"),
    ] {
        let answer = served.request("GET", path).send().await.unwrap().text().await.unwrap();
        assert_eq!(printed(&served, home.path(), line).trim_end(), answer, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_shows_in_the_exit_code_and_is_said() {
    let home = shop().await;
    let served = serve(home.path(), &format!("{SHOP}{TOKENS}"));
    let cases = [
        (5, "", "stats", "401"),
        (5, "wrong-0123456789abcdef0123456789abcdef", "stats", "401"),
        (5, READER, "invalidate user 1", "403"),
        (5, READER, "jobs trigger popular", "403"),
        (5, OPS, "explain nothing 1", "Resource not found"),
        (5, OPS, "jobs runs nothing", "Job not found"),
        (5, OPS, "hot-keys --resource nothing", "Resource not found"),
        (2, OPS, "stast", "a similar subcommand exists: 'stats'"),
        (2, OPS, "jobs triger popular", "a similar subcommand exists: 'trigger'"),
        (2, OPS, "stats --tokn x", "unexpected argument"),
        (2, OPS, "stats --token secret-on-a-command-line", "--token"),
        (2, OPS, "hot-keys --limit 0", "0 is not in 1..=1000"),
        (2, OPS, "invalidate user", "required arguments"),
        (2, OPS, "invalidate user 1 --tag x", "cannot be used with"),
        (2, OPS, "invalidate user --all", "say --yes"),
        (2, OPS, "stats --url http://me:secret@localhost", "FOREWARM_TOKEN"),
        (1, OPS, "stats --token-file nothing", "cannot be read"),
        (1, OPS, "warm user nothing.txt", "cannot be read"),
        (3, OPS, "check --config nothing.toml", "cannot be read"),
        (3, OPS, "serve --config nothing.toml", "cannot be read"),
    ];
    for (expected, token, line, said) in cases {
        let output = ask(&served, home.path(), token, &words(line));
        let (out, notes) = texts(&output);
        assert_eq!(code(&output), expected, "{line}: {out}{notes}");
        assert!(notes.contains(said), "{line}: {notes}");
        assert!(token.is_empty() || !format!("{out}{notes}").contains(token), "{line}: {notes}");
        assert!(!notes.contains("me:secret"), "{notes}");
    }
    let file = home.path().join("token");
    std::fs::write(&file, format!("{OPS}\n")).unwrap();
    let words = ["jobs", "trigger", "popular", "--token-file", "token"];
    assert_eq!(code(&ask(&served, home.path(), "", &words)), 0);
    let url = format!("http://{}", served.address());
    let (ended, _) = stop(served);
    assert!(ended.success());
    let output = command(home.path()).args(["stats", "--url", &url]).output().unwrap();
    assert_eq!(code(&output), 4, "{}", texts(&output).1);
    assert!(texts(&output).1.contains(&url), "{}", texts(&output).1);
}

#[test]
fn the_exit_codes_are_those_of_the_help_and_of_the_guide() {
    let home = tempfile::tempdir().unwrap();
    let help = |line: &[&str]| texts(&command(home.path()).args(line).output().unwrap()).0;
    for line in [&["--help"][..], &["stats", "--help"], &["check", "--help"], &["serve", "--help"]]
    {
        let text = help(line);
        for code in ["0  done", "3  the settings were refused", "4  the service was not reached"] {
            assert!(text.contains(code), "{line:?}: {text}");
        }
    }
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/service.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let codes = help(&["--help"]);
    let (_, codes) = codes.split_once("Exit codes:\n").unwrap();
    for line in codes.lines() {
        let (code, meaning) = line.trim().split_once("  ").unwrap();
        assert!(guide.contains(&format!("| {code} | {meaning} |")), "{line}");
    }
}

/// Answers one request with these bytes; gives the request.
fn answer_once(bytes: &'static [u8]) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        stream.write_all(bytes).unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, answering)
}

#[test]
fn what_is_no_forewarm_is_not_believed_and_gets_no_second_request() {
    let home = tempfile::tempdir().unwrap();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let answers: [(&[u8], i32); 5] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 1),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 1),
        (b"HTTP/1.1 302 Found\r\nlocation: http://localhost:1/\r\ncontent-length: 0\r\n\r\n", 1),
        (b"HTTP/1.1 500 No\r\ncontent-length: 4\r\n\r\noops", 1),
        (b"nonsense\r\n\r\n", 4),
    ];
    for (answer, expected) in answers {
        let (url, answering) = answer_once(answer);
        let mut stats = command(home.path());
        let output = stats.args(["stats", "--url", &url]).env("FOREWARM_TOKEN", OPS).output();
        let output = output.unwrap();
        assert_eq!(code(&output), expected, "{}", texts(&output).1);
        let request = answering.join().unwrap().to_lowercase();
        assert!(request.contains(&format!("authorization: bearer {OPS}")), "{request}");
        assert!(!texts(&output).1.contains(OPS));
    }
    assert!(elsewhere.accept().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_file_are_warmed_in_batches_and_lines_that_are_none_are_named() {
    let home = shop().await;
    let served = serve(home.path(), SHOP);
    let keys: String = (1..=1_200).map(|id| format!("{id}\n")).collect();
    std::fs::write(home.path().join("keys.txt"), &keys).unwrap();
    let text = printed(&served, home.path(), "warm user keys.txt");
    assert!(text.starts_with("1,000 loaded, 0 held already, 200 of which"), "{text}");
    let sum = printed(&served, home.path(), "warm user keys.txt --json");
    let sum: Value = serde_json::from_str(&sum).unwrap();
    assert_eq!(sum["held"], 1_200, "{sum}");
    let audit = served.get("/admin/audit?limit=10").await.1.to_string();
    for batch in ["500 keys", "200 keys"] {
        assert!(audit.contains(batch), "{audit}");
    }

    let bad = b"1\r\n\n2\ntab\tin it\n\xff\n3";
    let mut warm = asking(&served, home.path(), "");
    warm.args(["warm", "user", "-"]);
    let output = fed(warm, bad);
    let (out, notes) = texts(&output);
    assert_eq!(code(&output), 1, "{notes}");
    assert!(out.starts_with("0 loaded, 3 held already"), "{out}");
    assert!(notes.contains("-:4: has a control character"), "{notes}");
    assert!(notes.contains("-:5: is no UTF-8 text"), "{notes}");
    assert!(notes.contains("2 lines are no keys"), "{notes}");

    // Long keys are sent in bodies that the service takes.
    let long: String = (0..400).map(|nth| format!("{nth}{}\n", "x".repeat(400))).collect();
    std::fs::write(home.path().join("long.txt"), long).unwrap();
    let text = printed(&served, home.path(), "warm note long.txt");
    assert!(text.contains("400 of which there is no such thing"), "{text}");
    let output = ask(&served, home.path(), "", &["warm", "user", "keys.txt", "--batch", "1001"]);
    assert_eq!(code(&output), 5);
    assert!(texts(&output).1.contains("send 1000 at most"), "{}", texts(&output).1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_do_nothing_to_the_terminal() {
    let home = shop().await;
    let served = serve(home.path(), SHOP);
    // What has control characters is no key; what turns the text around it is one.
    assert_eq!(status(&served, "/v1/note/%1B%5B2J", "").await, 400);
    assert_eq!(status(&served, "/v1/note/%E2%80%AE2J", "").await, 200);
    for line in [&["hot-keys"][..], &["explain", "note", "\u{202e}2J"]] {
        let (out, _) = texts(&ask(&served, home.path(), "", line));
        assert!(out.contains("\\u{202e}2J") && !out.contains('\u{202e}'), "{out:?}");
    }
    let output = ask(&served, home.path(), "", &["explain", "\u{1b}[2J", "x"]);
    assert!(!texts(&output).1.contains('\u{1b}'));
}

/// What `check` says of settings: its exit code, and all that it prints.
fn checked(home: &Path, settings: &str, options: &[&str]) -> (i32, String, String) {
    std::fs::write(home.join("forewarm.toml"), settings).unwrap();
    let mut check = command(home);
    check.arg("check").args(options).env("TEST_OPS", OPS).env("TEST_READER", READER);
    let output = check.env("DEAD_URL", "postgres://me:hunter2@127.0.0.1:1/x").output().unwrap();
    let (out, notes) = texts(&output);
    assert!(!format!("{out}{notes}").contains("hunter2"), "{out}{notes}");
    assert!(!format!("{out}{notes}").contains(OPS), "{out}{notes}");
    (code(&output), out, notes)
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_work_are_said_to_with_all_that_was_looked_at() {
    let home = shop().await;
    let settings = format!("{SHOP}{TOKENS}");
    let (code, out, notes) = checked(home.path(), &settings, &[]);
    assert_eq!(code, 0, "{notes}");
    for said in ["query, query_many, aliases.email", "1 source, 3 resources", "nothing is wrong"] {
        assert!(out.contains(said), "{out}");
    }
    let (code, out, _) = checked(home.path(), &settings, &["--offline", "--json"]);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["problems"].as_array().unwrap().len()), (0, 0), "{json}");
    assert!(json["checked"].as_array().unwrap().len() > 6, "{json}");
    // Nothing was left behind.
    let mut names: Vec<_> =
        std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["forewarm.toml", "shop.db"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_wrong_is_said_at_once_with_its_line() {
    let home = shop().await;
    let settings = r#"[auth]
tokens = [{ name = "ops", secret = { env = "NO_SUCH" }, scopes = ["read"] }]
[l2.redis]
url = { file = "no-such-file" }
[sources.shop.sqlite]
path = "shop.db"
[sources.gone.sqlite]
path = "gone.db"
[sources.dead.postgres]
url = { env = "DEAD_URL" }
wait_timeout = "300ms"
[sources.secret.http]
url = "https://quotes.example.com"
headers = { a = { env = "NO_SUCH_A" }, b = { env = "NO_SUCH_B" } }
[resources.user]
source = "shop"
query = "select id, nmae from user where id = $1"
query_many = "select id, name from user where id in (select value from json_each($1))"
key_column = "key"
aliases.email = { field = "/email", query = "select id from user" }
seed = { query = "select id from usr" }
[resources.account]
source = "dead"
query = "select 1 where $1 = $1"
[resources.thing]
source = "gone"
query = "select 1 where $1 = $1"
[snapshots.faq]
source = "shop"
collections.ids = { query = "select id, name from user", scalar = true }
[jobs.monday]
warm = { resource = "user", query = "selec id from user" }
"#;
    let (code, _, notes) = checked(home.path(), settings, &[]);
    assert_eq!(code, 3, "{notes}");
    for said in [
        "forewarm.toml:2: `auth.tokens[0].secret`",
        "forewarm.toml:4: `l2.redis.url`",
        "forewarm.toml:7: `sources.gone` does not answer",
        "forewarm.toml:9: `sources.dead` does not answer",
        "forewarm.toml:14: `sources.secret.http.headers.a`",
        "forewarm.toml:14: `sources.secret.http.headers.b`",
        "forewarm.toml:17: source `shop` does not take `resources.user.query`",
        "no such column: nmae",
        "forewarm.toml:20: `resources.user.aliases.email.query`",
        "forewarm.toml:21: source `shop` does not take `resources.user.seed.query`",
        "forewarm.toml:30: `snapshots.faq.collections.ids.query` has 2 columns",
        "forewarm.toml:32: source `shop` does not take `jobs.monday.warm.query`",
        "problems, and 2 sources not reached",
    ] {
        assert!(notes.contains(said), "no {said:?} in\n{notes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_is_no_mistake_of_the_settings() {
    let home = shop().await;
    std::fs::remove_file(home.path().join("shop.db")).unwrap();
    let (code, _, notes) = checked(home.path(), SHOP, &[]);
    assert_eq!(code, 1, "{notes}");
    assert!(notes.contains("`sources.shop` does not answer"), "{notes}");
    assert!(notes.contains("forewarm.toml: 1 source not reached"), "{notes}");
    let (code, out, _) = checked(home.path(), SHOP, &["--json"]);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["problems"][0]["kind"]), (1, &Value::from("unreached")), "{json}");
}
