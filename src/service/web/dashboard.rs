//! The dashboard: one page, its scripts and its looks, within the program.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::Service;

/// Nothing but what comes from here, within no page of others, and no text that becomes markup.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);

/// A part of the page: where it is, what it is, and its text.
type Part = (&'static str, &'static str, &'static str);

const PAGE: &str = "text/html; charset=utf-8";
const ICON: &str = "image/svg+xml";
const LOOKS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const PARTS: [Part; 28] = [
    ("/", PAGE, include_str!("dashboard/index.html")),
    ("/favicon.svg", ICON, include_str!("dashboard/favicon.svg")),
    ("/assets/dashboard.css", LOOKS, include_str!("dashboard/dashboard.css")),
    ("/assets/api.js", SCRIPT, include_str!("dashboard/api.js")),
    ("/assets/chart.js", SCRIPT, include_str!("dashboard/chart.js")),
    ("/assets/clock.js", SCRIPT, include_str!("dashboard/clock.js")),
    ("/assets/dashboard.js", SCRIPT, include_str!("dashboard/dashboard.js")),
    ("/assets/dom.js", SCRIPT, include_str!("dashboard/dom.js")),
    ("/assets/engine.js", SCRIPT, include_str!("dashboard/engine.js")),
    ("/assets/explain.js", SCRIPT, include_str!("dashboard/explain.js")),
    ("/assets/format.js", SCRIPT, include_str!("dashboard/format.js")),
    ("/assets/jobs.js", SCRIPT, include_str!("dashboard/jobs.js")),
    ("/assets/keys.js", SCRIPT, include_str!("dashboard/keys.js")),
    ("/assets/learned.js", SCRIPT, include_str!("dashboard/learned.js")),
    ("/assets/live.js", SCRIPT, include_str!("dashboard/live.js")),
    ("/assets/login.js", SCRIPT, include_str!("dashboard/login.js")),
    ("/assets/messages.js", SCRIPT, include_str!("dashboard/messages.js")),
    ("/assets/overview.js", SCRIPT, include_str!("dashboard/overview.js")),
    ("/assets/poll.js", SCRIPT, include_str!("dashboard/poll.js")),
    ("/assets/records.js", SCRIPT, include_str!("dashboard/records.js")),
    ("/assets/reliability.js", SCRIPT, include_str!("dashboard/reliability.js")),
    ("/assets/samples.js", SCRIPT, include_str!("dashboard/samples.js")),
    ("/assets/scale.js", SCRIPT, include_str!("dashboard/scale.js")),
    ("/assets/score.js", SCRIPT, include_str!("dashboard/score.js")),
    ("/assets/sparkline.js", SCRIPT, include_str!("dashboard/sparkline.js")),
    ("/assets/table.js", SCRIPT, include_str!("dashboard/table.js")),
    ("/assets/theme.js", SCRIPT, include_str!("dashboard/theme.js")),
    ("/assets/view.js", SCRIPT, include_str!("dashboard/view.js")),
];

/// The page and its parts.
pub(super) fn routes() -> Router<Arc<Service>> {
    PARTS.iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(async || answer(kind, text)))
    })
}

fn answer(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // A new version of the program has new ones.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}
