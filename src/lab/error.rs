//! What the lab can fail with.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

/// Why the lab could not do what it was asked to.
///
/// No message names a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A program is not there.
    #[error("`{program}` is not installed; on Debian: apt-get install {package}")]
    Missing {
        /// The name of the program.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// Root may not run the server, and the user who may is not there.
    #[error("this runs as root, which may not run the server, and there is no user `{name}`")]
    NoUser {
        /// The name of the user.
        name: String,
    },
    /// A program ended where it should not have.
    #[error("`{program}` ended before it answered; it said: {last_words}")]
    Ended {
        /// The name of the program.
        program: &'static str,
        /// The end of what it has written.
        last_words: String,
    },
    /// A server runs, and does not answer as it should.
    #[error("`{program}` did not become ready within {within:?}; it said: {last_words}")]
    NotReady {
        /// The name of the program.
        program: &'static str,
        /// How long it was waited for.
        within: Duration,
        /// The end of what it has written.
        last_words: String,
    },
    /// A server answered with an error, or with something else than what was asked for.
    #[error("{doing} failed")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// What came back.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The system failed.
    #[error("{doing} failed")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be done in the present state.
    #[error("{0}")]
    State(&'static str),
}

impl LabError {
    pub(super) fn io(doing: &'static str, source: io::Error) -> Self {
        Self::Io { doing, source }
    }

    pub(super) fn refused(
        doing: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Refused { doing, source: source.into() }
    }
}
