//! What there is to look at in settings.

use super::Checked;
use crate::service::settings::Settings;
use crate::service::settings::job::JobSettings;
use crate::service::settings::l2::L2Settings;
use crate::service::settings::resource::ResourceSettings;
use crate::service::settings::source::SourceSettings;

/// What settings declare, part by part.
pub(super) fn of(settings: &Settings) -> Vec<Checked> {
    let checked = |part: String, what: Vec<String>| Checked { part, what };
    let mut parts = vec![checked("server".to_owned(), vec![format!("at {}", settings.address())])];
    let tokens = settings.auth.tokens.len();
    if tokens > 0 {
        parts.push(checked("auth".to_owned(), vec![format!("{tokens} tokens")]));
    }
    let l2 = match &settings.l2 {
        None => "none: memory only",
        Some(L2Settings::Sqlite(_)) => "sqlite",
        Some(L2Settings::Postgres(_)) => "postgres",
        Some(L2Settings::Redis(_)) => "redis",
    };
    parts.push(checked("l2".to_owned(), vec![l2.to_owned()]));
    for (name, source) in &settings.sources {
        let kind = match source {
            SourceSettings::Sqlite(_) => "sqlite",
            SourceSettings::Postgres(_) => "postgres",
            SourceSettings::Http(_) => "http",
        };
        parts.push(checked(format!("sources.{name}"), vec![kind.to_owned()]));
    }
    for (name, resource) in &settings.resources {
        parts.push(checked(format!("resources.{name}"), of_resource(resource)));
    }
    for (name, snapshot) in &settings.snapshots {
        let what = snapshot.collections.keys().map(|name| format!("collections.{name}"));
        parts.push(checked(format!("snapshots.{name}"), what.collect()));
    }
    for (name, job) in &settings.jobs {
        parts.push(checked(format!("jobs.{name}"), vec![form(job).to_owned()]));
    }
    parts
}

fn of_resource(resource: &ResourceSettings) -> Vec<String> {
    let given = [
        ("query", resource.query.is_some()),
        ("query_many", resource.query_many.is_some()),
        ("path", resource.path.is_some()),
        ("seed.query", resource.seed.query.is_some()),
    ];
    let given = given.into_iter().filter(|(_, is_given)| *is_given);
    let given = given.map(|(name, _)| name.to_owned());
    given.chain(resource.aliases.keys().map(|alias| format!("aliases.{alias}"))).collect()
}

const fn form(job: &JobSettings) -> &'static str {
    if job.renew.is_some() {
        "renew"
    } else if job.renew_hot.is_some() {
        "renew_hot"
    } else if job.warm.is_some() {
        "warm"
    } else if job.retention.is_some() {
        "retention"
    } else {
        "check_health"
    }
}
