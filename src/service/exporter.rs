//! `/metrics`, for Prometheus.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use super::console::Failure;

/// Serves the metrics of this process on the loopback interface.
#[derive(Debug)]
pub(super) struct Exporter {
    listener: TcpListener,
    address: SocketAddr,
    recorded: PrometheusHandle,
}

/// The format of the answer.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// From a hit in L2 to a load that is given up.
const BUCKETS_SECS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// How often histograms are folded, so that they do not grow where nobody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

impl Exporter {
    /// Takes the port, 0 any that is free, and begins to record. Before anything is counted, so
    /// that nothing is missed.
    ///
    /// # Errors
    ///
    /// The port is taken, or not ours to take; or something else records already.
    pub(super) async fn bind(port: u16) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let recorded = record()?;
        Ok(Self { listener, address, recorded })
    }

    /// Where the metrics are.
    pub(super) fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// Answers scrapes until it is dropped; calls `publish` before each answer.
    pub(super) async fn serve(
        self,
        publish: impl Fn() + Clone + Send + Sync + 'static,
    ) -> Result<Infallible, Failure> {
        let kept = self.recorded.clone();
        let answer = move || {
            publish();
            std::future::ready(([(CONTENT_TYPE, TEXT_FORMAT)], self.recorded.render()))
        };
        let routes = Router::new().route("/metrics", get(answer));
        let serving = axum::serve(self.listener, routes);
        tokio::select! {
            served = serving.into_future() => {
                served?;
                Err("the listener has ended".into())
            }
            never = keep(&kept) => match never {},
        }
    }
}

/// Records the metrics of this process from now on.
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

/// Folds histograms again and again.
async fn keep(recorder: &PrometheusHandle) -> Infallible {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        recorder.run_upkeep();
    }
}
