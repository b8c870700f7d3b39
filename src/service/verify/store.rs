//! The L2 that is tried: one that was given, or one of our own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::place::Place;
use super::route::Route;
use crate::lab::{Data, LabError, Persistence, PostgresServer, RedisServer};
use crate::lab::{PostgresOptions, RedisOptions};
use crate::service::console::Failure;

/// What the L2 is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Kind {
    Sqlite,
    Redis,
    Postgres,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }

    /// What a URL begins with, and the port where it names none.
    const fn schemes(self) -> (&'static [&'static str], u16) {
        match self {
            Self::Sqlite => (&[], 0),
            Self::Redis => (&["redis://", "rediss://"], 6379),
            Self::Postgres => (&["postgres://", "postgresql://"], 5432),
        }
    }

    /// Says what is wrong with a URL. Not what it is: it may have a password in it.
    pub(super) fn check(self, url: &str) -> Result<(), String> {
        let (schemes, _) = self.schemes();
        if schemes.is_empty() || schemes.iter().any(|scheme| url.starts_with(scheme)) {
            return Ok(());
        }
        Err(format!("the URL for `--l2 {}` begins with {}", self.name(), schemes.join(" or ")))
    }
}

/// The L2 that is tried.
#[derive(Debug)]
pub(super) enum Store {
    /// A file.
    File {
        path: PathBuf,
        is_ours: bool,
    },
    Redis(RedisServer),
    Postgres(PostgresServer),
    /// Somebody else's server, which is let be.
    Given(Given),
}

/// Somebody else's server.
pub(super) struct Given {
    kind: Kind,
    url: String,
    /// Where it is; `None` if no proxy can stand before it.
    route: Option<(Route, SocketAddr)>,
}

impl Store {
    /// Uses what is at `url`, or starts a server of our own. `folder` has room for files.
    pub(super) async fn launch(
        kind: Kind,
        url: Option<&str>,
        folder: &Path,
    ) -> Result<Self, Failure> {
        match (kind, url) {
            (Kind::Sqlite, Some(path)) => Ok(Self::File { path: path.into(), is_ours: false }),
            (Kind::Sqlite, None) => Ok(Self::File { path: folder.join("l2.db"), is_ours: true }),
            (Kind::Redis, None) => {
                // So that what it finds after a kill is a second old.
                let options = RedisOptions::default().persistence(Persistence::Rdb);
                Ok(Self::Redis(RedisServer::launch(options).await?))
            }
            (Kind::Postgres, None) => {
                Ok(Self::Postgres(PostgresServer::launch(PostgresOptions::default()).await?))
            }
            (_, Some(url)) => Ok(Self::Given(Given::new(kind, url).await?)),
        }
    }

    /// Where a proxy may stand before it.
    pub(super) fn upstream(&self) -> Option<SocketAddr> {
        match self {
            Self::File { .. } => None,
            Self::Redis(server) => Some(server.addr()),
            Self::Postgres(server) => Some(server.addr()),
            Self::Given(given) => given.route.as_ref().map(|(_, upstream)| *upstream),
        }
    }

    /// How a node gets to it, through a proxy if there is one.
    pub(super) fn place(&self, via: Option<SocketAddr>) -> Place {
        match self {
            Self::File { path, .. } => Place::Sqlite { path: path.clone() },
            Self::Redis(server) => {
                Place::Redis { url: server.url_at(via.unwrap_or_else(|| server.addr())) }
            }
            Self::Postgres(server) => {
                Place::Postgres { url: server.url_at(via.unwrap_or_else(|| server.addr())) }
            }
            Self::Given(given) => given.place(via),
        }
    }

    /// The file, if it is ours.
    pub(super) fn own_file(&self) -> Option<&Path> {
        match self {
            Self::File { path, is_ours: true } => Some(path),
            _ => None,
        }
    }

    /// Whether there is a server that is ours.
    pub(super) const fn has_own_server(&self) -> bool {
        matches!(self, Self::Redis(_) | Self::Postgres(_))
    }

    pub(super) fn freeze(&self) -> Result<(), LabError> {
        match self {
            Self::Redis(server) => server.freeze(),
            Self::Postgres(server) => server.freeze(),
            Self::File { .. } | Self::Given(_) => Ok(()),
        }
    }

    pub(super) fn thaw(&self) -> Result<(), LabError> {
        match self {
            Self::Redis(server) => server.thaw(),
            Self::Postgres(server) => server.thaw(),
            Self::File { .. } | Self::Given(_) => Ok(()),
        }
    }

    pub(super) fn kill(&self) -> Result<(), LabError> {
        match self {
            Self::Redis(server) => server.kill(),
            Self::Postgres(server) => server.kill(),
            Self::File { .. } | Self::Given(_) => Ok(()),
        }
    }

    pub(super) async fn start(&self, data: Data) -> Result<(), LabError> {
        match self {
            Self::Redis(server) => server.start(data).await,
            Self::Postgres(server) => server.start(data).await,
            Self::File { .. } | Self::Given(_) => Ok(()),
        }
    }
}

impl Given {
    async fn new(kind: Kind, url: &str) -> Result<Self, Failure> {
        let (_, default_port) = kind.schemes();
        let route = match Route::of(url, default_port) {
            Some(route) => {
                let upstream = route.resolve().await;
                let upstream =
                    upstream.map_err(|error| format!("the server is not found: {error}"))?;
                Some((route, upstream))
            }
            None => None,
        };
        Ok(Self { kind, url: url.to_owned(), route })
    }

    fn place(&self, via: Option<SocketAddr>) -> Place {
        let url = match (&self.route, via) {
            (Some((route, _)), Some(via)) => route.via(via),
            _ => self.url.clone(),
        };
        if self.kind == Kind::Redis { Place::Redis { url } } else { Place::Postgres { url } }
    }
}

/// Without the URL, which may have a password in it.
impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("route", &self.route).finish_non_exhaustive()
    }
}
