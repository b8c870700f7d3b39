//! What nobody may read in a file of settings, in a log or in an error.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// Where a secret is: `{ env = "NAME" }` or `{ file = "path" }`. A text as it stands is taken as well,
/// for what may be a secret and need not, such as a URL; see [`Secret::written`].
#[derive(Clone, Deserialize, PartialEq)]
#[serde(untagged, expecting = "a text, `{ env = \"NAME\" }` or `{ file = \"path\" }`")]
pub(crate) enum Secret {
    /// It stands in the settings.
    Written(String),
    /// It stands in a variable of the environment.
    Variable(Variable),
    /// It stands in a file, without what is white around it.
    File(File),
}

/// A variable of the environment.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variable {
    env: String,
}

/// A file.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    file: PathBuf,
}

/// A secret that is not where it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// The variable is not set, or is no text.
    #[error("the variable `{0}` of the environment is not set, or is no UTF-8 text")]
    Variable(String),
    /// The file cannot be read.
    #[error("the file `{}` cannot be read ({})", .0.display(), .1.kind())]
    File(PathBuf, std::io::Error),
    /// There is nothing there.
    #[error("it is empty")]
    Empty,
}

impl Secret {
    /// What it is.
    ///
    /// # Errors
    ///
    /// It is not where it should be.
    pub(crate) fn reveal(&self) -> Result<String, SecretError> {
        let text = match self {
            Self::Written(text) => text.clone(),
            Self::Variable(Variable { env }) => {
                std::env::var(env).map_err(|_unset| SecretError::Variable(env.clone()))?
            }
            Self::File(File { file }) => {
                let read = std::fs::read_to_string(file);
                read.map_err(|error| SecretError::File(file.clone(), error))?.trim().to_owned()
            }
        };
        if text.is_empty() { Err(SecretError::Empty) } else { Ok(text) }
    }

    /// What stands in the settings themselves, if it does.
    pub(crate) fn written(&self) -> Option<&str> {
        match self {
            Self::Written(text) => Some(text),
            Self::Variable(_) | Self::File(_) => None,
        }
    }
}

/// Where it is, and never what it is.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written(_) => f.write_str("***"),
            Self::Variable(Variable { env }) => write!(f, "{{ env = {env:?} }}"),
            Self::File(File { file }) => write!(f, "{{ file = {file:?} }}"),
        }
    }
}
