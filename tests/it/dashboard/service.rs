//! `forewarm serve` over a database of its own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use crate::browser::client;

/// A key that would be a picture if it were read as markup, and then would run a script.
pub(super) const HOSTILE: &str = "<img src=x onerror=\"document.title='taken'\">";

/// The tokens that settings may name, and where they stand in the environment.
pub(super) const OPS: (&str, &str) = ("OPS", "ops-token-of-more-than-thirty-two-bytes");
pub(super) const LOOKER: (&str, &str) = ("LOOKER", "looker-token-of-more-than-thirty-two-bytes");
pub(super) const WRITER: (&str, &str) = ("WRITER", "writer-token-of-more-than-thirty-two-bytes");

const TABLES: &str = "
create table user (id integer primary key, name text not null, team_id integer not null) strict;
create table note (id text primary key, text text not null) strict;
with recursive nth(id) as (select 1 union all select id + 1 from nth where id < 200)
insert into user select id, 'user ' || id, id % 7 from nth;
";

const SETTINGS: &str = r#"
[log]
format = "json"
[engine]
prefix = "shop"
[l2.sqlite]
path = "forewarm.db"
[sources.shop.sqlite]
path = "shop.db"
[resources.user]
source = "shop"
key = "integer"
query = "select id, name, team_id from user where id = $1"
[resources.note]
source = "shop"
query = "select id, text from note where id = $1"
[snapshots.teams]
source = "shop"
collections.ids = { query = "select distinct team_id from user", scalar = true }
triggers = [{ daily_at = "00:00", zone = "UTC" }]
[jobs.popular]
renew = { resource = "user", keys = ["1", "2"] }
[jobs.nightly]
triggers = [{ daily_at = "03:00", zone = "UTC" }]
check_health = true
"#;

/// A service that runs. It is killed with the value.
pub(super) struct Service {
    folder: TempDir,
    more: String,
    /// Where it listens, such as `127.0.0.1:40123`.
    pub(super) address: String,
    child: Child,
    client: reqwest::Client,
}

impl Service {
    /// Starts one, with more settings than the usual ones.
    pub(super) async fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new().filename(folder.path().join("shop.db"));
        let pool = SqlitePool::connect_with(options.create_if_missing(true)).await.unwrap();
        sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
        let insert = sqlx::query("insert into note values ($1, 'a note')").bind(HOSTILE);
        insert.execute(&pool).await.unwrap();
        pool.close().await;
        let (child, address) = launch(&folder, more, "127.0.0.1:0");
        Self { folder, more: more.to_owned(), address, child, client: client() }
    }

    /// Kills it.
    pub(super) fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Starts it again, where it was.
    pub(super) fn start_again(&mut self) {
        let (child, address) = launch(&self.folder, &self.more, &self.address);
        assert_eq!(address, self.address);
        self.child = child;
    }

    /// The page.
    pub(super) fn page(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Reads a value, whatever it is.
    pub(super) async fn read(&self, resource: &str, key: &str) {
        let mut url = reqwest::Url::parse(&self.page()).unwrap();
        url.path_segments_mut().unwrap().clear().extend(["v1", resource, key]);
        let answer = self.client.get(url).send().await.unwrap();
        assert!(answer.status().is_success(), "{resource}/{key}: {}", answer.status());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

fn launch(folder: &TempDir, more: &str, listen: &str) -> (Child, String) {
    let settings = format!("{SETTINGS}{more}\n[server]\nlisten = \"{listen}\"\n");
    fs::write(folder.path().join("forewarm.toml"), settings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarm"));
    command.args(["serve", "--config", "forewarm.toml"]).current_dir(folder.path());
    command.envs([OPS, LOOKER, WRITER]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut before = String::new();
    let address = loop {
        let mut line = String::new();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it did not start: {before}");
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if event["message"].as_str().is_some_and(|message| message.starts_with("listening")) {
            break event["address"].as_str().unwrap().to_owned();
        }
        before.push_str(&line);
    };
    // It would wait for somebody to read what else it says.
    thread::spawn(move || drop(said.read_to_end(&mut Vec::new())));
    (child, address)
}
