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
pub(super) fn describe<V>(headers: &mut HeaderMap, read: &Read<V>, how: How, took: Duration) {
    let (from, is_stale) = (name(read.from), read.freshness == Freshness::Stale);
    let status = match (read.from, is_stale) {
        (ReadFrom::L1 | ReadFrom::L2, false) => {
            let ttl = read.fresh_for.as_secs();
            Line::default()
                .text("forewarm; hit; ttl=")
                .number(ttl)
                .text("; detail=")
                .text(from)
                .value()
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
            Line::default().text("forewarm; fwd=").text(why).text(stored).text(collapsed).value()
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

/// How long it took, in milliseconds. What was answered at once took no time worth a look at a clock.
fn timing(from: &'static str, took: Duration) -> Option<HeaderValue> {
    if took.is_zero() {
        return Some(HeaderValue::from_static("l1;dur=0"));
    }
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let (millis, rest) = (micros / 1_000, micros % 1_000);
    let zeros = if rest < 10 {
        "00"
    } else if rest < 100 {
        "0"
    } else {
        ""
    };
    let mut line = Line::default();
    line.text(from).text(";dur=").number(millis).text(".").text(zeros).number(rest).value()
}

/// A value of a header that is written without a text of its own, and without formatting: both would
/// cost a hit more than the hit.
#[derive(Default)]
struct Line(SmallVec<[u8; 64]>);

impl Line {
    fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.text(itoa::Buffer::new().format(number))
    }

    fn value(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(&self.0).ok()
    }
}
