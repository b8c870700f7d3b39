//! The description of the service, made from its handlers.

use std::sync::{Arc, OnceLock};

use axum::Json as Answer;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Service, admin, api, health};

/// What is said of the service as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "forewarm",
        description = "A two-tier cache that loads hot keys before they are asked for.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "data", description = "Values, and what makes them wrong"),
        (name = "admin", description = "What the service does, and how"),
        (name = "health", description = "Whether it lives and is ready"),
    ),
)]
struct Described;

/// The routes, with what is said of each.
pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(described())
        .merge(api::routes())
        .merge(admin::routes())
        .merge(health::routes())
        .routes(routes!(openapi))
}

fn described() -> utoipa::openapi::OpenApi {
    let mut described = Described::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = described.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    described
}

/// The description itself: every route and every status.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    let mut document = routes().into_openapi();
    complete::complete(&mut document);
    document
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "health", responses(
    (status = 200, description = "The description", body = serde_json::Value),
))]
async fn openapi() -> Answer<&'static utoipa::openapi::OpenApi> {
    static DOCUMENT: OnceLock<utoipa::openapi::OpenApi> = OnceLock::new();
    Answer(DOCUMENT.get_or_init(document))
}

mod complete;
