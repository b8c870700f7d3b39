//! How a value becomes bytes: an envelope that says what is in it, and refuses what is not.

use std::fmt;

use postcard::ser_flavors::Size;
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

/// Turns values of one type into bytes and back.
pub(crate) struct Codec<V> {
    encode: fn(&V) -> postcard::Result<Vec<u8>>,
    decode: fn(&[u8]) -> postcard::Result<V>,
    length: fn(&V) -> postcard::Result<usize>,
    schema: u32,
    compress_over: usize,
    value_bytes_max: usize,
}

impl<V> Codec<V> {
    /// A codec for values of this `schema`, at most `value_bytes_max` bytes long.
    pub(crate) fn new() -> Self
    where
        V: Serialize + DeserializeOwned,
    {
        Self {
            encode: |value| postcard::to_stdvec(value),
            decode: |bytes| postcard::from_bytes(bytes),
            length: |value| postcard::serialize_with_flavor(value, Size::default()),
            schema: 0,
            compress_over: usize::MAX,
            value_bytes_max: usize::MAX,
        }
    }

    /// The same, with these limits.
    pub(crate) fn with(self, schema: u32, compress_over: usize, value_bytes_max: usize) -> Self {
        Self { schema, compress_over, value_bytes_max, ..self }
    }

    /// The length of a value's encoding in bytes, if it can be encoded.
    pub(crate) fn length(&self, value: &V) -> Option<usize> {
        (self.length)(value).ok()
    }

    /// The envelope of a value, or of its absence, under its full key; and the length of the
    /// value's encoding.
    pub(crate) fn encode(
        &self,
        full_key: &str,
        value: Option<&V>,
    ) -> Result<(Vec<u8>, usize), EncodeError> {
        let body = value.map(self.encode).transpose().map_err(EncodeError::Serialize)?;
        let Some(body) = body else {
            let envelope = Envelope { kind: Kind::Absent, raw_length: 0, body: &[] };
            return Ok((envelope.write(full_key, self.schema)?, 0));
        };
        if body.len() > self.value_bytes_max {
            return Err(EncodeError::TooLarge(body.len()));
        }
        let raw_length = body.len();
        if raw_length > self.compress_over {
            let packed = lz4_flex::block::compress(&body);
            if packed.len() < raw_length {
                let envelope = Envelope { kind: Kind::Lz4, raw_length, body: &packed };
                return Ok((envelope.write(full_key, self.schema)?, raw_length));
            }
        }
        let envelope = Envelope { kind: Kind::Plain, raw_length, body: &body };
        Ok((envelope.write(full_key, self.schema)?, raw_length))
    }

    /// The value in an envelope, or its absence; and the length of the value's encoding.
    pub(crate) fn decode(
        &self,
        full_key: &str,
        bytes: &[u8],
    ) -> Result<(Option<V>, usize), Unreadable> {
        let envelope = Envelope::read(full_key, self.schema, bytes)?;
        // Checked before anything is unpacked: the declared length is not to be trusted either.
        if envelope.raw_length > self.value_bytes_max {
            return Err(Unreadable::TooLarge);
        }
        let value = match envelope.kind {
            Kind::Absent => return Ok((None, 0)),
            Kind::Plain => (self.decode)(envelope.body),
            Kind::Lz4 => {
                let raw = lz4_flex::block::decompress(envelope.body, envelope.raw_length)
                    .map_err(|_cause| Unreadable::Compression)?;
                (self.decode)(&raw)
            }
        };
        let raw_length = envelope.raw_length;
        value.map(|value| (Some(value), raw_length)).map_err(|_cause| Unreadable::Value)
    }
}

impl<V> fmt::Debug for Codec<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// What the envelope says of its body.
struct Envelope<'a> {
    kind: Kind,
    /// The length of the body before compression.
    raw_length: usize,
    body: &'a [u8],
}

/// What a body is.
#[derive(Clone, Copy)]
enum Kind {
    Plain = 0,
    Lz4 = 1,
    /// "The source has no such thing".
    Absent = 2,
}

const MAGIC: [u8; 2] = *b"fw";
const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 24;
const CHECKSUM_BYTES: usize = 8;

/// Why a value cannot be stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncodeError {
    #[error("the value is {0} bytes long")]
    TooLarge(usize),
    #[error("the value cannot be serialised")]
    Serialize(#[source] postcard::Error),
}

/// Why stored bytes are no value. Each is a miss, and counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it is not an envelope")]
    Magic,
    #[error("it is of another format")]
    Format,
    #[error("its lengths do not add up")]
    Length,
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it is of another schema")]
    Schema,
    #[error("it belongs to another key")]
    Key,
    #[error("it is too large")]
    TooLarge,
    #[error("it cannot be unpacked")]
    Compression,
    #[error("it is not a value of this type")]
    Value,
}

impl<'a> Envelope<'a> {
    /// Header (magic, format, kind, schema, check of the key, raw length, body length), body,
    /// checksum of all that; numbers are little-endian.
    fn write(&self, full_key: &str, schema: u32) -> Result<Vec<u8>, EncodeError> {
        let too_large = |_| EncodeError::TooLarge(self.raw_length);
        let raw_length = u32::try_from(self.raw_length).map_err(too_large)?;
        let body_length = u32::try_from(self.body.len()).map_err(too_large)?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.body.len() + CHECKSUM_BYTES);
        bytes.extend(MAGIC);
        bytes.extend([FORMAT, self.kind as u8]);
        bytes.extend(schema.to_le_bytes());
        bytes.extend(xxh3_64(full_key.as_bytes()).to_le_bytes());
        bytes.extend(raw_length.to_le_bytes());
        bytes.extend(body_length.to_le_bytes());
        bytes.extend(self.body);
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        Ok(bytes)
    }

    fn read(full_key: &str, schema: u32, bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let (magic, rest) = bytes.split_first_chunk().ok_or(Unreadable::Magic)?;
        if *magic != MAGIC {
            return Err(Unreadable::Magic);
        }
        let ([format, kind], rest) = rest.split_first_chunk().ok_or(Unreadable::Length)?;
        if *format != FORMAT {
            return Err(Unreadable::Format);
        }
        let (sealed, checksum) = bytes.split_last_chunk().ok_or(Unreadable::Length)?;
        let (stored_schema, rest) = rest.split_first_chunk().ok_or(Unreadable::Length)?;
        let (key, rest) = rest.split_first_chunk().ok_or(Unreadable::Length)?;
        let (raw_length, rest) = rest.split_first_chunk().ok_or(Unreadable::Length)?;
        let (body_length, rest) = rest.split_first_chunk().ok_or(Unreadable::Length)?;
        let body_length = u32::from_le_bytes(*body_length) as usize;
        if rest.len() != body_length + CHECKSUM_BYTES {
            return Err(Unreadable::Length);
        }
        if u64::from_le_bytes(*checksum) != xxh3_64(sealed) {
            return Err(Unreadable::Checksum);
        }
        if u32::from_le_bytes(*stored_schema) != schema {
            return Err(Unreadable::Schema);
        }
        if u64::from_le_bytes(*key) != xxh3_64(full_key.as_bytes()) {
            return Err(Unreadable::Key);
        }
        let kind = match kind {
            0 => Kind::Plain,
            1 => Kind::Lz4,
            2 => Kind::Absent,
            _ => return Err(Unreadable::Format),
        };
        let body = rest.get(..body_length).ok_or(Unreadable::Length)?;
        Ok(Self { kind, raw_length: u32::from_le_bytes(*raw_length) as usize, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
    struct User {
        id: u64,
        email: Option<String>,
        roles: Vec<String>,
    }

    fn codec() -> Codec<User> {
        Codec::new().with(3, 64, 1 << 16)
    }

    fn users() -> impl Strategy<Value = User> {
        (any::<u64>(), any::<Option<String>>(), prop::collection::vec(".*", 0..20))
            .prop_map(|(id, email, roles)| User { id, email, roles })
    }

    fn user() -> User {
        User { id: 7, email: Some("a@example.com".into()), roles: vec!["admin".repeat(40)] }
    }

    #[test]
    fn absence_round_trips() {
        let (bytes, length) = codec().encode("p:user:7", None).unwrap();
        assert_eq!(codec().decode("p:user:7", &bytes), Ok((None, 0)));
        assert_eq!(length, 0);
    }

    #[test]
    fn long_values_are_packed() {
        let (packed, length) = codec().encode("p:user:7", Some(&user())).unwrap();
        let (plain, same_length) = Codec::new().encode("p:user:7", Some(&user())).unwrap();
        assert!(packed.len() < plain.len());
        assert_eq!((length, codec().length(&user())), (same_length, Some(length)));
        assert_eq!(codec().decode("p:user:7", &packed), Ok((Some(user()), length)));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (bytes, _) = codec().encode("p:user:7", Some(&user())).unwrap();
        let other_schema = Codec::<User>::new().with(4, 64, 1 << 16);
        assert_eq!(other_schema.decode("p:user:7", &bytes), Err(Unreadable::Schema));
        assert_eq!(codec().decode("p:user:8", &bytes), Err(Unreadable::Key));
        let narrow = Codec::<User>::new().with(3, 64, 10);
        assert_eq!(narrow.decode("p:user:7", &bytes), Err(Unreadable::TooLarge));
        assert!(matches!(narrow.encode("k", Some(&user())), Err(EncodeError::TooLarge(_))));
        let texts = Codec::<String>::new().with(3, 64, 1 << 16);
        let (text, _) = texts.encode("p:user:7", Some(&"\u{7f}".into())).unwrap();
        assert_eq!(codec().decode("p:user:7", &text), Err(Unreadable::Value));
    }

    /// The bytes of format 1, which every later version must still read, or refuse by its format.
    #[test]
    fn the_format_stands() {
        let golden = [
            0x66, 0x77, 0x01, 0x00, 0x03, 0x00, 0x00, 0x00, 0x87, 0x41, 0x2d, 0x0b, 0xf1, 0x79,
            0x5e, 0x46, 0x03, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x06,
            0x53, 0xda, 0x38, 0x7e, 0xd2, 0xcd, 0xfd,
        ];
        let user = User { id: 7, email: None, roles: vec![] };
        assert_eq!(codec().encode("p:user:7", Some(&user)).unwrap(), (golden.to_vec(), 3));
        assert_eq!(codec().decode("p:user:7", &golden), Ok((Some(user), 3)));
    }

    proptest! {
        #[test]
        fn values_round_trip(user in users()) {
            let (bytes, length) = codec().encode("p:user:7", Some(&user)).unwrap();
            prop_assert_eq!(codec().decode("p:user:7", &bytes), Ok((Some(user), length)));
        }

        #[test]
        fn a_changed_bit_is_noticed(user in users(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let (mut bytes, _) = codec().encode("p:user:7", Some(&user)).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(codec().decode("p:user:7", &bytes).is_err());
        }

        #[test]
        fn random_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(codec().decode("p:user:7", &bytes).is_err());
        }

        #[test]
        fn a_part_is_refused(user in users(), at in any::<prop::sample::Index>()) {
            let (bytes, _) = codec().encode("p:user:7", Some(&user)).unwrap();
            prop_assert!(codec().decode("p:user:7", &bytes[..at.index(bytes.len())]).is_err());
        }
    }
}
