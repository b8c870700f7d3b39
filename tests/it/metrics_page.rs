//! docs/metrics.md is what the crate says of its metrics; `FOREWARM_BLESS=1` writes it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use forewarm::{METRICS, MetricKind};

const HEAD: &str = "\
# Metrics

What forewarm publishes: the library through the [`metrics`](https://docs.rs/metrics) facade, the service
at `/metrics`. No label holds a key. In Prometheus the label `job` is called `exported_job`, since a
scrape has one of that name; a histogram has `_bucket`, `_sum` and `_count` behind its name.
[deploy/prometheus/rules.yml](../deploy/prometheus/rules.yml) has what is worth recording and what is
worth an alert, [deploy/grafana/forewarm.json](../deploy/grafana/forewarm.json) a dashboard.

| metric | kind | labels | meaning |
|---|---|---|---|
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for metric in METRICS {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = labels.join(", ");
        writeln!(page, "| `{}` | {kind} | {labels} | {} |", metric.name, metric.help).unwrap();
    }
    page
}

#[test]
fn the_page_of_metrics_is_what_the_crate_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    if std::env::var_os("FOREWARM_BLESS").is_some_and(|value| value == "1") {
        fs::write(&file, page()).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(written == page(), "docs/metrics.md is old: FOREWARM_BLESS=1 writes it again");
}
