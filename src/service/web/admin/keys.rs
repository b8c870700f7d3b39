//! Keys: which are hot, and what is known of one.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::Service;
use super::super::asked::{Path, Query};
use super::super::hot::{HotKeyRow, HotKeys};
use super::super::problem::Problem;
use super::super::shapes;
use super::Limit;
use crate::resource::{Explanation, RelatedKey};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(hot)).routes(routes!(explain)).routes(routes!(related))
}

/// Which resource, and how many of something.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HotTerms {
    /// The resource. Default: all.
    resource: Option<String>,
    /// The most that are given, 1 to 1,000. Default: 10.
    #[serde(default = "super::ten")]
    #[param(minimum = 1, maximum = 1000)]
    limit: usize,
}

/// A key.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeyTerms {
    /// The key.
    key: String,
}

/// What is known of a key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Explained {
    /// The resource.
    resource: String,
    /// The key.
    key: String,
    /// Whether it is loaded ahead, or why not, in words.
    summary: String,
    /// All that is known of it.
    #[serde(flatten)]
    #[schema(value_type = shapes::Explanation)]
    explanation: Explanation,
}

/// The keys in memory with the highest scores, highest first.
#[utoipa::path(get, path = "/admin/hot-keys", tag = "admin", params(HotTerms), responses(
    (status = 200, description = "The keys", body = [HotKeyRow]),
    (status = 404, description = "There is no such resource", body = Problem, content_type = "application/problem+json"),
))]
async fn hot(
    State(service): State<Arc<Service>>,
    Query(terms): Query<HotTerms>,
) -> Result<Answer<Vec<HotKeyRow>>, Problem> {
    let HotTerms { resource: name, limit } = terms;
    let limit = Limit { limit }.count()?;
    if let Some(name) = &name {
        service.resource(name)?;
    }
    Ok(Answer(HotKeys::of(service, name, limit).await))
}

/// What is known of a key, and whether it is loaded ahead.
#[utoipa::path(get, path = "/admin/resources/{name}/explain", tag = "admin",
    params(("name" = String, Path, description = "The resource"), KeyTerms),
    responses(
        (status = 200, description = "What is known of it", body = Explained),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such resource", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn explain(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    Query(terms): Query<KeyTerms>,
) -> Result<Answer<Explained>, Problem> {
    let KeyTerms { key } = terms;
    let explanation = service.resource(&name)?.documents.explain(key.as_str());
    let summary = explanation.verdict.to_string();
    Ok(Answer(Explained { resource: name, key, summary, explanation }))
}

/// The keys that are usually read after a key, most usual first.
#[utoipa::path(get, path = "/admin/resources/{name}/related", tag = "admin",
    params(("name" = String, Path, description = "The resource"), KeyTerms),
    responses(
        (status = 200, description = "The keys", body = [shapes::RelatedKey]),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such resource", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn related(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    Query(terms): Query<KeyTerms>,
) -> Result<Answer<Vec<RelatedKey>>, Problem> {
    let KeyTerms { key } = terms;
    Ok(Answer(service.resource(&name)?.documents.related(key.as_str())))
}
