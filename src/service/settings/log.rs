//! What is logged, and how.

use serde::Deserialize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::error::ConfigError;

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct LogSettings {
    /// How a line looks. Default: text.
    pub(crate) format: LogFormat,
    /// What is logged: a level, or what `tracing_subscriber::EnvFilter` reads, such as
    /// `info,forewarm=debug`. Default: `info`.
    pub(crate) level: String,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: "info".to_owned() }
    }
}

impl LogSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.filter().map(drop)
    }

    /// What is let through.
    ///
    /// # Errors
    ///
    /// The level is none.
    pub(crate) fn filter(&self) -> Result<EnvFilter, ConfigError> {
        let wrong = |why: &str| {
            let problem = format!("is `{}`, which {why}", self.level.escape_debug());
            let remedy =
                "use `error`, `warn`, `info`, `debug` or `trace`, or `info,forewarm=debug`";
            ConfigError::new("log.level", problem, remedy)
        };
        // A word that is no level would be taken for the name of a module, and nothing be logged.
        let is_word = !self.level.contains(['=', ',', '[']);
        if is_word && self.level.parse::<LevelFilter>().is_err() {
            return Err(wrong("is no level"));
        }
        let filter = EnvFilter::builder().parse(&self.level);
        filter.map_err(|error| wrong(&format!("cannot be read ({error})")))
    }
}
