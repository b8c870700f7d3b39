//! The L2 that is tried: one that was given, or one of our own.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::place::Place;
use crate::service::console::Failure;

/// What the L2 is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Kind {
    Sqlite,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
        }
    }
}

/// The L2 that is tried.
#[derive(Debug)]
pub(super) enum Store {
    /// A file; ours, if nobody has given it.
    File { path: PathBuf, is_ours: bool },
}

impl Store {
    /// Uses what is at `url`, or starts a server of our own. `folder` has room for files.
    pub(super) async fn launch(
        kind: Kind,
        url: Option<&str>,
        folder: &Path,
    ) -> Result<Self, Failure> {
        Ok(match kind {
            Kind::Sqlite => {
                let path = url.map_or_else(|| folder.join("l2.sqlite"), PathBuf::from);
                Self::File { path, is_ours: url.is_none() }
            }
        })
    }

    /// How a node gets to it.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::File { path, .. } => Place::Sqlite { path: path.clone() },
        }
    }
}
