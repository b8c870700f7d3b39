//! How an answer was come by: `Cache-Status` (RFC 9211), `Age` (RFC 9111), `Server-Timing`.

use std::fmt::Write as _;
use std::time::Duration;

use axum::http::header::AGE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use crate::entry::Freshness;
use crate::flight::ReadFrom;
use crate::resource::Read;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Says how an answer was come by.
pub(super) fn describe<V>(headers: &mut HeaderMap, read: &Read<V>, took: Duration) {
    let (from, stale) = (read.from, read.freshness == Freshness::Stale);
    let mut text = String::with_capacity(64);
    // A text takes whatever is written to it.
    let _written = match (from, stale) {
        (ReadFrom::L1 | ReadFrom::L2, false) => {
            write!(text, "forewarm; hit; ttl={}; detail={}", read.fresh_for.as_secs(), name(from))
        }
        // A stale value that is served meanwhile is a hit whose lifetime is over.
        (ReadFrom::L1 | ReadFrom::L2, true) => write!(text, "forewarm; hit; ttl=0; detail=stale"),
        (ReadFrom::Source, true) => write!(text, "forewarm; hit; ttl=0; detail=stale-if-error"),
        (ReadFrom::Source, false) => {
            let stored = if read.fresh_for.is_zero() { "" } else { "; stored" };
            let collapsed = if read.joined.is_some() { "; collapsed" } else { "" };
            write!(text, "forewarm; fwd=miss{stored}{collapsed}")
        }
    };
    insert(headers, CACHE_STATUS, text);
    headers.insert(AGE, HeaderValue::from(read.age.as_secs()));
    let mut text = String::with_capacity(32);
    let _written = write!(text, "{};dur={:.3}", name(from), took.as_secs_f64() * 1e3);
    insert(headers, SERVER_TIMING, text);
}

const fn name(from: ReadFrom) -> &'static str {
    match from {
        ReadFrom::L1 => "l1",
        ReadFrom::L2 => "l2",
        ReadFrom::Source => "source",
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
        headers.insert(name, value);
    }
}
