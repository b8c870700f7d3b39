//! How a PostgreSQL server is set up.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use super::certificates::Certificates;

/// How a PostgreSQL server is set up. By default it asks for no password and never waits for a
/// disk, which loses nothing as long as the system itself does not fail.
#[derive(Clone, Default)]
pub struct PostgresOptions {
    pub(super) password: Option<String>,
    pub(super) has_tls: bool,
    settings: Vec<(&'static str, String)>,
}

impl PostgresOptions {
    /// The password of the role that may do everything, in characters that a URL may have. Without
    /// one, everybody is taken to be whom they say they are.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Encrypted connections to those who want one, with a certificate for `localhost` and
    /// `127.0.0.1` from an authority of its own:
    /// [`PostgresServer::authority`](super::PostgresServer::authority).
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.has_tls = true;
        self
    }

    /// Any setting of the server.
    #[must_use]
    pub fn setting(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }

    /// The arguments of a server in `home`.
    pub(super) fn arguments(&self, home: &Path, address: SocketAddr) -> Vec<OsString> {
        let set = |name: &str, value: &str| OsString::from(format!("--{name}={value}"));
        let mut arguments = vec![
            "-D".into(),
            home.join("data").into(),
            set("listen_addresses", &address.ip().to_string()),
            set("port", &address.port().to_string()),
            set("unix_socket_directories", ""),
            set("fsync", "off"),
            set("full_page_writes", "off"),
            set("shared_buffers", "16MB"),
            // In files of its own, which go with its directory.
            set("dynamic_shared_memory_type", "mmap"),
        ];
        if self.has_tls {
            let Certificates { certificate, key, .. } = Certificates::paths(home);
            arguments.push(set("ssl", "on"));
            arguments.push(set("ssl_cert_file", &certificate.to_string_lossy()));
            arguments.push(set("ssl_key_file", &key.to_string_lossy()));
        }
        arguments.extend(self.settings.iter().map(|(name, value)| set(name, value)));
        arguments
    }
}

/// Without the password.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = f.debug_struct("PostgresOptions");
        options.field("has_tls", &self.has_tls).finish_non_exhaustive()
    }
}
