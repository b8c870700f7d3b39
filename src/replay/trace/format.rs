//! How the lines of a file are to be understood.

use super::csv::Columns;
use super::line::{Access, Flaw};
use super::log;

/// How the lines of a file are to be understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    /// `timestamp_s,key,client,op,..`
    Csv(Columns),
    /// The log of a web server.
    Log,
}

impl Format {
    /// Tells the format by the first line.
    ///
    /// # Errors
    ///
    /// The column that a CSV lacks.
    pub(super) fn of(first: &[u8]) -> Result<Self, &'static str> {
        Ok(Columns::of(first)?.map_or(Self::Log, Self::Csv))
    }

    /// Reads a line; gives `None` if it says something else than that a key was read.
    pub(super) fn parse<'a>(&self, line: &'a [u8]) -> Result<Option<Access<'a>>, Flaw> {
        match self {
            Self::Csv(columns) => columns.parse(line),
            Self::Log => log::parse(line),
        }
    }

    /// What is right, for who reads what is wrong.
    pub(super) const fn expected(&self) -> &'static str {
        match self {
            Self::Csv(_) => {
                "a time in seconds and a key in the columns that the header names, such as \
                 `12.5,user:7`"
            }
            Self::Log => {
                "the log of a web server, such as `host - - [10/Oct/2000:13:55:36 -0700] \
                 \"GET /path HTTP/1.0\" 200 2326`, or a CSV with the header `timestamp_s,key`, \
                 either of them plain or packed by gzip, xz or zstd"
            }
        }
    }
}
