//! Snapshots: what they hold and how they are doing.

use std::sync::Arc;

use axum::Extension;
use axum::Json as Answer;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use super::super::Service;
use super::super::asked::{Nothing, Path};
use super::super::guard::Caller;
use super::super::problem::Problem;
use super::super::shapes;
use crate::service::document::{Document, Object};
use crate::service::settings::snapshot::STATUS_FIELDS;
use crate::snapshot::{Snapshot, SnapshotStatus};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(refresh))
}

/// How the snapshots are doing.
#[utoipa::path(get, path = "/admin/snapshots", tag = "admin", responses(
    (status = 200, description = "The snapshots", body = [shapes::SnapshotStatus]),
))]
async fn list(State(service): State<Arc<Service>>) -> Answer<Vec<SnapshotStatus>> {
    Answer(service.app.snapshots().values().map(Snapshot::status).collect())
}

/// A snapshot as a whole: its collections, `last_updated_at` and `next_refresh_at`.
#[utoipa::path(get, path = "/admin/snapshots/{name}", tag = "admin",
    params(("name" = String, Path, description = "The snapshot")),
    responses(
        (status = 200, description = "The snapshot; without collections before its first load", body = shapes::ShownSnapshot),
        (status = 404, description = "There is no such snapshot", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn show(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    Ok(shown(snapshot(&service, &name)?))
}

/// Renews a snapshot now, here and on the other nodes.
#[utoipa::path(post, path = "/admin/snapshots/{name}/refresh", tag = "admin",
    params(("name" = String, Path, description = "The snapshot")),
    request_body = Nothing,
    responses(
        (status = 200, description = "The snapshot as it is now", body = shapes::ShownSnapshot),
        (status = 404, description = "There is no such snapshot", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "The source has failed, or its answer was refused; the old one stays", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The source is left alone", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "The source took too long; the old one stays", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "It is not said to be JSON", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn refresh(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    _: Nothing,
) -> Result<Response, Problem> {
    let snapshot = snapshot(&service, &name)?;
    service.audit.note(&caller, "refresh", format!("snapshot `{name}`"));
    let _renewed = snapshot.refresh().await?;
    Ok(shown(snapshot))
}

fn snapshot<'a>(service: &'a Service, name: &str) -> Result<&'a Snapshot<Document>, Problem> {
    service.app.snapshots().get(name).ok_or_else(|| Problem::not_found("Snapshot not found"))
}

/// The text of the dataset, with the times as its last fields: it may be long, and is not read for
/// that.
fn shown(snapshot: &Snapshot<Document>) -> Response {
    let status = snapshot.status();
    let held = snapshot.get();
    let mut object = match &held {
        Some(dataset) => Object::beginning_with(dataset.text()),
        None => Object::new(),
    };
    for (field, time) in STATUS_FIELDS.iter().zip([status.last_updated_at, status.next_refresh_at])
    {
        let time = time.map_or_else(|| "null".to_owned(), |time| format!("\"{time}\""));
        object.push(field, &time);
    }
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, JSON)], object.end()).into_response()
}
