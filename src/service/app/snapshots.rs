//! Snapshots, made of collections.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderValue;
use tokio::task::spawn_blocking;

use super::{App, AppError};
use crate::error::LoadError;
use crate::service::document::{Document, Object};
use crate::service::settings::snapshot::{CollectionSettings, SnapshotSettings};
use crate::service::source::Source;
use crate::snapshot::Snapshot;
use crate::sync::Mutex;

pub(super) fn declare_snapshot(
    app: &App,
    name: &str,
    declared: &SnapshotSettings,
) -> Result<Snapshot<Document>, AppError> {
    let source = app.source(&format!("snapshots.{name}.source"), &declared.source)?;
    let collections = Arc::new(declared.collections.clone());
    let counts = Arc::new(RowCounts::default());
    let rows_of = {
        let counts = Arc::clone(&counts);
        move |dataset: &Document| counts.of(dataset)
    };
    let load = move || {
        let (source, collections) = (source.clone(), Arc::clone(&collections));
        let counts = Arc::clone(&counts);
        async move {
            let text = dataset(&source, &collections).await?;
            // Looking through a dataset may take a second, in which its worker would answer nobody.
            let made = spawn_blocking(move || {
                let made = Document::of(text.into());
                made.inspect(|dataset| {
                    let _noted = counts.of(dataset);
                })
            });
            made.await.map_err(LoadError::transient)?.map_err(LoadError::permanent)
        }
    };
    let builder = app.forewarm.snapshot::<Document>(name).jitter(declared.jitter);
    let builder =
        declared.triggers.iter().fold(builder, |builder, trigger| builder.on(trigger.clone()));
    let builder = builder.refuse_shrinking(declared.refuse_shrinking, rows_of);
    Ok(builder.load_with(load).build()?)
}

/// The text of all collections by their names. What a source says stands in it as it came.
async fn dataset(
    source: &Source,
    collections: &BTreeMap<String, CollectionSettings>,
) -> Result<String, LoadError> {
    let mut object = Object::new();
    for (name, collection) in collections {
        let asked = collection.asked(source.kind()).map_err(LoadError::permanent)?;
        let rows = source.collect(asked, collection.scalar).await?;
        object.push(name, rows.trim());
    }
    Ok(object.end())
}

/// How many rows all collections of a dataset have, for the ones that were asked about last.
#[derive(Default)]
struct RowCounts(Mutex<Vec<(HeaderValue, usize)>>);

impl RowCounts {
    /// The one that is held, and the one that may replace it.
    const KEPT_MAX: usize = 2;

    fn of(&self, dataset: &Document) -> usize {
        let known = {
            let mut counts = self.0.lock();
            let at = counts.iter().position(|(etag, _)| etag == dataset.etag());
            at.map(|at| counts.remove(at))
        };
        let (etag, count) =
            known.unwrap_or_else(|| (dataset.etag().clone(), dataset.count_elements()));
        let mut counts = self.0.lock();
        counts.push((etag, count));
        if counts.len() > Self::KEPT_MAX {
            counts.remove(0);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dataset_that_is_held_is_counted_once_whatever_is_refused() {
        let dataset = |rows: usize| {
            let rows = vec!["1"; rows].join(",");
            Document::of(format!("{{\"all\": [{rows}], \"other\": [[2, 3]]}}").into()).unwrap()
        };
        let (counts, held) = (RowCounts::default(), dataset(10));
        for new in 0..5 {
            let new = dataset(new);
            assert_eq!((counts.of(&new), counts.of(&held)), (new.count_elements(), 11));
        }
        let known: Vec<_> = counts.0.lock().iter().map(|(_, count)| *count).collect();
        assert_eq!(known, [5, 11]);
    }
}
