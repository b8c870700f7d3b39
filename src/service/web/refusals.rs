//! Requests that are refused before anything is asked of them.

use std::net::IpAddr;

use parking_lot::Mutex;

use super::problem::Problem;
use crate::clock::Moment;
use crate::limits::Bucket;
use crate::metrics::{Counters, Event, HTTP_REFUSED};

/// A request that is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) why: Why,
    pub(super) problem: Problem,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Why {
    /// A header is missing, or there twice.
    Header,
    /// It is under a name that is not ours.
    Host,
    /// It is of another site's page.
    Site,
    /// Too many come from its address.
    Rate,
    /// It has no token.
    NoToken,
    /// Its token is not known.
    Token,
    /// Its token is not known, like many before it from its address.
    Tokens,
    /// Its token may not do this.
    Scope,
}

/// Counts requests that are refused, and says so in the log, but not each time.
#[derive(Debug)]
pub(super) struct Refusals {
    counts: Counters<Why>,
    said: Mutex<Said>,
}

#[derive(Debug)]
struct Said {
    /// What may be said.
    lines: Bucket,
    /// Those that were not spoken of.
    unsaid: u64,
}

/// The most lines of the log a second, on average, and at once: who tries tokens must not fill a disk.
const LINES_PER_SECOND: f64 = 0.2;
const LINES_AT_ONCE: usize = 10;

impl Why {
    const ALL: [Self; 8] = [
        Self::Header,
        Self::Host,
        Self::Site,
        Self::Rate,
        Self::NoToken,
        Self::Token,
        Self::Tokens,
        Self::Scope,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Host => "host",
            Self::Site => "site",
            Self::Rate => "rate",
            Self::NoToken => "no_token",
            Self::Token => "token",
            Self::Tokens => "tokens",
            Self::Scope => "scope",
        }
    }

    /// Whether somebody may be trying what they should not. Without a token comes everybody who opens
    /// the dashboard.
    const fn is_suspicious(self) -> bool {
        !matches!(self, Self::NoToken)
    }

    /// A refusal for this reason.
    pub(super) fn refuse(self, problem: Problem) -> Refusal {
        Refusal { why: self, problem }
    }
}

impl Event for Why {
    fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    fn index(self) -> usize {
        self as usize
    }

    fn metric(self) -> &'static str {
        HTTP_REFUSED
    }

    fn labels(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        std::iter::once(("why", self.label()))
    }
}

impl Default for Refusals {
    fn default() -> Self {
        let lines = Bucket::new(LINES_PER_SECOND, LINES_AT_ONCE);
        Self { counts: Counters::new(), said: Mutex::new(Said { lines, unsaid: 0 }) }
    }
}

impl Refusals {
    /// Brings the figures to the `metrics` facade.
    pub(super) fn publish(&self) {
        self.counts.publish(&[]);
    }

    /// Counts a request that was refused.
    pub(super) fn note(&self, why: Why, address: IpAddr, now: Moment) {
        self.counts.one(why);
        if !why.is_suspicious() {
            return;
        }
        let unsaid = {
            let mut said = self.said.lock();
            if !said.lines.take(now) {
                said.unsaid += 1;
                return;
            }
            std::mem::take(&mut said.unsaid)
        };
        tracing::warn!(why = why.label(), %address, unsaid, "a request was refused");
    }
}
