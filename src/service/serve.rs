//! `forewarm serve`: a predictive cache in front of databases and HTTP services.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::app::App;
use super::console::{self, Failure};
use super::settings::{Origin, Settings};
use super::web::{Listener, ReloadError, Service};
use super::{exporter, logs};

/// Serves what a file of settings describes.
///
/// It reads the settings, listens, and answers until it is told to end by SIGTERM or SIGINT: then it
/// answers what has come, for `server.drain_timeout` at most, tells L2 what it has not heard yet, and
/// writes what it has learned. SIGHUP has it read the settings again.
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

/// The least time that the engine gets to end in, whatever the connections took of it: L2 is told what it
/// has not heard, and what was learned is written.
const LEFT_MIN: Duration = Duration::from_secs(5);
/// How long clients are told to go elsewhere before it stops to listen.
const NOTICE: Duration = Duration::from_secs(1);

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let origin = Origin::of_process(&options.config);
    let settings = origin.read()?;
    logs::init(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(origin, settings))
}

async fn serve(origin: Origin, settings: Settings) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let recorded = exporter::record()?;
    let listener = Listener::bind(settings.address()).await.map_err(|error| {
        format!("cannot listen at {} (`server.listen`): {error}", settings.address())
    })?;
    let app = App::build(&settings).await?;
    let drain_timeout = settings.server.drain_timeout;
    let service = Arc::new(Service::new(app, Some(origin), settings, recorded)?);
    service.app.forewarm.start().await?;
    note_address(listener.address());
    let in_time = tokio::select! {
        in_time = listener.serve(&service, signals.wait_for_end(&service)) => in_time,
        never = service.tend() => match never {},
    };
    // One time for both: whoever ends the process does not wait for each of them.
    let left = drain_timeout.saturating_sub(signals.told_for()).max(LEFT_MIN);
    let ended = service.app.shut_down(left).await;
    if in_time && ended {
        return Ok(());
    }
    console::note("what was under way did not end in time, and was broken off");
    Ok(())
}

/// What the process is told.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// When it was told to end.
    told_at: Option<Instant>,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            told_at: None,
        })
    }

    /// Waits until it is told to end; reads the settings again whenever it is told so.
    async fn wait_for_end(&mut self, service: &Service) {
        while self.next().await == Told::HangUp {
            service.reload().await.err().inspect(note_refusal);
        }
        tracing::info!("ending");
        self.told_at = Some(Instant::now());
        // Load balancers look at `/readyz`: until they have, what they send is answered.
        service.leave();
        tokio::time::sleep(NOTICE).await;
    }

    /// How long ago it was told to end.
    fn told_for(&self) -> Duration {
        self.told_at.map_or(Duration::ZERO, |at| at.elapsed())
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

fn note_address(address: SocketAddr) {
    tracing::info!(%address, "listening: the dashboard is at http://{address}/");
}

/// What a process is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    End,
    HangUp,
}
