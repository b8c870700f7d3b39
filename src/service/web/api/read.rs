//! Reading one value.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{self, HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::super::Service;
use super::super::asked::{Path, Query};
use super::super::guard::Caller;
use super::super::key::check_key;
use super::super::problem::Problem;
use super::cache_status::{How, describe};
use crate::policy::Store;
use crate::resource::{Read, ReadOptions};
use crate::scope::Scope;
use crate::service::app::Served;
use crate::service::document::Document;

/// What may be said besides the id.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadTerms {
    /// The alias that `id` is a name by, instead of the key.
    alias: Option<String>,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// An invalidation does not reach the caches of clients, so they ask again each time, by the `ETag`.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Reads a value.
///
/// It comes from memory, from L2 or from the source, as `Cache-Status` says. `Cache-Control: no-cache`
/// has the source asked; `max-age=N` has it asked for what is older than N seconds; both leave what is
/// younger than `server.reload_min_age`. With `only-if-cached` it is not asked.
#[utoipa::path(
    get,
    path = "/v1/{resource}/{id}",
    tag = "data",
    params(
        ("resource" = String, Path, description = "The resource"),
        ("id" = String, Path, description = "The key, or a name by `alias`"),
        ReadTerms,
        ("If-None-Match" = Option<String>, Header, description = "ETags of values that are held"),
        ("Cache-Control" = Option<String>, Header, description = "`no-cache`, `max-age=N` or `only-if-cached`"),
    ),
    responses(
        (status = 200, description = "The value", body = serde_json::Value, headers(
            ("ETag" = String, description = "What the value is known by"),
            ("Age" = u64, description = "The seconds since its load began"),
            ("Cache-Status" = String, description = "Where it comes from (RFC 9211)"),
            ("Server-Timing" = String, description = "How long that took, in milliseconds; 0 where nothing was waited for"),
        )),
        (status = 304, description = "It is as the client has it"),
        (status = 400, description = "There is no such alias, or the request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such value or resource", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "The load went wrong", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "The source has failed", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The source is left alone, or overloaded", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "The source took too long, or memory has nothing", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn read(
    State(service): State<Arc<Service>>,
    Path((name, id)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let terms: ReadTerms = match uri.query() {
        None => ReadTerms::default(),
        Some(_) => Query::of(&uri)?.0,
    };
    let named = Named { resource: &name, id: &id, alias: terms.alias.as_deref() };
    value(&service, named, &headers, caller.address).await
}

/// What a value is asked for by.
#[derive(Clone, Copy)]
pub(in crate::service::web) struct Named<'a> {
    resource: &'a str,
    id: &'a str,
    alias: Option<&'a str>,
}

/// What is asked for by a request for a value that says nothing else: resource and id stand in the path
/// as they are, so there is nothing to route and nothing to decode. Most requests are such, and the
/// router would cost them a tenth of all that they cost.
pub(in crate::service::web) fn plain<B>(request: &Request<B>) -> Option<Named<'_>> {
    let is_plain = |part: &&str| !part.is_empty() && !part.contains(['%', '/']);
    let path = request.uri().path().strip_prefix("/v1/")?;
    let (resource, id) = path.split_once('/')?;
    let is_plain = is_plain(&resource) && is_plain(&id);
    let says_nothing_else = *request.method() == Method::GET && request.uri().query().is_none();
    (is_plain && says_nothing_else).then_some(Named { resource, id, alias: None })
}

/// The answer to a plain request, if memory has it, so that nobody has to wait.
pub(in crate::service::web) fn held<B: From<Bytes>>(
    service: &Service,
    named: Named<'_>,
    headers: &HeaderMap,
    peer: SocketAddr,
) -> Option<http::Response<B>> {
    let served = service.app.resource(named.resource)?;
    let wanted = Wanted::of(headers, || service.settings.load().server.reload_min_age);
    let reading = || match wanted.is_only_if_cached {
        true => served.documents.peek(named.id),
        false => served.documents.read_held(named.id, &wanted.options),
    };
    let read = match scope(service, headers, peer) {
        Some(scope) => scope.enter(reading),
        None => reading(),
    };
    Some(answer(served, headers, wanted, &read?, None))
}

/// Reads a value.
pub(in crate::service::web) async fn value(
    service: &Service,
    named: Named<'_>,
    headers: &HeaderMap,
    peer: SocketAddr,
) -> Result<Response, Problem> {
    let began = Instant::now();
    let served = service.resource(named.resource)?;
    check_key(&served.documents, named.id)?;
    let wanted = Wanted::of(headers, || service.settings.load().server.reload_min_age);
    let reading = ask(served, named, wanted);
    let read = match scope(service, headers, peer) {
        Some(scope) => scope.run(reading).await?,
        None => reading.await?,
    };
    Ok(answer(served, headers, wanted, &read, Some(began.elapsed())))
}

/// The answer that a read is, which took so long; none where nothing was waited for.
fn answer<B: From<Bytes>>(
    served: &Served,
    headers: &HeaderMap,
    wanted: Wanted,
    read: &Read<Document>,
    took: Option<Duration>,
) -> http::Response<B> {
    let mut response = match &read.value {
        None => Problem::not_found("there is no such value").answer(),
        Some(document) if wanted.is_conditional && is_known(headers, document.etag()) => {
            not_modified(document)
        }
        Some(document) => whole(document),
    };
    let is_kept = served.documents.policy().store != Store::Nowhere;
    if !is_kept {
        // What is kept nowhere here is kept nowhere on its way either.
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    }
    let how = How { is_reload: wanted.max_age.is_some(), is_kept };
    describe(response.headers_mut(), read, how, took);
    response
}

/// Reads a snapshot: a whole dataset.
#[utoipa::path(
    get,
    path = "/v1/{resource}",
    tag = "data",
    params(("resource" = String, Path, description = "The snapshot")),
    responses(
        (status = 200, description = "The dataset", body = serde_json::Value),
        (status = 304, description = "It is as the client has it"),
        (status = 404, description = "There is no such snapshot", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It was not loaded yet", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn dataset(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(snapshot) = service.app.snapshots().get(&name) else {
        let detail = match service.app.resource(&name) {
            Some(_) => "this is a resource: read one of its values, `/v1/{resource}/{id}`",
            None => "there is no such snapshot",
        };
        return Err(Problem::not_found(detail));
    };
    let Some(document) = snapshot.get() else {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "it was not loaded yet");
        return Err(problem.retry_after(Duration::from_secs(1)));
    };
    let is_known = is_known(&headers, document.etag());
    Ok(if is_known { not_modified(&document) } else { whole(&document) })
}

fn whole<B: From<Bytes>>(document: &Document) -> http::Response<B> {
    let mut response = about(document, document.body());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn not_modified<B: From<Bytes>>(document: &Document) -> http::Response<B> {
    let mut response = about(document, Bytes::new());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

fn about<B: From<Bytes>>(document: &Document, body: Bytes) -> http::Response<B> {
    let mut response = http::Response::new(body.into());
    let headers = response.headers_mut();
    // With what is said of how it was come by, and without growing step by step.
    headers.reserve(8);
    headers.insert(ETAG, document.etag().clone());
    headers.insert(CACHE_CONTROL, REVALIDATE);
    response
}

/// What a client accepts, by `Cache-Control` (RFC 9111), and whether it may hold it already.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    options: ReadOptions,
    is_only_if_cached: bool,
    /// The oldest that it accepts, by the strictest of its words.
    max_age: Option<Duration>,
    /// Whether the client names values that it holds.
    is_conditional: bool,
}

impl Wanted {
    /// What the headers say. What is younger than the age that is given is not loaded again.
    fn of(headers: &HeaderMap, min_age: impl FnOnce() -> Duration) -> Self {
        let mut wanted = Self::default();
        // In one go: to look up what most requests do not have costs more than to pass by what they
        // have.
        for (name, value) in headers {
            match *name {
                CACHE_CONTROL => wanted.take_directives(value),
                IF_NONE_MATCH => wanted.is_conditional = true,
                _ => {}
            }
        }
        if let Some(max_age) = wanted.max_age {
            let age = max_age.max(min_age());
            let options = wanted.options;
            wanted.options = if age.is_zero() { options.refresh() } else { options.max_age(age) };
        }
        wanted
    }

    fn take_directives(&mut self, value: &HeaderValue) {
        for directive in value.to_str().unwrap_or_default().split(',') {
            let (name, argument) = match directive.trim().split_once('=') {
                Some((name, argument)) => (name.trim(), argument.trim()),
                None => (directive.trim(), ""),
            };
            let argument = argument.trim_matches('"').parse::<u64>();
            if name.eq_ignore_ascii_case("no-cache") {
                self.accept_at_most(Duration::ZERO);
            } else if name.eq_ignore_ascii_case("only-if-cached") {
                self.is_only_if_cached = true;
            } else if let Ok(seconds) = argument
                && name.eq_ignore_ascii_case("max-age")
            {
                self.accept_at_most(Duration::from_secs(seconds));
            }
        }
    }

    fn accept_at_most(&mut self, age: Duration) {
        self.max_age = Some(self.max_age.map_or(age, |held| held.min(age)));
    }
}

async fn ask(served: &Served, named: Named<'_>, wanted: Wanted) -> Result<Read<Document>, Problem> {
    let (documents, Named { id, alias, .. }) = (&served.documents, named);
    if wanted.is_only_if_cached {
        if let Some(alias) = alias.filter(|alias| !served.has_alias(alias)) {
            let detail = format!("the resource has no alias `{}`", alias.escape_debug());
            return Err(Problem::bad_request(detail));
        }
        let held = alias.is_none().then(|| documents.peek(id)).flatten();
        let problem = || Problem::new(StatusCode::GATEWAY_TIMEOUT, "memory has no such value");
        return held.ok_or_else(problem);
    }
    match alias {
        None => Ok(documents.read(id, &wanted.options).await?),
        Some(alias) if served.has_alias(alias) => {
            Ok(documents.read_by(alias, id, &wanted.options).await?)
        }
        Some(_) => Err(Problem::bad_request("the resource has no such alias")),
    }
}

/// The client whose read this is.
pub(super) fn scope(service: &Service, headers: &HeaderMap, peer: SocketAddr) -> Option<Scope> {
    let forewarm = &service.app.forewarm;
    match &service.settings.load().server.client_header {
        Some(name) => headers.get(name).map(|client| forewarm.scope_of(client.as_bytes())),
        None => Some(forewarm.scope_of(&peer)),
    }
}

/// Whether the client holds this very value: `If-None-Match`, weakly compared (RFC 9110, 13.1.2).
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|held| {
            let held = held.trim_ascii();
            let held = held.strip_prefix(b"W/").unwrap_or(held);
            held == b"*" || held == etag.as_bytes()
        })
    })
}
