//! How errors are told over HTTP.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;

/// Problem details (RFC 9457), with `error` for clients of an older system, which say the same.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The status.
    #[schema(example = 404)]
    status: u16,
    /// What is wrong, and what would be right.
    detail: Cow<'static, str>,
    /// As `detail`.
    error: Cow<'static, str>,
    #[serde(skip)]
    retry_after: Option<Duration>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            error: detail.clone(),
            detail,
            retry_after: None,
        }
    }

    pub(crate) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// When the same request may succeed.
    pub(crate) fn retry_after(self, span: Duration) -> Self {
        Self { retry_after: Some(span), ..self }
    }

    /// The same as an object in an answer.
    pub(crate) fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The longest that a client is told to wait for something that is expected to pass soon.
const SOON: Duration = Duration::from_secs(1);

impl From<&Error> for Problem {
    /// Says what failed, and not with which key or why: that is in the log.
    fn from(error: &Error) -> Self {
        match error {
            Error::Load { resource, source, .. } => {
                let whether = if source.is_transient() { "" } else { ", and would again" };
                let detail = format!("the source of `{resource}` has failed{whether}");
                Self::new(StatusCode::BAD_GATEWAY, detail)
            }
            Error::Deadline { resource, deadline, .. } => {
                let detail = format!("the source of `{resource}` took longer than {deadline:?}");
                Self::new(StatusCode::GATEWAY_TIMEOUT, detail)
            }
            Error::BreakerOpen { retry_in, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).retry_after(*retry_in)
            }
            Error::Overloaded { .. } | Error::JobBusy { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).retry_after(SOON)
            }
            Error::ShutDown => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "the service is shutting down")
                    .retry_after(SOON)
            }
            Error::Config(error) => Self::bad_request(error.to_string()),
            Error::Panicked { resource, .. } | Error::Recursive { resource, .. } => {
                let detail = format!("the load of `{resource}` went wrong");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<crate::error::ConfigError> for Problem {
    fn from(error: crate::error::ConfigError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl Problem {
    /// The answer that it is.
    pub(crate) fn answer<B: From<Bytes>>(&self) -> http::Response<B> {
        const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = Bytes::from(serde_json::to_vec(&self).unwrap_or_default());
        let mut response = http::Response::new(body.into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(span) = self.retry_after {
            let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.answer()
    }
}
