//! The engine that settings describe, with all that it serves.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;
use tokio::time::timeout_at;

use self::jobs::declare_job;
use self::snapshots::declare_snapshot;
use self::tier::with_l2;
use super::document::{Document, Template, trim};
use super::settings::resource::{AliasSettings, Normalize, RelatedSettings, ResourceSettings};
use super::settings::{Settings, SettingsError};
use super::source::Source;
use crate::builder::{Deadlines, Ended, Forewarm};
use crate::error::{ConfigError, Error};
use crate::resource::{Alias, Resource, ResourceBuilder};
use crate::snapshot::Snapshot;

mod jobs;
mod snapshots;
mod tier;

/// What is cached: documents by texts.
pub(crate) type Documents = Resource<String, Document>;

/// The engine that settings describe, with all that it serves.
#[derive(Debug)]
pub(crate) struct App {
    /// The engine.
    pub(crate) forewarm: Forewarm,
    sources: BTreeMap<String, Source>,
    resources: HashMap<String, Served, foldhash::fast::RandomState>,
    snapshots: BTreeMap<String, Snapshot<Document>>,
}

/// A resource that is served.
#[derive(Debug)]
pub(crate) struct Served {
    /// The resource.
    pub(crate) documents: Documents,
    /// Its aliases.
    pub(crate) aliases: Vec<String>,
}

/// Why there is no such engine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    /// The settings cannot work.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// A setting turned out not to work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The engine cannot be built or started.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl App {
    /// Builds the engine, without starting it. Asks no source yet.
    ///
    /// # Errors
    ///
    /// A setting cannot work, such as a secret that is not where it should be.
    pub(crate) async fn build(settings: &Settings) -> Result<Self, AppError> {
        let mut sources = BTreeMap::new();
        for (name, source) in &settings.sources {
            let opened = Source::open(name, source).map_err(ConfigError::from)?;
            sources.insert(name.clone(), opened);
        }
        let builder = Forewarm::builder().config(settings.engine.clone());
        let forewarm = with_l2(builder, settings.l2.as_ref()).await?.build().await?;
        let mut app =
            Self { forewarm, sources, resources: HashMap::default(), snapshots: BTreeMap::new() };
        for (name, resource) in &settings.resources {
            let served = app.declare_resource(name, resource, settings)?;
            app.resources.insert(name.clone(), served);
        }
        for (name, snapshot) in &settings.snapshots {
            let snapshot = declare_snapshot(&app, name, snapshot)?;
            app.snapshots.insert(name.clone(), snapshot);
        }
        for (name, job) in &settings.jobs {
            declare_job(&app, name, job, settings)?;
        }
        Ok(app)
    }

    /// An engine that others have put together, with what it has for everybody.
    pub(crate) fn serving(
        forewarm: Forewarm,
        resources: impl IntoIterator<Item = Documents>,
    ) -> Self {
        let served = |documents: Documents| {
            (documents.name().to_owned(), Served { documents, aliases: Vec::new() })
        };
        Self {
            forewarm,
            sources: BTreeMap::new(),
            resources: resources.into_iter().map(served).collect(),
            snapshots: BTreeMap::new(),
        }
    }

    /// A resource by its name.
    pub(crate) fn resource(&self, name: &str) -> Option<&Served> {
        self.resources.get(name)
    }

    /// The resources, by name.
    pub(crate) fn resources(&self) -> BTreeMap<&str, &Served> {
        self.resources.iter().map(|(name, served)| (name.as_str(), served)).collect()
    }

    /// The snapshots, by name.
    pub(crate) const fn snapshots(&self) -> &BTreeMap<String, Snapshot<Document>> {
        &self.snapshots
    }

    /// Ends the engine, and then its sources; gives what of it was done in time.
    pub(crate) async fn shut_down(&self, deadlines: Deadlines) -> Ended {
        let ended = self.forewarm.end_by(deadlines).await;
        let closing = join_all(self.sources.values().map(Source::close));
        // A source that keeps a query waits for nothing of ours.
        if timeout_at(deadlines.all, closing).await.is_err() {
            tracing::warn!("the connections to a source could not be closed in time");
        }
        ended
    }

    fn source(&self, field: &str, name: &str) -> Result<Source, ConfigError> {
        self.sources.get(name).cloned().ok_or_else(|| {
            ConfigError::new(field, format!("names `{name}`, which is no source"), "declare it")
        })
    }

    fn declare_resource(
        &self,
        name: &str,
        declared: &ResourceSettings,
        settings: &Settings,
    ) -> Result<Served, AppError> {
        let source = self.source(&format!("resources.{name}.source"), &declared.source)?;
        let load = declared.load(name, settings)?;
        let loader = source.loader(&load);
        let loader = loader
            .map_err(|error| ConfigError::from(error.within(&format!("resources.{name}"))))?;
        let mut builder = self
            .forewarm
            .resource::<String, Document>(name)
            .policy(declared.effective_policy())
            .loader(loader)
            .seed(declared.seed.keys.iter().cloned());
        for (alias, terms) in &declared.aliases {
            builder = builder.alias(alias_of(alias, terms, &source));
        }
        for related in &declared.related {
            builder = relate(builder, related)?;
        }
        builder = tag(builder, &declared.tags)?;
        if !declared.trim.is_empty() {
            let lengths = declared.trim.clone();
            builder = builder.trim(move |document| trim(document, &lengths));
        }
        if let Some(query) = declared.seed.query.clone() {
            builder = builder.seed_with(move || async move { source.keys(&query).await });
        }
        let aliases = declared.aliases.keys().cloned().collect();
        Ok(Served { documents: builder.build()?, aliases })
    }
}

fn alias_of(name: &str, terms: &AliasSettings, source: &Source) -> Alias<String, Document> {
    let field = terms.field.clone();
    let text_of = move |document: &Document| document.name(&field);
    let alias = Alias::new(name, text_of, source.find(&terms.query));
    match terms.normalize {
        Normalize::None => alias,
        Normalize::Lowercase => alias.normalized_by(|text| text.trim().to_lowercase()),
    }
}

type DocumentsBuilder = ResourceBuilder<String, Document>;

fn relate(
    builder: DocumentsBuilder,
    related: &RelatedSettings,
) -> Result<DocumentsBuilder, AppError> {
    let template = template("related", &related.key)?;
    Ok(builder
        .related(&related.resource, move |id, document: &Document| template.expand(id, document)))
}

fn tag(builder: DocumentsBuilder, tags: &[String]) -> Result<DocumentsBuilder, AppError> {
    if tags.is_empty() {
        return Ok(builder);
    }
    let templates = tags.iter().map(|tag| template("tags", tag)).collect::<Result<Vec<_>, _>>()?;
    Ok(builder.tags(move |id: &String, document: &Document| {
        templates.iter().flat_map(|template| template.expand(id, document)).collect::<Vec<_>>()
    }))
}

fn template(field: &str, text: &str) -> Result<Template, ConfigError> {
    Template::parse(text)
        .map_err(|error| ConfigError::new(field, error.to_string(), "use one such as `{id}`"))
}

impl Served {
    /// Whether it has this alias.
    pub(crate) fn has_alias(&self, alias: &str) -> bool {
        self.aliases.iter().any(|name| name == alias)
    }
}
