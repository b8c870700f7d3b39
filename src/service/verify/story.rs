//! What happened around a stale read.

use super::checker::{Account, Rule, Stale};
use super::history::{Event, Member};

/// How long before the change that a stale read should have heeded the story begins, and how long
/// after the read it ends, in nanoseconds.
const BEFORE: u64 = 250_000_000;
const AFTER: u64 = 50_000_000;

/// The most lines of a story.
const LINES_MAX: usize = 60;

/// What happened to the key around a stale read, a line each.
pub(super) fn tell(stale: &Stale, accounts: &[Account], window: u64) -> String {
    let Stale { rule, reads, at, change, by } = stale;
    let origin = change.start.saturating_sub(BEFORE);
    let since = |time: u64| millis(time, origin);
    let which = match rule {
        Rule::Here => "on the same node".to_owned(),
        Rule::Elsewhere => format!("{} ms after a change on another node", window / 1_000_000),
    };
    let mut lines = vec![format!(
        "key {}: node {} gave version {} ({:?}) at {} ms, {which}; version {} was told by node {} \
         ({:?}) from {} to {} ms",
        reads.key,
        name(*at),
        reads.version,
        reads.way,
        since(reads.start),
        change.version,
        name(*by),
        change.how,
        since(change.start),
        since(change.end),
    )];
    lines.extend(around(stale, accounts, origin));
    lines.join("\n    ")
}

fn around(stale: &Stale, accounts: &[Account], origin: u64) -> Vec<String> {
    let until = stale.reads.end.saturating_add(AFTER);
    let is_near = |event: &Event| {
        event.key() == stale.reads.key && event.end() >= origin && event.start() <= until
    };
    let mut events: Vec<_> = accounts
        .iter()
        .flat_map(|account| account.events.iter().map(|event| (account.member, event)))
        .filter(|(_, event)| is_near(event))
        .collect();
    events.sort_by_key(|(_, event)| event.start());
    let left_out = events.len().saturating_sub(LINES_MAX);
    // What is at both ends tells most.
    let (head, tail) = (LINES_MAX / 2, events.len().saturating_sub(LINES_MAX / 2));
    let mut lines = Vec::new();
    for (nth, (member, event)) in events.iter().enumerate() {
        if left_out == 0 || nth < head || nth >= tail {
            lines.push(line(*member, event, origin));
        } else if nth == head {
            lines.push(format!("... {left_out} more ..."));
        }
    }
    lines
}

fn line(member: Member, event: &Event, origin: u64) -> String {
    let (from, to) = (millis(event.start(), origin), millis(event.end(), origin));
    let what = match event {
        Event::Read(reads) => {
            let start = millis(reads.start, origin);
            let label = if reads.is_verified { "" } else { ", unverified" };
            let (way, count, version) = (reads.way, reads.count, reads.version);
            format!("{count} x {way:?} gave {version}{label}; the last began at {start}")
        }
        Event::Change(changed) => {
            let delivery = if changed.is_applied { "applied" } else { "queued" };
            format!("{:?} of {}: {delivery}", changed.how, changed.version)
        }
        Event::Failed(failed) => format!("failed: {:?}", failed.kind),
    };
    format!("{from:>10} to {to:>10} ms  node {}  {what}", name(member))
}

/// The node, and its life if that is not the first.
pub(super) fn name(member: Member) -> String {
    let Member { node, life } = member;
    if life == 0 { node.to_string() } else { format!("{node}/{life}") }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a run")]
fn millis(time: u64, origin: u64) -> String {
    let nanos = time.cast_signed().saturating_sub(origin.cast_signed());
    format!("{:.3}", nanos as f64 / 1e6)
}
