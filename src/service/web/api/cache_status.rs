//! How an answer was come by: `Cache-Status` (RFC 9211), `Age` (RFC 9111), `Server-Timing`.

use std::fmt::{self, Write as _};
use std::time::Duration;

use axum::http::header::AGE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

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
pub(super) fn describe<V>(headers: &mut HeaderMap, read: &Read<V>, how: How, took: Duration) {
    let (from, is_stale) = (name(read.from), read.freshness == Freshness::Stale);
    let status = match (read.from, is_stale) {
        (ReadFrom::L1 | ReadFrom::L2, false) => {
            let ttl = read.fresh_for.as_secs();
            written(format_args!("forewarm; hit; ttl={ttl}; detail={from}"))
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
            written(format_args!("forewarm; fwd={why}{stored}{collapsed}"))
        }
    };
    // What has just come from the source has no age (RFC 9111, 5.1).
    if read.from != ReadFrom::Source || is_stale {
        headers.insert(AGE, HeaderValue::from(read.age.as_secs()));
    }
    headers.extend(status.map(|status| (CACHE_STATUS, status)));
    let micros = took.as_micros();
    let timing = written(format_args!("{from};dur={}.{:03}", micros / 1_000, micros % 1_000));
    headers.extend(timing.map(|timing| (SERVER_TIMING, timing)));
}

const fn name(from: ReadFrom) -> &'static str {
    match from {
        ReadFrom::L1 => "l1",
        ReadFrom::L2 => "l2",
        ReadFrom::Source => "source",
    }
}

/// A value that is written without a text of its own in between.
fn written(text: fmt::Arguments<'_>) -> Option<HeaderValue> {
    let mut line = Line { bytes: [0; 96], length: 0 };
    line.write_fmt(text).ok()?;
    HeaderValue::from_bytes(line.bytes.get(..line.length)?).ok()
}

struct Line {
    bytes: [u8; 96],
    length: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
