//! Reading the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::fault::Fault;
use super::link::Link;
use super::reply;
use super::script::{Call, POLL};
use crate::tier::{Change, Lag, Logged, Mark, Node, Row};

/// What the log of one domain tells.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) mark: Mark,
    pub(super) changes: Vec<Logged>,
    pub(super) is_gap: bool,
    pub(super) has_more: bool,
}

/// From where a log is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Since {
    /// Its beginning.
    Start,
    Mark(Mark),
    /// Nobody knows.
    Lost,
}

/// Reads at most `count` changes from the log of one domain.
pub(super) async fn poll(link: Arc<Link>, since: Since, count: usize) -> Result<Told, Fault> {
    let open = link.open().await?;
    let position = match since {
        Since::Start => Some(0),
        Since::Mark(mark) if mark.incarnation == open.life => Some(mark.position),
        Since::Mark(_) | Since::Lost => None,
    };
    let mut call = Call::new(&POLL);
    call.key(link.names.meta());
    call.key(link.names.log());
    call.arg(position.map(|position| position.to_string()).unwrap_or_default().into_bytes());
    call.number(count);
    let [now, sequence, entries] = reply::listed(link.call(&open, &call).await?)?;
    open.note_time(reply::number(&now)?);
    let sequence = u64::try_from(reply::number(&sequence)?);
    let sequence = sequence.map_err(|_negative| Fault::Unreadable)?;
    let mark = |position| Mark { incarnation: open.life, position };
    let entries = reply::list(entries)?;
    let has_more = entries.len() >= count;
    let changes = position.and_then(|position| changes(entries, position, open.life));
    // Without a gap, the last one told is the last there is, unless there are more.
    let reached = changes.as_deref().and_then(<[_]>::last).map(|(position, _)| *position);
    let reached = reached.or(position).unwrap_or_default();
    match changes {
        Some(changes) if has_more || reached == sequence => {
            let changes = changes.into_iter().map(|(_, logged)| logged).collect();
            let has_more = has_more && reached < sequence;
            Ok(Told { mark: mark(reached), changes, is_gap: false, has_more })
        }
        _ => Ok(Told { mark: mark(sequence), changes: Vec::new(), is_gap: true, has_more: false }),
    }
}

/// The changes after a position, each with its own; `None` if some are missing.
fn changes(entries: Vec<Value>, position: u64, life: u64) -> Option<Vec<(u64, Logged)>> {
    let expected = position.checked_add(1)?..;
    expected
        .zip(entries)
        .map(|(expected, entry)| {
            let [id, fields] = reply::listed(entry).ok()?;
            let id = reply::text(id).ok()?;
            let position: u64 = id.strip_suffix("-0")?.parse().ok()?;
            let id = xxh3_64(&[life.to_be_bytes(), position.to_be_bytes()].concat());
            let unknown = Logged { id, by: Node::NONE, change: Change::Unknown };
            // What cannot be read may have been anything, by anybody.
            let logged = || read(id, fields).unwrap_or(unknown);
            (position == expected).then(|| (position, logged()))
        })
        .collect()
}

fn read(id: u64, fields: Value) -> Result<Logged, Fault> {
    let mut fields = reply::list(fields)?.into_iter();
    let mut found = HashMap::new();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        found.insert(reply::bytes(name)?, reply::bytes(value)?);
    }
    let mut field = |name: &str| found.remove(name.as_bytes()).ok_or(Fault::Unreadable);
    let [by, tier, turn, lag] = ["by", "tier", "turn", "lag"].map(&mut field);
    let mut text = |name| reply::utf8(field(name)?);
    let (kind, subject, detail) = (text("kind")?, text("subject")?, text("detail")?);
    let change = Row { kind: &kind, subject: &subject, detail: &detail }.change(read_lag(&lag?)?);
    let id = match &change {
        // All domains are told of it, each at a place of its own.
        Change::Resource { .. } | Change::Tag { .. } | Change::Pattern { .. } => {
            let parts = [&tier?, &turn?, kind.as_bytes(), subject.as_bytes(), detail.as_bytes()];
            xxh3_64(&parts.join(&0))
        }
        _ => id,
    };
    Ok(Logged { id, by: Node(reply::packed(&by?)?), change })
}

fn read_lag(packed: &[u8]) -> Result<Option<Lag>, Fault> {
    let Some((lasts, rest)) = packed.split_first_chunk() else { return Ok(None) };
    let lasts = Duration::from_millis(u64::from_be_bytes(*lasts));
    let (kind, version) = rest.split_first().ok_or(Fault::Unreadable)?;
    let version = reply::packed(version)?;
    Ok(Some(Lag { lasts, min_version: (*kind == b'v').then_some(version) }))
}
