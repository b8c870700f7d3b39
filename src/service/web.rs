//! The service over HTTP.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::http::StatusCode;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use self::audit::Audit;
use self::guard::Guard;
use self::health::Checkup;
use self::hot::HotKeys;
use self::problem::Problem;
use self::reload::Digests;
use self::traffic::Traffic;
use self::watch::Watch;
use super::app::{App, Served};
use super::settings::{Origin, Settings};
use crate::error::ConfigError;

pub(crate) use self::guard::token_problems;
pub(crate) use self::listener::Listener;
pub(crate) use self::reload::ReloadError;

mod access;
#[expect(unused_qualifications, reason = "utoipa's macros write them")]
mod admin;
#[expect(unused_qualifications, reason = "utoipa's macros write them")]
mod api;
mod asked;
mod audit;
mod dashboard;
mod guard;
mod health;
mod hot;
mod key;
mod listener;
mod openapi;
mod problem;
mod refusals;
mod reload;
mod selection;
#[expect(dead_code, reason = "they are described, and never made")]
mod shapes;
mod traffic;
mod watch;

/// What requests are answered from.
#[derive(Debug)]
pub(crate) struct Service {
    /// The engine and what it serves.
    pub(crate) app: App,
    origin: Option<Origin>,
    settings: ArcSwap<Settings>,
    guard: ArcSwap<Guard>,
    recorded: PrometheusHandle,
    traffic: Traffic,
    audit: Audit,
    watch: Watch,
    checkup: Checkup,
    hot: HotKeys,
    /// Whether it is about to end: it is not ready any more then.
    leaving: CancellationToken,
    /// Held by whoever reads the settings again; what the secrets were that are used.
    reloading: tokio::sync::Mutex<Digests>,
}

impl Service {
    /// What requests are answered from.
    ///
    /// # Errors
    ///
    /// A token is not where it should be, or too short.
    pub(crate) fn new(
        app: App,
        origin: Option<Origin>,
        settings: Settings,
        recorded: PrometheusHandle,
    ) -> Result<Self, ConfigError> {
        let guard = Guard::new(&settings)?;
        let digests = Digests::of(&settings);
        Ok(Self {
            app,
            origin,
            settings: ArcSwap::from_pointee(settings),
            guard: ArcSwap::from_pointee(guard),
            recorded,
            traffic: Traffic::new(),
            audit: Audit::default(),
            watch: Watch::default(),
            checkup: Checkup::default(),
            hot: HotKeys::default(),
            leaving: CancellationToken::new(),
            reloading: digests.into(),
        })
    }

    /// The settings as they are now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// A resource by its name.
    ///
    /// # Errors
    ///
    /// There is none.
    fn resource(&self, name: &str) -> Result<&Served, Problem> {
        self.app.resource(name).ok_or_else(|| Problem::not_found("Resource not found"))
    }

    /// Refuses more keys in a field of a request than a batch may have, and a zero byte in any.
    fn check_keys(&self, field: &str, keys: &[String]) -> Result<(), Problem> {
        let (count, keys_max) = (keys.len(), self.settings.load().server.batch_keys_max);
        if count > keys_max {
            let detail = format!("`{field}` has {count} keys: send {keys_max} at most");
            return Err(Problem::bad_request(detail));
        }
        if keys.iter().any(|key| key.contains('\0')) { Err(asked::nul()) } else { Ok(()) }
    }

    /// Does what is to be done again and again; never ends.
    pub(crate) async fn tend(&self) -> Infallible {
        /// How often histograms are folded, so that they do not grow where nobody scrapes.
        const UPKEEP_EVERY: Duration = Duration::from_secs(5);
        let upkeep = async {
            let mut ticks = tokio::time::interval(UPKEEP_EVERY);
            loop {
                ticks.tick().await;
                self.recorded.run_upkeep();
            }
        };
        tokio::select! {
            never = self.watch.run(&self.app.forewarm) => match never {},
            never = upkeep => never,
        }
    }

    /// Says that it is about to end.
    pub(crate) fn leave(&self) {
        self.leaving.cancel();
    }

    /// Waits until it is about to end.
    pub(crate) async fn left(&self) {
        self.leaving.cancelled().await;
    }

    /// Whether it is about to end.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.is_cancelled()
    }
}

/// All that is answered, and by whom.
pub(crate) fn router(service: &Arc<Service>) -> Router {
    let (documented, _document) = openapi::routes().split_for_parts();
    documented
        .merge(dashboard::routes())
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
        .with_state(Arc::clone(service))
}

async fn not_so() -> Problem {
    let detail = "this path does not take that method: see /openapi.json";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

async fn nothing() -> Problem {
    Problem::not_found("there is nothing at this path: see /openapi.json")
}
