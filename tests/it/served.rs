//! `forewarm serve`, run as people run it: a process of its own.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::waiting::{IN_TIME, until};

/// A service that runs. It is killed if the test ends before it does.
pub(crate) struct Served {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
    hearing: Option<JoinHandle<()>>,
    /// Is closed when there is no more to hear.
    heard_all: Mutex<Receiver<()>>,
    client: reqwest::Client,
}

/// What every service of a test has: any port that is free, and a log that is easily read.
pub(crate) const COMMON: &str = "
[server]
listen = \"127.0.0.1:0\"
[log]
format = \"json\"
";

/// The database of a shop, and resources of it.
pub(crate) const SHOP: &str = r#"
[sources.shop.sqlite]
path = "shop.db"
[resources.user]
source = "shop"
key = "integer"
query = "select id, name, email, team from user where id = $1"
query_many = "select id, name, email, team from user where id in (select value from json_each($1))"
key_column = "id"
aliases.email = { field = "/email", query = "select id from user where lower(email) = $1", normalize = "lowercase" }
related = [{ resource = "right", key = "{id}" }]
tags = ["team:{/team}"]
[resources.right]
source = "shop"
key = "integer"
query = "select id, level from rights where id = $1"
[resources.word]
source = "shop"
query = "select text from word where text = $1"
[snapshots.faq]
source = "shop"
collections.sec_ids = { query = "select id from section order by id", scalar = true }
collections.faq_sections = { query = "select id, title from section order by id" }
triggers = [{ daily_at = "00:00", zone = "Europe/Berlin" }]
[jobs.popular]
triggers = [{ every = "1h" }]
renew = { resource = "user", keys = ["1", "2"] }
"#;

/// Makes the database of the shop: 100 users in 5 teams.
pub(crate) async fn make_shop(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.join("shop.db"));
    let options = options.create_if_missing(true);
    let mut shop = SqliteConnection::connect_with(&options).await.unwrap();
    let sql = "
        create table user (id integer primary key, name text, email text, team integer);
        create table rights (id integer primary key, level text);
        create table word (text text);
        create table section (id integer primary key, title text);
        insert into section values (1, 'Billing'), (2, 'Login');
        with recursive number(n) as (select 1 union all select n + 1 from number where n < 100)
        insert into user select n, 'user ' || n, 'U' || n || '@example.com', n % 5 from number;
        insert into rights select id, 'reader' from user";
    sqlx::raw_sql(sql).execute(&mut shop).await.unwrap();
    shop
}

impl Served {
    /// Starts a service in a folder, with these settings and variables, and waits until it listens.
    pub(crate) fn start(folder: &Path, settings: &str, variables: &[(&str, &str)]) -> Self {
        std::fs::write(folder.join("forewarm.toml"), settings).unwrap();
        let mut child = command(folder, ["serve"])
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let (address, client) = (String::new(), client());
        // From here on it is killed if it does not do what it should.
        let (hears, heard_all) = mpsc::channel();
        let heard_all = Mutex::new(heard_all);
        let (hearing, kept) = (None, Arc::clone(&log));
        let mut served = Self { child, address, log: kept, hearing, heard_all, client };
        let address = loop {
            let mut line = String::new();
            let length = lines.read_line(&mut line).unwrap();
            let so_far = { log.lock().unwrap().clone() };
            assert_ne!(length, 0, "it does not listen: {so_far}");
            log.lock().unwrap().push_str(&line);
            if let Some(address) = address_in(&line) {
                break address;
            }
        };
        let heard = Arc::clone(&log);
        served.hearing = Some(std::thread::spawn(move || {
            let _until_the_end: mpsc::Sender<()> = hears;
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = lines.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                heard.lock().unwrap().push_str(&text);
            }
        }));
        served.address = address;
        served
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A request to it.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// What it answers, if that is JSON.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request("GET", path)).await
    }

    /// The same with a body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.request("POST", path).json(body)).await
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until it has logged something.
    pub(crate) async fn logged(&self, text: &str) {
        until(&format!("it has logged {text}"), async || self.log().contains(text)).await;
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// All that it has logged, once it has ended.
    pub(crate) fn whole_log(&mut self) -> String {
        if let Some(hearing) = self.hearing.take() {
            hearing.join().unwrap();
        }
        self.log()
    }

    /// Waits until it has ended, which ends what it logs.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let waited = self.heard_all.get_mut().unwrap().recv_timeout(IN_TIME);
        assert_ne!(waited, Err(RecvTimeoutError::Timeout), "it does not end: {}", self.log());
        self.child.wait().unwrap()
    }
}

/// Where a service listens, if this line of its log says so, in either format.
fn address_in(line: &str) -> Option<String> {
    if !line.contains("listening") {
        return None;
    }
    let event: Value = serde_json::from_str(line).unwrap_or_default();
    let of_text = || line.split_once("address=")?.1.split_whitespace().next();
    event["address"].as_str().or_else(of_text).map(str::to_owned)
}

/// A client of HTTP.
pub(crate) fn client() -> reqwest::Client {
    // The first one stays; who is later finds it there.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().read_timeout(2 * IN_TIME).build().unwrap()
}

/// What is answered: its status, and its body if that is JSON.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

/// The program, in a folder.
pub(crate) fn command(folder: &Path, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarm"));
    command.args(arguments).current_dir(folder);
    command
}

impl Drop for Served {
    fn drop(&mut self) {
        // Fails where it has ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
