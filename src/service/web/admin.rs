//! The admin API: what the service does, and how.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use super::Service;
use super::problem::Problem;

mod changes;
mod events;
mod jobs;
mod keys;
mod learned;
mod snapshots;
mod state;
mod stats;

/// The routes of the admin API.
pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    let parts = [
        jobs::routes(),
        snapshots::routes(),
        stats::routes(),
        keys::routes(),
        learned::routes(),
        changes::routes(),
        state::routes(),
        events::routes(),
    ];
    parts.into_iter().fold(OpenApiRouter::new(), OpenApiRouter::merge)
}

/// How many of something are asked for.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Limit {
    /// The most that are given, 1 to 1,000. Default: 10.
    #[serde(default = "ten")]
    #[param(minimum = 1, maximum = 1000)]
    limit: usize,
}

const fn ten() -> usize {
    10
}

impl Limit {
    fn count(self) -> Result<usize, Problem> {
        match self.limit {
            count @ 1..=1_000 => Ok(count),
            count => Err(Problem::bad_request(format!("`limit` is {count}: use 1 to 1000"))),
        }
    }
}
