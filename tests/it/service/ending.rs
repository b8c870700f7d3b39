//! What a service does at its end, and in which time.

use std::net::TcpListener;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use serde_json::json;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::served::{COMMON, SHOP, Served, command, make_shop};
use crate::waiting::until;

/// What a service ends with that has broken off what was under way.
const BROKEN_OFF: i32 = 6;

/// A source that takes connections and never answers.
struct Silent(TcpListener);

impl Silent {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Settings with a resource of it, for which a load waits as long as it may.
    fn settings(&self) -> String {
        format!(
            "[sources.silent.http]
            url = \"http://{}\"
            timeout = \"30m\"
            [resources.silent]
            source = \"silent\"
            path = \"/{{id}}\"
            policy = {{ source = {{ deadline = \"20m\" }} }}
            ",
            self.0.local_addr().unwrap()
        )
    }

    /// A request whose load has begun, and does not end.
    async fn ask(&self, served: &Served) -> TcpStream {
        let mut stream = TcpStream::connect(served.address()).await.unwrap();
        let request = "GET /v1/silent/1 HTTP/1.1\r\nhost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let listener = self.0.try_clone().unwrap();
        let asked = tokio::task::spawn_blocking(move || listener.accept().unwrap());
        asked.await.unwrap();
        stream
    }
}

fn settings(more: &str) -> String {
    let memory = "[engine]\nmemory = { file = \"memory.bin\" }\n[l2.sqlite]\npath = \"l2.db\"\n";
    format!("{COMMON}{memory}{SHOP}{more}")
}

/// The same with a source that does not answer, and a time at the end.
fn within(drain_timeout: &str, silent: &Silent) -> String {
    let server = format!("[server]\ndrain_timeout = \"{drain_timeout}\"");
    settings(&silent.settings()).replace("[server]", &server)
}

/// A connection to the database of L2.
async fn l2_of(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.join("l2.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn name_of_7(served: &Served) -> String {
    served.get("/v1/user/7").await.1["name"].as_str().unwrap_or_default().to_owned()
}

async fn is_in_l2(folder: &Path) -> bool {
    let sql = "select count(*) from forewarm_entry where value is not null";
    let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut l2_of(folder).await).await.unwrap();
    count > 0
}

/// Holds L2 up, and invalidates a key meanwhile; gives what holds it up.
async fn invalidate_while_busy(folder: &Path, served: &Served) -> SqliteConnection {
    let mut l2 = l2_of(folder).await;
    sqlx::raw_sql("begin immediate").execute(&mut l2).await.unwrap();
    let told = crate::served::answer(served.request("DELETE", "/v1/user/7")).await;
    assert_eq!(told.1["delivery"], "queued", "{told:?}");
    l2
}

/// That somebody whose request was broken off has got no answer, and that the log says so.
async fn assert_broken_off(mut held: TcpStream, served: &mut Served) {
    let mut answer = Vec::new();
    drop(held.read_to_end(&mut answer).await);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert!(served.whole_log().contains("was broken off"), "{}", served.log());
}

/// Has L2 miss an invalidation, ends the service, and gives what it ended with.
async fn end_while_l2_is_busy(folder: &Path, with: &str, silent: Option<&Silent>) -> ExitStatus {
    let mut shop = make_shop(folder).await;
    let mut served = Served::start(folder, with, &[]);
    assert_eq!(name_of_7(&served).await, "user 7");
    until("L2 holds it", async || is_in_l2(folder).await).await;
    sqlx::query("update user set name = 'new' where id = 7").execute(&mut shop).await.unwrap();
    let mut l2 = invalidate_while_busy(folder, &served).await;
    assert_eq!(served.get("/v1/user/42").await.0, 200);
    let held = match silent {
        Some(silent) => Some(silent.ask(&served).await),
        None => None,
    };
    served.signal("TERM");
    // All else has ended by then, so nothing but the end can still tell it.
    served.logged("it is tried again").await;
    sqlx::raw_sql("rollback").execute(&mut l2).await.unwrap();
    let status = served.ended();
    if let Some(held) = held {
        assert_broken_off(held, &mut served).await;
    }
    status
}

/// What a service knows that goes on after one that has ended: what was read last, and what L2 was to
/// hear of.
async fn assert_state_is_flushed(folder: &Path) {
    let served = Served::start(folder, &settings(""), &[]);
    until("it is ready", async || served.get("/readyz").await.0 == 200).await;
    let last = served.request("GET", "/v1/user/42").header("cache-control", "only-if-cached");
    assert_eq!(last.send().await.unwrap().status(), 200, "what was read last was not remembered");
    assert_eq!(name_of_7(&served).await, "new", "L2 was not told");
}

#[tokio::test]
async fn l2_hears_what_it_has_missed_and_what_was_learned_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let status = end_while_l2_is_busy(folder.path(), &settings(""), None).await;
    assert!(status.success(), "{status}");
    assert_state_is_flushed(folder.path()).await;
}

#[tokio::test]
async fn a_request_that_is_broken_off_costs_nothing_else_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let silent = Silent::new();
    let settings = within("4s", &silent);
    let status = end_while_l2_is_busy(folder.path(), &settings, Some(&silent)).await;
    assert_eq!(status.code(), Some(BROKEN_OFF));
    assert_state_is_flushed(folder.path()).await;
}

#[tokio::test]
async fn the_time_at_the_end_is_the_one_that_was_read_last() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let silent = Silent::new();
    let mut served = Served::start(folder.path(), &within("1h", &silent), &[]);
    std::fs::write(folder.path().join("forewarm.toml"), within("2s", &silent)).unwrap();
    let reloaded = served.post("/admin/reload", &json!({})).await;
    assert_eq!(reloaded.1["changed"], json!(["server"]), "{reloaded:?}");
    let _held = silent.ask(&served).await;
    served.signal("TERM");
    assert_eq!(served.ended().code(), Some(BROKEN_OFF));
}

#[tokio::test]
async fn who_tells_it_twice_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let silent = Silent::new();
    for second in ["TERM", "INT"] {
        let mut served = Served::start(folder.path(), &within("1h", &silent), &[]);
        let _held = silent.ask(&served).await;
        served.signal("TERM");
        until("it is not ready", async || served.get("/readyz").await.0 == 503).await;
        served.signal(second);
        assert_eq!(served.ended().code(), Some(BROKEN_OFF));
        assert!(served.whole_log().contains("a second time"), "{}", served.log());
    }
}

#[tokio::test]
async fn it_can_be_told_to_end_before_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let silent = Silent::new();
    // A server that takes connections and says nothing holds up the start.
    let l2 = format!("[l2.redis]\nurl = \"redis://{}\"\n", silent.0.local_addr().unwrap());
    std::fs::write(folder.path().join("forewarm.toml"), format!("{COMMON}{l2}")).unwrap();
    let child = command(folder.path(), ["serve"]).stderr(Stdio::piped()).spawn().unwrap();
    let listener = silent.0.try_clone().unwrap();
    let _asked = tokio::task::spawn_blocking(move || listener.accept().unwrap()).await.unwrap();
    let sent = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(sent.success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = output.await.unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && log.contains("ended before it had started"), "{log}");
}
