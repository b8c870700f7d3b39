//! Secrets that are written anew where they are, such as a file that a rotation replaces.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::service::settings::Settings;

/// What the secrets in files were when they were read, by the settings that name the files: only what
/// tells whether they are others now.
#[derive(Clone, Debug, Default)]
pub(in crate::service::web) struct Digests(BTreeMap<String, [u8; 32]>);

/// What begins the settings whose secrets are taken at a reload.
const TAKEN: &str = "auth.";

impl Digests {
    /// Reads the files; those that cannot be read are left out.
    pub(in crate::service::web) fn of(settings: &Settings) -> Self {
        let secrets = settings.secrets().into_iter().filter(|(_, secret)| secret.is_in_file());
        let digest = |text: String| Sha256::digest(text).into();
        let read =
            secrets.filter_map(|(field, secret)| Some((field, digest(secret.reveal().ok()?))));
        Self(read.collect())
    }

    /// The settings whose secrets are others in `now`: first those that are taken, then those that need
    /// a restart.
    pub(super) fn differing(&self, now: &Self) -> (Vec<String>, Vec<String>) {
        let differs = |(field, digest): &(&String, &[u8; 32])| {
            now.0.get(*field).is_some_and(|other| other != *digest)
        };
        let fields = self.0.iter().filter(differs).map(|(field, _)| field.clone());
        fields.partition(|field| field.starts_with(TAKEN))
    }

    /// Those that are used once what can be taken of `now` is.
    pub(super) fn taking(&self, now: &Self) -> Self {
        let is_taken = |field: &str| field.starts_with(TAKEN);
        let kept = self.0.iter().filter(|(field, _)| !is_taken(field));
        let taken = now.0.iter().filter(|(field, _)| is_taken(field));
        Self(kept.chain(taken).map(|(field, digest)| (field.clone(), *digest)).collect())
    }
}
