//! How often the learner looks for reads.

use std::time::Duration;

use crate::clock::Moment;

/// How often the learner looks for reads.
///
/// While few come, each wakes it, and it acts at once. When many come it rests between two looks,
/// at least as long as it worked: so it takes at most half a core, and costs the readers no wakes.
#[derive(Debug)]
pub(super) struct Pace {
    since: Moment,
    reads: usize,
}

/// How long the learner rests at least.
const REST: Duration = Duration::from_millis(1);
/// More reads than this within [`REST`] are many.
const FEW: usize = 4;

impl Pace {
    pub(super) const fn new() -> Self {
        Self { since: Moment::START, reads: 0 }
    }

    /// How long to rest after a look that found `reads` and took from `began` to `ended`; `None`
    /// while few reads come.
    pub(super) fn rest(&mut self, reads: usize, began: Moment, ended: Moment) -> Option<Duration> {
        if began.since(self.since) > REST {
            *self = Self { since: began, reads: 0 };
        }
        self.reads = self.reads.saturating_add(reads);
        (self.reads > FEW).then(|| ended.since(began).max(REST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(micros: u64) -> Moment {
        Moment::from_micros(micros)
    }

    #[test]
    fn it_rests_when_many_reads_come_and_at_least_as_long_as_it_worked() {
        let mut pace = Pace::new();
        for (reads, began, ended, expected) in [
            (1, 5_000, 5_001, None),
            (3, 5_900, 5_950, None),
            (1, 6_000, 6_001, Some(1_000)),
            (5, 8_000, 9_500, Some(1_500)),
            (0, 10_500, 10_500, None),
            (4, 10_600, 10_700, None),
        ] {
            let rest = pace.rest(reads, micros(began), micros(ended));
            assert_eq!(rest, expected.map(Duration::from_micros), "at {began}");
        }
    }
}
