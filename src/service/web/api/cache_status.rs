//! How an answer was come by: `Cache-Status` (RFC 9211), `Age` (RFC 9111), `Server-Timing`.

use std::time::Duration;

use axum::http::header::AGE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use crate::entry::Freshness;
use crate::flight::ReadFrom;
use crate::resource::Read;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// How a value was asked for, and of which kind it is.
#[derive(Clone, Copy)]
pub(super) struct How {
    /// Whether its reader had asked for a reload.
    pub(super) is_reload: bool,
    /// Whether values of its kind are kept.
    pub(super) is_kept: bool,
}

/// Says how an answer was come by.
pub(super) fn describe<V>(
    headers: &mut HeaderMap,
    read: &Read<V>,
    how: How,
    took: Option<Duration>,
) {
    let (from, is_stale) = (name(read.from), read.freshness == Freshness::Stale);
    let status = match (read.from, is_stale) {
        (ReadFrom::L1 | ReadFrom::L2, false) => {
            let ttl = read.fresh_for.as_secs();
            hit(ttl, from)
        }
        // A stale value that is served meanwhile: not even a second of its lifetime is left.
        (ReadFrom::L1 | ReadFrom::L2, true) => {
            Some(HeaderValue::from_static("forewarm; hit; ttl=-1; detail=stale"))
        }
        // The source was asked, and has failed.
        (ReadFrom::Source, true) => {
            Some(HeaderValue::from_static("forewarm; fwd=stale; detail=stale-if-error"))
        }
        (ReadFrom::Source, false) => {
            let why = if how.is_reload { "request" } else { "miss" };
            let stored = if read.fresh_for.is_zero() || !how.is_kept { "" } else { "; stored" };
            let collapsed = if read.joined.is_some() { "; collapsed" } else { "" };
            HeaderValue::try_from(format!("forewarm; fwd={why}{stored}{collapsed}")).ok()
        }
    };
    // What has just come from the source has no age (RFC 9111, 5.1).
    if read.from != ReadFrom::Source || is_stale {
        headers.insert(AGE, HeaderValue::from(read.age.as_secs()));
    }
    for (name, value) in [(CACHE_STATUS, status), (SERVER_TIMING, timing(from, took))] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

const fn name(from: ReadFrom) -> &'static str {
    match from {
        ReadFrom::L1 => "l1",
        ReadFrom::L2 => "l2",
        ReadFrom::Source => "source",
    }
}

/// A hit. It is written without formatting, which would cost more than the hit.
fn hit(ttl: u64, from: &str) -> Option<HeaderValue> {
    let (mut line, mut number) = (SmallVec::<[u8; 64]>::new(), itoa::Buffer::new());
    for part in ["forewarm; hit; ttl=", number.format(ttl), "; detail=", from] {
        line.extend_from_slice(part.as_bytes());
    }
    HeaderValue::from_bytes(&line).ok()
}

/// How long it took, in milliseconds. What memory had was not worth a look at a clock.
fn timing(from: &'static str, took: Option<Duration>) -> Option<HeaderValue> {
    let Some(took) = took else { return Some(HeaderValue::from_static("l1;dur=0")) };
    let micros = took.as_micros();
    let text = format!("{from};dur={}.{:03}", micros / 1_000, micros % 1_000);
    HeaderValue::try_from(text).ok()
}
