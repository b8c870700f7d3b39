//! Who may do what.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::secret::Secret;
use crate::error::ConfigError;

/// Who may do what.
///
/// Without tokens everybody who reaches the service may do everything, and it listens on the loopback
/// interface only.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct AuthSettings {
    /// Who is known. Default: nobody needs to be.
    pub(crate) tokens: Vec<TokenSettings>,
    /// What may be read without a token, besides `/healthz`, `/readyz` and the page of the dashboard,
    /// which shows nothing without one. Default: nothing.
    pub(crate) public: BTreeSet<PublicPart>,
}

/// A token and what it allows.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct TokenSettings {
    /// What it is called in the audit.
    pub(crate) name: String,
    /// The token: at least 32 bytes, in a variable or a file. `openssl rand -hex 32` makes one.
    pub(crate) secret: Secret,
    /// What it allows; each by itself.
    pub(crate) scopes: BTreeSet<Scope>,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// To read values, figures and explanations.
    Read,
    /// To invalidate and to warm.
    Write,
    /// To change how the service works: jobs, thresholds, reload.
    Admin,
}

/// What may be public.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PublicPart {
    /// `GET /v1/..`: the values.
    Data,
    /// `/metrics`.
    Metrics,
    /// `/openapi.json`.
    Openapi,
}

/// Two of each are enough for a rotation; more are for people.
const TOKENS_MAX: usize = 100;
const NAME_MAX: usize = 64;

impl AuthSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.tokens.len() > TOKENS_MAX {
            let problem = format!("are {}", self.tokens.len());
            return Err(ConfigError::new("auth.tokens", problem, "use 100 at most"));
        }
        for (nth, token) in self.tokens.iter().enumerate() {
            let within = |error: ConfigError| error.within(&format!("auth.tokens[{nth}]"));
            token.check().map_err(within)?;
        }
        Ok(())
    }
}

impl TokenSettings {
    fn check(&self) -> Result<(), ConfigError> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
        if self.name.is_empty() || self.name.len() > NAME_MAX || !self.name.chars().all(is_name) {
            let remedy = "use 1 to 64 letters, digits, `_`, `-`, `.` and `@`";
            return Err(ConfigError::new("name", "is none", remedy));
        }
        if self.secret.written().is_some() {
            let remedy = "use `{ env = \"NAME\" }` or `{ file = \"path\" }`";
            return Err(ConfigError::new("secret", "stands in the settings", remedy));
        }
        if self.scopes.is_empty() {
            let remedy = "use some of `read`, `write`, `admin`";
            return Err(ConfigError::new("scopes", "are none", remedy));
        }
        Ok(())
    }
}
