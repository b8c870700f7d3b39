//! What nobody may read in a file of settings, in a log or in an error.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Where a secret is: `{ env = "NAME" }` or `{ file = "path" }`. A text as it stands is taken as well,
/// for what may be a secret and need not, such as a URL; see [`Secret::written`].
#[derive(Clone, PartialEq)]
pub(crate) enum Secret {
    /// It stands in the settings.
    Written(String),
    /// It stands in a variable of the environment.
    Variable(Variable),
    /// It stands in a file, without what is white around it.
    File(File),
}

/// A variable of the environment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variable {
    env: String,
}

/// A file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct File {
    file: PathBuf,
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// Reads a secret as it is written. A list is none: its first element may be the secret itself, and
/// would be taken for the name of a variable.
struct Written;

/// The keys of a secret that is elsewhere.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Env,
    File,
}

impl<'de> Visitor<'de> for Written {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, `{ env = \"NAME\" }` or `{ file = \"path\" }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::Written(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        let secret = match map.next_key()? {
            Some(Place::Env) => Secret::Variable(Variable { env: map.next_value()? }),
            Some(Place::File) => Secret::File(File { file: map.next_value()? }),
            None => return Err(A::Error::invalid_length(0, &self)),
        };
        match map.next_key::<Place>()? {
            None => Ok(secret),
            Some(_) => Err(A::Error::invalid_length(2, &self)),
        }
    }
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

    /// Whether it stands in a file, which may be written anew at any time.
    pub(crate) const fn is_in_file(&self) -> bool {
        matches!(self, Self::File(_))
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
