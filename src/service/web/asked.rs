//! What is asked: parts of paths, queries and bodies, or what is wrong with them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{self, FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::Service;
use super::problem::Problem;

/// The parameters of a path.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

/// The query of a request.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Service>> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Problem> {
        if has_nul(parts.uri.path()) {
            return Err(nul());
        }
        let path = extract::Path::from_request_parts(parts, service).await;
        let wrong = |error: PathRejection| Problem::bad_request(error.body_text());
        path.map(|extract::Path(path)| Self(path)).map_err(wrong)
    }
}

impl<T: DeserializeOwned> FromRequestParts<Arc<Service>> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        _service: &Arc<Service>,
    ) -> Result<Self, Problem> {
        Self::of(&parts.uri)
    }
}

impl<T: DeserializeOwned> Query<T> {
    /// The query of an address.
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        if uri.query().is_some_and(has_nul) {
            return Err(nul());
        }
        let query = extract::Query::try_from_uri(uri);
        let wrong = |error: QueryRejection| Problem::bad_request(error.body_text());
        query.map(|extract::Query(query)| Self(query)).map_err(wrong)
    }
}

/// Whether a part of an address has an encoded zero byte, whatever it is encoded beside.
fn has_nul(encoded: &str) -> bool {
    encoded.contains("%00")
}

/// What is said of a zero byte wherever a key, a tag or a pattern has one. Some databases have no such
/// text, and some functions of others take it for the end of one: it is nobody's key.
pub(super) fn nul() -> Problem {
    Problem::bad_request("a zero byte stands in it, and nothing has one in its name")
}

/// A body of JSON, within the limits of size and time.
///
/// Only what says that it is JSON is taken: no form of another site's page can say so.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Service>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(not_json());
        }
        object(&read(body, service).await?).map(Self)
    }
}

/// No body, or an empty object: the path says all. It has to be said to be JSON all the same, which no
/// form of another site's page can say, also where neither `Origin` nor `Sec-Fetch-Site` is sent.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

impl FromRequest<Arc<Service>> for Nothing {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let bytes = read(request.into_body(), service).await?;
        match bytes.trim_ascii() {
            b"" | b"null" => Ok(Self {}),
            text => object(text),
        }
    }
}

/// What a text of JSON says, which has to be an object.
fn object<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    // Serde would take an array for the fields in their order.
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::bad_request("the body is no JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let detail = match path.as_str() {
            "." => format!("the body cannot be read: {}", error.inner()),
            path => format!("the body cannot be read at `{path}`: {}", error.inner()),
        };
        Problem::bad_request(detail)
    })?;
    // What is behind the value was not meant for us.
    json.end()
        .map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))?;
    Ok(read)
}

/// Whether a request is said to be JSON.
fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).is_some_and(|kind| {
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
    })
}

/// That a request is not said to be JSON.
fn not_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "send `Content-Type: application/json`, also without a body",
    )
}

async fn read(body: Body, service: &Service) -> Result<bytes::Bytes, Problem> {
    let (bytes_max, timeout) = {
        let settings = service.settings();
        (settings.server.body_bytes_max, settings.server.body_timeout)
    };
    let read = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(timeout, read).await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("the body has more than {bytes_max} bytes");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
        }
        Ok(Err(_broken)) => Err(Problem::bad_request("the body ended early")),
        Err(_late) => {
            let detail = format!("the body took longer than {timeout:?}");
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
        }
    }
}
