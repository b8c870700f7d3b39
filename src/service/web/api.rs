//! The data API: values by name, and what makes them wrong.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use std::sync::Arc;

use super::Service;

mod batch;
mod cache_status;
mod invalidate;
mod read;

pub(crate) use self::invalidate::Invalidated;
pub(super) use self::read::{held, plain, value};

/// The routes of the data API.
pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(read::read, invalidate::remove)).routes(routes!(
        read::dataset,
        batch::read_many,
        invalidate::remove_group
    ))
}
