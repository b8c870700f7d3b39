//! What a scraper of Prometheus reads.

use std::collections::BTreeMap;

use forewarm::METRICS;
use futures_util::FutureExt as _;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::script::scripted_policy;
use super::source::{Source, engine, item};

/// C32: a scrape parses, line by line, and holds the figures of the script.
#[tokio::test(start_paused = true)]
async fn a_scrape_parses_and_holds_the_figures() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scraped = recorder.handle();
    let (forewarm, source) = (engine().await, Source::new());
    let items = item(&forewarm, scripted_policy(), &source);
    let start = || forewarm.start().now_or_never().unwrap().unwrap();
    metrics::with_local_recorder(&recorder, start);
    for key in [1, 1, 1, 2] {
        items.get(&key).await.unwrap();
    }
    for _ in 0..2 {
        metrics::with_local_recorder(&recorder, || forewarm.publish_metrics());
        let page = scraped.render();
        let samples = parse(&page);
        let read = |outcome: &str, tier: &str| {
            format!(
                "forewarm_reads_total{{resource=\"item\",tier=\"{tier}\",outcome=\"{outcome}\"}}"
            )
        };
        assert_eq!(samples[&read("hit", "l1")].to_bits(), 2.0_f64.to_bits(), "{page}");
        assert_eq!(samples[&read("hit", "source")].to_bits(), 2.0_f64.to_bits());
        assert_eq!(samples[&read("error", "source")].to_bits(), 0.0_f64.to_bits());
    }
}

/// The samples of a page in the text format; every line must be one, or help, or a type.
fn parse(page: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut described = "";
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            let metric = METRICS.iter().find(|metric| metric.name == name).unwrap();
            assert_eq!(text, metric.help);
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "summary", "histogram"].contains(&kind), "{line}");
            described = name;
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap_or((series, ""));
        assert!(name.starts_with(described), "{line}");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (label, text) = label.split_once('=').unwrap();
            assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
            assert!(text.starts_with('"') && text.ends_with('"') && text.len() >= 2, "{line}");
        }
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(samples.insert(series.to_owned(), value).is_none(), "{line}");
    }
    assert!(samples.len() > 50, "{}", samples.len());
    samples
}
