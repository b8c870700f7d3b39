//! Whether a text is JSON that can be read as a value.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a text is read as to see whether it can be read as a `serde_json::Value`: nothing is kept.
///
/// It asks for whatever there is at every depth. A reader that is told to ignore something does not
/// look at how deep it is, nor whether its numbers are any.
pub(super) struct Sound;

impl Sound {
    /// Says why a text cannot be read.
    pub(super) fn check(text: &[u8]) -> Result<(), serde_json::Error> {
        serde_json::from_slice::<Self>(text).map(drop)
    }
}

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SoundVisitor)
    }
}

struct SoundVisitor;

impl<'de> Visitor<'de> for SoundVisitor {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_u64<E>(self, _value: u64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_str<E>(self, _value: &str) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_unit<E>(self) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Sound, A::Error> {
        while items.next_element::<Sound>()?.is_some() {}
        Ok(Sound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Sound, A::Error> {
        // Names are texts, whatever is done with them.
        while fields.next_entry::<IgnoredAny, Sound>()?.is_some() {}
        Ok(Sound)
    }
}
