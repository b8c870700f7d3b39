//! Jobs: when they run, what came of it, and having one run now.

use std::sync::Arc;

use axum::Extension;
use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Service;
use super::super::asked::{Nothing, Path, Query};
use super::super::guard::Caller;
use super::super::problem::Problem;
use super::super::shapes;
use super::Limit;
use crate::schedule::{Job, JobStatus, Run};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(scheduled))
        .routes(routes!(list))
        .routes(routes!(trigger))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(logs))
        .routes(routes!(runs))
}

/// A job, as an older system listed it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScheduledJob {
    /// What it is known by.
    id: String,
    /// Its name.
    name: String,
    /// When it is due next (ISO 8601); `null` if it is not.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_run_time: Option<Timestamp>,
    /// When it is due, in words.
    trigger: String,
}

/// A run, as an older system logged it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobLog {
    /// When it was due, or asked for.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// When it began; `null` if it has not.
    #[schema(value_type = Option<String>, format = DateTime)]
    start: Option<Timestamp>,
    /// When it ended; `null` if it has not.
    #[schema(value_type = Option<String>, format = DateTime)]
    end: Option<Timestamp>,
    /// What it failed with; `null` if it did not.
    error: Option<String>,
}

/// That a run was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Triggered {
    /// What was done, in words.
    message: String,
    /// The run, as `/admin/jobs/{id}/runs` has it.
    run_id: String,
}

/// A job's new state.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Paused {
    /// What was done, in words.
    message: String,
    /// Whether it is paused now.
    is_paused: bool,
}

impl ScheduledJob {
    fn of(job: &Job) -> Self {
        let JobStatus { name, triggers, next_run, .. } = job.status();
        let trigger = if triggers.is_empty() { "by hand".to_owned() } else { triggers.join("; ") };
        Self { id: name.clone(), name, next_run_time: next_run, trigger }
    }
}

impl From<Run> for JobLog {
    fn from(run: Run) -> Self {
        let Run { scheduled, started, ended, error, .. } = run;
        Self { time: scheduled, start: started, end: ended, error }
    }
}

/// The jobs, and when each is due next.
#[utoipa::path(get, path = "/admin/scheduled-jobs", tag = "admin", responses(
    (status = 200, description = "The jobs", body = [ScheduledJob]),
))]
async fn scheduled(State(service): State<Arc<Service>>) -> Answer<Vec<ScheduledJob>> {
    Answer(service.app.forewarm.jobs().iter().map(ScheduledJob::of).collect())
}

/// How the jobs are doing.
#[utoipa::path(get, path = "/admin/jobs", tag = "admin", responses(
    (status = 200, description = "The jobs", body = [shapes::JobStatus]),
))]
async fn list(State(service): State<Arc<Service>>) -> Answer<Vec<JobStatus>> {
    Answer(service.app.forewarm.jobs().iter().map(Job::status).collect())
}

/// Has a job run now, paused or not.
///
/// It waits for its turn where as many runs are under way as may be.
#[utoipa::path(post, path = "/admin/jobs/{id}/trigger", tag = "admin",
    params(("id" = String, Path, description = "The job")),
    request_body = Nothing,
    responses(
        (status = 202, description = "A run was asked for", body = Triggered),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "It went wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many runs wait already, or the service is ending", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "It is not said to be JSON", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn trigger(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    _: Nothing,
) -> Result<(StatusCode, Answer<Triggered>), Problem> {
    let run_id = job(&service, &id)?.trigger()?.to_string();
    service.audit.note(&caller, "trigger", format!("job `{id}`"));
    let message = format!("Job {id} triggered");
    Ok((StatusCode::ACCEPTED, Answer(Triggered { message, run_id })))
}

/// Stops running a job here when it is due.
#[utoipa::path(post, path = "/admin/jobs/{id}/pause", tag = "admin",
    params(("id" = String, Path, description = "The job")),
    request_body = Nothing,
    responses(
        (status = 200, description = "It is paused", body = Paused),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "It is not said to be JSON", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn pause(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    _: Nothing,
) -> Result<Answer<Paused>, Problem> {
    job(&service, &id)?.pause();
    service.audit.note(&caller, "pause", format!("job `{id}`"));
    Ok(Answer(Paused { message: format!("Job {id} paused on this node"), is_paused: true }))
}

/// Ends a pause.
#[utoipa::path(post, path = "/admin/jobs/{id}/resume", tag = "admin",
    params(("id" = String, Path, description = "The job")),
    request_body = Nothing,
    responses(
        (status = 200, description = "It is not paused", body = Paused),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "It is not said to be JSON", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn resume(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    _: Nothing,
) -> Result<Answer<Paused>, Problem> {
    job(&service, &id)?.resume();
    service.audit.note(&caller, "resume", format!("job `{id}`"));
    Ok(Answer(Paused { message: format!("Job {id} resumed on this node"), is_paused: false }))
}

/// The latest runs of a job, newest first, in few words.
#[utoipa::path(get, path = "/admin/jobs/{id}/logs", tag = "admin",
    params(("id" = String, Path, description = "The job"), Limit),
    responses(
        (status = 200, description = "The runs", body = [JobLog]),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn logs(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Query(limit): Query<Limit>,
) -> Result<Answer<Vec<JobLog>>, Problem> {
    let runs = job(&service, &id)?.runs(limit.count()?).await;
    Ok(Answer(runs.into_iter().map(JobLog::from).collect()))
}

/// The latest runs of a job, newest first, with all that is known of them.
#[utoipa::path(get, path = "/admin/jobs/{id}/runs", tag = "admin",
    params(("id" = String, Path, description = "The job"), Limit),
    responses(
        (status = 200, description = "The runs", body = [shapes::Run]),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn runs(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Query(limit): Query<Limit>,
) -> Result<Answer<Vec<Run>>, Problem> {
    Ok(Answer(job(&service, &id)?.runs(limit.count()?).await))
}

fn job(service: &Service, id: &str) -> Result<Job, Problem> {
    let found = service.app.forewarm.jobs().into_iter().find(|job| job.name() == id);
    found.ok_or_else(|| Problem::not_found("Job not found"))
}
