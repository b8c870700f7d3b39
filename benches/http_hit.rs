//! What a hit over HTTP costs the server, beside a bare axum handler that answers with the same body.
//!
//! Both servers run in processes of their own and take turns; `wrk` asks them, on the same machine. The
//! figure that counts is CPU time of the server per request, since requests per second depend on what
//! the machine has left for `wrk`. Needs `wrk` (a Debian package).
//!
//! `cargo bench --features service --bench http_hit -- [ROUNDS] [SECONDS]`

#![expect(clippy::print_stdout, reason = "it prints what it measures")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot go on has nothing to say"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

#[path = "drain/process.rs"]
mod process;

/// What is answered: a row of a table, as JSON.
const BODY: &str = r#"{"email":"u7@example.com","id":7,"name":"user 7","team_id":0}"#;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if arguments.first().is_some_and(|first| first == "bare") {
        bare();
        return;
    }
    let number = |nth: usize, default: u64| {
        arguments.get(nth).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (rounds, seconds) = (number(0, 5), number(1, 5));
    let folder = tempfile::tempdir().unwrap();
    let (ours, bare) = (Server::forewarm(folder.path()), Server::bare());
    let again = Server::bare();
    println!("round  forewarm us, req/s     bare us, req/s    bare again us    ratio   yardstick");
    let (mut ratios, mut yardsticks, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // In another order each time: what comes first or second is not always the same.
        let servers = [&ours, &bare, &again];
        let mut order = [0, 1, 2];
        fastrand::shuffle(&mut order);
        let mut figures = servers.map(|_| None);
        for nth in order {
            figures[nth] = Some(servers[nth].measure("/v1/user/7", seconds));
        }
        let [one, two, three] = figures.map(Option::unwrap);
        let (ratio, yardstick) = (one.micros / two.micros, three.micros / two.micros);
        println!(
            "{round:>5}  {:>11.2} {:>8.0}  {:>8.2} {:>8.0}  {:>14.2}  {ratio:>7.3} {yardstick:>9.3}",
            one.micros, one.rate, two.micros, two.rate, three.micros
        );
        ratios.push(one.micros / ((two.micros + three.micros) / 2.0));
        yardsticks.push(yardstick);
        shares.push(one.rate / two.rate);
    }
    println!(
        "median: CPU of the server per request {:.3} of bare axum's; bare against itself {:.3}; requests per second {:.3} of bare axum's",
        median(&mut ratios),
        median(&mut yardsticks),
        median(&mut shares)
    );
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A bare handler: a router with the same path, and the body.
fn bare() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        std::io::stdout().flush().unwrap();
        let answer = async || ([(CONTENT_TYPE, "application/json")], BODY);
        let routes = axum::Router::new().route("/v1/{resource}/{id}", get(answer));
        axum::serve(listener, routes).await.unwrap();
    });
}

struct Server {
    child: Child,
    address: String,
}

struct Figures {
    /// CPU time of the server per request.
    micros: f64,
    /// Requests per second.
    rate: f64,
}

impl Server {
    fn bare() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.arg("bare").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, address: line.trim().to_owned() }
    }

    fn forewarm(folder: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(make_database(&folder.join("shop.db")));
        let settings = r#"
            [server]
            listen = "127.0.0.1:0"
            [log]
            format = "json"
            [sources.shop.sqlite]
            path = "shop.db"
            [resources.user]
            source = "shop"
            key = "integer"
            query = "select id, name, email, team_id from user where id = $1"
            policy = { ttl = "1h" }
        "#;
        let (child, address) = process::serve(folder, settings);
        Self { child, address }
    }

    /// Has it asked for some seconds over 64 connections.
    fn measure(&self, path: &str, seconds: u64) -> Figures {
        let before = cpu_micros(self.child.id());
        let url = format!("http://{}{path}", self.address);
        let span = format!("{seconds}s");
        let output = Command::new("wrk").args(["-t1", "-c64", "-d", &span, &url]).output();
        let output = output.expect("`wrk` is installed: `apt-get install wrk`");
        let said = String::from_utf8(output.stdout).unwrap();
        let spent = cpu_micros(self.child.id()) - before;
        assert!(!said.contains("Non-2xx"), "{said}");
        let requests = said.lines().find_map(|line| line.trim().split_once(" requests in "));
        let (requests, _) = requests.unwrap_or_else(|| panic!("{said}"));
        let requests: f64 = requests.parse().unwrap();
        Figures { micros: spent / requests, rate: requests / seconds as f64 }
    }
}

async fn make_database(file: &Path) {
    use sqlx::Connection as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut database = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let sql = "create table user (id integer primary key, name text, email text, team_id integer);
        insert into user values (7, 'user 7', 'u7@example.com', 0)";
    sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
}

/// The CPU time that a process has spent: `proc_pid_stat(5)`, fields 14 and 15.
fn cpu_micros(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks * 1e6 / rustix::param::clock_ticks_per_second() as f64
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
