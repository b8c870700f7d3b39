//! A server that answers with JSON.

use std::sync::Arc;

use http::header::{ACCEPT, CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, Url};

use self::fault::HttpFault;
use self::path::Root;
use super::SourceError;
use crate::error::{ConfigError, LoadError};
use crate::loader::{LoadContext, Loaded, Loader};
use crate::service::document::Document;
use crate::service::settings::load::HttpLoad;
use crate::service::settings::source::HttpSource;

mod fault;
mod path;

/// A server, and how it is asked.
#[derive(Debug)]
pub(super) struct Site {
    client: Client,
    root: Root,
    body_bytes_max: usize,
}

impl Site {
    pub(super) fn open(name: &str, settings: &HttpSource) -> Result<Self, SourceError> {
        let section = format!("sources.{name}.http");
        let root = Root::of(&settings.url).map_err(|error| error.within(&section))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, secret) in &settings.headers {
            let field = format!("{section}.headers.{name}");
            let text = secret.reveal();
            let text = text.map_err(|error| SourceError::secret(field.clone(), error))?;
            let header = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(text).ok());
            let (name, mut value) = header.ok_or_else(|| {
                let remedy = "use visible characters of ASCII";
                ConfigError::new(field, "has a value that no header can have", remedy)
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        // There may be one already, which does as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            .default_headers(headers)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .redirect(Policy::custom(stay))
            .referer(false)
            .user_agent(concat!("forewarm/", env!("CARGO_PKG_VERSION")))
            .build();
        let client = client.map_err(|_error| {
            let remedy = "see whether the certificates of the system can be read";
            ConfigError::new(section.clone(), "cannot be used", remedy)
        })?;
        let body_bytes_max = settings.body_bytes_max();
        let body_bytes_max = body_bytes_max.map_err(|error| error.within(&section))?;
        Ok(Self { client, root, body_bytes_max })
    }

    pub(super) fn loader(self: &Arc<Self>, load: &HttpLoad) -> PathLoader {
        PathLoader { site: Arc::clone(self), path: load.path.clone() }
    }

    /// What is at a path, without a key in it.
    pub(super) async fn collect(&self, path: &str) -> Result<String, LoadError> {
        let url = self.root.at(path).ok_or(HttpFault::Path)?;
        let (document, _) = self.found(self.ask(url, None).await?).await?;
        Ok(document.text().to_owned())
    }

    /// Says whether paths like this one lead anywhere.
    pub(super) fn check(&self, field: &str, path: &str) -> Result<(), ConfigError> {
        self.root.check(field, path)
    }

    /// Any answer will do, but that it cannot answer.
    pub(super) async fn ping(&self) -> Result<(), LoadError> {
        let url = self.root.at("").ok_or(HttpFault::Path)?;
        let status = self.ask(url, None).await?.status();
        if status.is_server_error() { Err(HttpFault::Status(status).into()) } else { Ok(()) }
    }

    async fn ask(&self, url: Url, held: Option<HeaderValue>) -> Result<Response, HttpFault> {
        let mut request = self.client.get(url);
        if let Some(held) = held {
            request = request.header(IF_NONE_MATCH, held);
        }
        request.send().await.map_err(|error| HttpFault::of(&error))
    }

    /// The document in an answer, and whether it may be kept.
    async fn found(&self, answer: Response) -> Result<(Document, bool), HttpFault> {
        if !answer.status().is_success() {
            return Err(HttpFault::Status(answer.status()));
        }
        let etag = etag_of(answer.headers());
        let may_be_kept = may_be_kept(answer.headers());
        let body = self.body(answer).await?;
        let document = Document::of(body.into()).map_err(|_error| HttpFault::NoJson)?;
        Ok((document.known_as(etag), may_be_kept))
    }

    /// Reads no more than is allowed, whatever the answer says of its length.
    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, HttpFault> {
        let too_large = HttpFault::TooLarge(self.body_bytes_max);
        let declared = answer.content_length().unwrap_or_default();
        let Some(declared) = usize::try_from(declared).ok().filter(|n| *n <= self.body_bytes_max)
        else {
            return Err(too_large);
        };
        let mut body = Vec::with_capacity(declared);
        while let Some(chunk) = answer.chunk().await.map_err(|error| HttpFault::of(&error))? {
            if chunk.len() > self.body_bytes_max - body.len() {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The most redirects that are followed for one request.
const REDIRECTS_MAX: usize = 5;

/// Follows redirects to the same server only: others must not get the headers.
fn stay(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let is_same =
        attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
    let is_short = attempt.previous().len() <= REDIRECTS_MAX;
    if is_same && is_short { attempt.follow() } else { attempt.stop() }
}

/// The longest `ETag` that is kept, in bytes.
const ETAG_BYTES_MAX: usize = 256;

fn etag_of(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get(ETAG)?.to_str().ok()?;
    (etag.len() <= ETAG_BYTES_MAX).then(|| etag.to_owned())
}

/// Whether the answer does not forbid to be kept: RFC 9111, 5.2.2.5.
fn may_be_kept(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(','));
    !directives.any(|directive| directive.trim().eq_ignore_ascii_case("no-store"))
}

/// Loads the documents that are at the paths of keys.
pub(super) struct PathLoader {
    site: Arc<Site>,
    path: String,
}

impl Loader<String, Document> for PathLoader {
    async fn load(
        &self,
        key: &String,
        cx: &LoadContext<Document>,
    ) -> Result<Loaded<Document>, LoadError> {
        // What cannot be asked for without asking for something else is nowhere.
        let Some(url) = self.site.root.of_key(&self.path, key) else {
            return Ok(Loaded::absent());
        };
        let held = cx.held().and_then(|held| HeaderValue::from_str(held.source_etag()?).ok());
        let is_held = held.is_some();
        let answer = self.site.ask(url, held).await?;
        Ok(match answer.status() {
            StatusCode::NOT_FOUND | StatusCode::GONE => Loaded::absent(),
            StatusCode::NOT_MODIFIED if is_held => Loaded::unchanged(),
            _ => match self.site.found(answer).await? {
                (document, true) => document.into(),
                (document, false) => Loaded::found(document).not_stored(),
            },
        })
    }
}
