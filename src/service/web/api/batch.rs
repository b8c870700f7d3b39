//! Reading many values.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::Service;
use super::super::asked::{Json, Path};
use super::super::guard::Caller;
use super::super::key::check_key;
use super::super::problem::Problem;
use super::read::scope;
use super::resource;

/// Which values.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchTerms {
    /// The keys, `server.batch_keys_max` of them at most.
    #[schema(example = json!(["1", "2"]))]
    ids: Vec<String>,
}

/// What was read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Batch {
    /// The values by their keys; `null` where there is no such value.
    #[schema(value_type = HashMap<String, serde_json::Value>)]
    values: HashMap<String, Option<Box<RawValue>>>,
    /// What kept keys from being read.
    #[schema(value_type = HashMap<String, Problem>)]
    errors: HashMap<String, serde_json::Value>,
}

/// Reads many values.
///
/// Each is answered by itself: one that cannot be read fails none of the others.
#[utoipa::path(
    post,
    path = "/v1/{resource}",
    tag = "data",
    params(("resource" = String, Path, description = "The resource")),
    request_body = BatchTerms,
    responses(
        (status = 200, description = "What was read", body = Batch),
        (status = 400, description = "The body cannot be read, or has too many keys", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such resource", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body took too long", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not said to be JSON", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn read_many(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Json(terms): Json<BatchTerms>,
) -> Result<Response, Problem> {
    let served = resource(&service, &name)?;
    let keys_max = service.settings().server.batch_keys_max;
    if terms.ids.len() > keys_max {
        let detail = format!("`ids` has {} keys: send {keys_max} at most", terms.ids.len());
        return Err(Problem::bad_request(detail));
    }
    let mut batch = Batch { values: HashMap::new(), errors: HashMap::new() };
    let mut ids = terms.ids;
    ids.retain(|id| match check_key(&served.documents, id) {
        Ok(()) => true,
        Err(problem) => {
            batch.errors.insert(id.clone(), problem.to_value());
            false
        }
    });
    let reading = served.documents.get_many(ids.iter());
    let read = match scope(&service, &headers, &caller) {
        Some(scope) => scope.run(reading).await,
        None => reading.await,
    };
    for (id, read) in ids.into_iter().zip(read) {
        match read {
            Ok(Some(document)) => {
                batch.values.insert(id, Some(document.raw()));
            }
            Ok(None) => {
                batch.values.insert(id, None);
            }
            Err(error) => {
                batch.errors.insert(id, Problem::from(&error).to_value());
            }
        }
    }
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let body = serde_json::to_vec(&batch).map_err(|_error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written")
    })?;
    Ok(([(CONTENT_TYPE, JSON)], body).into_response())
}
