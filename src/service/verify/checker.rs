//! What must not be: a read that gave less than it had to.

use std::collections::{HashMap, HashSet};

use super::history::{Changed, Event, Member, Reads};

/// What a node did, in the order in which it was done or not.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) member: Member,
    pub(super) events: Vec<Event>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The reads that were looked at.
    pub(super) reads: u64,
    /// Those of them that said of themselves that nobody knows; nothing is demanded of them.
    pub(super) unverified: u64,
    /// The reads that gave less than a change on their own node demands (G1).
    pub(super) stale_here: u64,
    /// Those that gave less than an applied change on another node, or in another life of the same
    /// one, demands a window later (G2).
    pub(super) stale_elsewhere: u64,
    /// The first of them, in the order of time.
    pub(super) found: Vec<Stale>,
}

/// A stale read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stale {
    pub(super) rule: Rule,
    pub(super) reads: Reads,
    pub(super) at: Member,
    /// What it should have heeded.
    pub(super) change: Changed,
    pub(super) by: Member,
}

/// What a read must not give.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rule {
    /// Less than the source had when a change began that had ended on the same node before the
    /// read began.
    Here,
    /// The same for a change that another node was told to be applied, a window later.
    Elsewhere,
}

/// How many stale reads are told of.
const FOUND_MAX: usize = 5;

/// Looks at every read of every node. `window` is in nanoseconds.
///
/// It goes through time once: the changes in the order in which they ended, the reads in that in
/// which they began.
pub(super) fn check(accounts: &[Account], window: u64) -> Verdict {
    let (mut changes, mut glances) = (Vec::new(), Vec::new());
    for Account { member, events } in accounts {
        for event in events {
            match event {
                Event::Change(changed) => changes.push((*member, changed)),
                Event::Read(reads) => glances.extend(Glance::at(*member, reads)),
                Event::Failed(_) => {}
            }
        }
    }
    changes.sort_unstable_by_key(|(_, changed)| changed.end);
    glances.sort_by_key(|glance| glance.time);
    let mut sweep = Sweep { window, changes: &changes, ..Sweep::default() };
    for glance in &glances {
        sweep.look(glance);
    }
    sweep.verdict
}

/// One end of a row of reads: the last of them is judged, and if it is stale, the first as well, to
/// tell how many were.
#[derive(Debug)]
struct Glance<'a> {
    time: u64,
    member: Member,
    reads: &'a Reads,
    is_last: bool,
}

impl<'a> Glance<'a> {
    fn at(member: Member, reads: &'a Reads) -> impl Iterator<Item = Self> {
        let glance = move |time, is_last| Self { time, member, reads, is_last };
        let first = (reads.count > 1).then(|| glance(reads.first_start, false));
        first.into_iter().chain([glance(reads.start, true)])
    }
}

/// The way through time.
#[derive(Default)]
struct Sweep<'a> {
    window: u64,
    /// In the order of their ends.
    changes: &'a [(Member, &'a Changed)],
    /// How many of them bind their own node by now, and how many all.
    bind_here: usize,
    bind_elsewhere: usize,
    here: HashMap<(Member, u32), &'a Changed>,
    elsewhere: HashMap<u32, (Member, &'a Changed)>,
    /// The rows of reads whose first one was stale, by when that began.
    stale_from_first: HashSet<(Member, u32, u64)>,
    verdict: Verdict,
}

impl Sweep<'_> {
    fn look(&mut self, glance: &Glance<'_>) {
        self.heed(glance.time);
        let Glance { member, reads, is_last, .. } = *glance;
        if is_last {
            self.verdict.reads += reads.count;
        }
        if !reads.is_verified {
            self.verdict.unverified += if is_last { reads.count } else { 0 };
            return;
        }
        let Some((rule, by, change)) = self.broken(member, reads) else { return };
        let row = (member, reads.key, reads.first_start);
        if !is_last {
            self.stale_from_first.insert(row);
            return;
        }
        let is_stale_from_first = self.stale_from_first.contains(&row);
        let count = if is_stale_from_first { reads.count } else { 1 };
        match rule {
            Rule::Here => self.verdict.stale_here += count,
            Rule::Elsewhere => self.verdict.stale_elsewhere += count,
        }
        if self.verdict.found.len() < FOUND_MAX {
            self.verdict.found.push(Stale { rule, reads: *reads, at: member, change, by });
        }
    }

    /// Takes in the changes that bind a read which begins at this time.
    fn heed(&mut self, time: u64) {
        while let Some((member, changed)) = self.changes.get(self.bind_here)
            && changed.end < time
        {
            let known = self.here.entry((*member, changed.key)).or_insert(changed);
            if known.version < changed.version {
                *known = changed;
            }
            self.bind_here += 1;
        }
        while let Some((member, changed)) = self.changes.get(self.bind_elsewhere)
            && changed.end.saturating_add(self.window) < time
        {
            if changed.is_applied {
                let known = self.elsewhere.entry(changed.key).or_insert((*member, changed));
                if known.1.version < changed.version {
                    *known = (*member, changed);
                }
            }
            self.bind_elsewhere += 1;
        }
    }

    /// The rule that a read breaks, and what it should have heeded.
    fn broken(&self, member: Member, reads: &Reads) -> Option<(Rule, Member, Changed)> {
        let is_late = |changed: &Changed| reads.version < changed.version;
        let here = self.here.get(&(member, reads.key)).filter(|changed| is_late(changed));
        if let Some(changed) = here {
            return Some((Rule::Here, member, **changed));
        }
        let (by, changed) = self.elsewhere.get(&reads.key)?;
        is_late(changed).then_some((Rule::Elsewhere, *by, **changed))
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{Failed, How, Kind, Way};
    use super::*;

    const WINDOW: u64 = 1_000;
    const A: Member = Member { node: 0, life: 0 };
    const B: Member = Member { node: 1, life: 0 };

    fn changed(version: u64, is_applied: bool, start: u64, end: u64) -> Event {
        Event::Change(Changed { key: 1, version, how: How::Key, is_applied, start, end })
    }

    fn read(version: u64, start: u64) -> Reads {
        let end = start + 5;
        Reads { first_start: start, start, end, ..Reads::one(1, version, Way::Get, start) }
    }

    /// Checks what A and B did; gives how many reads were stale by each rule.
    fn stale(a: &[Event], b: &[Event]) -> (u64, u64) {
        let account = |member, events: &[Event]| Account { member, events: events.to_vec() };
        let verdict = check(&[account(A, a), account(B, b)], WINDOW);
        let sum = verdict.stale_here + verdict.stale_elsewhere;
        assert_eq!(verdict.found.is_empty(), sum == 0);
        (verdict.stale_here, verdict.stale_elsewhere)
    }

    #[test]
    fn a_node_must_heed_its_own_changes_at_once() {
        let change = changed(5, true, 100, 200);
        let cases = [
            // A read that began while it was under way may still give what was there before.
            (4, 100, 0),
            (4, 200, 0),
            (4, 201, 1),
            (5, 201, 0),
            (9, 201, 0),
        ];
        for (version, start, expected) in cases {
            let events = [Event::Read(read(version, start)), change];
            assert_eq!(stale(&events, &[]), (expected, 0), "{version} at {start}");
        }
    }

    #[test]
    fn a_change_that_is_queued_binds_its_own_node_and_no_other() {
        let change = changed(5, false, 100, 200);
        let late = Event::Read(read(4, 200 + 100 * WINDOW));
        assert_eq!(stale(&[change, late], &[]), (1, 0));
        assert_eq!(stale(&[change], &[late]), (0, 0));
    }

    #[test]
    fn another_node_must_heed_what_was_applied_a_window_later() {
        let change = changed(5, true, 100, 200);
        for (version, start, expected) in
            [(4, 201, 0), (4, 200 + WINDOW, 0), (4, 201 + WINDOW, 1), (5, 201 + WINDOW, 0)]
        {
            let events = [Event::Read(read(version, start))];
            assert_eq!(stale(&[change], &events), (0, expected), "{version} at {start}");
        }
    }

    #[test]
    fn a_node_that_was_started_again_is_another_one() {
        let change = changed(5, false, 100, 200);
        let late = Event::Read(read(4, 300));
        let again = Member { life: 1, ..A };
        let account = |member, event| Account { member, events: vec![event] };
        let verdict = check(&[account(A, change), account(again, late)], WINDOW);
        assert_eq!((verdict.reads, verdict.stale_here, verdict.stale_elsewhere), (1, 0, 0));
    }

    #[test]
    fn the_highest_version_counts_in_whatever_order_changes_end() {
        let changes = [changed(7, true, 100, 200), changed(6, true, 90, 300)];
        let events = [changes[0], changes[1], Event::Read(read(6, 400))];
        assert_eq!(stale(&events, &[]), (1, 0));
        assert_eq!(stale(&changes, &[Event::Read(read(6, 400 + WINDOW))]), (0, 1));
    }

    #[test]
    fn nothing_is_demanded_of_what_says_that_nobody_knows() {
        let late = Event::Read(Reads { is_verified: false, ..read(4, 300) });
        let events = [changed(5, true, 100, 200), late];
        assert_eq!(stale(&events, &[late]), (0, 0));
        let verdict = check(&[Account { member: A, events: events.to_vec() }], WINDOW);
        assert_eq!((verdict.reads, verdict.unverified), (1, 1));
    }

    #[test]
    fn other_keys_and_errors_are_none_of_its_business() {
        let other = Event::Read(Reads { key: 2, ..read(0, 300) });
        let failed = Event::Failed(Failed { key: 1, kind: Kind::Deadline, start: 300, end: 400 });
        assert_eq!(stale(&[changed(5, true, 100, 200), other, failed], &[]), (0, 0));
    }

    #[test]
    fn of_reads_in_a_row_those_are_counted_that_are_known_to_be_stale() {
        let change = changed(5, true, 100, 200);
        let row = |first_start| Reads { first_start, count: 9, ..read(4, 300) };
        // At least the last of them, and all if the first one is.
        assert_eq!(stale(&[change, Event::Read(row(150))], &[]), (1, 0));
        assert_eq!(stale(&[change, Event::Read(row(250))], &[]), (9, 0));
    }
}
