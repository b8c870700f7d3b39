//! Figures of the engine and of its resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Service;
use super::super::asked::Path;
use super::super::problem::Problem;
use super::super::shapes;
use crate::policy::{Policy, PreloadPolicy};
use crate::predictor::PredictionStats;
use crate::service::app::Served;
use crate::stats::{ResourceStats, ratio};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(stats)).routes(routes!(resources)).routes(routes!(score))
}

/// Figures over all resources; the first seven are those of an older system.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stats {
    /// Reads.
    total_accesses: u64,
    /// Keys whose reads are known.
    tracked_patterns: u64,
    /// Pairs of keys that are read one after the other.
    associations: u64,
    /// Keys whose preload has begun.
    preload_count: u64,
    /// Keys loaded ahead that were read before they left.
    preload_hits: u64,
    /// `preload_hits / preload_count`; 0 before the first.
    preload_hit_rate: f64,
    /// Keys that are loading, or waiting to be loaded.
    active_tasks: u64,
    /// The share of reads that did not wait for a source, 0 to 1.
    hit_ratio: f64,
    /// The same figures and more, by resource.
    #[schema(value_type = Vec<shapes::ResourceStats>)]
    resources: Vec<ResourceStats>,
}

/// A resource, and how it is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResourceState {
    /// Its name.
    name: String,
    /// The other names by which its values can be read.
    aliases: Vec<String>,
    /// The policy that it was declared with.
    #[schema(value_type = Object)]
    policy: Policy,
    /// What is loaded ahead, as of now.
    #[schema(value_type = shapes::PreloadPolicy)]
    preload: PreloadPolicy,
    /// Its figures.
    #[schema(value_type = shapes::ResourceStats)]
    stats: ResourceStats,
}

/// What came of preloading, and how good the predictions are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScoreCard {
    /// The resource.
    resource: String,
    /// The probability from which a key is loaded ahead.
    threshold: f64,
    /// Keys whose preload has begun.
    preloads: u64,
    /// Those that were read before they left.
    useful: u64,
    /// Those that left unread.
    wasted: u64,
    /// Those that somebody asked for while they were loading.
    late: u64,
    /// Those whose load failed.
    failed: u64,
    /// Those that a limit did not let start.
    refused: u64,
    /// `useful / (useful + wasted)`; 0 before the first.
    precision: f64,
    /// The share of reads that would have waited and did not, since their key was preloaded.
    coverage: f64,
    /// How often predictions came true, by what they promised.
    #[schema(value_type = shapes::PredictionStats)]
    predictions: PredictionStats,
}

/// Figures over all resources.
#[utoipa::path(get, path = "/admin/stats", tag = "admin", responses(
    (status = 200, description = "The figures", body = Stats),
))]
async fn stats(State(service): State<Arc<Service>>) -> Answer<Stats> {
    let resources = service.app.forewarm.stats();
    let sum = |of: fn(&ResourceStats) -> u64| resources.iter().map(of).sum::<u64>();
    let (preload_count, preload_hits) =
        (sum(|stats| stats.preload_count), sum(|stats| stats.preload_hits));
    let total_accesses = sum(|stats| stats.total_accesses);
    let hits = sum(|stats| stats.l1_hits + stats.l1_stale + stats.l2_hits);
    Answer(Stats {
        total_accesses,
        tracked_patterns: sum(|stats| stats.tracked_patterns),
        // They are of the engine, and each resource says so.
        associations: resources.iter().map(|stats| stats.associations).max().unwrap_or(0),
        preload_count,
        preload_hits,
        preload_hit_rate: ratio(preload_hits, preload_count),
        active_tasks: sum(|stats| stats.active_tasks),
        hit_ratio: ratio(hits, total_accesses),
        resources,
    })
}

/// The resources, their policies and figures.
#[utoipa::path(get, path = "/admin/resources", tag = "admin", responses(
    (status = 200, description = "The resources by name", body = BTreeMap<String, ResourceState>),
))]
async fn resources(State(service): State<Arc<Service>>) -> Answer<BTreeMap<String, ResourceState>> {
    let state = |(name, served): (&str, &Served)| {
        let documents = &served.documents;
        let state = ResourceState {
            name: name.to_owned(),
            aliases: served.aliases.clone(),
            policy: documents.policy().clone(),
            preload: documents.preload_policy(),
            stats: documents.stats(),
        };
        (name.to_owned(), state)
    };
    Answer(service.app.resources().into_iter().map(state).collect())
}

/// What came of preloading, and how good the predictions are.
#[utoipa::path(get, path = "/admin/resources/{name}/score-card", tag = "admin",
    params(("name" = String, Path, description = "The resource")),
    responses(
        (status = 200, description = "The score card", body = ScoreCard),
        (status = 404, description = "There is no such resource", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn score(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
) -> Result<Answer<ScoreCard>, Problem> {
    let documents = &service.resource(&name)?.documents;
    let stats = documents.stats();
    Ok(Answer(ScoreCard {
        threshold: documents.preload_policy().threshold,
        preloads: stats.preload_count,
        useful: stats.preload_hits,
        wasted: stats.preloads_wasted,
        late: stats.preloads_late,
        failed: stats.preloads_failed,
        refused: stats.preloads_refused,
        precision: ratio(stats.preload_hits, stats.preload_hits + stats.preloads_wasted),
        coverage: ratio(stats.preload_hits, stats.preload_hits + stats.misses),
        predictions: stats.predictions,
        resource: name,
    }))
}
