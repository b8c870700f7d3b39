//! How the Redis tier is set up.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, TlsCertificates,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::RedisTier;
use super::apart::Apart;
use super::route::Route;
use crate::clock::Clock;
use crate::error::ConfigError;

/// How a [`RedisTier`] is set up.
///
/// A URL is `redis://user:password@host:6379/0`, with what is not needed left out; `rediss://` means
/// TLS.
#[derive(Clone)]
pub struct RedisOptions {
    place: Place,
    namespace: String,
    credentials: Option<Credentials>,
    sentinel_credentials: Option<Credentials>,
    ca_file: Option<PathBuf>,
    response_timeout: Duration,
    domains: usize,
    clock: Clock,
}

/// Where the servers are found.
#[derive(Clone)]
enum Place {
    Server(String),
    Sentinel { service: String, urls: Vec<String> },
    Cluster(Vec<String>),
}

/// User, which may be empty, and password.
type Credentials = (String, String);

/// What the options come to once they have been checked.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) route: Route,
    pub(super) apart: Apart,
    pub(super) namespace: String,
    pub(super) response_timeout: Duration,
    pub(super) domains: usize,
    pub(super) clock: Clock,
}

/// Beside this many, each call of a group would be many calls.
const DOMAINS_MAX: usize = 256;

const NAMESPACE_BYTES_MAX: usize = 64;

/// What the tier asks of a server, in scripts or without.
const COMMANDS: &str = "+eval +evalsha +info +time +select +ping +scan +dbsize +get +set \
    +getrange +setrange +unlink +pttl +pexpire +hget +hmget +hset +hsetnx +hdel +hlen +hincrby \
    +hgetall +hscan +sadd +smembers +zadd +zcard +zcount +zrange +zrem +zscore +xadd +xrange +publish +subscribe +cluster|slots";

impl RedisOptions {
    /// One server, at this URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self::at(Place::Server(url.into()))
    }

    /// The master of a service that sentinels watch over. Scheme, database and credentials of the
    /// URLs are those of the servers; see [`RedisOptions::sentinel_credentials`].
    #[must_use]
    pub fn sentinel<U: Into<String>>(
        service: impl Into<String>,
        urls: impl IntoIterator<Item = U>,
    ) -> Self {
        let urls = urls.into_iter().map(Into::into).collect();
        Self::at(Place::Sentinel { service: service.into(), urls })
    }

    /// A cluster, of which some nodes are at these URLs. All nodes take the same credentials.
    #[must_use]
    pub fn cluster<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Self {
        Self::at(Place::Cluster(urls.into_iter().map(Into::into).collect()))
    }

    fn at(place: Place) -> Self {
        let is_cluster = matches!(place, Place::Cluster(_));
        Self {
            place,
            namespace: "forewarm".to_owned(),
            credentials: None,
            sentinel_credentials: None,
            ca_file: None,
            response_timeout: Duration::from_secs(1),
            domains: if is_cluster { 16 } else { 1 },
            clock: Clock::system(),
        }
    }

    /// What all keys begin with, after a `{`. Default: `forewarm`.
    ///
    /// 1 to 64 letters, digits, `_` and `-`. Engines of several prefixes may share a namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// User and password for the servers, instead of those in the URLs. An empty user is the
    /// default one.
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// User and password for the sentinels. Default: none.
    #[must_use]
    pub fn sentinel_credentials(
        mut self,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        self.sentinel_credentials = Some((user.into(), password.into()));
        self
    }

    /// A file in PEM format with the authorities that certificates must come from, instead of the
    /// public ones. For `rediss://` only.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// How long a server may take to answer or to be connected to; then its connection is given up.
    /// Default: 1 s.
    ///
    /// A call fails after it, and earlier if its caller does not wait as long. 10 ms to 1 minute.
    #[must_use]
    pub fn response_timeout(mut self, response_timeout: Duration) -> Self {
        self.response_timeout = response_timeout;
        self
    }

    /// Over how many parts the keys are spread in a cluster, each of which lies on one node.
    /// Default: 16. Elsewhere there is one.
    ///
    /// It must be the same wherever the namespace is used. 1 to 256.
    #[must_use]
    pub fn domains(mut self, domains: usize) -> Self {
        self.domains = domains;
        self
    }

    /// A clock that has been moved ahead moves the server's time ahead: for tests. Default:
    /// [`Clock::system`].
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What a user of the server must be allowed, as `ACL SETUSER` has it: the keys and the channel
    /// of this namespace, and no command that is not needed.
    ///
    /// `scan` gives the names of all keys of the database, though not what they hold.
    #[must_use]
    pub fn acl_rule(&self) -> String {
        let namespace = &self.namespace;
        format!("resetkeys resetchannels -@all ~{{{namespace}.* &{namespace}:changed {COMMANDS}")
    }

    /// Begins to use the servers. They need not be there yet.
    ///
    /// # Errors
    ///
    /// A setting that cannot work. A server that cannot be used is none: see [`RedisTier`].
    pub async fn open(self) -> Result<RedisTier, ConfigError> {
        RedisTier::start(self.check()?).await
    }

    fn check(self) -> Result<Settings, ConfigError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let length = self.namespace.len();
        if !(1..=NAMESPACE_BYTES_MAX).contains(&length) || !self.namespace.bytes().all(is_plain) {
            let remedy = "use 1 to 64 letters, digits, `_` and `-`";
            return Err(ConfigError::new("namespace", "is not a plain name", remedy));
        }
        let range = Duration::from_millis(10)..=Duration::from_mins(1);
        if !range.contains(&self.response_timeout) {
            return Err(ConfigError::new("response_timeout", "is out of range", "use 10ms to 1m"));
        }
        let is_cluster = matches!(self.place, Place::Cluster(_));
        if !(1..=DOMAINS_MAX).contains(&self.domains) {
            return Err(ConfigError::new("domains", "is out of range", "use 1 to 256"));
        }
        if self.domains != 1 && !is_cluster {
            let problem = "is more than 1 without a cluster";
            return Err(ConfigError::new("domains", problem, "leave it out"));
        }
        let (route, apart) = (self.route()?, Apart::new(self.clone()));
        let Self { namespace, response_timeout, domains, clock, .. } = self;
        Ok(Settings { route, apart, namespace, response_timeout, domains, clock })
    }

    pub(super) fn route(&self) -> Result<Route, ConfigError> {
        match &self.place {
            Place::Server(url) => Ok(Route::server(self.server(url)?)),
            Place::Cluster(urls) => Ok(Route::cluster(self.servers(urls)?)),
            Place::Sentinel { service, urls } => {
                if service.is_empty() {
                    let remedy = "use the name in `sentinel monitor`";
                    return Err(ConfigError::new("service", "is empty", remedy));
                }
                let servers = self.servers(urls)?;
                let sentinels = servers.iter().map(|server| self.sentinel_at(server)).collect();
                let server = servers.into_iter().next().ok_or_else(nowhere)?;
                Ok(Route::sentinel(service.clone(), sentinels, server))
            }
        }
    }

    fn servers(&self, urls: &[String]) -> Result<Vec<ConnectionInfo>, ConfigError> {
        if urls.is_empty() {
            return Err(nowhere());
        }
        urls.iter().map(|url| self.server(url)).collect()
    }

    /// How a server at a URL is connected to.
    fn server(&self, url: &str) -> Result<ConnectionInfo, ConfigError> {
        // What redis-rs says of a URL does not repeat it: it may hold a password.
        let info = url.into_connection_info().map_err(|error| {
            let remedy = "use one such as `redis://user:password@host:6379/0`";
            ConfigError::new("url", format!("cannot be read ({error})"), remedy)
        })?;
        let settings = info.redis_settings().clone();
        let settings = with_credentials(settings, self.credentials.as_ref());
        let settings = settings.set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
        let info = info.set_redis_settings(settings);
        self.secured(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
    }

    /// How the sentinel at the address of a server is connected to.
    fn sentinel_at(&self, server: &ConnectionInfo) -> ConnectionInfo {
        let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        let settings = with_credentials(settings, self.sentinel_credentials.as_ref());
        server.clone().set_redis_settings(settings)
    }

    /// With what TLS needs, if it is used.
    fn secured(&self, info: ConnectionInfo) -> Result<ConnectionInfo, ConfigError> {
        let ConnectionAddr::TcpTls { insecure, .. } = info.addr() else { return Ok(info) };
        if *insecure {
            let problem = "asks not to check the certificate";
            return Err(ConfigError::new("url", problem, "give its authority as `ca_file`"));
        }
        // redis-rs takes the provider of the process, and panics where it cannot tell which.
        if CryptoProvider::get_default().is_none() {
            // If another thread was faster, there is one now.
            drop(ring::default_provider().install_default());
        }
        let Some(path) = &self.ca_file else { return Ok(info) };
        let pem = fs::read(path).map_err(|error| {
            ConfigError::new("ca_file", format!("cannot be read ({error})"), "see that it is there")
        })?;
        if CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).next().is_none() {
            return Err(ConfigError::new(
                "ca_file",
                "holds no certificate",
                "use one in PEM format",
            ));
        }
        let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
        let client = Client::build_with_tls(info, certificates).map_err(|error| {
            let problem = format!("cannot be used ({error})");
            ConfigError::new("ca_file", problem, "use certificates of authorities")
        })?;
        Ok(client.get_connection_info().clone())
    }
}

fn nowhere() -> ConfigError {
    ConfigError::new("url", "is missing", "give one or more")
}

fn with_credentials(
    settings: RedisConnectionInfo,
    credentials: Option<&Credentials>,
) -> RedisConnectionInfo {
    match credentials {
        Some((user, password)) if user.is_empty() => {
            // A user from the URL must not be combined with this password.
            let plain = RedisConnectionInfo::default().set_db(settings.db());
            plain.set_password(password)
        }
        Some((user, password)) => settings.set_username(user).set_password(password),
        None => settings,
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            Place::Server(_) => "server",
            Place::Sentinel { .. } => "sentinel",
            Place::Cluster(_) => "cluster",
        };
        f.debug_struct("RedisOptions")
            .field("place", &place)
            .field("namespace", &self.namespace)
            .field("domains", &self.domains)
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> RedisOptions {
        RedisOptions::new("redis://localhost")
    }

    #[test]
    fn what_cannot_work_is_refused_and_named() {
        assert!(options().check().is_ok());
        let home = tempfile::tempdir().unwrap();
        let empty = home.path().join("empty.pem");
        fs::write(&empty, "").unwrap();
        let tls = RedisOptions::new("rediss://localhost");
        let cases = [
            ("url", RedisOptions::new("localhost")),
            ("url", RedisOptions::new("http://localhost")),
            ("url", RedisOptions::new("rediss://localhost/#insecure")),
            ("url", RedisOptions::cluster([""; 0])),
            ("url", RedisOptions::sentinel("main", [""; 0])),
            ("service", RedisOptions::sentinel("", ["redis://localhost"])),
            ("namespace", options().namespace("")),
            ("namespace", options().namespace("a{b}")),
            ("namespace", options().namespace("a".repeat(65))),
            ("response_timeout", options().response_timeout(Duration::ZERO)),
            ("response_timeout", options().response_timeout(Duration::MAX)),
            ("domains", options().domains(2)),
            ("domains", RedisOptions::cluster(["redis://localhost"]).domains(0)),
            ("domains", RedisOptions::cluster(["redis://localhost"]).domains(257)),
            ("ca_file", tls.clone().ca_file(home.path().join("missing.pem"))),
            ("ca_file", tls.ca_file(&empty)),
        ];
        for (field, options) in cases {
            let error = options.clone().check().unwrap_err();
            assert_eq!(error.field(), field, "{options:?}: {error}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        let url = "redis://ada:CANARY@localhost/CANARY";
        let error = RedisOptions::new(url).check().unwrap_err();
        let options = RedisOptions::new("redis://ada:CANARY@localhost");
        let options = options.credentials("ada", "CANARY").sentinel_credentials("ada", "CANARY");
        let shown = format!("{options:?} {:?} {error:?} {error}", options.clone().check().unwrap());
        assert!(!shown.contains("CANARY"), "{shown}");
    }

    #[test]
    fn credentials_stand_in_for_those_of_the_url() {
        let credentials = |options: RedisOptions| {
            let info = options.server("redis://ada:one@localhost/3").unwrap();
            let settings = info.redis_settings();
            let user = settings.username().unwrap_or_default().to_owned();
            (user, settings.password().unwrap().to_owned(), settings.db())
        };
        let expected = |user: &str, password: &str| (user.to_owned(), password.to_owned(), 3);
        assert_eq!(credentials(options()), expected("ada", "one"));
        assert_eq!(credentials(options().credentials("eve", "two")), expected("eve", "two"));
        assert_eq!(credentials(options().credentials("", "two")), expected("", "two"));
    }
}
