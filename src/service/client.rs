//! A service that runs, asked from the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime;

use super::console::{self, Failure, harmless};

pub(super) use self::error::ClientError;

mod error;
pub(super) mod explain;
pub(super) mod health;
pub(super) mod hot_keys;
pub(super) mod invalidate;
pub(super) mod jobs;
pub(super) mod stats;
pub(super) mod warm;

/// Which service, and who asks.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "The service")]
pub(super) struct Target {
    /// Where it is. Default: what `FOREWARM_URL` says, else `http://127.0.0.1:7700`.
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// The file with the token, if it wants one. Default: the token is what `FOREWARM_TOKEN` says.
    /// There is no option for the token itself: everybody on the machine could read it.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How long an answer may take. Default: `10s`, and `10m` for `warm`.
    #[arg(long, global = true, value_parser = console::parse_span, value_name = "SPAN")]
    timeout: Option<Duration>,
    /// Prints what the service answers, in JSON, as it is.
    #[arg(long, global = true)]
    json: bool,
}

/// A service that is asked.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    root: Url,
}

/// What the service answered.
#[derive(Debug)]
pub(super) struct Answer {
    place: String,
    text: String,
}

const URL_DEFAULT: &str = "http://127.0.0.1:7700";
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// No answer that people ask for is longer; a server that never ends must not fill the memory.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Runs what asks a service.
pub(super) fn run(asking: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(asking)
}

impl Target {
    /// Whether the service's own words are wanted.
    const fn is_json(&self) -> bool {
        self.json
    }

    fn client(&self) -> Result<Client, ClientError> {
        self.client_within(TIMEOUT)
    }

    /// A client whose answers may take so long, if nothing else was said.
    fn client_within(&self, timeout: Duration) -> Result<Client, ClientError> {
        let said = self.url.clone().or_else(|| variable("FOREWARM_URL"));
        let root = parse_url(&said.unwrap_or_else(|| URL_DEFAULT.to_owned()))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = self.token()? {
            // The error would not quote it, but nor does it help.
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value = value.map_err(|_invalid| {
                ClientError::Token("the token has characters that no header can have".to_owned())
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        // There may be one already, which does as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(self.timeout.unwrap_or(timeout))
            // Nobody else is to get the token.
            .redirect(Policy::none())
            .referer(false)
            .user_agent(concat!("forewarm/", env!("CARGO_PKG_VERSION")));
        let builder = if is_loopback(&root) { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(|error| ClientError::unreached(&root, &error))?;
        Ok(Client { http, root })
    }

    fn token(&self) -> Result<Option<String>, ClientError> {
        let Some(file) = &self.token_file else { return Ok(variable("FOREWARM_TOKEN")) };
        let unread = |problem: String| {
            ClientError::Token(format!("the token in {} {problem}", file.display()))
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| unread(format!("cannot be read: {}", error.kind())))?;
        match text.trim() {
            "" => Err(unread("is empty".to_owned())),
            token => Ok(Some(token.to_owned())),
        }
    }
}

/// What a variable of the environment says, if anything.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn parse_url(text: &str) -> Result<Url, ClientError> {
    let usage = |problem: &str| {
        ClientError::Usage(format!("the URL of the service {problem}; write it like {URL_DEFAULT}"))
    };
    let url = Url::parse(text).map_err(|error| usage(&format!("cannot be read: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(usage("is none of HTTP"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(usage("holds a user or a password, which belong into FOREWARM_TOKEN"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(usage("has a query or a fragment"));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Client {
    /// What is at a path, of which each segment is escaped; and with these terms as its query.
    async fn get(&self, path: &[&str], terms: &[(&str, &str)]) -> Result<Answer, ClientError> {
        let mut url = self.at(path);
        if !terms.is_empty() {
            url.query_pairs_mut().extend_pairs(terms);
        }
        self.ask(self.http.request(Method::GET, url)).await
    }

    /// The same with a body, which changes something.
    async fn post(&self, path: &[&str], body: Option<&Value>) -> Result<Answer, ClientError> {
        let request = self.http.request(Method::POST, self.at(path));
        self.ask(match body {
            Some(body) => request.json(body),
            // It wants to be told so where there is nothing to read, too.
            None => request.header(CONTENT_TYPE, "application/json"),
        })
        .await
    }

    /// Whether it is ready, which it says with a status of its own if it is not.
    async fn get_readiness(&self) -> Result<Answer, ClientError> {
        let (status, answer) = self.send(self.http.get(self.at(&["readyz"]))).await?;
        match status {
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => Ok(answer),
            status => Err(self.refusal(status, &answer.text)),
        }
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.root.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Answer, ClientError> {
        let (status, answer) = self.send(request).await?;
        if status.is_success() { Ok(answer) } else { Err(self.refusal(status, &answer.text)) }
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<(StatusCode, Answer), ClientError> {
        let unreached = |error: reqwest::Error| ClientError::unreached(&self.root, &error);
        let mut response = request.send().await.map_err(unreached)?;
        let (status, mut bytes) = (response.status(), Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(unreached)? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(self.strange("an answer that does not end"));
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(bytes).map_err(|_bytes| self.strange("no text"))?;
        Ok((status, Answer { place: self.place(), text }))
    }

    /// What the service said when it did not do what it was asked.
    fn refusal(&self, status: StatusCode, text: &str) -> ClientError {
        /// The part of its answer that is for people.
        #[derive(Deserialize)]
        struct Problem {
            detail: String,
        }
        let problem = serde_json::from_str::<Problem>(text).ok();
        let Some(problem) = problem else {
            return self.strange(&format!("with {status} and nothing that is known of it"));
        };
        let detail = harmless(&problem.detail);
        let place = self.place();
        if status.is_client_error() {
            ClientError::Refused { place, status, detail }
        } else {
            ClientError::Failed { place, status, detail }
        }
    }

    fn strange(&self, what: &str) -> ClientError {
        ClientError::Strange { place: self.place(), what: what.to_owned() }
    }

    fn place(&self) -> String {
        self.root.to_string()
    }
}

impl Answer {
    /// What it says.
    fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_str(&self.text).map_err(|error| ClientError::Strange {
            place: self.place.clone(),
            // Its own words may be anything.
            what: format!("what cannot be read (line {}, column {})", error.line(), error.column()),
        })
    }

    /// Prints it as it is, if that is wanted; else what is made of it for people.
    fn print<T: DeserializeOwned>(
        &self,
        target: &Target,
        text: impl FnOnce(T) -> String,
    ) -> Result<(), Failure> {
        let said = self.read::<T>()?;
        if target.is_json() {
            console::print(self.text.trim_end())
        } else {
            console::print(&text(said))
        }
    }
}

/// An instant as people read it, without fractions of a second.
fn instant(at: jiff::Timestamp) -> String {
    at.strftime("%F %TZ").to_string()
}

/// A share in percent.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_would_show_a_secret_or_lead_nowhere_are_refused() {
        for text in [
            "",
            "localhost:7700",
            "ftp://localhost",
            "http://me:secret@localhost",
            "http://secret@localhost",
            "http://localhost?token=secret",
            "http://localhost#x",
            "/v1",
        ] {
            let error = parse_url(text).unwrap_err();
            assert!(matches!(error, ClientError::Usage(_)), "{text}: {error:?}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn whatever_a_path_holds_is_escaped_behind_the_url() {
        let http = || {
            drop(rustls::crypto::ring::default_provider().install_default());
            reqwest::Client::new()
        };
        for root in ["http://localhost:1/cache", "http://localhost:1/cache/"] {
            let client = Client { http: http(), root: parse_url(root).unwrap() };
            let url = client.at(&["admin", "resources", "a/../b?c#d", "warm"]);
            assert_eq!(
                url.as_str(),
                "http://localhost:1/cache/admin/resources/a%2F..%2Fb%3Fc%23d/warm"
            );
        }
    }

    #[test]
    fn only_the_loopback_interface_needs_no_proxy() {
        for (url, expected) in [
            ("http://127.0.0.1:7700", true),
            ("http://[::1]:7700", true),
            ("http://localhost", true),
            ("http://cache.example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
