//! `forewarm demo`: what preloading brings, shown on an online shop.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use sqlx::SqlitePool;
use tokio_util::sync::CancellationToken;

use self::content::Size;
use self::drive::drive;
use self::live::Live;
use self::network::{MEDIAN, Network, P99};
use self::report::{Figures, Report};
use self::shop::{Remote, Shop, TTL_MAX, TTL_MIN};
use self::totals::Totals;
use self::traffic::{SHIFTS, Traffic, TrafficTerms};
use super::app::App;
use super::console::{self, Failure, grouped};
use super::exporter;
use super::settings::Settings;
use super::web::{Listener, Service};
use crate::builder::Forewarm;
use crate::config::Config;
use crate::policy::PreloadMode;
use crate::work;

mod content;
mod database;
mod drive;
mod live;
mod network;
mod popularity;
mod report;
mod shop;
mod totals;
mod traffic;

/// Shows what preloading brings: an online shop is read twice, without it and with it.
///
/// Makes a database in a temporary folder, reads it through the cache as the visitors of a shop
/// would, shows that on a dashboard, and removes it. Needs nothing else on the machine, and takes half a minute.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// How long the shop is visited, half of it without and half with preloading; at least 2s.
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "SPAN")]
    duration: Duration,
    /// Chooses the random numbers: what stands in the database, and who reads what when.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How many products the shop has, 1 to 100000.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    keys: u32,
    /// How many reads there are in a second, on average, 1 to 100000.
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    rate: u32,
    /// The port of this machine at which the dashboard and the metrics are; 0 takes any that is free.
    #[arg(long, default_value_t = 7700, value_name = "PORT")]
    port: u16,
    /// Keeps the dashboard open when it is over, until Ctrl-C.
    #[arg(long)]
    stay: bool,
    /// Prints an object instead of a table.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = CancellationToken::new();
    runtime.block_on(async {
        let _stopped = stop.clone().drop_guard();
        let work = Box::pin(options.serve_and_play(&stop));
        stopping_early(work, &stop).await
    })
}

/// Does the work, and has it end early at Ctrl-C.
async fn stopping_early(
    mut work: std::pin::Pin<Box<impl Future<Output = Result<(), Failure>>>>,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    tokio::select! {
        // First, so that a signal is heard before there is anything to remove.
        biased;
        pressed = tokio::signal::ctrl_c() => pressed?,
        done = &mut work => return done,
    }
    console::note("ending; Ctrl-C once more ends at once");
    stop.cancel();
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => {
            pressed?;
            Err("ended at once".into())
        }
        done = work => done,
    }
}

/// What to do after it.
const NEXT: &str = "

Next: `forewarm demo --stay` keeps the dashboard open when it is over. What would it bring for your own requests? `forewarm replay your-access.log` tells, in seconds.
README.md shows how to put the cache into your service, or in front of your database.";

impl Options {
    /// Plays, and meanwhile serves the dashboard.
    async fn serve_and_play(&self, stop: &CancellationToken) -> Result<(), Failure> {
        let folder = tempfile::Builder::new().prefix("forewarm-demo-").tempdir()?;
        let recorded = exporter::record()?;
        let address = (Ipv4Addr::LOCALHOST, self.port).into();
        let listener = match Listener::bind(address).await {
            Ok(listener) => Some(listener),
            Err(error) => {
                let port = self.port;
                console::note(&format!("no dashboard at port {port}, going on without: {error}"));
                None
            }
        };
        console::note(&self.described(listener.as_ref()));
        let file = folder.path().join("shop.sqlite");
        let size = Size::of_shop(self.keys);
        let bar = console::progress_bar(size.rows(), "filling the database".to_owned());
        let made = stop.run_until_cancelled(database::create(&file, size, self.seed, &bar)).await;
        bar.finish_and_clear();
        made.transpose()?;
        let mut report = Report::default();
        if !stop.is_cancelled() {
            let stage = self.stage(&file).await?;
            let settings = Settings { engine: self.config(), ..Settings::default() };
            let app = App::serving(stage.forewarm.clone(), stage.shop.resources());
            let service = Arc::new(Service::new(app, None, settings, recorded)?);
            report = self.play(&stage, &service, listener, stop).await?;
            stage.end().await;
        }
        folder.close()?;
        // Where the dashboard has stayed, it stood beside it.
        if self.stay && report.with.is_some() { Ok(()) } else { self.tell(&report) }
    }

    /// Prints what was measured.
    fn tell(&self, report: &Report) -> Result<(), Failure> {
        console::print(&match (self.json, self.stay) {
            (true, _) => serde_json::to_string_pretty(report)?,
            (false, true) => report.text(),
            (false, false) => format!("{}{NEXT}", report.text()),
        })
    }

    /// Lets the shop be visited twice, while the dashboard is served.
    async fn play(
        &self,
        stage: &Stage,
        service: &Arc<Service>,
        listener: Option<Listener>,
        stop: &CancellationToken,
    ) -> Result<Report, Failure> {
        let serving = async {
            match listener {
                Some(listener) => listener.serve(service, std::future::pending()).await,
                None => std::future::pending().await,
            }
        };
        let playing = async {
            let report = self.both_halves(stage, stop).await?;
            // What nobody scraped since is counted still.
            stage.forewarm.publish_metrics();
            if self.stay && report.with.is_some() {
                self.tell(&report)?;
                if !stop.is_cancelled() {
                    console::note("the dashboard stays until Ctrl-C");
                    stop.cancelled().await;
                }
            }
            Ok(report)
        };
        tokio::select! {
            report = playing => report,
            _never = serving => Err("the listener has ended".into()),
            never = service.tend() => match never {},
        }
    }

    async fn both_halves(
        &self,
        stage: &Stage,
        stop: &CancellationToken,
    ) -> Result<Report, Failure> {
        let mut report = Report::default();
        if !stop.is_cancelled() {
            report.without = Some(self.half(stage, PreloadMode::Off, stop).await?);
        }
        if !stop.is_cancelled() {
            report.with = Some(self.half(stage, PreloadMode::Predicted, stop).await?);
        }
        Ok(report)
    }

    /// Lets the shop be visited for half of the time, from an empty memory on.
    async fn half(
        &self,
        stage: &Stage,
        mode: PreloadMode,
        stop: &CancellationToken,
    ) -> Result<Figures, Failure> {
        let Stage { forewarm, shop, .. } = stage;
        shop.preload(&mode)?;
        forewarm.clear();
        let (before, terms) = (Totals::of(forewarm), self.traffic());
        let mut live = Live::new(name(&mode), terms.span, before);
        let driven = tokio::select! {
            waits = drive(Arc::clone(shop), Traffic::new(&terms), stop.clone()) => waits,
            never = live.watch(forewarm) => match never {},
        };
        drop(live);
        let (waits, totals) = (driven?, Totals::of(forewarm).since(before));
        if waits.failed > 0 {
            console::note(&format!("{} reads failed", waits.failed));
        }
        Ok(Figures::new(totals, waits))
    }

    /// Builds the engine, and opens the shop.
    async fn stage(&self, file: &Path) -> Result<Stage, Failure> {
        let forewarm = Forewarm::builder().config(self.config()).build().await?;
        let pool = database::open(file).await?;
        let remote = Remote { pool: pool.clone(), network: Arc::new(Network::new(self.seed)) };
        let shop = Arc::new(Shop::declare(&forewarm, &remote)?);
        forewarm
            .job("health")
            .every(Duration::from_secs(10))
            .on_every_engine()
            .run_with(work::check_health(&forewarm))
            .build()?;
        forewarm.start().await?;
        Ok(Stage { forewarm, shop, pool })
    }

    fn config(&self) -> Config {
        let (seed, prefix) = (Some(self.seed), "demo".to_owned());
        Config { seed, prefix, summary_every: None, ..Config::default() }
    }

    fn traffic(&self) -> TrafficTerms {
        TrafficTerms {
            products: self.keys,
            customers: Size::of_shop(self.keys).customers,
            rate: f64::from(self.rate),
            span: self.duration / 2,
            seed: self.seed,
        }
    }

    /// What is about to happen.
    fn described(&self, listener: Option<&Listener>) -> String {
        let size = Size::of_shop(self.keys);
        let (products, rows) = (grouped(size.products.into()), grouped(size.rows()));
        let (rate, half) = (grouped(self.rate.into()), self.duration.as_secs_f64() / 2.0);
        let dashboard = listener.map_or_else(
            || "none".to_owned(),
            |listener| format!("http://{}/   (metrics at /metrics)", listener.address()),
        );
        format!(
            "\
Open {dashboard}

An online shop reads its database through forewarm, once without and once with preloading.

  Shop      {products} products, about {rows} rows in SQLite. A query takes {MEDIAN:?} in the median
            and {P99:?} at p99, as if the database were another machine.
  Visitors  {rate} reads a second for {half} s, and then the same reads at the same times again.
            A few products get most of them; {SHIFTS} times a half the favourites change.
  Cache     A value is fresh for {TTL_MIN:?} to {TTL_MAX:?}; then whoever asks first waits for the database.
            Stale values are not served meanwhile, in either half, so that every wait shows.
"
        )
    }
}

/// Where it is played.
struct Stage {
    forewarm: Forewarm,
    shop: Arc<Shop>,
    pool: SqlitePool,
}

impl Stage {
    async fn end(&self) {
        self.forewarm.shutdown(Duration::from_secs(2)).await;
        self.pool.close().await;
    }
}

const fn name(mode: &PreloadMode) -> &'static str {
    match mode {
        PreloadMode::Off | PreloadMode::Observe => "without preloading",
        PreloadMode::Predicted | PreloadMode::Classic(_) => "with preloading",
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = console::parse_span(text)?;
    if duration < Duration::from_secs(2) {
        Err("too short to show anything; use 2s or more".to_owned())
    } else if duration > Duration::from_hours(1) {
        Err("every wait is kept until the end; use 1h or less".to_owned())
    } else {
        Ok(duration)
    }
}
