//! Stocks, weather and news that are renewed by jobs, each at its own rate, from an HTTP source; a
//! warm-up for tomorrow, a clean-up of old rows, a log of runs.
//!
//! ```sh
//! cargo run --features service --example market_refresh
//! ```
#![expect(clippy::print_stdout, reason = "this program shows something")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use forewarm::{
    Clock, Forewarm, Job, LoadError, Policy, Resource, Retention, Run, RunId, SourcePolicy,
    SqliteOptions, StoredAs, work,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::SqlitePool;

const STOCKS: [&str; 5] = ["AAPL", "GOOGL", "MSFT", "AMZN", "TSLA"];
const CITIES: [&str; 5] = ["Beijing", "Shanghai", "Shenzhen", "Guangzhou", "Hangzhou"];
const NEWS: [&str; 3] = ["general", "technology", "business"];
const ZONE: &str = "Asia/Shanghai";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // reqwest is built without one here, and takes what the process has.
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir()?;
    let market = Market::open().await?;
    let database = database(&folder.path().join("application.db")).await?;
    // A minute past noon, whenever this is run: no job comes due meanwhile, and what is shown are the
    // runs that this program triggers. A service leaves the clocks as they are.
    let clock = Clock::starting_at("2026-03-11T12:01:00+08:00".parse()?);
    let options = SqliteOptions::new(folder.path().join("cache.db")).clock(clock.clone());
    let builder = Forewarm::builder().prefix("market").clock(clock);
    let forewarm = builder.tier(options.open().await?).build().await?;

    // What is renewed every five minutes lives for ten: one failed renewal leaves no gap.
    let stocks = market.resource(&forewarm, "stock", Duration::from_mins(10))?;
    let weather = market.resource(&forewarm, "weather", Duration::from_hours(2))?;
    let news = market.resource(&forewarm, "news", Duration::from_mins(20))?;
    let forecasts = market.resource(&forewarm, "forecast", Duration::from_hours(36))?;
    let jobs =
        jobs(&forewarm, &Resources { stocks: &stocks, weather, news, forecasts }, &database)?;
    forewarm.start().await?;
    show_jobs(&forewarm);

    println!("\nupdate_stocks: {}", run(&jobs.stocks).await?);
    for _ in 0..200 {
        for symbol in STOCKS {
            stocks.get(symbol).await?;
        }
    }
    println!("1000 reads of 5 stocks: {} requests but those of the job", market.asked() - 5);

    market.closes("GOOGL", true);
    println!("one fails: {}", run(&jobs.stocks).await?);
    let renewed = STOCKS.iter().filter(|symbol| **symbol != "GOOGL").all(|symbol| {
        stocks.peek(*symbol).is_some_and(|read| read.value.is_some_and(|price| *price > 1))
    });
    println!(
        "the others were renewed: {renewed}; it is served: {}",
        stocks.get("GOOGL").await?.is_some()
    );
    market.closes("GOOGL", false);
    println!("it is back: {}", run(&jobs.stocks).await?);
    market.asked();

    println!("\ncache_warmup: {}, {} requests", run(&jobs.warm_up).await?, market.asked());
    println!("again: {}, {} requests", run(&jobs.warm_up).await?, market.asked());
    println!("cleanup_logs: {}", run(&jobs.clean_up).await?);
    let left: i64 = sqlx::query_scalar("select count(*) from api_log").fetch_one(&database).await?;
    println!("rows left of 300: {left}");
    println!("health_check: {}", run(&jobs.health).await?);

    println!("\nruns of update_stocks, newest first:");
    for run in jobs.stocks.runs(10).await.iter().filter(|run| run.outcome.is_some()) {
        println!("  {:?} {}", run.reason, told(run));
    }
    forewarm.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

struct Resources<'a> {
    stocks: &'a Resource<String, u64>,
    weather: Resource<String, u64>,
    news: Resource<String, u64>,
    forecasts: Resource<String, u64>,
}

/// Those that this program triggers.
struct Jobs {
    stocks: Job,
    warm_up: Job,
    clean_up: Job,
    health: Job,
}

fn jobs(
    forewarm: &Forewarm,
    resources: &Resources<'_>,
    database: &SqlitePool,
) -> Result<Jobs, Box<dyn Error>> {
    let Resources { stocks, weather, news, forecasts } = resources;
    let set = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    // Three rates are three jobs: a failure of one does not stop the others.
    let job = forewarm.job("update_stocks").cron("*/5 * * * *", ZONE);
    let stocks = job.run_with(work::renew(stocks, set(&STOCKS))).build()?;
    let job = forewarm.job("update_weather").cron("0 * * * *", ZONE);
    job.run_with(work::renew(weather, set(&CITIES))).build()?;
    let job = forewarm.job("update_news").cron("*/10 * * * *", ZONE);
    job.run_with(work::renew(news, set(&NEWS))).build()?;

    let warm_up = forewarm.job("cache_warmup").daily_at(23, 0, ZONE);
    let warm_up = warm_up.run_with(work::warm(forecasts, |context| {
        // The day after the one in which the run was due, wherever this machine is.
        let due = context.scheduled().in_tz(ZONE).map_err(LoadError::permanent);
        async move {
            let tomorrow = due?.tomorrow().map_err(LoadError::permanent)?.date();
            Ok(CITIES.map(|city| format!("{city}:{tomorrow}")))
        }
    }));
    let warm_up = warm_up.build()?;

    let days = Duration::from_hours(24 * 90);
    let retention = Retention::new(database.clone(), "api_log", "at", days)?;
    let retention = retention.stored_as(StoredAs::UnixSeconds).batch_rows(100);
    let clean_up = forewarm.job("cleanup_logs").cron("0 3 * * 0", ZONE);
    let clean_up = clean_up.run_with(move |context| {
        let retention = retention.clone();
        async move {
            let removed = retention.run_until(context.cancelled()).await?;
            println!("  ({} rows are older than 90 days, and were removed)", removed.rows);
            Ok(())
        }
    });
    let clean_up = clean_up.build()?;
    let health = forewarm.job("health_check").every(Duration::from_secs(10)).on_every_engine();
    let health = health.run_with(work::check_health(forewarm)).build()?;
    for (name, pattern) in [
        ("daily_report", "0 2 * * *"),
        ("weekly_report", "0 9 * * 1"),
        ("monthly_billing", "0 3 1 * *"),
    ] {
        forewarm.job(name).cron(pattern, ZONE).run_with(|_| async { Ok(()) }).build()?;
    }
    let once = forewarm::Trigger::once_after(Duration::from_mins(5));
    forewarm.job("delayed_task").on(once).run_with(|_| async { Ok(()) }).build()?;
    Ok(Jobs { stocks, warm_up, clean_up, health })
}

fn show_jobs(forewarm: &Forewarm) {
    for job in forewarm.jobs() {
        println!("{:<16} {}", job.name(), job.status().triggers.join(", "));
    }
}

/// Asks for a run, and waits until the log has its end.
async fn run(job: &Job) -> Result<String, Box<dyn Error>> {
    let run_id: RunId = job.trigger()?;
    loop {
        let runs = job.runs(10).await;
        if let Some(run) = runs.iter().find(|run| run.run_id == run_id && run.outcome.is_some()) {
            return Ok(told(run));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn told(run: &Run) -> String {
    let outcome = run.outcome.map(|outcome| format!("{outcome:?}")).unwrap_or_default();
    let error = run.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    format!("{outcome} after {} attempts{error}", run.attempts)
}

/// The application's own database, with a log of calls of which some are old.
async fn database(path: &std::path::Path) -> Result<SqlitePool, sqlx::Error> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await?;
    sqlx::query("create table api_log (id integer primary key, at integer not null)")
        .execute(&pool)
        .await?;
    sqlx::query("create index api_log_at on api_log (at)").execute(&pool).await?;
    for day in 0..300 {
        let at = Timestamp::now() - SignedDuration::from_hours(24 * day + 1);
        let insert = sqlx::query("insert into api_log (at) values ($1)").bind(at.as_second());
        insert.execute(&pool).await?;
    }
    Ok(pool)
}

/// The source: an HTTP service of its own, which counts what it is asked.
struct Market {
    address: SocketAddr,
    floor: Arc<Mutex<Floor>>,
}

#[derive(Default)]
struct Floor {
    asked: u64,
    /// How often each thing was quoted.
    quotes: BTreeMap<String, u64>,
    closed: BTreeSet<String>,
}

impl Market {
    async fn open() -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, floor) = (listener.local_addr()?, Arc::new(Mutex::new(Floor::default())));
        let router =
            Router::new().route("/{kind}/{key}", get(quote)).with_state(Arc::clone(&floor));
        #[expect(clippy::disallowed_methods, reason = "a service beside the engine, not of it")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, floor })
    }

    fn resource(
        &self,
        forewarm: &Forewarm,
        kind: &'static str,
        ttl: Duration,
    ) -> Result<Resource<String, u64>, forewarm::Error> {
        let (client, address) = (reqwest::Client::new(), self.address);
        let quoted = move |key: String| {
            let (client, url) = (client.clone(), format!("http://{address}/{kind}/{key}"));
            async move { fetch(&client, &url).await.map_err(LoadError::transient) }
        };
        // The job tries again, so the source need not be asked three times for each of its attempts.
        let source = SourcePolicy { attempts: 1, ..SourcePolicy::default() };
        let policy = Policy { ttl, source, ..Policy::default() };
        forewarm.resource(kind).policy(policy).load_with(quoted).build()
    }

    /// The requests since the last time.
    fn asked(&self) -> u64 {
        std::mem::take(&mut self.floor().asked)
    }

    fn closes(&self, key: &str, is_closed: bool) {
        let mut floor = self.floor();
        if is_closed {
            floor.closed.insert(key.to_owned());
        } else {
            floor.closed.remove(key);
        }
    }

    fn floor(&self) -> std::sync::MutexGuard<'_, Floor> {
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fetch(client: &reqwest::Client, url: &str) -> reqwest::Result<u64> {
    client.get(url).send().await?.error_for_status()?.json().await
}

async fn quote(
    State(floor): State<Arc<Mutex<Floor>>>,
    Path((kind, key)): Path<(String, String)>,
) -> Result<String, StatusCode> {
    let mut floor = floor.lock().unwrap_or_else(PoisonError::into_inner);
    floor.asked += 1;
    if floor.closed.contains(&key) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let quotes = floor.quotes.entry(format!("{kind}/{key}")).or_default();
    *quotes += 1;
    Ok(quotes.to_string())
}
