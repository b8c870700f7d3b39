//! Whether the service lives, and is ready; and its figures.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::guard::Caller;
use super::{Service, shapes};
use crate::builder::Forewarm;
use crate::health::{ComponentHealth, Health, HealthState};

/// How the service is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether it should be sent requests.
    ready: bool,
    /// How bad it is at worst.
    #[schema(value_type = shapes::HealthState)]
    state: HealthState,
    /// What it is made of, and how that is doing; for who has a token, where tokens are needed.
    #[schema(value_type = Option<Vec<shapes::ComponentHealth>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<Vec<ComponentHealth>>,
}

/// How the engine was doing when it was last looked at: anybody may ask, and must not have L2 asked each
/// time.
#[derive(Debug, Default)]
pub(super) struct Checkup(Mutex<Option<(Instant, Health)>>);

/// How old what is said may be.
const CHECK_EVERY: Duration = Duration::from_secs(1);

impl Checkup {
    async fn of(&self, forewarm: &Forewarm) -> Health {
        // Whoever comes meanwhile waits, and gets the same.
        let mut last = self.0.lock().await;
        match &*last {
            Some((at, health)) if at.elapsed() < CHECK_EVERY => health.clone(),
            _ => {
                let health = forewarm.health().await;
                last.insert((Instant::now(), health)).1.clone()
            }
        }
    }
}

/// That the service lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alive {
    /// `up`.
    #[schema(example = "up")]
    status: &'static str,
    /// The version of the service.
    version: &'static str,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready)).routes(routes!(metrics))
}

/// Whether the process lives: an answer is a yes.
#[utoipa::path(get, path = "/healthz", tag = "health", responses(
    (status = 200, description = "It lives", body = Alive),
))]
async fn alive() -> Answer<Alive> {
    Answer(Alive { status: "up", version: env!("CARGO_PKG_VERSION") })
}

/// Whether the service should be sent requests, with what it is made of.
///
/// It is ready once what was hot before its start is warm again, and not any more once it has been told
/// to end. While L2 or a source is down it is ready, and `degraded`: it answers what it can. What it is
/// made of is told to who has a token, where tokens are needed.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "It is ready", body = Readiness),
    (status = 503, description = "It is not", body = Readiness),
))]
async fn ready(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let mut readiness = readiness(&service).await;
    if !caller.is_known {
        readiness.components = None;
    }
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Answer(readiness)).into_response()
}

/// How the service is doing.
pub(super) async fn readiness(service: &Service) -> Readiness {
    let health = service.checkup.of(&service.app.forewarm).await;
    let ready = service.app.forewarm.is_ready()
        && !service.is_leaving()
        && health.state != HealthState::Down;
    Readiness { ready, state: health.state, components: Some(health.components) }
}

/// The figures, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, description = "The figures, in the text format of Prometheus", body = String, content_type = "text/plain"),
))]
async fn metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
    service.app.forewarm.publish_metrics();
    service.traffic.publish();
    service.guard.load().publish();
    ([(CONTENT_TYPE, TEXT_FORMAT)], service.recorded.render())
}
