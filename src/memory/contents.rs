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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::HotText;
    use crate::memory::envelope::{open, seal};
    use crate::memory::file::ReadError;
    use crate::predictor::{KnownCalibration, KnownFollower, KnownKey, KnownLeader};
    use crate::recorder::Habit;
    use proptest::prelude::*;

    fn contents() -> Contents {
        let habit = Habit { score: 3.5, recent: 2.0, gap_secs: 60.0, quiet_secs: 0.5 };
        let calibration =
            KnownCalibration { layout: 775, cells: vec![(7, 1.0, 4.0)], recent: (3, 9) };
        let hot = vec![HotText { text: "7".into(), habit }];
        let key = |text: &str, resource, to| KnownKey {
            resource,
            text: text.into(),
            reads: 4.0,
            gap_secs: 1.0,
            quiet_secs: 0.25,
            coverage: 0.5,
            followers: vec![KnownFollower { to, weight: 2.0, is_far: to == 0 }],
        };
        Contents {
            prefix: "shop".into(),
            written_at: Timestamp::from_second(1_800_000_000).unwrap(),
            resources: vec![
                ("user".into(), Some(Remembered { hot, calibration })),
                ("secret".into(), None),
            ],
            knowledge: Knowledge {
                keys: vec![key("7", 0, 1), key("8", 0, 0)],
                leaders: vec![KnownLeader { reads: 8.0, followers: vec![(1, 6.0)] }],
            },
        }
    }

    /// The bytes of format 1, which every later version must still read, or refuse by its format.
    #[test]
    fn the_format_stands() {
        let golden = [
            0x66, 0x6f, 0x72, 0x65, 0x77, 0x61, 0x72, 0x6d, 0x01, 0x04, 0x73, 0x68, 0x6f, 0x70,
            0x80, 0x80, 0xc4, 0x89, 0xe5, 0xc5, 0xb2, 0x06, 0x02, 0x04, 0x75, 0x73, 0x65, 0x72,
            0x01, 0x01, 0x01, 0x37, 0x00, 0x00, 0x60, 0x40, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00,
            0x70, 0x42, 0x00, 0x00, 0x00, 0x3f, 0x87, 0x06, 0x01, 0x07, 0x00, 0x00, 0x80, 0x3f,
            0x00, 0x00, 0x80, 0x40, 0x03, 0x09, 0x06, 0x73, 0x65, 0x63, 0x72, 0x65, 0x74, 0x00,
            0x02, 0x00, 0x01, 0x37, 0x00, 0x00, 0x80, 0x40, 0x00, 0x00, 0x80, 0x3f, 0x00, 0x00,
            0x80, 0x3e, 0x00, 0x00, 0x00, 0x3f, 0x01, 0x01, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00,
            0x01, 0x38, 0x00, 0x00, 0x80, 0x40, 0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x80, 0x3e,
            0x00, 0x00, 0x00, 0x3f, 0x01, 0x00, 0x00, 0x00, 0x00, 0x40, 0x01, 0x01, 0x00, 0x00,
            0x00, 0x41, 0x01, 0x01, 0x00, 0x00, 0xc0, 0x40, 0x7e, 0x5e, 0xc6, 0x64, 0x1a, 0x3c,
            0x29, 0x70,
        ];
        assert_eq!(seal(&contents()).unwrap(), golden);
        assert_eq!(open::<Contents>(&golden).unwrap(), contents());
    }

    #[test]
    fn another_format_is_refused_by_its_number() {
        let mut bytes = seal(&contents()).unwrap();
        bytes[8] = 2;
        assert!(matches!(open::<Contents>(&bytes), Err(ReadError::Format(2))));
    }

    #[test]
    fn resources_that_have_moved_are_named_by_their_new_places() {
        let mut knowledge = contents().knowledge;
        knowledge.move_to(&[Some(2), Some(0)], 3);
        assert!(knowledge.keys.iter().all(|key| key.resource == 2));
        assert_eq!(knowledge.leaders[2].followers, [(0, 6.0)]);
        assert_eq!(knowledge.leaders[0], KnownLeader::default());
        knowledge.move_to(&[None, None, None], 1);
        assert!(knowledge.keys.iter().all(|key| key.resource == u16::MAX));
        assert_eq!(knowledge.leaders, [KnownLeader::default()]);
    }

    proptest! {
        #[test]
        fn a_changed_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = seal(&contents()).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(open::<Contents>(&bytes).is_err());
        }

        #[test]
        fn random_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(open::<Contents>(&bytes).is_err());
            // Behind a header and before a checksum that fit, they may be read.
            let mut sealed = [b"forewarm\x01", &bytes[..]].concat();
            sealed.extend(xxhash_rust::xxh3::xxh3_64(&sealed).to_le_bytes());
            drop(open::<Contents>(&sealed));
        }

        #[test]
        fn a_part_is_refused(at in any::<prop::sample::Index>()) {
            let bytes = seal(&contents()).unwrap();
            prop_assert!(open::<Contents>(&bytes[..at.index(bytes.len())]).is_err());
        }
    }
}
