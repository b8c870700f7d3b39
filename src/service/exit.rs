//! What a command ends with.

use std::process::ExitCode;

use super::app::AppError;
use super::check::CheckError;
use super::client::ClientError;
use super::console::Failure;
use super::serve::BrokenOff;
use super::settings::SettingsError;
use crate::error::{ConfigError, Error};

/// What commands end with, as their help says it. `verify` has codes of its own.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  it failed
  2  the command line cannot be understood
  3  the settings were refused
  4  the service was not reached
  5  the service refused (401, 403, 404 and the like)
  6  it was told to end, and broke off what was under way";

/// What those end with that read no settings and ask no service, as their help says it.
pub(super) const OF_ITS_OWN: &str = "\
Exit codes:
  0  done
  1  it failed
  2  the command line cannot be understood";

/// What a command that failed ends with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Code {
    Failed = 1,
    Usage = 2,
    Settings = 3,
    Unreached = 4,
    Refused = 5,
    BrokenOff = 6,
}

/// What a command that failed so ends with.
pub(super) fn code_of(failure: &Failure) -> ExitCode {
    let code = if failure.is::<SettingsError>() || failure.is::<ConfigError>() {
        Code::Settings
    } else if let Some(error) = failure.downcast_ref::<AppError>() {
        match error {
            AppError::Settings(_) | AppError::Config(_) | AppError::Engine(Error::Config(_)) => {
                Code::Settings
            }
            AppError::Engine(_) => Code::Failed,
        }
    } else if let Some(error) = failure.downcast_ref::<CheckError>() {
        if error.is_refused() { Code::Settings } else { Code::Failed }
    } else if failure.is::<BrokenOff>() {
        Code::BrokenOff
    } else {
        match failure.downcast_ref::<ClientError>() {
            Some(ClientError::Usage(_)) => Code::Usage,
            Some(ClientError::Unreached { .. }) => Code::Unreached,
            Some(ClientError::Refused { .. }) => Code::Refused,
            Some(
                ClientError::Failed { .. }
                | ClientError::Strange { .. }
                | ClientError::Token(_)
                | ClientError::Undone(_),
            )
            | None => Code::Failed,
        }
    };
    ExitCode::from(code as u8)
}
