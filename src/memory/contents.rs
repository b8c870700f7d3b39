//! What is in the file.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::MemoryConfig;
use crate::engine::{Engine, Remembered};
use crate::predictor::Knowledge;

/// What is in the file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Contents {
    /// That of the engine that wrote it.
    pub(super) prefix: String,
    #[serde(with = "micros")]
    pub(super) written_at: Timestamp,
    /// The resources by name. Where they are named by place, it is their place here.
    pub(super) resources: Vec<(String, Option<Remembered>)>,
    pub(super) knowledge: Knowledge,
}

/// How many keys were remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Recalled {
    pub(super) keys: usize,
    /// Those of which nothing can be made: of a resource that has gone, or no key of it any more.
    pub(super) skipped: usize,
}

impl Contents {
    /// What an engine has to be remembered.
    pub(super) fn of(engine: &Engine, terms: &MemoryConfig) -> Self {
        let resources = engine
            .resources()
            .into_iter()
            .map(|resource| (resource.name().to_string(), resource.remember(terms.keys_max)));
        let resources: Vec<_> = resources.collect();
        let mut knowledge = engine.foresight.known(terms.learned_max, engine.clock.now());
        // A resource of which nothing is to be remembered is not named by others either.
        let is_kept =
            |place: u16| resources.get(usize::from(place)).is_some_and(|(_, it)| it.is_some());
        knowledge.forget_but(is_kept);
        let prefix = engine.prefix.as_str().to_owned();
        Self { prefix, written_at: engine.clock.wall(), resources, knowledge }
    }

    /// Has an engine remember what this tells of a process that ended `away` ago.
    pub(super) fn recall(mut self, engine: &Engine, away: Duration) -> Recalled {
        let present = engine.resources();
        let (mut all, mut keys) = (0, 0);
        let mut places = Vec::new();
        for (name, remembered) in &self.resources {
            let place = present.iter().position(|resource| **resource.name() == **name);
            places.push(place.and_then(|place| u16::try_from(place).ok()));
            let Some(remembered) = remembered else { continue };
            all += remembered.hot.len();
            let resource = place.and_then(|place| present.get(place));
            keys += resource.map_or(0, |resource| resource.recall(remembered, away));
        }
        all += self.knowledge.keys.len();
        self.knowledge.move_to(&places, present.len());
        keys += engine.foresight.recall(&self.knowledge, away, engine.clock.now());
        Recalled { keys, skipped: all.saturating_sub(keys) }
    }
}

/// Wall time as a number of microseconds since 1970.
mod micros {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_microsecond())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let micros = i64::deserialize(from)?;
        Timestamp::from_microsecond(micros).map_err(serde::de::Error::custom)
    }
}
