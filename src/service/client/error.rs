//! Why a service did not do what it was asked.

use std::error::Error as _;

use reqwest::{StatusCode, Url};

/// Why a service did not do what it was asked. None of it shows a token.
#[derive(Debug, thiserror::Error)]
pub(in crate::service) enum ClientError {
    /// The command line cannot be meant so.
    #[error("{0}")]
    Usage(String),
    /// The token is not where it should be.
    #[error("{0}")]
    Token(String),
    /// Nobody answered.
    #[error("no service was reached at {place}: {what}")]
    Unreached {
        /// Where.
        place: String,
        /// Why not.
        what: String,
    },
    /// It does not do this, or not for this caller.
    #[error("the service at {place} refuses ({status}): {detail}")]
    Refused {
        /// Where.
        place: String,
        /// The status.
        status: StatusCode,
        /// What it says.
        detail: String,
    },
    /// It could not.
    #[error("the service at {place} failed ({status}): {detail}")]
    Failed {
        /// Where.
        place: String,
        /// The status.
        status: StatusCode,
        /// What it says.
        detail: String,
    },
    /// Something else answered.
    #[error("what answers at {place} is no forewarm: it answered {what}")]
    Strange {
        /// Where.
        place: String,
        /// What it did.
        what: String,
    },
    /// Not all was done.
    #[error("{0}")]
    Undone(String),
}

impl ClientError {
    /// What the innermost cause says, since the outer ones say no more than that it failed.
    pub(super) fn unreached(root: &Url, error: &reqwest::Error) -> Self {
        let what = if error.is_timeout() {
            "it did not answer in time".to_owned()
        } else {
            let mut cause = error.source();
            let mut what = "the connection failed".to_owned();
            while let Some(error) = cause {
                what = error.to_string();
                cause = error.source();
            }
            what
        };
        Self::Unreached { place: root.to_string(), what }
    }
}
