//! `forewarm demo`: what preloading brings, shown on an online shop.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use self::content::Size;
use self::drive::drive;
use self::live::Live;
use self::network::{MEDIAN, Network, P99};
use self::report::{Figures, Report};
use self::shop::{Remote, Shop, TTL_MAX, TTL_MIN};
use self::totals::Totals;
use self::traffic::{SHIFTS, Traffic, TrafficTerms};
use super::console::{self, Failure, grouped};
use super::exporter::Exporter;
use crate::builder::Forewarm;
use crate::config::Config;
use crate::policy::PreloadMode;

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
/// would, and removes it. Needs nothing else on the machine, and takes half a minute.
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
    /// The port of this machine at which the metrics are; 0 takes any that is free.
    #[arg(long, default_value_t = 9464, value_name = "PORT")]
    port: u16,
    /// Prints an object instead of a table.
    #[arg(long)]
    json: bool,
}

/// The engine that runs just now.
type Running = Arc<Mutex<Option<Forewarm>>>;

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(options.serve_and_play())?;
    console::print(&if options.json {
        serde_json::to_string_pretty(&report)?
    } else {
        format!("{}{NEXT}", report.text())
    })
}

/// What to do after it.
const NEXT: &str = "

Next: what would it bring for your own requests? `forewarm replay your-access.log` tells, in seconds.
README.md shows how to put the cache into your service.";

impl Options {
    /// Plays, and meanwhile serves the metrics.
    async fn serve_and_play(&self) -> Result<Report, Failure> {
        let exporter = match Exporter::bind(self.port).await {
            Ok(exporter) => Some(exporter),
            Err(error) => {
                let port = self.port;
                console::note(&format!("no metrics at port {port}, going on without: {error}"));
                None
            }
        };
        console::note(&self.described(exporter.as_ref()));
        let running = Running::default();
        let publishing = Arc::clone(&running);
        let publish = move || {
            if let Some(forewarm) = &*publishing.lock() {
                forewarm.publish_metrics();
            }
        };
        tokio::select! {
            report = Box::pin(self.play(&running)) => report,
            never = serve(exporter, publish) => match never {},
        }
    }

    /// Makes the shop, and lets it be visited twice. Ctrl-C ends it early.
    async fn play(&self, running: &Running) -> Result<Report, Failure> {
        let stop = CancellationToken::new();
        let _stopped = stop.clone().drop_guard();
        let work = self.play_until(&stop, running);
        let mut work = std::pin::pin!(work);
        tokio::select! {
            // First, so that a signal is heard before there is anything to remove.
            biased;
            pressed = tokio::signal::ctrl_c() => pressed?,
            report = &mut work => return report,
        }
        console::note("stopping early");
        stop.cancel();
        work.await
    }

    async fn play_until(
        &self,
        stop: &CancellationToken,
        running: &Running,
    ) -> Result<Report, Failure> {
        let folder = tempfile::Builder::new().prefix("forewarm-demo-").tempdir()?;
        let file = folder.path().join("shop.sqlite");
        let size = Size::of_shop(self.keys);
        let bar = console::progress_bar(size.rows(), "filling the database".to_owned());
        let made = stop.run_until_cancelled(database::create(&file, size, self.seed, &bar)).await;
        bar.finish_and_clear();
        made.transpose()?;
        let mut report = Report::default();
        if !stop.is_cancelled() {
            report.without = Some(self.half(&file, PreloadMode::Off, stop, running).await?);
        }
        if !stop.is_cancelled() {
            report.with = Some(self.half(&file, PreloadMode::Predicted, stop, running).await?);
        }
        folder.close()?;
        Ok(report)
    }

    /// Lets the shop be visited for half of the time, through an engine of its own.
    async fn half(
        &self,
        file: &Path,
        mode: PreloadMode,
        stop: &CancellationToken,
        running: &Running,
    ) -> Result<Figures, Failure> {
        let config = Config { seed: Some(self.seed), summary_every: None, ..Config::default() };
        let forewarm = Forewarm::builder().config(config).prefix("demo").build().await?;
        let pool = database::open(file).await?;
        let remote = Remote { pool: pool.clone(), network: Arc::new(Network::new(self.seed)) };
        let shop = Arc::new(Shop::declare(&forewarm, &remote, &mode)?);
        forewarm.start().await?;
        *running.lock() = Some(forewarm.clone());

        let terms = self.traffic();
        let mut live = Live::new(name(&mode), terms.span);
        let driven = tokio::select! {
            waits = drive(shop, Traffic::new(&terms), stop.clone()) => waits,
            never = live.watch(&forewarm) => match never {},
        };
        drop(live);
        let (waits, totals) = (driven?, Totals::of(&forewarm));
        // What nobody scraped since is counted still.
        forewarm.publish_metrics();
        forewarm.shutdown(Duration::from_secs(2)).await;
        pool.close().await;
        if waits.failed > 0 {
            console::note(&format!("{} reads failed", waits.failed));
        }
        Ok(Figures::new(totals, waits))
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
    fn described(&self, exporter: Option<&Exporter>) -> String {
        let size = Size::of_shop(self.keys);
        let (products, rows) = (grouped(size.products.into()), grouped(size.rows()));
        let (rate, half) = (grouped(self.rate.into()), self.duration.as_secs_f64() / 2.0);
        let metrics = exporter.map_or_else(|| "none".to_owned(), Exporter::url);
        format!(
            "\
An online shop reads its database through forewarm, once without and once with preloading.

  Shop      {products} products, about {rows} rows in SQLite. A query takes {MEDIAN:?} in the median
            and {P99:?} at p99, as if the database were another machine.
  Visitors  {rate} reads a second for {half} s, and then the same reads at the same times again.
            A few products get most of them; {SHIFTS} times a half the favourites change.
  Cache     A value is fresh for {TTL_MIN:?} to {TTL_MAX:?}; then whoever asks first waits for the database.
            Stale values are not served meanwhile, in either half, so that every wait shows.
  Metrics   {metrics}
"
        )
    }
}

/// Serves the metrics, if there is a port for them; never ends.
async fn serve(
    exporter: Option<Exporter>,
    publish: impl Fn() + Clone + Send + Sync + 'static,
) -> Infallible {
    if let Some(exporter) = exporter {
        let Err(error) = exporter.serve(publish).await;
        console::note(&format!("no metrics any more: {error}"));
    }
    std::future::pending().await
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
