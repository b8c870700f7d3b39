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
use super::super::problem::Problem;
use super::read::scope;
use crate::error::Error;
use crate::service::document::Document;

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
    let reading = served.documents.get_many(terms.ids.iter());
    let read = match scope(&service, &headers, &caller) {
        Some(scope) => scope.run(reading).await,
        None => reading.await,
    };
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let body = written(&terms.ids, read, service.settings().server.batch_bytes_max);
    Ok(([(CONTENT_TYPE, JSON)], body).into_response())
}

type Found = Result<Option<Arc<Document>>, Error>;

/// The text of a [`Batch`]: each value as it stands, as long as their texts are no longer than this
/// together.
fn written(ids: &[String], read: Vec<Found>, bytes_max: usize) -> String {
    // Who asks twice is answered once.
    let mut seen = HashSet::with_capacity(ids.len());
    let answers = ids.iter().zip(read).filter(|(id, _)| seen.insert(id.as_str()));
    let (mut values, mut errors) = (Fields::default(), Fields::default());
    let mut left = bytes_max;
    for (id, read) in answers {
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
    let (mut text, errors) = (values.0, errors.0);
    text.insert_str(0, "{\"values\":{");
    text.push_str("},\"errors\":{");
    text.push_str(&errors);
    text.push_str("}}");
    text
}

fn too_large(bytes_max: usize) -> Problem {
    let detail = format!(
        "the values of the batch have more than {bytes_max} bytes together: ask for fewer at once"
    );
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

/// The fields of an object, as they are written.
#[derive(Default)]
struct Fields(String);

impl Fields {
    fn push(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(&serde_json::Value::from(name).to_string());
        self.0.push(':');
        self.0.push_str(value);
    }
}
