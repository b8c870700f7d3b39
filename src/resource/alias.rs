//! Other names of what a resource holds.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::join_all;

use super::builder::ResourceBuilder;
use super::core::Core;
use super::write::Delivery;
use super::{Read, ReadOptions, Resource};
use crate::engine::Engine;
use crate::error::{ConfigError, Error, LoadError};
use crate::key::Key;
use crate::l1::Lookup;
use crate::loader::{LoadContext, Loaded, Loader};
use crate::metrics::Full;
use crate::policy::{Bytes, Capacity, Policy, PreloadMode, PreloadPolicy};
use crate::sync::Mutex;

/// Another name by which the values of a resource can be read, such as the e-mail address of a user:
/// [`Resource::get_by`].
///
/// A value is held once, under its key; beside it an *index* tells which key a name leads to. The
/// index is a resource of its own, `{resource}.{alias}`, in both tiers and under the same policy,
/// which remembers as well that nothing has a name. It is filled by every load of a value and by
/// the look-ups of names, and it is only a hint: whatever it says, a value is given only if it has
/// the name at that time. So a name that has moved on never leads to what had it before.
///
/// ```
/// # use forewarm::{Alias, Forewarm, LoadError};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct User { email: String }
/// # async fn example(forewarm: &Forewarm) -> Result<(), forewarm::Error> {
/// let email = Alias::new("email", |user: &User| Some(user.email.clone()), |email| async move {
///     // select id from person where lower(email) = $1
///     Ok::<_, LoadError>((email == "ada@example.com").then_some(7_u64))
/// });
/// let users = forewarm
///     .resource::<u64, User>("user")
///     .alias(email.normalized_by(|text| text.trim().to_lowercase()))
///     .load_with(|_id| async move { Ok::<_, LoadError>(User { email: "ada@example.com".into() }) })
///     .build()?;
/// let ada = users.get_by("email", " Ada@Example.com").await?;
/// # Ok(())
/// # }
/// ```
pub struct Alias<K, V> {
    name: String,
    text_of: Box<TextOf<V>>,
    normalize: Option<Box<Normalize>>,
    find: Box<Find<K>>,
}

/// The name that a value has.
type TextOf<V> = dyn Fn(&V) -> Option<String> + Send + Sync;

/// What names that mean the same have in common.
type Normalize = dyn Fn(&str) -> String + Send + Sync;

/// Finds the key that a name leads to.
type Find<K> = dyn Fn(String) -> Finding<K> + Send + Sync;
type Finding<K> = Pin<Box<dyn Future<Output = Result<Option<K>, LoadError>> + Send>>;

impl<K, V> Alias<K, V> {
    /// An alias with a name of its own, such as `email`; what a value is called, if it has such a
    /// name; and how the source finds the key that a name leads to, `None` if there is none.
    ///
    /// `text_of` must be quick, and must not call the cache.
    pub fn new<F, Fut>(
        name: &str,
        text_of: impl Fn(&V) -> Option<String> + Send + Sync + 'static,
        find: F,
    ) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<K>, LoadError>> + Send + 'static,
    {
        let find = move |text| -> Finding<K> { Box::pin(find(text)) };
        let (name, text_of) = (name.to_owned(), Box::new(text_of));
        Self { name, text_of, normalize: None, find: Box::new(find) }
    }

    /// Says what names that mean the same have in common, such as being trimmed and in small
    /// letters. It is asked for names of values and for names that are looked up alike; `find` gets
    /// what it gives. Default: a name means only itself.
    #[must_use]
    pub fn normalized_by(self, normalize: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self { normalize: Some(Box::new(normalize)), ..self }
    }

    pub(super) fn build(
        self,
        engine: &Arc<Engine>,
        resource: &str,
        policy: &Policy,
    ) -> Result<Index<V>, Error>
    where
        K: Key,
    {
        let known = Arc::new(Known::default());
        let finder = Finder { known: Arc::clone(&known), find: self.find };
        let name = format!("{resource}.{}", self.name);
        let codec = ResourceBuilder::<String, String>::serde_codec();
        let builder = ResourceBuilder::new(Arc::clone(engine), &name, Some(codec));
        let keys = builder.policy(policy_of_index(policy)).loader(finder).build()?;
        let Self { name, text_of, normalize, .. } = self;
        Ok(Index { name, text_of, normalize, known, keys: Arc::clone(&keys.core) })
    }
}

/// An index holds keys: a small part of what the values take.
fn policy_of_index(policy: &Policy) -> Policy {
    const PART: u64 = 8;
    const BYTES_MIN: u64 = 64 << 10;
    let capacity = match policy.capacity {
        Capacity::Bytes(_) => Bytes::new((policy.capacity.amount() / PART).max(BYTES_MIN)).into(),
        entries @ Capacity::Entries(_) => entries,
    };
    Policy {
        capacity,
        refresh_every: None,
        early_refresh: None,
        // Who reads a value by a name reads the value, and that is what is learned from.
        preload: PreloadPolicy { mode: PreloadMode::Off, ..policy.preload.clone() },
        schema: 0,
        ..policy.clone()
    }
}

/// A resource of keys by names.
type Keys = Core<String, String>;

/// Which keys the names of an alias lead to.
pub(super) struct Index<V> {
    name: String,
    text_of: Box<TextOf<V>>,
    normalize: Option<Box<Normalize>>,
    known: Arc<Known>,
    /// The texts of the keys by names. Without the engine, which holds the resource that has this.
    keys: Arc<Keys>,
}

impl<V> Index<V> {
    fn normalized(&self, text: &str) -> String {
        self.normalize.as_ref().map_or_else(|| text.to_owned(), |normalize| normalize(text))
    }

    /// The name that a value has, as names are compared.
    fn text(&self, value: &V) -> Option<String> {
        (self.text_of)(value).map(|text| self.normalized(&text))
    }

    /// Notes which name a value has that was loaded, unless that is known.
    fn learn(&self, key: &impl Key, value: &V) {
        let Some(text) = self.text(value) else { return };
        let key_text = key.to_string();
        let keys = &self.keys;
        let hash = keys.fence.hash(text.as_str());
        let lookup = Lookup::new(hash, text.as_str());
        let is_known = keys.fence.l1().find(lookup).is_some_and(|entry| {
            entry.is_calm(keys.clock.now())
                && entry.value().is_some_and(|known| **known == key_text)
        });
        if is_known {
            return;
        }
        if !self.known.note(&text, key_text) {
            keys.tally.l1.full.one(Full::Names);
            return;
        }
        keys.load_behind(&text, hash, |_held| false);
    }
}

/// What names of values that were just loaded lead to: the source need not be asked for these.
#[derive(Debug, Default)]
struct Known(Mutex<HashMap<String, String>>);

/// More than that are left to be looked up.
const KNOWN_MAX: usize = 10_000;

impl Known {
    /// Whether there was room for it.
    fn note(&self, text: &str, key: String) -> bool {
        let mut known = self.0.lock();
        let has_room = known.len() < KNOWN_MAX || known.contains_key(text);
        if has_room {
            known.insert(text.to_owned(), key);
        }
        has_room
    }

    fn take(&self, text: &str) -> Option<String> {
        self.0.lock().remove(text)
    }
}

/// The loader of an index.
struct Finder<K> {
    known: Arc<Known>,
    find: Box<Find<K>>,
}

impl<K: Key> Loader<String, String> for Finder<K> {
    async fn load(
        &self,
        text: &String,
        _cx: &LoadContext<String>,
    ) -> Result<Loaded<String>, LoadError> {
        if let Some(key) = self.known.take(text) {
            return Ok(key.into());
        }
        let key = (self.find)(text.clone()).await?;
        Ok(key.map(|key| key.to_string()).into())
    }
}

impl<K, V> Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// The value that has this name by an [`Alias`], loaded if need be; `None` if nothing has it.
    ///
    /// It is held once, whether it is read by this name or by its key. That nothing has a name is
    /// remembered as well, for [`Policy::absent_ttl`]: see [`Resource::invalidate_by`].
    ///
    /// # Errors
    ///
    /// As [`Resource::get`]; or there is no such alias.
    pub async fn get_by(&self, alias: &str, text: &str) -> Result<Option<Arc<V>>, Error> {
        Ok(self.read_by(alias, text, &ReadOptions::new()).await?.value)
    }

    /// Reads what has this name by an [`Alias`] as `options` say, and tells where the value came from
    /// and how old it is; if nothing has the name, where that was known from.
    ///
    /// # Errors
    ///
    /// As [`Resource::get_by`].
    pub async fn read_by(
        &self,
        alias: &str,
        text: &str,
        options: &ReadOptions,
    ) -> Result<Read<V>, Error> {
        let index = self.index(alias)?;
        let text = index.normalized(text);
        let keys = self.keys_of(index);
        let has_name = |read: &Read<V>| {
            let value = read.value.as_ref();
            value.is_some_and(|value| index.text(value).as_deref() == Some(text.as_str()))
        };
        let found = keys.read(text.as_str(), &ReadOptions::new()).await?;
        let Some(key) = &found.value else { return Ok(found.of_nothing()) };
        let read = self.read(&self.core.key_of(key)?, options).await?;
        if has_name(&read) {
            return Ok(read);
        }
        // The value is not what the index said: now the source is to say it.
        index.known.take(&text);
        let refresh = ReadOptions::new().refresh();
        let found = keys.read(text.as_str(), &refresh).await?;
        let Some(key) = &found.value else { return Ok(found.of_nothing()) };
        let key = self.core.key_of(key)?;
        let read = self.read(&key, options).await?;
        if has_name(&read) {
            return Ok(read);
        }
        let read = self.read(&key, &refresh).await?;
        Ok(if has_name(&read) { read } else { read.of_nothing() })
    }

    /// Invalidates what has a name by an [`Alias`], and that nothing has it: call it when a name
    /// was given, or has moved, and the value is not at hand. [`Resource::put`] does as much for the
    /// name of what is put.
    ///
    /// # Errors
    ///
    /// There is no such alias.
    pub async fn invalidate_by(&self, alias: &str, text: &str) -> Result<Delivery, Error> {
        let index = self.index(alias)?;
        let text = index.normalized(text);
        let keys = self.keys_of(index);
        let held = keys.peek(text.as_str()).and_then(|read| read.value);
        let delivery = keys.invalidate(text.as_str()).await;
        let Some(key) = held.and_then(|key| self.core.key_of(&key).ok()) else {
            return Ok(delivery);
        };
        Ok(match self.invalidate(&key).await {
            Delivery::Applied => delivery,
            Delivery::Queued => Delivery::Queued,
        })
    }

    /// The index of an alias, and the name as it is in there.
    pub(super) fn name_in_index(
        &self,
        alias: &str,
        text: &str,
    ) -> Result<(&Arc<Keys>, String), Error> {
        let index = self.index(alias)?;
        let text = index.normalized(text);
        // What a load has noted of it is older than what is about to change.
        index.known.take(&text);
        Ok((&index.keys, text))
    }

    fn index(&self, alias: &str) -> Result<&Index<V>, Error> {
        let indexes = &self.core.indexes;
        indexes.iter().find(|index| index.name == alias).ok_or_else(|| {
            let names: Vec<_> = indexes.iter().map(|index| &*index.name).collect();
            let remedy = match &names[..] {
                [] => "declare it with `.alias(..)`".to_owned(),
                names => format!("use one of: {}", names.join(", ")),
            };
            let field = format!("{}.alias `{}`", self.core.name, alias.escape_debug());
            ConfigError::new(field, "is not declared", remedy).into()
        })
    }

    fn keys_of(&self, index: &Index<V>) -> Resource<String, String> {
        Resource::new(Arc::clone(&index.keys), Arc::clone(&self.engine))
    }

    /// Forgets where the name of a value leads, and that nothing had it.
    pub(super) async fn forget_names(&self, value: Option<&V>) {
        let named =
            self.core.indexes.iter().filter_map(|index| index.text(value?).zip(Some(index)));
        let forget = async |(text, index): (String, &Index<V>)| {
            let _delivery = self.keys_of(index).invalidate(text.as_str()).await;
        };
        join_all(named.map(forget)).await;
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Notes which names a value has that was loaded.
    pub(super) fn learn_names(&self, key: &K, value: &V) {
        for index in &self.indexes {
            index.learn(key, value);
        }
    }

    fn key_of(&self, text: &str) -> Result<K, Error> {
        text.parse().map_err(|_error| {
            let field = format!("{}.alias", self.name);
            let problem = "leads to a key whose text does not parse back";
            ConfigError::new(field, problem, "let `FromStr` read what `Display` writes").into()
        })
    }
}

impl<K, V> fmt::Debug for Alias<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alias").field("name", &self.name).finish_non_exhaustive()
    }
}
