//! A value as it is stored on the server, and as it is sent there.

use std::time::Duration;

use super::fault::Fault;
use super::reply;
use crate::tier::{Fill, Stored};

/// Beyond this many milliseconds, scripts would no longer count exactly: 100,000 years.
const MILLIS_MAX: u64 = 1 << 52;

/// A span in whole milliseconds; what is too long to count lasts for ever.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).map_or(MILLIS_MAX, |millis| millis.min(MILLIS_MAX))
}

/// The span between two times in milliseconds, or none if `end` is not after `start`.
fn span(start: i64, end: i64) -> Duration {
    Duration::from_millis(u64::try_from(end.saturating_sub(start)).unwrap_or_default())
}

/// A demand on versions, or a version: any or none if it is not known, which `unknown` says.
pub(super) fn version(version: Option<u64>, unknown: u8) -> [u8; 9] {
    let mut packed = [0; 9];
    let (kind, number) = (version.map_or(unknown, |_| b'v'), version.unwrap_or_default());
    for (place, byte) in packed.iter_mut().zip([kind].into_iter().chain(number.to_be_bytes())) {
        *place = byte;
    }
    packed
}

/// What is sent with a value: permit, age, spans, version and tags.
pub(super) fn about(fill: &Fill<'_>) -> Vec<u8> {
    let mut about = fill.permit.0.to_be_bytes().to_vec();
    for span in [fill.age, fill.fresh_for, fill.keep_for] {
        about.extend(millis(span).to_be_bytes());
    }
    about.extend(version(fill.version, b'n'));
    for tag in fill.tags {
        about.extend(u32::try_from(tag.len()).unwrap_or(u32::MAX).to_be_bytes());
        about.extend(tag.as_bytes());
    }
    about
}

/// Before a value: the life in which it was stored, the sequence at which it was loaded, when it was
/// loaded, until when it is fresh and kept, and the bytes that its tags take.
struct Head {
    loaded: i64,
    fresh: i64,
    keep: i64,
    tag_bytes: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (_life, rest) = bytes.split_first_chunk::<8>()?;
        let (_sequence, rest) = rest.split_first_chunk::<8>()?;
        let (loaded, rest) = rest.split_first_chunk()?;
        let (fresh, rest) = rest.split_first_chunk()?;
        let (keep, rest) = rest.split_first_chunk()?;
        let (tag_bytes, rest) = rest.split_first_chunk()?;
        let [loaded, fresh, keep] = [loaded, fresh, keep].map(|bytes| i64::from_be_bytes(*bytes));
        let tag_bytes = usize::try_from(u32::from_be_bytes(*tag_bytes)).ok()?;
        Some((Self { loaded, fresh, keep, tag_bytes }, rest))
    }
}

/// Reads a value that the server gave at `now`.
pub(super) fn stored(mut bytes: Vec<u8>, now: i64) -> Result<Stored, Fault> {
    let (head, rest) = Head::read(&bytes).ok_or(Fault::Unreadable)?;
    let (section, value) = rest.split_at_checked(head.tag_bytes).ok_or(Fault::Unreadable)?;
    let tags = tags(section)?;
    let start = bytes.len() - value.len();
    bytes.drain(..start);
    Ok(Stored {
        value: bytes,
        age: span(head.loaded, now),
        fresh_for: span(now, head.fresh),
        keep_for: span(now, head.keep),
        is_restored: false,
        tags,
    })
}

fn tags(mut section: &[u8]) -> Result<Vec<String>, Fault> {
    let mut tags = Vec::new();
    while !section.is_empty() {
        let (length, rest) = section.split_first_chunk().ok_or(Fault::Unreadable)?;
        let length = usize::try_from(u32::from_be_bytes(*length));
        let length = length.map_err(|_too_long| Fault::Unreadable)?;
        let (tag, rest) = rest.split_at_checked(length).ok_or(Fault::Unreadable)?;
        tags.push(reply::utf8(tag.to_vec())?);
        section = rest;
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(tag_bytes: u32, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![7; 16];
        for time in [1_000_i64, 5_000, 9_000] {
            bytes.extend(time.to_be_bytes());
        }
        bytes.extend(tag_bytes.to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn a_value_is_read_as_it_was_packed() {
        let stored = stored(packed(8, b"\0\0\0\x04\xc3\xa9 9Ada\0"), 3_000).unwrap();
        assert_eq!((&stored.value[..], &stored.tags[..]), (&b"Ada\0"[..], &["é 9".to_owned()][..]));
        let spans = [stored.age, stored.fresh_for, stored.keep_for];
        assert_eq!(spans, [2, 2, 6].map(Duration::from_secs));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for bytes in [
            Vec::new(),
            packed(0, b"")[..43].to_vec(),
            packed(1, b""),
            packed(4, b"\0\0\0\x01"),
            packed(5, b"\0\0\0\x01\xff"),
            packed(u32::MAX, b"Ada"),
        ] {
            assert!(stored(bytes.clone(), 0).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn spans_without_end_are_counted_exactly() {
        assert_eq!(millis(Duration::MAX), MILLIS_MAX);
        assert_eq!(millis(Duration::from_millis(7)), 7);
    }
}
