//! What was learned of reads that follow each other.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;

use super::super::Service;
use super::super::asked::Query;
use super::super::problem::Problem;
use super::super::shapes;
use super::Limit;
use crate::resource::{LearnedPair, LearnedRule};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(pairs)).routes(routes!(rules))
}

/// The pairs of keys that were seen most often to follow each other, most often first.
#[utoipa::path(get, path = "/admin/associations", tag = "admin", params(Limit), responses(
    (status = 200, description = "The pairs", body = [shapes::LearnedPair]),
))]
async fn pairs(
    State(service): State<Arc<Service>>,
    Query(limit): Query<Limit>,
) -> Result<Answer<Vec<LearnedPair>>, Problem> {
    Ok(Answer(service.app.forewarm.learned_pairs(limit.count()?)))
}

/// The rules: reads of one resource that are followed by reads of another with the same id.
#[utoipa::path(get, path = "/admin/rules", tag = "admin", responses(
    (status = 200, description = "The rules, surest first", body = [shapes::LearnedRule]),
))]
async fn rules(State(service): State<Arc<Service>>) -> Answer<Vec<LearnedRule>> {
    Answer(service.app.forewarm.learned_rules())
}
