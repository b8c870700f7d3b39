//! The jobs that settings describe.

use std::sync::Arc;

use super::{App, AppError};
use crate::error::{ConfigError, LoadError};
use crate::schedule::{JobBuilder, JobContext};
use crate::service::settings::Settings;
use crate::service::settings::job::{JobSettings, RetentionSettings, WarmSettings};
use crate::sql::{Retention, SqlDatabase};
use crate::work;

/// Declares a job of an engine.
pub(super) fn declare_job(
    app: &App,
    name: &str,
    declared: &JobSettings,
    settings: &Settings,
) -> Result<(), AppError> {
    let builder = app.forewarm.job(name).policy(declared.effective_policy());
    let documents = |resource: &str| {
        let found = app.resource(resource).map(|served| served.documents.clone());
        found.ok_or_else(|| {
            let problem = format!("names `{resource}`, which is no resource");
            ConfigError::new(format!("jobs.{name}"), problem, "declare it")
        })
    };
    let builder = if let Some(renew) = &declared.renew {
        builder.run_with(work::renew(&documents(&renew.resource)?, renew.keys.clone()))
    } else if let Some(renew) = &declared.renew_hot {
        builder.run_with(work::renew_hot(&documents(&renew.resource)?, renew.count))
    } else if let Some(warm) = &declared.warm {
        let find = keys_of(app, warm, settings)?;
        builder.run_with(work::warm(&documents(&warm.resource)?, find))
    } else if let Some(retention) = &declared.retention {
        declare_retention(app, name, builder, retention)?
    } else {
        builder.run_with(work::check_health(&app.forewarm))
    };
    let _job = builder.build()?;
    Ok(())
}

type Finding = futures_util::future::BoxFuture<'static, Result<Vec<String>, LoadError>>;

/// What finds the keys of a warm-up.
fn keys_of(
    app: &App,
    warm: &WarmSettings,
    settings: &Settings,
) -> Result<impl Fn(JobContext) -> Finding + Send + Sync + 'static, ConfigError> {
    let (texts, query) = (Arc::new(warm.keys.clone()), warm.query.clone());
    let source = warm.source_name(settings).unwrap_or_default();
    let source = app.source("jobs.warm.source", source)?;
    Ok(move |context: JobContext| -> Finding {
        let (texts, query, source) = (Arc::clone(&texts), query.clone(), source.clone());
        Box::pin(async move {
            match query {
                Some(query) => source.keys(&query).await,
                None => Ok(texts.iter().map(|text| dated(text, &context)).collect()),
            }
        })
    })
}

/// A key of a warm-up, for the day of a run.
fn dated(text: &str, context: &JobContext) -> String {
    const DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);
    let date = |at: jiff::Timestamp| at.strftime("%F").to_string();
    let today = context.scheduled();
    let text = text.replace("{date}", &date(today));
    // Past the end of all time there is no tomorrow.
    let tomorrow = today.checked_add(DAY).map_or_else(|_end| date(today), date);
    text.replace("{tomorrow}", &tomorrow)
}

fn declare_retention(
    app: &App,
    name: &str,
    builder: JobBuilder,
    terms: &RetentionSettings,
) -> Result<JobBuilder, ConfigError> {
    let field = format!("jobs.{name}.retention.source");
    let source = app.source(&field, &terms.source)?;
    let RetentionSettings { table, column, older_than, stored_as, .. } = terms;
    if let Some(pool) = source.sqlite() {
        let retention = Retention::new(pool.clone(), table, column, *older_than)?;
        return Ok(running(builder, retention.stored_as(*stored_as)));
    }
    if let Some(pool) = source.postgres() {
        let retention = Retention::new(pool.clone(), table, column, *older_than)?;
        return Ok(running(builder, retention.stored_as(*stored_as)));
    }
    let problem = format!("names `{}`, which is no database", terms.source);
    Err(ConfigError::new(field, problem, "name one with SQL"))
}

fn running<DB: SqlDatabase>(builder: JobBuilder, retention: Retention<DB>) -> JobBuilder {
    let retention = Arc::new(retention);
    builder.run_with(move |context| {
        let retention = Arc::clone(&retention);
        async move {
            let removed = retention.run_until(context.cancelled()).await?;
            tracing::info!(rows = removed.rows, is_complete = removed.is_complete, "cleaned up");
            Ok(())
        }
    })
}
