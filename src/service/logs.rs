//! Logs of the service.

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

use super::console::Failure;
use super::settings::log::{LogFormat, LogSettings};

static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Logs to standard error from now on.
///
/// # Errors
///
/// The level is none, or something else logs already.
pub(super) fn init(settings: &LogSettings) -> Result<(), Failure> {
    let (filter, handle) = reload::Layer::new(settings.filter()?);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    let _first = FILTER.set(handle);
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs where a panic was, in a line like any other. What it says is left out: it may quote a value or
/// a key.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or_default().to_owned();
    tracing::error!(location, thread, "panicked: this is a bug");
}

/// Changes what is logged.
pub(super) fn set(filter: EnvFilter) {
    // Where nothing was installed by us, somebody else decides.
    if let Some(handle) = FILTER.get()
        && let Err(error) = handle.reload(filter)
    {
        tracing::warn!(%error, "what is logged could not be changed");
    }
}
