//! Why a file is no trace.

use std::io;

use super::{Compression, FlawedLine};

/// Why a file is no trace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceError {
    #[error("`{file}` cannot be opened")]
    Open { file: String, source: io::Error },
    #[error("reading `{file}` ({compression}) broke off after {lines} lines: is it complete?")]
    Broken { file: String, lines: u64, compression: Compression, source: io::Error },
    #[error("{file}: {refusal}")]
    Refused { file: String, refusal: Refusal },
}

/// What in the text of a file makes it no trace.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "line {line} is the header of a CSV, but names no column `{column}`; expected `timestamp_s,key,client,op` or at least `timestamp_s,key`"
    )]
    Column { line: u64, column: &'static str },
    #[error("{unreadable} of {lines} lines cannot be understood; {first}; expected {expected}")]
    Unreadable { unreadable: u64, lines: u64, first: Box<FlawedLine>, expected: &'static str },
    #[error(
        "there is no request in it, and {skipped} lines that are none; expected reads in a CSV, or `GET` and `HEAD` with status 2xx or 304 in a log"
    )]
    Empty { skipped: u64 },
    #[error("line {line} names the 4,294,967,296th key or client; replay a part of the file")]
    TooManyNames { line: u64 },
}

impl Refusal {
    pub(super) fn of(self, file: &str) -> TraceError {
        TraceError::Refused { file: file.to_owned(), refusal: self }
    }
}
