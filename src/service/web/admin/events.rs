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
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

use super::super::Service;
use super::super::asked::Query;
use super::super::guard::Caller;
use super::super::problem::Problem;
use super::super::watch::{Looked, Sample};
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

/// Whose seconds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// The resource. Default: all of them together.
    resource: Option<String>,
}

impl Whose {
    fn looked(&self, service: &Service) -> Result<Looked, Problem> {
        let looked = service.watch.look(&service.app.forewarm, self.resource.as_deref());
        looked.ok_or_else(|| Problem::not_found("Resource not found"))
    }
}

/// The last ten minutes, second by second.
#[utoipa::path(get, path = "/admin/history", tag = "admin", params(Whose), responses(
    (status = 200, description = "What each second has brought", body = History),
    (status = 404, description = "There is no such resource", body = Problem, content_type = "application/problem+json"),
))]
async fn history(
    State(service): State<Arc<Service>>,
    Query(whose): Query<Whose>,
) -> Result<Answer<History>, Problem> {
    let looked = whose.looked(&service)?;
    Ok(Answer(History { samples: service.watch.samples(looked) }))
}

/// What each second brings, as server-sent events of the name `sample`.
#[utoipa::path(get, path = "/admin/events", tag = "admin", params(Whose), responses(
    (status = 200, description = "The events, until the service ends or other tokens are let in", body = Sample, content_type = "text/event-stream"),
    (status = 404, description = "There is no such resource", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too many listen already", body = Problem, content_type = "application/problem+json"),
))]
async fn events(
    State(service): State<Arc<Service>>,
    Query(whose): Query<Whose>,
    Extension(caller): Extension<Caller>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let looked = whose.looked(&service)?;
    let place = service
        .watch
        .place()
        .ok_or_else(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many listen already"))?;
    let listening = (caller.generation, looked);
    Ok(Sse::new(samples(service, listening, place)).keep_alive(KeepAlive::default()))
}

fn samples(
    service: Arc<Service>,
    (generation, looked): (u64, Looked),
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
            let second = newest.borrow_and_update();
            let sample = second.as_ref().map(|second| second.sample(looked));
            Event::default().event("sample").json_data(sample)
        };
        Some((Ok(event.unwrap_or_default()), (service, newest, place)))
    })
}
