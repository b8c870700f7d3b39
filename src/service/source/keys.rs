//! Keys as a source wants them.

use crate::error::LoadError;
use crate::key::Key;
use crate::loader::{LoadContext, Loaded, Loader};
use crate::service::document::Document;

/// A loader by texts, over one by whatever the texts are read as. A text that cannot be read names
/// nothing: the source is not asked.
pub(super) struct Translated<K, L> {
    loader: L,
    key_of: fn(&str) -> Option<K>,
}

impl<K, L> Translated<K, L> {
    pub(super) fn new(loader: L, key_of: fn(&str) -> Option<K>) -> Self {
        Self { loader, key_of }
    }
}

impl<K: Key, L: Loader<K, Document>> Loader<String, Document> for Translated<K, L> {
    async fn load(
        &self,
        key: &String,
        cx: &LoadContext<Document>,
    ) -> Result<Loaded<Document>, LoadError> {
        match (self.key_of)(key) {
            Some(key) => self.loader.load(&key, cx).await,
            None => Ok(Loaded::absent()),
        }
    }

    fn keys_per_call(&self) -> usize {
        self.loader.keys_per_call()
    }

    async fn load_many(
        &self,
        keys: &[(String, LoadContext<Document>)],
    ) -> Vec<Result<Loaded<Document>, LoadError>> {
        let read: Vec<_> = keys.iter().map(|(key, _)| (self.key_of)(key)).collect();
        let asked = read.iter().zip(keys);
        let asked = asked.filter_map(|(key, (_, cx))| Some((key.clone()?, again(cx))));
        let asked: Vec<_> = asked.collect();
        let answers = match asked.is_empty() {
            true => Vec::new(),
            false => self.loader.load_many(&asked).await,
        };
        let mut answers = answers.into_iter();
        let missing = || Err(LoadError::permanent("the loader gave no answer for a key"));
        let answer_of = |key: Option<K>| match key {
            Some(_) => answers.next().unwrap_or_else(missing),
            None => Ok(Loaded::absent()),
        };
        read.into_iter().map(answer_of).collect()
    }
}

/// The same context once more.
fn again(cx: &LoadContext<Document>) -> LoadContext<Document> {
    LoadContext::new(cx.origin(), cx.deadline(), cx.held().cloned(), cx.held_since())
        .preferring_primary(cx.prefers_primary())
}

/// An integer in the one way in which it is written: `7`, but not `07` or `+7`, which would be other
/// keys for the same row.
pub(super) fn integer(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_has_one_text() {
        for text in ["0", "7", "-7", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(integer(text).map(|number| number.to_string()).as_deref(), Some(text));
        }
        for text in ["", "07", "+7", "-0", " 7", "7 ", "7.0", "7e0", "0x7", "٧", "7\0", "7 or 1=1"]
        {
            assert_eq!(integer(text), None, "{text:?}");
        }
        assert_eq!(integer("9223372036854775808"), None);
    }
}
