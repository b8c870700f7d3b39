//! Asking those whom the service would ask.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Kind, Problem, harmless_settings, located};
use crate::builder::Deadlines;
use crate::error::{ConfigError, Error};
use crate::service::app::{App, AppError};
use crate::service::settings::l2::{L2Settings, reveal};
use crate::service::settings::load::SourceKind;
use crate::service::settings::secret::Secret;
use crate::service::settings::source::SourceSettings;
use crate::service::settings::{Origin, Settings};
use crate::service::source::{Query, Source, SourceError};
use crate::service::web::token_problems;

/// What is wrong with settings, as far as that is only seen by asking.
pub(super) async fn ask_everything(origin: &Origin, settings: &Settings) -> Vec<Problem> {
    let mut asking = Asking { origin, settings, open: BTreeMap::new(), problems: Vec::new() };
    asking.look_for_secrets();
    asking.open().await;
    asking.ask_for_resources().await;
    asking.ask_for_snapshots().await;
    asking.ask_for_jobs().await;
    for source in asking.open.values() {
        source.close().await;
    }
    if asking.problems.is_empty() {
        asking.assemble().await;
    }
    asking.problems
}

struct Asking<'a> {
    origin: &'a Origin,
    settings: &'a Settings,
    /// The sources that answer.
    open: BTreeMap<&'a str, Source>,
    problems: Vec<Problem>,
}

impl Asking<'_> {
    fn refuse(&mut self, error: ConfigError) {
        self.problems.push(located(self.origin, error));
    }

    /// A setting at which something else than a setting is wrong.
    fn note(&mut self, error: SourceError) {
        if let SourceError::Config(error) = error {
            return self.refuse(error);
        }
        let kind = if error.is_transient() { Kind::Unreached } else { Kind::Refused };
        let text = self.origin.locate_text(error.field(), &chain(&error));
        self.problems.push(Problem { kind, text });
    }

    fn look_for_secrets(&mut self) {
        let mut wrong = token_problems(self.settings);
        wrong.extend(missing(self.settings.l2.as_ref().map_or_else(Vec::new, secrets_of_l2)));
        for error in wrong {
            self.refuse(error);
        }
    }

    /// Opens the sources, and keeps those that answer: the others need not be asked again and again.
    async fn open(&mut self) {
        let mut opened = Vec::new();
        for (name, source) in &self.settings.sources {
            let missing = missing(secrets_of_source(name, source));
            if !missing.is_empty() {
                missing.into_iter().for_each(|error| self.refuse(error));
                continue;
            }
            match Source::open(name, source) {
                Ok(source) => opened.push((name, source)),
                Err(error) => self.note(error),
            }
        }
        let pings = opened.into_iter().map(|(name, source)| async move {
            let answer = source.ping().await;
            (name, source, answer)
        });
        for (name, source, answer) in join_all(pings).await {
            match answer {
                Ok(()) => {
                    self.open.insert(name, source);
                }
                Err(error) => {
                    let field = format!("sources.{name}");
                    // That the source has failed is said already.
                    let why = error.source().map_or_else(|| error.to_string(), chain);
                    let text = format!("`{field}` does not answer: {why}");
                    let text = self.origin.locate_text(&field, &text);
                    self.problems.push(Problem { kind: Kind::Unreached, text });
                }
            }
        }
    }

    async fn ask_for_resources(&mut self) {
        for (name, resource) in &self.settings.resources {
            let whole = format!("resources.{name}");
            let Some(source) = self.open.get(resource.source.as_str()).cloned() else { continue };
            let load = match resource.load(name, self.settings) {
                Ok(load) => load,
                Err(error) => {
                    self.refuse(error);
                    continue;
                }
            };
            if let Err(error) = source.check(&load).await {
                self.note(error.within(&whole));
            }
            for (alias, terms) in &resource.aliases {
                let field = format!("aliases.{alias}.query");
                self.ask(&source, &whole, Query { texts: 1, ..query(&field, &terms.query) }).await;
            }
            if let Some(sql) = &resource.seed.query {
                self.ask(&source, &whole, query("seed.query", sql)).await;
            }
        }
    }

    async fn ask_for_snapshots(&mut self) {
        for (name, snapshot) in &self.settings.snapshots {
            let whole = format!("snapshots.{name}");
            let Some(source) = self.open.get(snapshot.source.as_str()).cloned() else { continue };
            for (collection, terms) in &snapshot.collections {
                let what = match source.kind() {
                    SourceKind::Sql => "query",
                    SourceKind::Http => "path",
                };
                let field = format!("collections.{collection}.{what}");
                match terms.asked(source.kind()) {
                    Ok(asked) => {
                        let is_scalar = terms.scalar;
                        self.ask(&source, &whole, Query { is_scalar, ..query(&field, asked) })
                            .await;
                    }
                    Err(error) => self.refuse(error.within(&whole)),
                }
            }
        }
    }

    async fn ask_for_jobs(&mut self) {
        for (name, job) in &self.settings.jobs {
            let Some(warm) = &job.warm else { continue };
            let Some(sql) = &warm.query else { continue };
            let source = warm.source_name(self.settings).and_then(|name| self.open.get(name));
            let Some(source) = source.cloned() else { continue };
            self.ask(&source, &format!("jobs.{name}"), query("warm.query", sql)).await;
        }
    }

    async fn ask(&mut self, source: &Source, whole: &str, query: Query<'_>) {
        if let Err(error) = source.check_query(query).await {
            self.note(error.within(whole));
        }
    }

    /// Puts everything together as `serve` would, and starts nothing.
    async fn assemble(&mut self) {
        let error = match App::build(&harmless_settings(self.settings)).await {
            Ok(app) => {
                let _ended = app.shut_down(Deadlines::after(Duration::from_secs(5))).await;
                return;
            }
            Err(error) => error,
        };
        match error {
            AppError::Config(error) | AppError::Engine(Error::Config(error)) => self.refuse(error),
            AppError::Settings(_) | AppError::Engine(_) => {
                self.problems.push(Problem::refused(chain(&error)));
            }
        }
    }
}

/// A secret, and the setting that says where it is.
type Named<'a> = (String, &'a Secret);

fn secrets_of_l2(l2: &L2Settings) -> Vec<Named<'_>> {
    match l2 {
        L2Settings::Sqlite(_) => Vec::new(),
        L2Settings::Postgres(postgres) => vec![("l2.postgres.url".to_owned(), &postgres.url)],
        L2Settings::Redis(redis) => {
            let nodes = redis.cluster.iter().enumerate();
            let nodes = nodes.map(|(nth, url)| (format!("l2.redis.cluster[{nth}]"), url));
            let url = redis.url.iter().map(|url| ("l2.redis.url".to_owned(), url));
            let password = redis.password.iter();
            let password = password.map(|secret| ("l2.redis.password".to_owned(), secret));
            url.chain(nodes).chain(password).collect()
        }
    }
}

fn secrets_of_source<'a>(name: &str, source: &'a SourceSettings) -> Vec<Named<'a>> {
    let field = |field: &str| format!("sources.{name}.{field}");
    match source {
        SourceSettings::Sqlite(_) => Vec::new(),
        SourceSettings::Postgres(postgres) => {
            let password = postgres.password.iter();
            let password = password.map(|secret| (field("postgres.password"), secret));
            [(field("postgres.url"), &postgres.url)].into_iter().chain(password).collect()
        }
        SourceSettings::Http(http) => {
            let header = |(name, secret)| (field(&format!("http.headers.{name}")), secret);
            http.headers.iter().map(header).collect()
        }
    }
}

/// The secrets that are not where they should be.
fn missing(secrets: Vec<Named<'_>>) -> Vec<ConfigError> {
    let reveal = |(field, secret): Named<'_>| reveal(&field, secret).err();
    secrets.into_iter().filter_map(reveal).collect()
}

/// A query without parameters, whose columns are as they are.
const fn query<'a>(field: &'a str, sql: &'a str) -> Query<'a> {
    Query { field, sql, texts: 0, is_scalar: false }
}

/// What an error says, and why, and why that.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
