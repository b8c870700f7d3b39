//! What keeps a source from being used at all.

use crate::error::ConfigError;
use crate::service::settings::secret::SecretError;
use crate::sql::SqlError;

/// What keeps a source from being used as the settings say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// A setting that cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A secret that is not where it should be.
    #[error("`{field}` cannot be read")]
    Secret {
        /// The setting.
        field: String,
        /// Why.
        source: SecretError,
    },
    /// A query that the database does not take, or cannot be asked about.
    #[error("source `{name}` does not take `{field}`")]
    Query {
        /// The source.
        name: String,
        /// The setting.
        field: String,
        /// What the database says.
        source: SqlError,
    },
}

impl From<SourceError> for ConfigError {
    fn from(error: SourceError) -> Self {
        let field = error.field().to_owned();
        match error {
            SourceError::Config(error) => error,
            SourceError::Secret { source, .. } => {
                let remedy = "set the variable, or write the file";
                Self::new(field, format!("cannot be had: {source}"), remedy)
            }
            SourceError::Query { source, .. } => {
                Self::new(field, format!("is not taken: {source}"), "see what the database says")
            }
        }
    }
}

impl SourceError {
    /// The same setting as part of `whole`.
    pub(crate) fn within(self, whole: &str) -> Self {
        match self {
            Self::Config(error) => Self::Config(error.within(whole)),
            Self::Secret { field, source } => {
                Self::Secret { field: format!("{whole}.{field}"), source }
            }
            Self::Query { name, field, source } => {
                Self::Query { name, field: format!("{whole}.{field}"), source }
            }
        }
    }

    /// The setting.
    pub(crate) fn field(&self) -> &str {
        match self {
            Self::Config(error) => error.field(),
            Self::Secret { field, .. } | Self::Query { field, .. } => field,
        }
    }

    /// Whether it may pass: the source could not be asked.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Query { source, .. } if source.is_transient())
    }

    pub(super) fn secret(field: String, source: SecretError) -> Self {
        Self::Secret { field, source }
    }

    pub(super) fn query(name: &str, field: &str, error: sqlx::Error) -> Self {
        let (name, field) = (name.to_owned(), field.to_owned());
        Self::Query { name, field, source: error.into() }
    }

    /// A source that is asked as if it were of another kind.
    pub(super) fn kind(name: &str) -> Self {
        let problem = format!("is `{name}`, which cannot be asked so");
        Self::Config(ConfigError::new("source", problem, "name a source of the other kind"))
    }
}
