//! Why a server did not answer, or not as it should.

use std::error::Error as StdError;
use std::io;

use http::StatusCode;

use crate::error::LoadError;

/// Why a server did not answer, or not as it should: in words that hold no key, no URL, no header
/// and nothing of the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum HttpFault {
    /// There is no connection.
    #[error("the source cannot be reached: {0}")]
    Connect(io::ErrorKind),
    /// It took too long.
    #[error("the source did not answer in time")]
    Timeout,
    /// The connection broke.
    #[error("the answer of the source broke off: {0}")]
    Broken(io::ErrorKind),
    /// A request that cannot be sent.
    #[error("the source cannot be asked so")]
    Request,
    /// A path that leads nowhere.
    #[error("the path is not written as a server would understand it")]
    Path,
    /// It says that it cannot, or will not.
    #[error("the source answers with status {}", .0.as_u16())]
    Status(StatusCode),
    /// The answer is longer than is read.
    #[error("the answer of the source has more than {0} bytes")]
    TooLarge(usize),
    /// The answer is no JSON.
    #[error("the answer of the source is no JSON that can be kept")]
    NoJson,
}

impl HttpFault {
    /// What a client of HTTP says, without the URL that it says.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Connect(kind_of(error))
        } else if error.is_builder() || error.is_redirect() {
            Self::Request
        } else {
            Self::Broken(kind_of(error))
        }
    }

    fn is_transient(self) -> bool {
        match self {
            Self::Connect(_) | Self::Timeout | Self::Broken(_) => true,
            Self::Request | Self::Path | Self::TooLarge(_) | Self::NoJson => false,
            Self::Status(status) => {
                status.is_server_error()
                    || [
                        StatusCode::REQUEST_TIMEOUT,
                        StatusCode::TOO_EARLY,
                        StatusCode::TOO_MANY_REQUESTS,
                    ]
                    .contains(&status)
            }
        }
    }
}

/// What the system said, if it was the system.
fn kind_of(error: &reqwest::Error) -> io::ErrorKind {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind();
        }
        cause = error.source();
    }
    io::ErrorKind::Other
}

impl From<HttpFault> for LoadError {
    fn from(fault: HttpFault) -> Self {
        if fault.is_transient() { Self::transient(fault) } else { Self::permanent(fault) }
    }
}
