//! `forewarm serve`: a predictive cache in front of databases and HTTP services.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, timeout_at};

use super::app::App;
use super::console::Failure;
use super::settings::{Origin, Settings};
use super::web::{Listener, ReloadError, Service};
use super::{exporter, logs};
use crate::builder::{Deadlines, Ended, LAST_MIN};

/// Serves what a file of settings describes.
///
/// It reads the settings, listens, and answers until it is told to end by SIGTERM or SIGINT: then it
/// answers what has come, tells L2 what it has not heard yet, and writes what it has learned. It takes
/// `server.drain_timeout` for that at most, and is told twice by who cannot wait. SIGHUP has it read the
/// settings again.
///
/// What a variable of the environment says goes before the file: `FOREWARM__SERVER__LISTEN` is
/// `server.listen`. docs/service.md has all settings, deploy/forewarm.toml is an example with every
/// section.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The file of settings, in TOML.
    #[arg(long, short, default_value = "forewarm.toml", value_name = "FILE")]
    config: PathBuf,
}

/// How long clients are told to go elsewhere before it stops to listen; less if there is little time.
const NOTICE: Duration = Duration::from_secs(1);
/// The most of the time at the end that is kept for L2 and for the file of what was learned.
const REST_MAX: Duration = Duration::from_secs(5);
/// What is given beyond the time at the end to those who keep no deadline, before they are left.
const BEYOND: Duration = Duration::from_secs(1);

/// Why it ended otherwise than in order.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenOff {
    /// Not all was done in time.
    #[error("what was under way did not end in time, and was broken off")]
    Late,
    /// It was told a second time.
    #[error("it was told to end a second time, and broke off what was under way")]
    Told,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let origin = Origin::of_process(&options.config);
    let settings = origin.read()?;
    logs::init(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(origin, settings));
    // Work that hangs in a call of the system does not hold up the end.
    runtime.shutdown_background();
    ended
}

async fn serve(origin: Origin, settings: Settings) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let started = tokio::select! {
        started = start(origin, settings) => Some(started?),
        () = signals.end() => None,
    };
    let Some((listener, service)) = started else {
        note_early_end();
        return Ok(());
    };
    note_address(listener.address());
    let ended = tokio::select! {
        ended = serve_and_end(listener, &service, &mut signals) => ended,
        told = told_again(&service) => Err(told?),
        never = service.tend() => match never {},
    };
    Ok(ended.inspect_err(note_broken_off)?)
}

async fn start(origin: Origin, settings: Settings) -> Result<(Listener, Arc<Service>), Failure> {
    let recorded = exporter::record()?;
    let listener = Listener::bind(settings.address()).await.map_err(|error| {
        format!("cannot listen at {} (`server.listen`): {error}", settings.address())
    })?;
    let app = App::build(&settings).await?;
    let service = Arc::new(Service::new(app, Some(origin), settings, recorded)?);
    service.app.forewarm.start().await?;
    Ok((listener, service))
}

/// Serves until it is told to end, and ends.
async fn serve_and_end(
    listener: Listener,
    service: &Arc<Service>,
    signals: &mut Signals,
) -> Result<(), BrokenOff> {
    // One time for all that is to be done at the end: whoever stops the process waits no longer.
    let mut deadlines = None;
    let told = async {
        signals.wait_for_end(service).await;
        let end = deadlines_of(service.settings().server.drain_timeout);
        // Load balancers look at `/readyz`: until they have, what they send is answered.
        service.leave();
        let notice = NOTICE.min(end.work.saturating_duration_since(Instant::now()) / 4);
        tokio::time::sleep(notice).await;
        deadlines.insert(end).work
    };
    let answered = listener.serve(service, told).await;
    // It has not ended by itself.
    let Some(deadlines) = deadlines else { return Err(BrokenOff::Late) };
    let ending = service.app.shut_down(deadlines);
    match timeout_at(deadlines.all + BEYOND, ending).await {
        Ok(Ended { work: true, told: true, written: true }) if answered => Ok(()),
        _ => Err(BrokenOff::Late),
    }
}

/// The shares of the time that there is at the end, from now on: requests and loads have most of it; a
/// rest is kept for L2 and the file of what was learned, whatever they take.
fn deadlines_of(drain_timeout: Duration) -> Deadlines {
    let now = Instant::now();
    let rest = REST_MAX.min(drain_timeout / 4).max(LAST_MIN);
    let work = now + drain_timeout.saturating_sub(rest);
    Deadlines { work, all: work + rest }
}

/// Waits until it is told to end once more after it was.
async fn told_again(service: &Service) -> Result<BrokenOff, Failure> {
    service.left().await;
    Signals::new()?.end().await;
    Ok(BrokenOff::Told)
}

/// What the process is told.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits until it is told to end; reads the settings again whenever it is told so.
    async fn wait_for_end(&mut self, service: &Service) {
        while self.next().await == Told::HangUp {
            // Files may be where they take long to read: who says so meanwhile ends it all the same.
            tokio::select! {
                reloaded = service.reload() => drop(reloaded.inspect_err(note_refusal)),
                () = self.end() => break,
            }
        }
        tracing::info!("ending");
    }

    /// Waits until it is told to end, and lets it be told to read the settings later.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.hang_up.recv() => Told::HangUp,
        }
    }
}

fn note_refusal(error: &ReloadError) {
    tracing::error!(%error, "the settings were not taken; nothing has changed");
}

fn note_early_end() {
    tracing::info!("ended before it had started");
}

fn note_broken_off(broken_off: &BrokenOff) {
    tracing::error!("{broken_off}");
}

fn note_address(address: SocketAddr) {
    tracing::info!(%address, "listening: the dashboard is at http://{address}/");
}

/// What a process is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    End,
    HangUp,
}
