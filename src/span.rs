//! How spans of time are written in settings: `"60s"`, `"5m"`, `"1h 30m"`.

pub(crate) use jiff::fmt::serde::unsigned_duration::friendly::compact::required::{
    deserialize, serialize,
};

/// The same for a span that may be left out.
pub(crate) mod optional {
    pub(crate) use jiff::fmt::serde::unsigned_duration::friendly::compact::optional::{
        deserialize, serialize,
    };
}
