//! Where the service listens, and what it lets clients do to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::HeaderName;
use serde::Deserialize;

use super::auth::AuthSettings;
use crate::error::ConfigError;

/// Where the service listens, and what it lets clients do to it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct ServerSettings {
    /// Address and port. Default: `127.0.0.1:7700`.
    pub(crate) listen: SocketAddr,
    /// Lets it listen beyond the loopback interface without TLS, which the service does not speak: say
    /// so if the network is trusted, or if a proxy in front of it speaks TLS. Default: false.
    pub(crate) allow_insecure: bool,
    /// The names by which clients call it, besides `localhost` and addresses, which are nobody's names,
    /// with or without port. Requests for others are refused, so that no page in a browser can be made
    /// to reach it under a name of its own (DNS rebinding). Default: none.
    pub(crate) hosts: Vec<String>,
    /// The header that says which client a request is of: reads of a client belong together. Default:
    /// none, and a connection is a client.
    pub(crate) client_header: Option<String>,
    /// The most connections at a time; more wait to be accepted. Default: 10,000.
    pub(crate) connections_max: usize,
    /// The most requests that wait for something at a time; more are refused with 503, though not what
    /// memory holds. Default: 10,000.
    pub(crate) requests_max: usize,
    /// The most requests a second of one address, on average; more are refused with 429. `None` for no
    /// limit. Default: none.
    pub(crate) requests_per_second: Option<f64>,
    /// The most bytes of a request's body. Default: 65,536.
    pub(crate) body_bytes_max: usize,
    /// The most keys of a batch. Default: 1,000.
    pub(crate) batch_keys_max: usize,
    /// The most bytes of the values of a batch, together; for what goes beyond, the answer has a problem
    /// instead of the value. Default: 67,108,864.
    pub(crate) batch_bytes_max: usize,
    /// The longest that a client may take to send the headers of a request, or none on a connection
    /// that it keeps open. Default: 30 s.
    #[serde(with = "crate::span")]
    pub(crate) header_timeout: Duration,
    /// The longest that a client may take to send a body. Default: 5 s.
    #[serde(with = "crate::span")]
    pub(crate) body_timeout: Duration,
    /// The longest that a client may take nothing of an answer that waits for it. Default: 30 s.
    #[serde(with = "crate::span")]
    pub(crate) write_timeout: Duration,
    /// The longest that requests under way may take at a shutdown. Default: 30 s.
    #[serde(with = "crate::span")]
    pub(crate) drain_timeout: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7700)),
            allow_insecure: false,
            hosts: Vec::new(),
            client_header: None,
            connections_max: 10_000,
            requests_max: 10_000,
            requests_per_second: None,
            body_bytes_max: 65_536,
            batch_keys_max: 1_000,
            batch_bytes_max: 64 << 20,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl ServerSettings {
    pub(super) fn check(&self, auth: &AuthSettings) -> Result<(), ConfigError> {
        self.check_fields(auth).map_err(|error| error.within("server"))
    }

    fn check_fields(&self, auth: &AuthSettings) -> Result<(), ConfigError> {
        if !self.listen.ip().is_loopback() {
            let problem = format!("is {}, which others reach", self.listen);
            if auth.tokens.is_empty() {
                let remedy = "declare `auth.tokens`, or listen at `127.0.0.1:7700`";
                return Err(ConfigError::new("listen", problem, remedy));
            }
            if !self.allow_insecure {
                let remedy = "put a proxy that speaks TLS in front and listen at `127.0.0.1:7700`, or set \
                              `server.allow_insecure = true` if the network is trusted";
                return Err(ConfigError::new("listen", format!("{problem} without TLS"), remedy));
            }
        }
        for (field, count, most) in [
            ("connections_max", self.connections_max, 1 << 20),
            ("requests_max", self.requests_max, 1 << 20),
            ("body_bytes_max", self.body_bytes_max, 1 << 26),
            ("batch_keys_max", self.batch_keys_max, 100_000),
            ("batch_bytes_max", self.batch_bytes_max, 1 << 30),
        ] {
            if !(1..=most).contains(&count) {
                let remedy = format!("use 1 to {most}");
                return Err(ConfigError::new(field, format!("is {count}"), remedy));
            }
        }
        for (field, span) in [
            ("header_timeout", self.header_timeout),
            ("body_timeout", self.body_timeout),
            ("write_timeout", self.write_timeout),
            ("drain_timeout", self.drain_timeout),
        ] {
            if span.is_zero() || span > Duration::from_hours(1) {
                let problem = format!("is {span:?}");
                return Err(ConfigError::new(
                    field,
                    problem,
                    "use a span such as `5s`, 1h at most",
                ));
            }
        }
        self.check_clients()
    }

    fn check_clients(&self) -> Result<(), ConfigError> {
        if let Some(rate) = self.requests_per_second
            && !(rate > 0.0 && rate.is_finite())
        {
            let remedy = "use a positive number, or leave it out";
            return Err(ConfigError::new("requests_per_second", format!("is {rate}"), remedy));
        }
        if let Some(name) = &self.client_header
            && HeaderName::from_bytes(name.as_bytes()).is_err()
        {
            let problem = format!("is `{}`, which is no name of a header", name.escape_debug());
            return Err(ConfigError::new(
                "client_header",
                problem,
                "use one such as `x-client-id`",
            ));
        }
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        for (nth, host) in self.hosts.iter().enumerate() {
            if host.is_empty() || host.len() > 255 || !host.chars().all(is_host) {
                let problem = format!("is `{}`, which is no host", host.escape_debug());
                let remedy = "use a name such as `cache.example.com`, with or without `:port`";
                return Err(ConfigError::new(format!("hosts[{nth}]"), problem, remedy));
            }
        }
        Ok(())
    }
}
