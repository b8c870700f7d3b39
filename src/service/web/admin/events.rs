//! The last minutes, and what comes next: for the dashboard.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use super::super::Service;
use super::super::guard::Caller;
use super::super::problem::Problem;
use super::super::watch::Sample;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(history)).routes(routes!(events))
}

/// The last minutes, second by second.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    /// Oldest first, one a second.
    samples: Vec<Sample>,
}

/// The last ten minutes, second by second.
#[utoipa::path(get, path = "/admin/history", tag = "admin", responses(
    (status = 200, description = "What each second has brought", body = History),
))]
async fn history(State(service): State<Arc<Service>>) -> Answer<History> {
    Answer(History { samples: service.watch.samples() })
}

/// What each second brings, as server-sent events of the name `sample`.
#[utoipa::path(get, path = "/admin/events", tag = "admin", responses(
    (status = 200, description = "The events, until the service ends or other tokens are let in", body = Sample, content_type = "text/event-stream"),
    (status = 503, description = "Too many listen already", body = Problem, content_type = "application/problem+json"),
))]
async fn events(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = service
        .watch
        .place()
        .ok_or_else(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many listen already"))?;
    Ok(Sse::new(samples(service, caller.generation, place)).keep_alive(KeepAlive::default()))
}

fn samples(
    service: Arc<Service>,
    generation: u64,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let newest = service.watch.subscribe();
    unfold((service, newest, place), move |(service, mut newest, place)| async move {
        // A stream without end would hold up the end of the service.
        let leaving = service.leaving.clone();
        leaving.run_until_cancelled(newest.changed()).await?.ok()?;
        // Who was let in may not be any more: whoever is comes again.
        if service.guard.load().generation() != generation {
            return None;
        }
        let event = {
            let sample = newest.borrow_and_update();
            Event::default().event("sample").json_data(&*sample)
        };
        Some((Ok(event.unwrap_or_default()), (service, newest, place)))
    })
}
