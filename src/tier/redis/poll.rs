//! Reading the log.

use std::sync::Arc;

use redis::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::change;
use super::fault::Fault;
use super::link::Link;
use super::reply;
use super::script::{Call, POLL};
use crate::tier::{Change, Logged, Mark, Node};

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
    let [now, sequence, entries] = reply::listed(link.call_confirmed(&open, &call).await?)?;
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
            let [place, fields] = reply::listed(entry).ok()?;
            let place = reply::text(place).ok()?;
            let position: u64 = place.strip_suffix("-0")?.parse().ok()?;
            let id = xxh3_64(&[life.to_be_bytes(), position.to_be_bytes()].concat());
            // What cannot be read may have been anything, by anybody.
            let unknown = Logged { id, by: Node::NONE, change: Change::Unknown };
            let logged = logged(id, fields).unwrap_or(unknown);
            (position == expected).then_some((position, logged))
        })
        .collect()
}

fn logged(id: u64, fields: Value) -> Option<Logged> {
    let [_name, change] = reply::listed(fields).ok()?;
    change::read(&reply::bytes(change).ok()?, id)
}
