//! A URL whose host can be replaced by another, such as a proxy.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// A URL whose host can be replaced by another.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Route {
    before: String,
    host_and_port: String,
    after: String,
}

impl Route {
    /// The route to what is at a URL. `None` if it has no host, and if it has TLS: then the server
    /// is asked for a certificate that a proxy does not have.
    pub(super) fn of(url: &str, default_port: u16) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let has_tls =
            scheme == "rediss" || url.contains("sslmode=") || url.contains("sslrootcert=");
        let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let at = authority.rfind('@').map_or(0, |at| at + 1);
        let (credentials, host) = authority.split_at(at);
        if has_tls || host.is_empty() || host.starts_with(':') {
            return None;
        }
        // The colons of an address in brackets are its own.
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let host_and_port =
            if has_port { host.to_owned() } else { format!("{host}:{default_port}") };
        let before = format!("{scheme}://{credentials}");
        Some(Self { before, host_and_port, after: after.to_owned() })
    }

    /// The same URL, with this address for a host.
    pub(super) fn via(&self, address: SocketAddr) -> String {
        format!("{}{address}{}", self.before, self.after)
    }

    /// The address of the host.
    pub(super) async fn resolve(&self) -> io::Result<SocketAddr> {
        let mut found = tokio::net::lookup_host(&self.host_and_port).await?;
        found.next().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Without the credentials.
impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Route").field(&self.host_and_port).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_is_replaced_and_nothing_else() {
        let proxy = "127.0.0.1:9".parse().unwrap();
        for (url, host, via) in [
            ("redis://h", "h:1", "redis://127.0.0.1:9"),
            ("redis://:p%40@h:5/0", "h:5", "redis://:p%40@127.0.0.1:9/0"),
            ("postgres://u:p@h/d?x=1@2", "h:1", "postgres://u:p@127.0.0.1:9/d?x=1@2"),
            ("postgres://u@[::1]/d", "[::1]:1", "postgres://u@127.0.0.1:9/d"),
            ("postgres://u@[::1]:7/d", "[::1]:7", "postgres://u@127.0.0.1:9/d"),
        ] {
            let route = Route::of(url, 1).unwrap_or_else(|| panic!("{url}"));
            assert_eq!((route.host_and_port.as_str(), route.via(proxy).as_str()), (host, via));
        }
    }

    #[test]
    fn whoever_is_asked_for_a_certificate_cannot_be_replaced() {
        for url in ["rediss://h", "postgres://h/d?sslmode=verify-full", "postgres:///d", "h:1"] {
            assert_eq!(Route::of(url, 1), None, "{url}");
        }
    }
}
