//! `forewarm explain`: what is known of a key.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::{Target, percent};
use crate::service::console::{self, Failure, Paint, harmless, painted};

/// Says why a key is loaded ahead, or is not.
///
/// Besides, what memory holds of it, how often it is read, and what is usually read after it.
#[derive(Args, Debug)]
pub(in crate::service) struct Options {
    /// The resource.
    resource: String,
    /// The key.
    key: String,
    #[command(flatten)]
    target: Target,
}

/// What the service says of a key, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Explained {
    resource: String,
    key: String,
    summary: String,
    held: Option<Held>,
    score: f64,
    rate: Option<f64>,
    probability: f64,
    threshold: f64,
}

#[derive(Debug, Deserialize)]
struct Held {
    freshness: String,
    is_absent: bool,
    age: Duration,
    fresh_for: Duration,
    origin: String,
    reason: Option<String>,
    predicted: Option<f64>,
    is_unread: bool,
    weight: u64,
}

#[derive(Debug, Deserialize)]
struct Related {
    resource: String,
    key: String,
    confidence: f64,
}

pub(in crate::service) fn run(options: &Options) -> Result<(), Failure> {
    super::run(explain(options))
}

async fn explain(options: &Options) -> Result<(), Failure> {
    let client = options.target.client()?;
    let path = |what| ["admin", "resources", options.resource.as_str(), what];
    let terms = [("key", options.key.as_str())];
    let answer = client.get(&path("explain"), &terms).await?;
    if options.target.is_json() {
        return answer.print(&options.target, |_: Explained| String::new());
    }
    let related = client.get(&path("related"), &terms).await?.read::<Vec<Related>>()?;
    answer.print(&options.target, |explained: Explained| text(&explained, &related))
}

fn text(explained: &Explained, related: &[Related]) -> String {
    let Explained { resource, key, summary, .. } = explained;
    let summary = harmless(summary);
    let shown = if console::is_coloured() { painted(&summary, paint(&summary)) } else { summary };
    let mut text = format!("{} {}: {shown}\n", harmless(resource), harmless(key));
    let mut line = |name: &str, value: &str| {
        // Writing to a text does not fail.
        let _written = writeln!(text, "  {name:<12} {value}");
    };
    line("in memory", &explained.held.as_ref().map_or_else(|| "nothing".to_owned(), held));
    let rate = explained.rate.map_or_else(
        || "none yet: it takes two reads".to_owned(),
        |rate| format!("{rate:.3} reads a second"),
    );
    line("rate", &rate);
    line("score", &format!("{:.2} reads, of which old ones count less", explained.score));
    let against =
        if explained.probability >= explained.threshold { "at or above" } else { "below" };
    let odds = format!(
        "{}, {against} the threshold of {}",
        percent(explained.probability),
        percent(explained.threshold),
    );
    line("probability", &odds);
    if related.is_empty() {
        line("then read", "nothing that is known");
    }
    for (nth, related) in related.iter().enumerate() {
        let name = if nth == 0 { "then read" } else { "" };
        let Related { resource, key, confidence } = related;
        line(name, &format!("{} {} ({})", harmless(resource), harmless(key), percent(*confidence)));
    }
    text.trim_end().to_owned()
}

fn held(held: &Held) -> String {
    let what = if held.is_absent { "that there is no such thing" } else { "a value" };
    let reason = held.reason.as_deref().map(harmless);
    let odds = held.predicted.map(|odds| format!("{} probable", percent(odds)));
    let unread = held.is_unread.then(|| "not read since".to_owned());
    let details: Vec<_> = [reason, odds, unread].into_iter().flatten().collect();
    let details =
        if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    format!(
        "{what}, {}: {} old, {}, loaded by {}{details}, weight {}",
        harmless(&held.freshness),
        span(held.age),
        fresh(held.fresh_for),
        harmless(&held.origin),
        console::grouped(held.weight),
    )
}

fn fresh(left: Duration) -> String {
    // A value that never expires is fresh for longer than anybody waits.
    const EVER: Duration = Duration::from_hours(24 * 365 * 10);
    match left {
        Duration::ZERO => "not fresh any more".to_owned(),
        left if left > EVER => "fresh for ever".to_owned(),
        left => format!("fresh for {} more", span(left)),
    }
}

/// A span in the two units that tell.
fn span(span: Duration) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    if span < Duration::from_mins(1) {
        return format!("{:.1}s", span.as_secs_f64());
    }
    let mut rest = span.as_secs();
    let mut parts = Vec::new();
    for (unit, seconds) in UNITS {
        if rest >= seconds {
            parts.push(format!("{}{unit}", rest / seconds));
        }
        rest %= seconds;
    }
    parts.truncate(2);
    parts.join(" ")
}

fn paint(summary: &str) -> Paint {
    if summary.starts_with("not loaded ahead: its loads fail") || summary.contains("left alone") {
        Paint::Bad
    } else if summary.starts_with("not") {
        Paint::Doubtful
    } else {
        Paint::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_in_units_that_people_count_in() {
        let told = [500, 7_058_100, 90_061_000, 120_000, 3_600_000]
            .map(|millis| span(Duration::from_millis(millis)));
        assert_eq!(told, ["0.5s", "1h 57m", "1d 1h", "2m", "1h"]);
        assert_eq!(fresh(Duration::MAX), "fresh for ever");
    }

    #[test]
    fn a_preload_has_its_reason_though_nothing_was_predicted() {
        let told = held(&Held {
            freshness: "fresh".to_owned(),
            is_absent: false,
            age: Duration::from_secs(2),
            fresh_for: Duration::from_secs(58),
            origin: "preload".to_owned(),
            reason: Some("restored".to_owned()),
            predicted: None,
            is_unread: true,
            weight: 1,
        });
        assert!(told.contains("loaded by preload (restored, not read since), weight 1"), "{told}");
    }
}
