//! How what is remembered becomes bytes: an envelope that says what is in it, and refuses what is
//! not.

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use super::file::{ReadError, WriteError};

const MAGIC: [u8; 8] = *b"forewarm";
const FORMAT: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
/// More is neither written nor read: 65,536 keys and their followers take some megabytes.
pub(super) const BYTES_MAX: u64 = 256 << 20;

/// Magic, format, contents, checksum of all that.
pub(super) fn seal(contents: &impl Serialize) -> Result<Vec<u8>, WriteError> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(FORMAT);
    let mut bytes = postcard::to_extend(contents, bytes).map_err(WriteError::Encoding)?;
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    if bytes.len() as u64 > BYTES_MAX {
        return Err(WriteError::TooLarge(bytes.len()));
    }
    Ok(bytes)
}

/// What [`seal`] has sealed.
pub(super) fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    match postcard::take_from_bytes(body(bytes)?) {
        Ok((contents, [])) => Ok(contents),
        Ok(_) => Err(ReadError::Length),
        Err(_cause) => Err(ReadError::Contents),
    }
}

/// What stands first in what [`seal`] has sealed; whether the rest can be read, it does not ask.
pub(super) fn open_first<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    let first = postcard::take_from_bytes(body(bytes)?);
    first.map(|(first, _)| first).map_err(|_cause| ReadError::Contents)
}

/// The contents, before they are read.
fn body(bytes: &[u8]) -> Result<&[u8], ReadError> {
    // One that breaks off within its magic, or holds nothing, is no file of anybody else's.
    if MAGIC.starts_with(bytes) {
        return Err(ReadError::Length);
    }
    let rest = bytes.strip_prefix(&MAGIC).ok_or(ReadError::Magic)?;
    let (format, rest) = rest.split_first().ok_or(ReadError::Length)?;
    if *format != FORMAT {
        return Err(ReadError::Format(*format));
    }
    let (body, _) = rest.split_last_chunk::<CHECKSUM_BYTES>().ok_or(ReadError::Length)?;
    let (sealed, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(ReadError::Length)?;
    if u64::from_le_bytes(*checksum) != xxh3_64(sealed) {
        return Err(ReadError::Checksum);
    }
    Ok(body)
}
