//! Reading many values.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::Service;
use super::super::asked::{Json, Path};
use super::super::guard::Caller;
use super::super::key::check_key;
use super::super::problem::Problem;
use super::read::scope;
use crate::error::Error;
use crate::service::document::{Document, Object};

/// Which values.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchTerms {
    /// The keys, `server.batch_keys_max` of them at most.
    #[schema(example = json!(["1", "2"]))]
    ids: Vec<String>,
}

/// What was read.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is written as a text, of the texts of its values")]
pub(super) struct Batch {
    /// The values by their keys; `null` where there is no such value.
    values: HashMap<String, serde_json::Value>,
    /// What kept keys from being read; 413 where the answer would be larger than
    /// `server.batch_bytes_max`.
    errors: HashMap<String, Problem>,
}

/// Reads many values.
///
/// Each is answered by itself: one that cannot be read, or for which the answer has no room, fails none
/// of the others.
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
    let served = service.resource(&name)?;
    service.check_keys("ids", &terms.ids)?;
    let (mut ids, mut seen, mut refused) = (terms.ids, HashSet::new(), Object::new());
    // Who asks twice is answered once.
    ids.retain(|id| seen.insert(id.clone()));
    ids.retain(|id| match check_key(&served.documents, id) {
        Ok(()) => true,
        Err(problem) => {
            refused.push(id, &problem.to_value().to_string());
            false
        }
    });
    let reading = served.documents.get_many(ids.iter());
    let read = match scope(&service, &headers, caller.address) {
        Some(scope) => scope.run(reading).await,
        None => reading.await,
    };
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let body = written(&ids, read, refused, service.settings().server.batch_bytes_max);
    Ok(([(CONTENT_TYPE, JSON)], body).into_response())
}

type Found = Result<Option<Arc<Document>>, Error>;

/// The text of a [`Batch`]: each value as it stands, as long as their texts are no longer than this
/// together.
fn written(ids: &[String], read: Vec<Found>, refused: Object, bytes_max: usize) -> String {
    let (mut values, mut errors, mut left) = (Object::new(), refused, bytes_max);
    for (id, read) in ids.iter().zip(read) {
        match read {
            Ok(None) => values.push(id, "null"),
            Ok(Some(document)) => match left.checked_sub(document.len()) {
                Some(after) => {
                    left = after;
                    values.push(id, document.text());
                }
                None => errors.push(id, &too_large(bytes_max).to_value().to_string()),
            },
            Err(error) => errors.push(id, &Problem::from(&error).to_value().to_string()),
        }
    }
    let mut batch = Object::new();
    batch.push("values", &values.end());
    batch.push("errors", &errors.end());
    batch.end()
}

fn too_large(bytes_max: usize) -> Problem {
    let detail = format!(
        "the values of the batch have more than {bytes_max} bytes together: ask for fewer at once"
    );
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}
