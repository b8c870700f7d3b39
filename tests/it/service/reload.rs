//! Reading the settings again.

use std::os::unix::fs::OpenOptionsExt as _;

use serde_json::json;

use crate::served::{COMMON, SHOP, Served, answer, make_shop};
use crate::waiting::until_some;

fn settings() -> String {
    format!("{COMMON}{SHOP}")
}

#[tokio::test]
async fn what_can_change_does_and_what_cannot_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    let file = folder.path().join("forewarm.toml");
    let none = json!({ "changed": [], "needs_restart": [] });
    assert_eq!(served.post("/admin/reload", &json!({})).await, (200, none.clone()));

    let changed = settings()
        .replace("every = \"1h\"", "every = \"30m\"")
        .replace(
            "[resources.right]",
            "policy = { preload = { threshold = 0.25 } }\n[resources.right]",
        )
        .replace("[server]", "[server]\nbatch_keys_max = 1\nconnections_max = 77")
        .replace("[log]", "[log]\nlevel = \"debug\"");
    std::fs::write(&file, &changed).unwrap();
    let (status, done) = served.post("/admin/reload", &json!({})).await;
    assert_eq!(status, 200, "{done}");
    let what = ["server", "log.level", "resources.user.policy.preload", "jobs.popular.triggers"];
    assert_eq!(done["changed"], json!(what), "{done}");
    assert!(done["needs_restart"].to_string().contains("connections_max"), "{done}");

    assert_eq!(served.post("/v1/user", &json!({ "ids": ["1", "2"] })).await.0, 400);
    assert_eq!(served.get("/admin/resources").await.1["user"]["preload"]["threshold"], 0.25);
    let jobs = served.get("/admin/scheduled-jobs").await.1;
    let popular = jobs.as_array().unwrap().iter().find(|job| job["id"] == "popular").unwrap();
    assert_eq!(popular["trigger"], "every 30m");
    served.get("/v1/user/1").await;
    served.logged("\"message\":\"miss\"").await;
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    let file = folder.path().join("forewarm.toml");
    let good = settings().replace("[server]", "[server]\nbatch_keys_max = 1");
    let cases = [
        (good.replace("[log]", "[log]\nlevel = \"loud?\""), "log.level"),
        (good.replace("[log]", "[log]\ncolour = true"), "colour"),
        (good.replace("every = \"1h\"", "every = \"1 parsec\""), "jobs.popular.triggers"),
        (good.replace("every = \"1h\"", "cron = \"0 24 * * *\""), "jobs.popular.triggers"),
        (
            format!(
                "{good}\n[[auth.tokens]]\nname = \"t\"\nsecret = {{ env = \"NOT_SET\" }}\nscopes = [\"read\"]"
            ),
            "auth.tokens[0].secret",
        ),
        ("this is no TOML".to_owned(), "forewarm.toml:1"),
        (String::new(), "ok"),
    ];
    for (text, named) in cases {
        if named == "ok" {
            std::fs::remove_file(&file).unwrap();
        } else {
            std::fs::write(&file, text).unwrap();
        }
        let (status, problem) = served.post("/admin/reload", &json!({})).await;
        assert_eq!(status, 422, "{named}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(named == "ok" || detail.contains(named), "{named}: {detail}");
        assert_eq!(served.post("/v1/user", &json!({ "ids": ["1", "2"] })).await.0, 200, "{named}");
    }
}

#[tokio::test]
async fn a_file_that_listens_elsewhere_does_not_open_what_is_listened_at() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let token = "admin-token-admin-token-admin-token-03";
    let auth = r#"
        [[auth.tokens]]
        name = "operator"
        secret = { env = "T_ADMIN" }
        scopes = ["read", "admin"]
    "#;
    let open = "listen = \"0.0.0.0:0\"\nallow_insecure = true";
    let beyond = settings().replace("listen = \"127.0.0.1:0\"", open);
    // The variable ends as many do.
    let variables = [("T_ADMIN", "admin-token-admin-token-admin-token-03\n")];
    let served = Served::start(folder.path(), &format!("{beyond}{auth}"), &variables);
    // By itself this file can work: nobody but this machine would be listened to.
    std::fs::write(folder.path().join("forewarm.toml"), settings()).unwrap();
    let reload = served.request("POST", "/admin/reload").bearer_auth(token);
    let (status, problem) = answer(reload.json(&json!({}))).await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("auth.tokens"), "{problem}");
    assert_eq!(served.get("/v1/user/1").await.0, 401);
}

#[tokio::test]
async fn what_is_decided_at_the_start_is_named_and_the_rest_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    let changed = settings()
        .replace("[resources.right]", "policy = { preload = { queue_max = 7 } }\n[resources.right]")
        .replace(
            "[resources.word]",
            "policy = { preload = { threshold = 0.25 } }\n[resources.word]",
        );
    std::fs::write(folder.path().join("forewarm.toml"), changed).unwrap();
    let (status, done) = served.post("/admin/reload", &json!({})).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!(done["changed"], json!(["resources.right.policy.preload"]));
    assert_eq!(done["needs_restart"], json!(["resources.user.policy.preload"]));
}

#[tokio::test]
async fn a_hang_up_reads_them_too_and_a_bad_file_keeps_it_serving() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    let file = folder.path().join("forewarm.toml");
    std::fs::write(&file, settings().replace("[server]", "[server]\nbatch_keys_max = \"one\""))
        .unwrap();
    served.signal("HUP");
    served.logged("nothing has changed").await;
    assert!(served.log().contains("server.batch_keys_max"), "{}", served.log());
    assert_eq!(served.get("/v1/user/1").await.0, 200);
    std::fs::write(&file, settings().replace("[server]", "[server]\nbatch_keys_max = 1")).unwrap();
    served.signal("HUP");
    served.logged("the settings were read again").await;
    assert_eq!(served.post("/v1/user", &json!({ "ids": ["1", "2"] })).await.0, 400);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_to_its_end_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let mut served = Served::start(folder.path(), &settings(), &[]);
    let file = folder.path().join("forewarm.toml");
    std::fs::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(made.success());
    served.signal("HUP");
    // It waits for a writer that never comes.
    let mut options = std::fs::OpenOptions::new();
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
    options.write(true).custom_flags(nonblocking);
    // There is no writer without a reader.
    let _writer = until_some("it reads the file", async || options.open(&file).ok()).await;
    served.signal("TERM");
    assert!(served.ended().success());
}

#[tokio::test]
async fn the_environment_is_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let variables = [
        ("FOREWARM__SERVER__BATCH_KEYS_MAX", "1"),
        ("FOREWARM__RESOURCES__USER__POLICY__TTL", "17h"),
        ("FOREWARM__JOBS__POPULAR__RENEW__KEYS", "[\"9\"]"),
    ];
    let served = Served::start(folder.path(), &settings(), &variables);
    assert_eq!(served.post("/v1/user", &json!({ "ids": ["1", "2"] })).await.0, 400);
    assert_eq!(served.get("/admin/resources").await.1["user"]["policy"]["ttl"], "17h");
    let wrong = [
        ("FOREWARM__SERVER__BATCH_KEYS_MAX", "none"),
        ("FOREWARM__SERVER__LISTEN__X", "1"),
        ("FOREWARM____", "1"),
    ];
    for (name, value) in wrong {
        let mut command = crate::served::command(folder.path(), ["serve"]);
        let output = command.env(name, value).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(name), "{said}");
    }
}

#[tokio::test]
async fn a_secret_that_its_file_has_anew_is_named_and_taken_where_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let tokens = ["a-token-a-token-a-token-a-token-a-01", "a-token-a-token-a-token-a-token-a-02"];
    let (token, key) = (folder.path().join("token"), folder.path().join("key"));
    std::fs::write(&token, tokens[0]).unwrap();
    std::fs::write(&key, "key 1").unwrap();
    let more = format!(
        "[[auth.tokens]]\nname = 'ops'\nsecret = {{ file = {token:?} }}\nscopes = ['read', 'admin']
        [sources.quotes.http]\nurl = 'http://127.0.0.1:9'\nheaders.x-key = {{ file = {key:?} }}"
    );
    let served = Served::start(folder.path(), &format!("{}{more}", settings()), &[]);
    let reload = async |token: &str| {
        let request = served.request("POST", "/admin/reload").bearer_auth(token);
        answer(request.json(&json!({}))).await
    };
    let none = json!({ "changed": [], "needs_restart": [] });
    assert_eq!(reload(tokens[0]).await, (200, none));
    std::fs::write(&token, tokens[1]).unwrap();
    std::fs::write(&key, "key 2").unwrap();
    let header = json!(["sources.quotes.http.headers.x-key"]);
    let both = json!({ "changed": ["auth.tokens[0].secret"], "needs_restart": header });
    assert_eq!(reload(tokens[0]).await, (200, both));
    // The token has been taken, and the header is still the one of the start.
    assert_eq!(reload(tokens[0]).await.0, 401);
    assert_eq!(reload(tokens[1]).await, (200, json!({ "changed": [], "needs_restart": header })));
}
