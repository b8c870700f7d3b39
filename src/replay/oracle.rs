//! The bound of all rules: what is requested next is loaded just before.

use std::collections::HashSet;
use std::iter::{Enumerate, Peekable};
use std::slice::Iter;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::terms::Rule;
use super::trace::{Request, Trace};
use crate::resource::Resource;

/// Knows what will be requested, and begins to load it one latency earlier.
///
/// Keys that nobody has read yet are not loaded, so that first touches remain misses: a real rule
/// can foresee those only by what it knows of other keys. Memory is no larger than under any other
/// rule, and what it holds fresh is left alone: with a latency, what expires or is evicted between
/// that look and the request is a miss.
#[derive(Debug)]
pub(super) struct Oracle<'a> {
    is_blind: bool,
    coming: Peekable<Enumerate<Iter<'a, Request>>>,
    start: Instant,
    latency: Duration,
    read: HashSet<(u16, u32)>,
}

impl<'a> Oracle<'a> {
    /// The oracle of a replay whose first request comes at `start`; blind under any other rule.
    pub(super) fn new(rule: Rule, trace: &'a Trace, start: Instant, latency: Duration) -> Self {
        let is_blind = rule != Rule::Oracle;
        let coming = if is_blind { &[] } else { trace.requests.as_slice() };
        let coming = coming.iter().enumerate().peekable();
        Self { is_blind, coming, start, latency, read: HashSet::new() }
    }

    /// When the next load begins.
    pub(super) fn next_at(&mut self) -> Option<Instant> {
        let (_, request) = self.coming.peek()?;
        let before = (self.start + request.at).checked_sub(self.latency);
        Some(before.map_or(self.start, |before| before.max(self.start)))
    }

    /// Begins the loads whose time has come.
    pub(super) fn begin_due(&mut self, resources: &[Resource<u32, ()>]) {
        // Without a latency each key is loaded right before its own request, not with those of the
        // same moment, which might displace it.
        while !self.latency.is_zero() && self.next_at().is_some_and(|at| at <= Instant::now()) {
            self.begin_next(resources);
        }
    }

    /// Begins the load for a request that is about to be made, if none has begun.
    pub(super) fn begin_for(&mut self, nth: usize, resources: &[Resource<u32, ()>]) {
        while self.coming.peek().is_some_and(|(next, _)| *next <= nth) {
            self.begin_next(resources);
        }
    }

    fn begin_next(&mut self, resources: &[Resource<u32, ()>]) {
        let Some((_, request)) = self.coming.next() else { return };
        let resource = resources.get(usize::from(request.resource));
        if let Some(resource) = resource
            && self.read.contains(&(request.resource, request.key))
        {
            // Nobody waits for it: a load that has begun goes on by itself.
            let _begun = resource.preload([&request.key]).now_or_never();
        }
    }

    /// Notes that a request was made.
    pub(super) fn note(&mut self, request: &Request) {
        if !self.is_blind {
            self.read.insert((request.resource, request.key));
        }
    }
}
