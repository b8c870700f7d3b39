//! What is replayed, and how: one call of `forewarm replay`, but for its policies.

use std::path::{Path, PathBuf};

/// The same requests under the same terms.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Setting {
    pub(crate) source: Source,
    /// None never expires.
    pub(crate) ttl_s: Option<u32>,
    /// In percent of the different keys; none holds everything.
    pub(crate) capacity: Option<u32>,
    pub(crate) latency_ms: u32,
    /// Requests with equal times are spread evenly over this span.
    pub(crate) spread_s: u32,
    /// In percent of the loads on demand alone.
    pub(crate) load_budget: Option<u32>,
}

/// Where the requests come from.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Source {
    /// A file, by its name without the endings.
    Trace(&'static str),
    /// A workload that the command makes up.
    Synthetic(&'static str),
}

impl Setting {
    /// With a ttl, and room for everything.
    pub(crate) fn with_ttl(trace: &'static str, ttl_s: u32) -> Self {
        Self { ttl_s: Some(ttl_s), ..Self::endless(Source::Trace(trace)) }
    }

    /// With room for a share of the keys, and no ttl.
    pub(crate) fn with_capacity(source: Source, percent: u32) -> Self {
        Self { capacity: Some(percent), ..Self::endless(source) }
    }

    pub(crate) fn endless(source: Source) -> Self {
        Self { source, ttl_s: None, capacity: None, latency_ms: 0, spread_s: 0, load_budget: None }
    }

    /// How it is called in the report.
    pub(crate) fn label(&self) -> String {
        let mut label = self.source.name().to_owned();
        let parts = [
            self.ttl_s.map(|ttl| format!("ttl {ttl} s")),
            self.capacity.map(|percent| format!("{percent} %")),
            (self.latency_ms > 0).then(|| format!("latency {} ms", self.latency_ms)),
            (self.spread_s > 0).then(|| format!("spread over {} s", self.spread_s)),
            self.load_budget.map(|percent| format!("budget {percent} %")),
        ];
        for part in parts.into_iter().flatten() {
            label.push_str(", ");
            label.push_str(&part);
        }
        label
    }

    /// The arguments of the command, without policies and thresholds.
    pub(crate) fn arguments(&self, traces: &Path) -> Vec<String> {
        let mut arguments = match self.source {
            Source::Trace(_) => vec![self.file(traces).display().to_string()],
            Source::Synthetic(name) => vec!["--synthetic".to_owned(), name.to_owned()],
        };
        let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        add("--ttl", self.ttl_s.map_or_else(|| "none".to_owned(), |ttl| format!("{ttl}s")));
        let room = self.capacity.map(|percent| format!("{percent}%"));
        add("--capacity", room.unwrap_or_else(|| "none".to_owned()));
        add("--latency", format!("{}ms", self.latency_ms));
        add("--spread", format!("{}s", self.spread_s));
        // With a capacity the whole trace counts, as it does for those whom it is compared with.
        add("--warmup", if self.capacity.is_some() { "0" } else { "0.2" }.to_owned());
        if let Some(percent) = self.load_budget {
            add("--load-budget", format!("{percent}%"));
        }
        arguments
    }

    /// The file of a trace.
    fn file(&self, traces: &Path) -> PathBuf {
        traces.join(format!("{}.csv.xz", self.source.name()))
    }

    /// Why it cannot be replayed here, if so.
    pub(crate) fn obstacle(&self, traces: &Path, help: &str) -> Option<String> {
        let lacks = |flag: &str| (!help.contains(flag)).then(|| format!("not available: {flag}"));
        let without_requests = match self.source {
            Source::Trace(_) if self.file(traces).exists() => None,
            Source::Trace(_) => Some("skipped: the trace is not here".to_owned()),
            Source::Synthetic(_) => lacks("--synthetic"),
        };
        without_requests.or_else(|| self.load_budget.and_then(|_| lacks("--load-budget")))
    }
}

impl Source {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Trace(name) | Self::Synthetic(name) => name,
        }
    }
}
