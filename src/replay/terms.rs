//! What is replayed, how, and by which rule.

use std::time::Duration;

use super::trace::Trace;

/// What is replayed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) rule: Rule,
    /// `None` never expires.
    pub(crate) ttl: Option<Duration>,
    /// In entries, over all resources; `None` holds everything.
    pub(crate) capacity: Option<u64>,
    pub(crate) latency: Duration,
    pub(crate) threshold: f64,
    /// The most loads beyond those of demand, as a share of these.
    pub(crate) load_budget: Option<f64>,
    /// The share of the capacity that the hot segment has.
    pub(crate) hot_share: f64,
    /// The share of the requests that come first and are not counted.
    pub(crate) warmup: f64,
    pub(crate) seed: u64,
}

impl Terms {
    /// How many requests of a trace come first and are not counted.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a number of requests"
    )]
    pub(super) fn uncounted(&self, trace: &Trace) -> usize {
        (trace.requests.len() as f64 * self.warmup) as usize
    }
}

/// What decides when a key is loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// Nothing but a request.
    Demand,
    /// Everything that the engine predicts.
    Forewarm,
    /// What is due and probably read again is renewed.
    Refresh,
    /// What is usually read after what was read.
    Association,
    /// As [`Rule::Forewarm`], but nothing is loaded ahead.
    Observe,
    /// The rule of an older system, without the bounds that starve it.
    Classic,
    /// A request may renew what is about to expire, at random. The spread is in ttls.
    XFetch(f64),
    /// What will be requested is loaded just before, unless it was never read: the bound.
    Oracle,
    /// A request renews what is older than this share of its ttl.
    RefreshAfter(f64),
    /// Nothing but a request, and what was not used for the longest time goes. Not the engine.
    Lru,
    /// Nothing but a request, in a plain cache of moka. Not the engine.
    Moka,
}

impl Rule {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Demand => "demand",
            Self::Forewarm => "forewarm",
            Self::Refresh => "refresh",
            Self::Association => "association",
            Self::Observe => "observe",
            Self::Classic => "classic",
            Self::XFetch(_) => "xfetch",
            Self::Oracle => "oracle",
            Self::RefreshAfter(_) => "refresh-after",
            Self::Lru => "lru",
            Self::Moka => "moka",
        }
    }
}
