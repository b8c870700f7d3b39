//! Changes while it runs.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::Service;
use super::super::api::Invalidated;
use super::super::asked::{Json, Nothing, Path};
use super::super::guard::Caller;
use super::super::key::check_key;
use super::super::problem::Problem;
use super::super::reload::Reloaded;
use super::super::selection::{Intent, Selection};
use super::super::shapes;
use crate::policy::{PreloadMode, PreloadPolicy};
use crate::resource::Preloaded;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(tune))
        .routes(routes!(invalidate))
        .routes(routes!(invalidate_all))
        .routes(routes!(warm))
        .routes(routes!(reload))
}

/// What is to change of what is loaded ahead; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct Tuning {
    /// What decides: `off`, `observe` or `predicted`.
    mode: Option<Mode>,
    /// The probability from which a key is loaded ahead, more than 0 and at most 1.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    threshold: Option<f64>,
    /// The most keys loaded ahead per second, on average.
    #[schema(exclusive_minimum = 0)]
    loads_per_second: Option<f64>,
    /// The most keys loaded ahead at once after a quiet time.
    #[schema(minimum = 1, maximum = 1_073_741_824)]
    burst: Option<usize>,
    /// The most loads beyond those of demand, as a share of these.
    #[schema(exclusive_minimum = 0)]
    extra_loads: Option<f64>,
    /// Whether what is about to expire is renewed.
    renewals: Option<bool>,
    /// Whether what usually follows is loaded.
    associations: Option<bool>,
    /// Whether what follows with the same id is loaded.
    rules: Option<bool>,
}

/// What decides which keys are loaded ahead.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// Nothing is.
    Off,
    /// Nothing is, but predictions are watched.
    Observe,
    /// What is probably read in time.
    Predicted,
}

impl Tuning {
    fn of(self, policy: PreloadPolicy) -> PreloadPolicy {
        let mode = self.mode.map(|mode| match mode {
            Mode::Off => PreloadMode::Off,
            Mode::Observe => PreloadMode::Observe,
            Mode::Predicted => PreloadMode::Predicted,
        });
        PreloadPolicy {
            mode: mode.unwrap_or(policy.mode),
            threshold: self.threshold.unwrap_or(policy.threshold),
            loads_per_second: self.loads_per_second.unwrap_or(policy.loads_per_second),
            burst: self.burst.unwrap_or(policy.burst),
            extra_loads: self.extra_loads.or(policy.extra_loads),
            renewals: self.renewals.unwrap_or(policy.renewals),
            associations: self.associations.unwrap_or(policy.associations),
            rules: self.rules.unwrap_or(policy.rules),
            ..policy
        }
    }
}

/// Changes what is loaded ahead, from now on and until the next start.
#[utoipa::path(post, path = "/admin/resources/{name}/preload", tag = "admin",
    params(("name" = String, Path, description = "The resource")),
    request_body = Tuning,
    responses(
        (status = 200, description = "What holds now", body = shapes::PreloadPolicy),
        (status = 400, description = "It cannot work", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such resource", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body took too long", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not said to be JSON", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn tune(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    Json(tuning): Json<Tuning>,
) -> Result<Answer<PreloadPolicy>, Problem> {
    let documents = &service.resource(&name)?.documents;
    documents.tune(tuning.of(documents.preload_policy()))?;
    service.audit.note(&caller, "tune", format!("preloads of `{name}`"));
    Ok(Answer(documents.preload_policy()))
}

/// Which keys are wrong: one of the first four.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct InvalidateTerms {
    /// These.
    keys: Vec<String>,
    /// Those of values with this tag.
    tag: Option<String>,
    /// Those that match this pattern of `*`, `?` and `\`.
    pattern: Option<String>,
    /// All of the resource.
    all: bool,
    /// The name of the resource, for `all`.
    confirm: Option<String>,
    /// Only counts what memory holds of them here.
    dry_run: bool,
}

/// Invalidates keys of a resource, or counts what that would be.
#[utoipa::path(post, path = "/admin/resources/{name}/invalidate", tag = "admin",
    params(("name" = String, Path, description = "The resource")),
    request_body = InvalidateTerms,
    responses(
        (status = 200, description = "It holds, or was counted", body = Invalidated),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such resource", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body took too long", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not said to be JSON", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn invalidate(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    Json(terms): Json<InvalidateTerms>,
) -> Result<Answer<Invalidated>, Problem> {
    let documents = &service.resource(&name)?.documents;
    service.check_keys("keys", &terms.keys)?;
    terms.keys.iter().try_for_each(|key| check_key(documents, key))?;
    let selection = Selection::of(terms.keys, terms.tag, terms.pattern, terms.all)?;
    let intent = Intent::of(terms.dry_run, terms.confirm.as_deref());
    Ok(Answer(selection.carry_out(&service, &caller, documents, intent).await?))
}

/// That everything is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AllTerms {
    /// The prefix of the engine: `engine.prefix`.
    confirm: String,
}

/// Invalidates everything that is held, here and on all other nodes.
#[utoipa::path(post, path = "/admin/invalidate", tag = "admin", request_body = AllTerms, responses(
    (status = 200, description = "It holds", body = Invalidated),
    (status = 400, description = "It was not confirmed", body = Problem, content_type = "application/problem+json"),
    (status = 408, description = "The body took too long", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not said to be JSON", body = Problem, content_type = "application/problem+json"),
))]
async fn invalidate_all(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Json(terms): Json<AllTerms>,
) -> Result<Answer<Invalidated>, Problem> {
    let prefix = service.settings().engine.prefix.clone();
    if terms.confirm != prefix {
        let detail = format!("to invalidate everything, say so: `confirm` is `{prefix}`");
        return Err(Problem::bad_request(detail));
    }
    service.audit.note(&caller, "invalidate", "everything");
    let delivery = service.app.forewarm.invalidate_all().await;
    Ok(Answer(Invalidated::by(delivery, None)))
}

/// Which keys will be wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WarmTerms {
    /// The keys, `server.batch_keys_max` of them at most.
    keys: Vec<String>,
}

/// At the default rate a thousand keys take 8 s.
const WARM_TIMEOUT: Duration = Duration::from_secs(30);

/// What came of it, in keys.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Warmed {
    /// Loaded, from L2 or the source.
    loaded: usize,
    /// The source has no such thing.
    absent: usize,
    /// Held fresh already, or loading.
    held: usize,
    /// The load failed.
    failed: usize,
    /// A limit did not let it start.
    refused: usize,
}

/// Loads keys that are not fresh, behind readers and within the rate of preloads.
#[utoipa::path(post, path = "/admin/resources/{name}/warm", tag = "admin",
    params(("name" = String, Path, description = "The resource")),
    request_body = WarmTerms,
    responses(
        (status = 200, description = "What came of it", body = Warmed),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such resource", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body took too long", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not said to be JSON", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn warm(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    Json(terms): Json<WarmTerms>,
) -> Result<Answer<Warmed>, Problem> {
    let documents = &service.resource(&name)?.documents;
    service.check_keys("keys", &terms.keys)?;
    terms.keys.iter().try_for_each(|key| check_key(documents, key))?;
    service.audit.note(&caller, "warm", format!("{} keys of `{name}`", terms.keys.len()));
    // The rate may be so low that it would take for ever. Who asks again goes on with what is left.
    let warming = tokio::time::timeout(WARM_TIMEOUT, documents.preload(terms.keys.iter()));
    let Ok(Preloaded { loaded, absent, held, failed, refused }) = warming.await else {
        let detail = format!("the rate of preloads lets no more through within {WARM_TIMEOUT:?}");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
        return Err(problem.retry_after(WARM_TIMEOUT));
    };
    Ok(Answer(Warmed { loaded, absent, held, failed, refused }))
}

/// Reads the settings again: what can change does, and what cannot is named.
#[utoipa::path(post, path = "/admin/reload", tag = "admin", request_body = Nothing, responses(
    (status = 200, description = "What was changed, and what needs a restart", body = Reloaded),
    (status = 409, description = "The settings are not from a file", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "The settings cannot work; nothing was changed", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "It is not said to be JSON", body = Problem, content_type = "application/problem+json"),
))]
async fn reload(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    _: Nothing,
) -> Result<Answer<Reloaded>, Problem> {
    let reloaded = service.reload().await?;
    service.audit.note(&caller, "reload", "the settings");
    Ok(Answer(reloaded))
}
