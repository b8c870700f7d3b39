//! `forewarm serve` over a database of its own.

use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use crate::served::Served;

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
    settings: String,
    address: String,
    served: Option<Served>,
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
        let (settings, address) = (format!("{SETTINGS}{more}"), "127.0.0.1:0".to_owned());
        let mut service = Self { folder, settings, address, served: None };
        service.launch();
        service
    }

    /// Starts it where it was.
    pub(super) fn launch(&mut self) {
        let Self { folder, settings, address, served } = self;
        let settings = format!("{settings}\n[server]\nlisten = \"{address}\"\n");
        let started = Served::start(folder.path(), &settings, &[OPS, LOOKER, WRITER]);
        started.address().clone_into(address);
        *served = Some(started);
    }

    /// Kills it.
    pub(super) fn stop(&mut self) {
        self.served = None;
    }

    /// Another node over the same file.
    pub(super) fn another(&self) -> Served {
        let settings = format!("{}\n[server]\nlisten = \"127.0.0.1:0\"\n", self.settings);
        Served::start(self.folder.path(), &settings, &[OPS, LOOKER, WRITER])
    }

    /// Listens to its seconds, if there is a place.
    pub(super) async fn listen(&self) -> reqwest::Response {
        self.served().request("GET", "/admin/events").send().await.unwrap()
    }

    /// The page.
    pub(super) fn page(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Reads a value, whatever it is.
    pub(super) async fn read(&self, resource: &str, key: &str) {
        let key = percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC);
        let (status, _) = self.served().get(&format!("/v1/{resource}/{key}")).await;
        assert_eq!(status, 200, "{resource}/{key}");
    }

    fn served(&self) -> &Served {
        self.served.as_ref().expect("it runs")
    }
}
