//! The recorder of metrics, for Prometheus.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::console::Failure;

/// From a hit in L2 to a load that is given up.
const BUCKETS_SECS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// Records the metrics of this process from now on. Before anything is counted, so that nothing is
/// missed.
///
/// # Errors
///
/// Something else records already.
pub(super) fn record() -> Result<PrometheusHandle, Failure> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_SECS)?
        .build_recorder();
    let recorded = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    Ok(recorded)
}
