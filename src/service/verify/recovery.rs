//! How long it takes after something has failed until all is well again.

use std::collections::HashMap;
use std::time::Duration;

use super::checker::Account;
use super::history::{Event, Member, Way};
use super::nemesis::Incident;

/// How long it took after each incident until every node was given a value by L2 and told that a
/// change is applied, both for calls that began after the incident had ended.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// Shortest first.
    pub(super) spans: Vec<Duration>,
    /// The incidents after which that had not come to pass when the next began, or the run ended.
    pub(super) unfinished: u64,
}

/// When a node was given something by L2, and told that something is applied: the starts and ends
/// of those calls, in the order of their starts.
#[derive(Debug, Default)]
struct Signs {
    reads: Vec<(u64, u64)>,
    changes: Vec<(u64, u64)>,
}

impl Recovery {
    pub(super) fn of(incidents: &[Incident], accounts: &[Account]) -> Self {
        let signs: Vec<_> = accounts.iter().map(|of| (of.member, Signs::of(&of.events))).collect();
        let mut recovery = Self::default();
        for (nth, incident) in incidents.iter().enumerate() {
            let until = incidents.get(nth + 1).map_or(u64::MAX, |next| next.began);
            match recovered_at(&signs, incident.healed, until) {
                Some(at) => recovery.spans.push(Duration::from_nanos(at - incident.healed)),
                None => recovery.unfinished += 1,
            }
        }
        recovery.spans.sort_unstable();
        recovery
    }
}

/// When the last of the nodes that live at `healed` had recovered, if all had before `until`.
fn recovered_at(signs: &[(Member, Signs)], healed: u64, until: u64) -> Option<u64> {
    let mut nodes = HashMap::<u32, Option<u64>>::new();
    for (member, signs) in signs {
        // A node recovers in whichever life it does.
        let at = signs.recovered_at(healed).filter(|at| *at < until);
        let known = nodes.entry(member.node).or_default();
        *known = known.or(at);
    }
    nodes.into_values().try_fold(healed, |last, at| Some(last.max(at?)))
}

impl Signs {
    fn of(events: &[Event]) -> Self {
        let mut signs = Self::default();
        for event in events {
            match event {
                Event::Read(reads) if reads.way == Way::ReadL2 => {
                    signs.reads.push((reads.first_start, reads.end));
                }
                Event::Change(changed) if changed.is_applied => {
                    signs.changes.push((changed.start, changed.end));
                }
                _ => {}
            }
        }
        signs.reads.sort_unstable();
        signs.changes.sort_unstable();
        signs
    }

    fn recovered_at(&self, healed: u64) -> Option<u64> {
        let first = |calls: &[(u64, u64)]| {
            let later = calls.partition_point(|(start, _)| *start < healed);
            // The one that ends first need not be the one that began first.
            calls.iter().skip(later).take(LOOKED_AT).map(|(_, end)| *end).min()
        };
        Some(first(&self.reads)?.max(first(&self.changes)?))
    }
}

/// So many calls that began after the end of an incident are looked at: more than there are under
/// way at a time.
const LOOKED_AT: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::fault::Fault;
    use super::super::history::{Changed, How, Reads};
    use super::*;

    fn applied(start: u64, end: u64) -> Event {
        Event::Change(Changed { key: 1, version: 1, how: How::Key, is_applied: true, start, end })
    }

    fn from_l2(first_start: u64, end: u64) -> Event {
        let reads = Reads::one(1, 1, Way::ReadL2, first_start);
        Event::Read(Reads { first_start, start: first_start, end, ..reads })
    }

    fn account(node: u32, life: u32, events: &[Event]) -> Account {
        Account { member: Member { node, life }, events: events.to_vec() }
    }

    fn spans(accounts: &[Account]) -> (Vec<u64>, u64) {
        let (fault, within) = (Fault::Cut, None);
        let incident = |began, healed| Incident { fault, within, began, healed };
        let recovery = Recovery::of(&[incident(50, 100), incident(500, 600)], accounts);
        let nanos = recovery.spans.iter().map(|span| span.as_nanos().try_into().unwrap());
        (nanos.collect(), recovery.unfinished)
    }

    #[test]
    fn the_last_node_counts_and_the_later_of_both_signs() {
        let well = [applied(10, 90), from_l2(90, 95), applied(110, 130), from_l2(105, 115)];
        let slow = [applied(101, 120), from_l2(150, 170), applied(700, 710), from_l2(700, 720)];
        assert_eq!(spans(&[account(0, 0, &slow)]), (vec![70, 120], 0));
        assert_eq!(spans(&[account(0, 0, &slow), account(1, 0, &well)]), (vec![70], 1));
    }

    #[test]
    fn a_node_that_was_killed_recovers_in_its_next_life() {
        let dead = [applied(10, 90), from_l2(20, 30)];
        let next = [applied(110, 130), from_l2(105, 115)];
        assert_eq!(spans(&[account(0, 0, &dead), account(0, 1, &next)]), (vec![30], 1));
    }
}
