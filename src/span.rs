//! How spans of time are written in settings: `"60s"`, `"5m"`, `"1h 30m"`.

use std::time::Duration;

use jiff::fmt::friendly::SpanPrinter;

pub(crate) use jiff::fmt::serde::unsigned_duration::friendly::compact::required::{
    deserialize, serialize,
};

/// The same for a span that may be left out.
pub(crate) mod optional {
    pub(crate) use jiff::fmt::serde::unsigned_duration::friendly::compact::optional::{
        deserialize, serialize,
    };
}

/// A span as it is written in settings.
pub(crate) fn text(span: Duration) -> String {
    SpanPrinter::new().unsigned_duration_to_string(&span)
}
