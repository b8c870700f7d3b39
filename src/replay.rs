//! What the cache would have done for requests that were recorded.

pub(crate) mod trace;
