//! What the service is made of, and who has changed what.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;

use super::super::Service;
use super::super::asked::Query;
use super::super::audit::AuditRow;
use super::super::health::{Readiness, readiness};
use super::super::problem::Problem;
use super::super::shapes;
use super::Limit;
use crate::coherence::NodeSeen;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(nodes)).routes(routes!(audit))
}

/// How each component is doing.
#[utoipa::path(get, path = "/admin/health", tag = "admin", responses(
    (status = 200, description = "The components", body = Readiness),
))]
async fn health(State(service): State<Arc<Service>>) -> Answer<Readiness> {
    Answer(readiness(&service).await)
}

/// The latest changes that somebody has asked for, newest first.
#[utoipa::path(get, path = "/admin/audit", tag = "admin", params(Limit), responses(
    (status = 200, description = "The changes", body = [AuditRow]),
))]
async fn audit(
    State(service): State<Arc<Service>>,
    Query(limit): Query<Limit>,
) -> Result<Answer<Vec<AuditRow>>, Problem> {
    Ok(Answer(service.audit.newest(limit.count()?)))
}

/// The engines that share the L2, this one first; none without an L2.
#[utoipa::path(get, path = "/admin/nodes", tag = "admin", responses(
    (status = 200, description = "The nodes", body = [shapes::NodeSeen]),
))]
async fn nodes(State(service): State<Arc<Service>>) -> Answer<Vec<NodeSeen>> {
    Answer(service.app.forewarm.nodes().await)
}
