//! The service, and what it is in front of.

use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::process::serve;

/// The keys that there are, and how many of them, the last ones, are invalidated.
pub(super) const KEYS: u64 = 1_000;
pub(super) const WRONG: u64 = 100;

const SETTINGS: &str = r#"
[server]
listen = "127.0.0.1:0"
[log]
format = "json"
[engine]
memory = { file = "memory.bin" }
[l2.sqlite]
path = "l2.db"
[sources.shop.sqlite]
path = "shop.db"
[resources.user]
source = "shop"
key = "integer"
query = "select id, name from user where id = $1"
policy = { ttl = "1h" }
"#;

/// A service that runs.
pub(super) struct Server {
    child: Child,
    address: String,
    client: reqwest::Client,
}

impl Server {
    pub(super) fn start(folder: &Path) -> Self {
        let (child, address) = serve(folder, SETTINGS);
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { child, address, client }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("http://{}{path}", self.address))
    }

    /// How many of these keys are answered with a text in it.
    async fn count(
        &self,
        method: &str,
        keys: impl Iterator<Item = u64>,
        control: &str,
        text: &str,
    ) -> u64 {
        let asked = iter(keys).map(async |key| {
            let request = self.request(method, &format!("/v1/user/{key}"));
            let answer = request.header("cache-control", control).send().await.unwrap();
            let is_ok = answer.status() == 200;
            u64::from(is_ok && answer.text().await.unwrap().contains(text))
        });
        asked.buffer_unordered(32).fold(0, async |sum, one| sum + one).await
    }

    /// Has all keys in memory and in L2.
    pub(super) async fn read_all(&self) {
        assert_eq!(self.count("GET", 1..=KEYS, "max-stale", "user").await, KEYS);
        // Nobody waits for what L2 is given.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// Invalidates those that are wrong; gives how many L2 did not hear of.
    pub(super) async fn invalidate_wrong(&self) -> u64 {
        self.count("DELETE", KEYS - WRONG + 1..=KEYS, "no-cache", "queued").await
    }

    /// How many of them are as they should be.
    pub(super) async fn count_renamed(&self) -> u64 {
        self.count("GET", KEYS - WRONG + 1..=KEYS, "max-stale", "renamed").await
    }

    /// How many of the others are in memory.
    pub(super) async fn count_held(&self) -> u64 {
        self.count("GET", 1..=KEYS - WRONG, "only-if-cached", "user").await
    }

    /// Waits until it is ready.
    pub(super) async fn ready(&self) {
        while self.request("GET", "/readyz").send().await.unwrap().status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends it SIGTERM.
    pub(super) fn tell_to_end(&self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails where it has ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn open(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

pub(super) async fn make_database(folder: &Path) -> SqliteConnection {
    let mut shop = open(&folder.join("shop.db")).await;
    let sql = "create table user (id integer primary key, name text);
        with recursive number(n) as (select 1 union all select n + 1 from number where n < 1000)
        insert into user select n, 'user ' || n from number";
    sqlx::raw_sql(sql).execute(&mut shop).await.unwrap();
    shop
}

/// Changes the rows that are to be invalidated.
pub(super) async fn rename_wrong(shop: &mut SqliteConnection) {
    let sql = "update user set name = 'renamed' where id > 900";
    sqlx::raw_sql(sql).execute(shop).await.unwrap();
}

/// Has L2 take no writes.
pub(super) async fn lock_l2(folder: &Path) -> SqliteConnection {
    let mut l2 = open(&folder.join("l2.db")).await;
    sqlx::raw_sql("begin immediate").execute(&mut l2).await.unwrap();
    l2
}

pub(super) async fn unlock_l2(mut lock: SqliteConnection) {
    sqlx::raw_sql("rollback").execute(&mut lock).await.unwrap();
}
