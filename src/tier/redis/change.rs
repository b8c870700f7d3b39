//! A change as the log has it.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::tier::{Change, Lag, Logged, Node, Row};

/// Reads a change that stands at a place known by `id`.
pub(super) fn read(bytes: &[u8], id: u64) -> Option<Logged> {
    let (by, rest) = bytes.split_first_chunk()?;
    let (turn, rest) = rest.split_first_chunk::<16>()?;
    let (kind, rest) = short(rest)?;
    let (lag, rest) = short(rest)?;
    let (subject_length, rest) = rest.split_first_chunk()?;
    let subject_length = usize::try_from(u32::from_be_bytes(*subject_length)).ok()?;
    let (subject, detail) = rest.split_at_checked(subject_length)?;
    let [kind, subject, detail] = [kind, subject, detail].map(std::str::from_utf8);
    let row = Row { kind: kind.ok()?, subject: subject.ok()?, detail: detail.ok()? };
    let change = row.change(read_lag(lag)?);
    let id = match &change {
        // All domains are told of it, each at a place of its own.
        Change::Resource { .. } | Change::Tag { .. } | Change::Pattern { .. } => xxh3_64(
            &[turn, row.kind.as_bytes(), row.subject.as_bytes(), detail.ok()?.as_bytes()].join(&0),
        ),
        _ => id,
    };
    Some(Logged { id, by: Node(u64::from_be_bytes(*by)), change })
}

/// What follows a length of one byte, and the rest.
fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// A lag, if there is any.
fn read_lag(bytes: &[u8]) -> Option<Option<Lag>> {
    if bytes.is_empty() {
        return Some(None);
    }
    let (lasts, rest) = bytes.split_first_chunk()?;
    let lasts = Duration::from_millis(u64::from_be_bytes(*lasts));
    let (kind, version) = rest.split_first()?;
    let version = u64::from_be_bytes(version.try_into().ok()?);
    Some(Some(Lag { lasts, min_version: (*kind == b'v').then_some(version) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(kind: &str, lag: &[u8], subject: &str, detail: &str) -> Vec<u8> {
        let lengths = [kind.len(), lag.len()].map(|length| u8::try_from(length).unwrap());
        let (by, turn) = (7_u64.to_be_bytes(), [1; 16]);
        let subject_length = u32::try_from(subject.len()).unwrap().to_be_bytes();
        [
            &by[..],
            &turn,
            &lengths[..1],
            kind.as_bytes(),
            &lengths[1..],
            lag,
            &subject_length,
            subject.as_bytes(),
            detail.as_bytes(),
        ]
        .concat()
    }

    #[test]
    fn a_change_is_read_as_it_was_packed() {
        let lag = [&300_u64.to_be_bytes()[..], b"v", &u64::MAX.to_be_bytes()].concat();
        let (key, resource) = ("p:user:1".to_owned(), "p:user".to_owned());
        let lasts = Duration::from_millis(300);
        let lagging = Some(Lag { lasts, min_version: Some(u64::MAX) });
        for (bytes, change) in [
            (packed("key", b"", &key, ""), Change::Key { key: key.clone(), lag: None }),
            (packed("key", &lag, &key, ""), Change::Key { key: key.clone(), lag: lagging }),
            (packed("expired", b"", &key, ""), Change::Expired { key: key.clone() }),
            (
                packed("resource", b"", &resource, ""),
                Change::Resource { resource: resource.clone() },
            ),
            (
                packed("tag", b"", &resource, "\0é"),
                Change::Tag { resource: resource.clone(), tag: "\0é".to_owned() },
            ),
            (packed("later", b"", &key, "x"), Change::Unknown),
        ] {
            let logged = read(&bytes, 5).unwrap();
            assert_eq!((logged.by, logged.change), (Node(7), change));
        }
    }

    #[test]
    fn what_is_no_change_is_refused() {
        let change = packed("key", b"", "p:user:1", "");
        for length in 0..change.len() {
            assert_eq!(read(&change[..length], 5), None, "{length} bytes");
        }
        assert_eq!(read(&packed("key", b"123", "p:user:1", ""), 5), None);
        assert_eq!(read(&packed("key", b"123456789", "p:user:1", ""), 5), None);
        let mut wrong = change;
        wrong.extend(b"\xff");
        assert_eq!(read(&wrong, 5), None);
    }

    /// All domains are told of a group, and each of a key of its own.
    #[test]
    fn a_change_of_a_group_is_the_same_wherever_it_stands() {
        let id = |bytes: &[u8], at| read(bytes, at).unwrap().id;
        let (group, other) = (packed("tag", b"", "p:user", "a"), packed("tag", b"", "p:user", "b"));
        assert_eq!(id(&group, 1), id(&group, 2));
        assert_ne!(id(&group, 1), id(&other, 1));
        let key = packed("key", b"", "p:user:1", "");
        assert_ne!(id(&key, 1), id(&key, 2));
    }
}
