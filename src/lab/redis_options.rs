//! How a Redis server is set up.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::certificates::Certificates;
use super::{LabError, port};

/// How a Redis server is set up. By default it asks for no password and writes nothing to disk.
#[derive(Clone, Default)]
pub struct RedisOptions {
    pub(super) password: Option<String>,
    users: Vec<String>,
    persistence: Persistence,
    pub(super) has_tls: bool,
    role: Role,
    pub(super) announced: Option<SocketAddr>,
    settings: Vec<(&'static str, String)>,
}

/// What a Redis server writes to disk, and so finds again after it was killed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Persistence {
    /// Nothing by itself. What [`RedisServer::save`](super::RedisServer::save) has written is found
    /// again.
    #[default]
    Off,
    /// A snapshot a second or more after a change; a kill loses what came after the last one.
    Rdb,
    /// Every change before it is answered; a kill loses nothing.
    Aof,
}

/// What a process of `redis-server` is.
#[derive(Clone, Default)]
pub(super) enum Role {
    #[default]
    Alone,
    /// A node of a cluster.
    Node,
    /// A sentinel, with what it is told in its file.
    Sentinel(String),
}

impl RedisOptions {
    /// The password of the user `default`, in characters that a URL may have. Without one,
    /// everybody is that user.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// One more user, with rules such as `on >secret ~app:* &* +@all`.
    #[must_use]
    pub fn user(mut self, name: &str, rules: &str) -> Self {
        self.users.push(format!("user {name} {rules}"));
        self
    }

    /// What is written to disk. Default: nothing.
    #[must_use]
    pub fn persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = persistence;
        self
    }

    /// The most memory that data may take, and what becomes of keys that find no room, such as
    /// `noeviction` or `allkeys-lru`.
    #[must_use]
    pub fn max_memory(self, bytes: u64, policy: &str) -> Self {
        self.setting("maxmemory", bytes.to_string()).setting("maxmemory-policy", policy)
    }

    /// Only encrypted connections, with a certificate for `localhost` and `127.0.0.1` from an
    /// authority of its own: [`RedisServer::authority`](super::RedisServer::authority). Not for
    /// clusters and sentinels.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.has_tls = true;
        self
    }

    /// Any other line of `redis.conf`.
    #[must_use]
    pub fn setting(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }

    pub(super) fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// The address at which others are told to look for it, if that is not where it listens.
    pub(super) fn announced(mut self, address: Option<SocketAddr>) -> Self {
        self.announced = address;
        self
    }

    pub(super) fn is_sentinel(&self) -> bool {
        matches!(self.role, Role::Sentinel(_))
    }

    /// Writes `redis.conf` and the file of users.
    pub(super) fn write(&self, home: &Path, address: SocketAddr) -> Result<(), LabError> {
        let failed = |source| LabError::io("writing redis.conf", source);
        fs::create_dir(home.join("data")).map_err(failed)?;
        let secret = self.password.as_ref().map(|password| format!(">{password}"));
        let secret = secret.as_deref().unwrap_or("nopass");
        let default = format!("user default on {secret} ~* &* +@all");
        let users = [&[default], &self.users[..]].concat().join("\n");
        fs::write(home.join("users.acl"), users + "\n").map_err(failed)?;
        let lines = self.lines(home, address).join("\n");
        fs::write(home.join("redis.conf"), lines + "\n").map_err(failed)
    }

    fn lines(&self, home: &Path, address: SocketAddr) -> Vec<String> {
        let (ip, port) = (address.ip(), address.port());
        let data = home.join("data");
        let mut lines = vec![format!("bind {ip}"), "protected-mode no".to_owned()];
        lines.push(format!("dir \"{}\"", data.display()));
        lines.extend(if self.has_tls { tls(home, port) } else { vec![format!("port {port}")] });
        match &self.role {
            Role::Alone => lines.extend(self.for_data(home)),
            Role::Node => {
                lines.extend(self.for_data(home));
                lines.push("cluster-enabled yes".to_owned());
                // Not with the data: a node that has lost those is still in the cluster.
                lines.push(format!("cluster-config-file \"{}/nodes.conf\"", home.display()));
                lines.push("cluster-node-timeout 1000".to_owned());
            }
            Role::Sentinel(told) => lines.push(told.clone()),
        }
        if let Some(announced) = self.announced {
            lines.extend(self.announce(announced, port));
        }
        lines.extend(self.settings.iter().map(|(name, value)| format!("{name} {value}")));
        lines
    }

    /// The lines of a server that holds data.
    fn for_data(&self, home: &Path) -> Vec<String> {
        let mut lines = vec![
            format!("aclfile \"{}/users.acl\"", home.display()),
            self.persistence.lines().to_owned(),
            // A replica need not wait for others that might want a copy too.
            "repl-diskless-sync-delay 0".to_owned(),
        ];
        lines.extend(self.password.as_ref().map(|password| format!("masterauth \"{password}\"")));
        lines
    }

    fn announce(&self, at: SocketAddr, port: u16) -> Vec<String> {
        let (ip, announced) = (at.ip(), at.port());
        if matches!(self.role, Role::Node) {
            // The peers talk to each other directly.
            let bus = port + port::BUS;
            vec![
                format!("cluster-announce-ip {ip}"),
                format!("cluster-announce-port {announced}"),
                format!("cluster-announce-bus-port {bus}"),
            ]
        } else {
            vec![format!("replica-announce-ip {ip}"), format!("replica-announce-port {announced}")]
        }
    }
}

fn tls(home: &Path, port: u16) -> Vec<String> {
    let Certificates { authority, certificate, key } = Certificates::paths(home);
    vec![
        "port 0".to_owned(),
        format!("tls-port {port}"),
        format!("tls-cert-file \"{}\"", certificate.display()),
        format!("tls-key-file \"{}\"", key.display()),
        format!("tls-ca-cert-file \"{}\"", authority.display()),
        "tls-auth-clients no".to_owned(),
    ]
}

impl Persistence {
    fn lines(self) -> &'static str {
        match self {
            Self::Off => "save \"\"\nappendonly no",
            Self::Rdb => "save 1 1\nappendonly no",
            Self::Aof => "save \"\"\nappendonly yes\nappendfsync always",
        }
    }
}

/// Without the passwords.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = f.debug_struct("RedisOptions");
        options.field("persistence", &self.persistence).field("has_tls", &self.has_tls);
        options.finish_non_exhaustive()
    }
}
