//! What happened when: requests, misses and loads over the time of a trace.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::trace::Trace;

/// Counts in equal parts of the time of a trace, those that come first and are not counted in the
/// figures included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    /// How long each part is; zero if all requests were made at once.
    pub(crate) part: Duration,
    pub(crate) parts: Vec<Part>,
}

/// What happened in one part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Part {
    pub(crate) requests: u64,
    /// Those requests that waited for a load.
    pub(crate) misses: u64,
    /// Keys asked of the source.
    pub(crate) loads: u64,
}

/// Counts while a replay runs.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    start: Option<Instant>,
    part: Duration,
    parts: Box<[Counts]>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    misses: AtomicU64,
    loads: AtomicU64,
}

/// As many as a plot shows.
const PARTS: usize = 100;
/// Fewer requests make a ratio that says nothing.
const REQUESTS_PER_PART: usize = 20;

impl Timeline {
    /// Begins now, for the requests of a trace.
    pub(super) fn of(trace: &Trace) -> Self {
        let span = trace.requests.last().map_or(Duration::ZERO, |request| request.at);
        Self::new(trace.requests.len(), span)
    }

    fn new(requests: usize, span: Duration) -> Self {
        let count = match span {
            Duration::ZERO => 1,
            _ => (requests / REQUESTS_PER_PART).clamp(1, PARTS),
        };
        Self {
            start: Some(Instant::now()),
            part: span / u32::try_from(count).unwrap_or(1),
            parts: (0..count).map(|_| Counts::default()).collect(),
        }
    }

    /// A request has been answered that was made at `asked`.
    pub(super) fn answered(&self, asked: Instant, is_miss: bool) {
        if let Some(part) = self.part_of(asked) {
            part.requests.fetch_add(1, Relaxed);
            part.misses.fetch_add(u64::from(is_miss), Relaxed);
        }
    }

    /// A key is asked of the source.
    pub(super) fn asks_source(&self, at: Instant) {
        if let Some(part) = self.part_of(at) {
            part.loads.fetch_add(1, Relaxed);
        }
    }

    /// What was counted so far.
    pub(super) fn series(&self) -> Series {
        let part = |counts: &Counts| Part {
            requests: counts.requests.load(Relaxed),
            misses: counts.misses.load(Relaxed),
            loads: counts.loads.load(Relaxed),
        };
        Series { part: self.part, parts: self.parts.iter().map(part).collect() }
    }

    /// What comes after the last request counts into the last part.
    fn part_of(&self, at: Instant) -> Option<&Counts> {
        let since = at.saturating_duration_since(self.start?);
        let nth = since.as_nanos().checked_div(self.part.as_nanos()).unwrap_or(0);
        let last = self.parts.len().checked_sub(1)?;
        self.parts.get(usize::try_from(nth).map_or(last, |nth| nth.min(last)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::replay::{Rule, Terms, replay};

    #[test]
    fn the_parts_of_a_replay_sum_up_to_its_figures() {
        let lines: String =
            (0..600).map(|nth| format!("{nth},k{}\n", nth % 7 * nth % 11)).collect();
        let text = format!("timestamp_s,key\n{lines}");
        let trace = Trace::read_from(text.as_bytes(), Path::new("a.csv"), None, |_| ()).unwrap();
        let terms = Terms {
            rule: Rule::Refresh,
            ttl: Some(Duration::from_secs(10)),
            capacity: None,
            latency: Duration::from_millis(300),
            threshold: 0.3,
            load_budget: None,
            hot_share: 0.9,
            warmup: 0.0,
            seed: 0,
        };
        let row = replay(&trace, &terms, |_| ()).unwrap();
        let sum = |figure: fn(&Part) -> u64| row.outcome.series.parts.iter().map(figure).sum();
        let sums = (sum(|part| part.requests), sum(|part| part.misses), sum(|part| part.loads));
        assert_eq!(sums, (row.requests, row.misses, row.loads));
        assert!(row.loads > row.misses && row.misses > 0, "{row:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_happens_counts_in_its_part_of_the_time() {
        let span = Duration::from_secs(50);
        let timeline = Timeline::new(100, span);
        let start = Instant::now();
        for (second, is_miss) in [(0, true), (9, false), (10, true), (49, true), (50, false)] {
            timeline.answered(start + Duration::from_secs(second), is_miss);
        }
        timeline.asks_source(Instant::now());
        tokio::time::advance(Duration::from_secs(60)).await;
        timeline.asks_source(Instant::now());
        let series = timeline.series();
        let counts: Vec<_> =
            series.parts.iter().map(|part| (part.requests, part.misses, part.loads)).collect();
        assert_eq!(counts, [(2, 1, 1), (1, 1, 0), (0, 0, 0), (0, 0, 0), (2, 1, 1)]);
        assert_eq!(series.part, Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_no_more_parts_than_the_requests_can_fill() {
        let second = Duration::from_secs(1);
        for (requests, span, parts) in
            [(0, second, 1), (39, second, 1), (40, second, 2), (1 << 20, second, 100)]
        {
            assert_eq!(Timeline::new(requests, span).series().parts.len(), parts, "{requests}");
        }
        let at_once = Timeline::new(1_000, Duration::ZERO);
        at_once.answered(Instant::now() + second, true);
        let part = Part { requests: 1, misses: 1, loads: 0 };
        assert_eq!(at_once.series().parts, [part]);
    }
}
