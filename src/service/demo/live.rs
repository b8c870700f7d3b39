//! What is shown while the traffic runs.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::totals::Totals;
use crate::builder::Forewarm;
use crate::clock::{Clock, Moment};
use crate::service::console;

/// Shows how a half goes: a bar and a line on a terminal, else a line now and then.
#[derive(Debug)]
pub(super) struct Live {
    what: &'static str,
    before: Totals,
    clock: Clock,
    start: Moment,
    /// The last second, oldest first.
    seen: VecDeque<(Moment, Totals)>,
    next_note: Moment,
    shown: Option<Shown>,
}

#[derive(Debug)]
struct Shown {
    bars: MultiProgress,
    time: ProgressBar,
    figures: ProgressBar,
}

/// Between two looks.
const TICK: Duration = Duration::from_millis(250);
/// Between two lines where there is no terminal.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// How far back "now" reaches.
const WINDOW: Duration = Duration::from_secs(1);

impl Live {
    /// Of what an engine counts after `before`.
    pub(super) fn new(what: &'static str, span: Duration, before: Totals) -> Self {
        let clock = Clock::system();
        let start = clock.now();
        let shown = console::is_watched().then(|| Shown::new(what, span));
        let seen = VecDeque::from([(start, Totals::default())]);
        let next_note = start.plus(NOTE_EVERY);
        Self { what, before, clock, start, seen, next_note, shown }
    }

    /// Shows the figures of an engine again and again; never ends by itself.
    pub(super) async fn watch(&mut self, forewarm: &Forewarm) -> Infallible {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            self.show(Totals::of(forewarm).since(self.before));
        }
    }

    fn show(&mut self, totals: Totals) {
        let now = self.clock.now();
        self.seen.push_back((now, totals));
        while self.seen.get(1).is_some_and(|(at, _)| now.since(*at) >= WINDOW) {
            self.seen.pop_front();
        }
        let Some((from, before)) = self.seen.front() else { return };
        let line = line(totals.since(*before), totals, now.since(*from));
        let passed = now.since(self.start);
        if let Some(shown) = &self.shown {
            shown.time.set_position(millis(passed));
            shown.figures.set_message(line);
        } else if now >= self.next_note {
            self.next_note = now.plus(NOTE_EVERY);
            console::note(&format!("{}, {:>3.0} s: {line}", self.what, passed.as_secs_f64()));
        }
    }
}

/// The figures of the last second, and those of preloads since the start.
fn line(now: Totals, all: Totals, span: Duration) -> String {
    let secs = span.as_secs_f64().max(1e-3);
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let per_second = |count: u64| count as f64 / secs;
    let (reads, loads) = (per_second(now.reads), per_second(now.loads));
    let hits = now.hit_ratio() * 100.0;
    let Totals { useful, wasted, .. } = all;
    format!(
        "{reads:>5.0} reads/s  {hits:>5.1} % hits  {loads:>4.0} source loads/s  preloads: {useful} useful, {wasted} wasted"
    )
}

impl Shown {
    fn new(what: &'static str, span: Duration) -> Self {
        let bars = MultiProgress::new();
        let time = bars.add(ProgressBar::new(millis(span)).with_message(what));
        let figures = bars.add(ProgressBar::no_length());
        let of_time = format!("{{msg:20}} {{bar:40}} {{elapsed:>3}} of {:.0}s", span.as_secs_f64());
        for (bar, template) in [(&time, of_time.as_str()), (&figures, "  {msg}")] {
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
        }
        Self { bars, time, figures }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.time.finish_and_clear();
        self.figures.finish_and_clear();
        // A terminal that cannot be cleared is none.
        drop(self.bars.clear());
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
