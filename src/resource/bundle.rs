//! What is read together, over several resources.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::ptr::addr_eq;
use std::sync::Arc;

use futures_util::future::join_all;

use super::Resource;
use super::ahead::Preloaded;
use crate::error::{ConfigError, Error};
use crate::key::Key;

/// A declared set of what belongs together over several resources, such as all that is shown of a
/// user: loaded or preloaded by one call, all at once.
///
/// Every part is read through its own resource, so one load per key, limits and statistics are as
/// ever, and its key is the one that readers use, since it has the same type.
///
/// ```
/// # use forewarm::{Bundle, Resource};
/// # async fn page(
/// #     persons: &Resource<u64, String>,
/// #     permissions: &Resource<u64, Vec<String>>,
/// # ) -> Result<(), forewarm::Error> {
/// let of_user = Bundle::new()
///     .key(persons, |user: &u64| *user)
///     .key(permissions, |user| *user);
///
/// // When somebody logs in: loaded behind demand, within the budget.
/// let preloaded = of_user.preload(&7).await;
///
/// // When the page is asked for: each part by its resource, with its type and its own error.
/// let user = of_user.load(&7).await;
/// let name = user.get(persons)?;
/// let permissions = user.get(permissions)?;
/// # Ok(())
/// # }
/// ```
pub struct Bundle<T> {
    parts: Vec<Part<T>>,
}

struct Part<T> {
    /// The core of the resource, which nothing else is as long as this is held.
    of: Arc<dyn Any + Send + Sync>,
    resource: Arc<str>,
    get: Box<Get<T>>,
    preload: Box<Preload<T>>,
}

type Get<T> = dyn Fn(&T) -> Getting + Send + Sync;
type Preload<T> = dyn Fn(&T) -> Preloading + Send + Sync;
type Getting = Pin<Box<dyn Future<Output = Gotten> + Send>>;
type Preloading = Pin<Box<dyn Future<Output = Preloaded> + Send>>;

/// What one part of a bundle gave, whose type [`Bundled::get`] knows.
struct Gotten {
    /// The core of the resource, which nothing else is as long as this is held.
    of: Arc<dyn Any + Send + Sync>,
    result: Result<Option<Arc<dyn Any + Send + Sync>>, Error>,
}

/// What [`Bundle::load`] gave.
pub struct Bundled {
    parts: Vec<Gotten>,
}

impl<T> Bundle<T> {
    /// A bundle of nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { parts: Vec::new() }
    }

    /// The same, and a key of a resource, made of what the bundle is about. A resource has one part
    /// in a bundle: if it is declared twice, the later one counts.
    #[must_use]
    pub fn key<K, V>(
        mut self,
        resource: &Resource<K, V>,
        key_of: impl Fn(&T) -> K + Send + Sync + 'static,
    ) -> Self
    where
        K: Key,
        V: Send + Sync + 'static,
    {
        let name = Arc::clone(&resource.core.name);
        let core: Arc<dyn Any + Send + Sync> = Arc::clone(&resource.core) as _;
        self.parts.retain(|part| !addr_eq(Arc::as_ptr(&part.of), Arc::as_ptr(&core)));
        let key_of = Arc::new(key_of);
        let (of_get, key_of_get) = (resource.clone(), Arc::clone(&key_of));
        let get = move |of: &T| -> Getting {
            let (resource, key) = (of_get.clone(), key_of_get(of));
            Box::pin(async move {
                let result = resource.get(&key).await;
                let result = result.map(|value| value.map(|value| value as Arc<_>));
                Gotten { of: resource.core, result }
            })
        };
        let of_preload = resource.clone();
        let preload = move |of: &T| -> Preloading {
            let (resource, key) = (of_preload.clone(), key_of(of));
            Box::pin(async move { resource.preload([&key]).await })
        };
        let (get, preload) = (Box::new(get), Box::new(preload));
        self.parts.push(Part { of: core, resource: name, get, preload });
        self
    }

    /// Reads all parts at once, as [`Resource::get`] does, and waits for the last. A part that fails
    /// does not fail the others.
    pub async fn load(&self, of: &T) -> Bundled {
        let parts: Vec<_> = self.parts.iter().map(|part| (part.get)(of)).collect();
        Bundled { parts: join_all(parts).await }
    }

    /// Loads all parts ahead of their reads, as [`Resource::preload`] does, and sums up what came of
    /// it.
    pub async fn preload(&self, of: &T) -> Preloaded {
        let parts: Vec<_> = self.parts.iter().map(|part| (part.preload)(of)).collect();
        join_all(parts).await.into_iter().fold(Preloaded::default(), Preloaded::plus)
    }
}

impl Bundled {
    /// The part of a resource: what [`Resource::get`] gave.
    ///
    /// # Errors
    ///
    /// As [`Resource::get`]; or the bundle has no part of this resource.
    pub fn get<K, V>(&self, resource: &Resource<K, V>) -> Result<Option<Arc<V>>, Error>
    where
        K: Key,
        V: Send + Sync + 'static,
    {
        let is_of = |part: &&Gotten| addr_eq(Arc::as_ptr(&part.of), Arc::as_ptr(&resource.core));
        let part = self.parts.iter().find(is_of);
        let missing = || {
            let field = format!("bundle of `{}`", resource.name());
            let remedy = "declare it with `.key(&resource, ..)`";
            Error::from(ConfigError::new(field, "has no such part", remedy))
        };
        let part = part.ok_or_else(missing)?;
        // A resource has one type of values.
        part.result.clone()?.map(|value| value.downcast().map_err(|_other| missing())).transpose()
    }

    /// Whether every part was had; an absent one is.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.parts.iter().all(|part| part.result.is_ok())
    }
}

impl<T> Default for Bundle<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Bundle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts.iter().map(|part| &part.resource)).finish()
    }
}

impl fmt::Debug for Bundled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_complete = self.is_complete();
        f.debug_struct("Bundled").field("is_complete", &is_complete).finish_non_exhaustive()
    }
}
