//! Commands against a service of one's own, run as people run them.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};
use tempfile::TempDir;

use crate::served::{self, Served};

/// Tokens of all scopes, and of reading only.
pub(crate) const OPS: &str = "0ps-0123456789abcdef0123456789abcdef";
pub(crate) const READER: &str = "reader-0123456789abcdef0123456789ab";

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
        insert into note values ('a', 'x'), (char(8238) || '2J', 'escape');
    ";
    database.execute(script).await.unwrap();
    database.close().await.unwrap();
    home
}

/// What serves [`shop`], at a port that is free.
pub(crate) const SHOP: &str = r#"
[server]
listen = "127.0.0.1:0"
[log]
format = "json"
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

/// Serves these settings in a folder, with the variables that [`TOKENS`] names.
pub(crate) fn serve(home: &Path, settings: &str) -> Served {
    Served::start(home, settings, &[("TEST_OPS", OPS), ("TEST_READER", READER)])
}

/// The status of what is at a path.
pub(crate) async fn status(served: &Served, path: &str, token: &str) -> u16 {
    served::answer(served.request("GET", path).bearer_auth(token)).await.0
}

/// Has a service end; gives how it did, and all that it logged.
pub(crate) fn stop(mut served: Served) -> (ExitStatus, String) {
    served.signal("TERM");
    (served.ended(), served.log())
}

/// The command in a folder, without anything of the environment that it would read.
pub(crate) fn command(home: &Path) -> Command {
    let mut command = served::command(home, [] as [&str; 0]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FOREWARM") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).env_remove("NO_COLOR");
    command
}

/// A command that asks a service with this token, ready to be run.
pub(crate) fn asking(served: &Served, home: &Path, token: &str) -> Command {
    let mut command = command(home);
    command.env("FOREWARM_URL", format!("http://{}", served.address()));
    if !token.is_empty() {
        command.env("FOREWARM_TOKEN", token);
    }
    command
}

/// Runs a command that asks a service.
pub(crate) fn ask<A>(served: &Served, home: &Path, token: &str, words: &[A]) -> Output
where
    A: AsRef<OsStr>,
{
    asking(served, home, token).args(words).output().unwrap()
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
