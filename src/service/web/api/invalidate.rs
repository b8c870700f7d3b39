//! Saying that values are wrong.

use std::sync::Arc;

use axum::Extension;
use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::Service;
use super::super::asked::{Path, Query};
use super::super::guard::Caller;
use super::super::problem::Problem;
use super::super::selection::{Intent, Selection};
use crate::resource::{Delivery, InvalidateOptions};

/// What an invalidation has done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Invalidated {
    /// `applied`: L2 has it, or there is none. `queued`: L2 could not be reached; here it holds already.
    /// `dry_run`: nothing was done.
    #[schema(example = "applied")]
    delivery: &'static str,
    /// The entries that memory held of it here; `null` where they were not counted.
    entries: Option<usize>,
}

impl Invalidated {
    pub(crate) const fn by(delivery: Delivery, entries: Option<usize>) -> Self {
        let delivery = match delivery {
            Delivery::Applied => "applied",
            Delivery::Queued => "queued",
        };
        Self { delivery, entries }
    }

    pub(crate) const fn dry_run(entries: usize) -> Self {
        Self { delivery: "dry_run", entries: Some(entries) }
    }
}

/// What is known of the change.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RemoveTerms {
    /// The alias that `id` is a name by.
    alias: Option<String>,
    /// The version of the source's row as of the change: what is older is not kept.
    min_version: Option<u64>,
}

/// Which values are wrong: one of `tag`, `pattern` and `all`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupTerms {
    /// Those with this tag.
    tag: Option<String>,
    /// Those whose keys match this pattern of `*`, `?` and `\`.
    pattern: Option<String>,
    /// All of the resource.
    all: bool,
    /// The name of the resource, for `all`.
    confirm: Option<String>,
    /// Only counts what memory holds of them here.
    dry_run: bool,
}

/// Invalidates a value: call it after the source has changed.
///
/// Once it has answered, no later read here gives what was loaded before; nor does any other node
/// over the same L2, after the coherence window at most.
#[utoipa::path(
    delete,
    path = "/v1/{resource}/{id}",
    tag = "data",
    params(
        ("resource" = String, Path, description = "The resource"),
        ("id" = String, Path, description = "The key, or a name by `alias`"),
        RemoveTerms,
    ),
    responses(
        (status = 200, description = "It holds", body = Invalidated),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such resource", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The service is shutting down", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn remove(
    State(service): State<Arc<Service>>,
    Path((name, id)): Path<(String, String)>,
    Query(terms): Query<RemoveTerms>,
) -> Result<Answer<Invalidated>, Problem> {
    let served = service.resource(&name)?;
    // Databases have no larger ones.
    if terms.min_version.is_some_and(|version| i64::try_from(version).is_err()) {
        let detail = format!("`min_version` is more than {}", i64::MAX);
        return Err(Problem::bad_request(detail));
    }
    let delivery = match terms.alias {
        Some(alias) if terms.min_version.is_some() => {
            let detail =
                format!("`min_version` is for keys, and `{}` is an alias", alias.escape_debug());
            return Err(Problem::bad_request(detail));
        }
        Some(alias) => served.documents.invalidate_by(&alias, &id).await?,
        None => {
            let options = InvalidateOptions::new();
            let options = terms.min_version.map_or(options, |version| options.min_version(version));
            served.documents.invalidate_with(id.as_str(), &options).await
        }
    };
    Ok(Answer(Invalidated::by(delivery, None)))
}

/// Invalidates many values in one step.
#[utoipa::path(
    delete,
    path = "/v1/{resource}",
    tag = "data",
    params(("resource" = String, Path, description = "The resource"), GroupTerms),
    responses(
        (status = 200, description = "It holds, or was counted", body = Invalidated),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such resource", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn remove_group(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    Query(terms): Query<GroupTerms>,
) -> Result<Answer<Invalidated>, Problem> {
    let documents = &service.resource(&name)?.documents;
    let selection = Selection::of(Vec::new(), terms.tag, terms.pattern, terms.all)?;
    let intent = Intent::of(terms.dry_run, terms.confirm.as_deref());
    Ok(Answer(selection.carry_out(&service, &caller, documents, intent).await?))
}
