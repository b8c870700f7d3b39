//! A service of one's own: the program, run as people run it.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};
use tempfile::TempDir;

/// Tokens of all scopes, and of reading only.
pub(crate) const OPS: &str = "0ps-0123456789abcdef0123456789abcdef";
pub(crate) const READER: &str = "reader-0123456789abcdef0123456789ab";

/// A service that runs. It is killed if the test ends before it does.
pub(crate) struct Served {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
    logging: Option<JoinHandle<()>>,
}

/// A folder with a database `shop.db`, in which users 1 to 1000 are.
pub(crate) async fn shop() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("shop.db");
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let script = "
        create table user (id integer primary key, name text, email text, team_id integer);
        with recursive ids(id) as (select 1 union all select id + 1 from ids where id < 1000)
        insert into user select id, 'user ' || id, id || '@example.com', id % 10 from ids;
        create table permission (id integer primary key, rights text);
        insert into permission select id, 'all' from user;
        create table note (id text primary key, text text);
        insert into note values ('a', 'x'), (char(27) || '[2J', 'escape');
    ";
    database.execute(script).await.unwrap();
    database.close().await.unwrap();
    home
}

/// What serves [`shop`], at a port that is free.
pub(crate) const SHOP: &str = r#"
[server]
listen = "127.0.0.1:0"
[engine]
prefix = "shop"
[sources.shop.sqlite]
path = "shop.db"
[resources.user]
source = "shop"
key = "integer"
query = "select id, name, email, team_id from user where id = $1"
query_many = "select id, name, email, team_id from user where id in (select value from json_each($1))"
key_column = "id"
aliases.email = { field = "/email", query = "select id from user where email = $1" }
tags = ["team:{/team_id}"]
policy.preload = { loads_per_second = 10000.0, burst = 10000 }
[resources.permission]
source = "shop"
key = "integer"
query = "select id, rights from permission where id = $1"
[resources.note]
source = "shop"
query = "select id, text from note where id = $1"
policy.preload = { loads_per_second = 10000.0, burst = 10000 }
[jobs.popular]
renew = { resource = "user", keys = ["1", "2"] }
[jobs.hourly]
triggers = [{ every = "1h" }]
check_health = true
"#;

/// The tokens [`OPS`] and [`READER`].
pub(crate) const TOKENS: &str = r#"
[auth]
tokens = [
    { name = "ops", secret = { env = "TEST_OPS" }, scopes = ["read", "write", "admin"] },
    { name = "reader", secret = { env = "TEST_READER" }, scopes = ["read"] },
]
"#;

/// What asks over HTTP.
pub(crate) fn http() -> reqwest::Client {
    // There may be one already, which does as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The command in a folder, without anything of the environment that it would read.
pub(crate) fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarm"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FOREWARM") {
            command.env_remove(name);
        }
    }
    command.current_dir(home).stdin(Stdio::null()).env_remove("NO_COLOR");
    command
}

impl Served {
    /// Serves these settings in a folder; returns when it listens.
    pub(crate) fn start(home: &Path, settings: &str) -> Self {
        std::fs::write(home.join("forewarm.toml"), settings).unwrap();
        let mut command = command(home);
        command.arg("serve").env("TEST_OPS", OPS).env("TEST_READER", READER);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = String::new();
        let address = loop {
            let Some(line) = lines.next() else {
                panic!("it ended with {:?}:\n{log}", child.wait());
            };
            let line = line.unwrap();
            log = log + &line + "\n";
            if line.contains("listening") {
                let (_, rest) = line.split_once("address=").unwrap();
                break rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        let log = Arc::new(Mutex::new(log));
        let all = Arc::clone(&log);
        let logging = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = all.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, address, log, logging: Some(logging) }
    }

    /// Where it listens: an address and a port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What is at a path.
    pub(crate) async fn get(&self, path: &str, token: &str) -> reqwest::Response {
        let request = http().get(format!("{}{path}", self.url()));
        request.bearer_auth(token).send().await.unwrap()
    }

    /// A command that asks it with this token, ready to be run.
    pub(crate) fn asking(&self, home: &Path, token: &str) -> Command {
        let mut command = command(home);
        command.env("FOREWARM_URL", self.url());
        if !token.is_empty() {
            command.env("FOREWARM_TOKEN", token);
        }
        command
    }

    /// Runs a command that asks it.
    pub(crate) fn ask<A: AsRef<OsStr>>(&self, home: &Path, token: &str, words: &[A]) -> Output {
        self.asking(home, token).args(words).output().unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn tell(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Has it end; gives how it did, and all that it logged.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        self.tell(Signal::TERM);
        let status = self.child.wait().unwrap();
        self.logging.take().unwrap().join().unwrap();
        (status, self.log())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a command with something to read.
pub(crate) fn fed(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// What a command has printed: what it was asked for, and all else.
pub(crate) fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}
