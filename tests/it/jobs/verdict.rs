//! What came of a trial.

use std::collections::BTreeMap;
use std::time::Duration;

use forewarm::{PostgresTier, RedisTier, RunRow, SqliteTier, Tier};
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::node::Orders;
use super::witness::{Attempt, Attempts};
use super::{Kind, Store};

/// What came of a trial.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The instants that had to be done.
    instants: usize,
    /// The rows of these.
    rows: usize,
    kills: usize,
    /// Runs that were under way in a process that was killed.
    killed_runs: usize,
    /// The attempts of all these.
    attempts: usize,
    /// Instants that were done more than once.
    done_twice: usize,
    /// The longest time from a kill until somebody else went on.
    taken_over_within: Duration,
    /// The longest time from when a run was due until it was done.
    done_within: Duration,
    wrong: Vec<String>,
}

/// The rows of each job, by instant.
pub(super) type Rows = BTreeMap<String, Vec<RunRow>>;

/// The longest that it takes until what was due by the end is done.
const SETTLED_WITHIN: Duration = Duration::from_secs(300);

impl Verdict {
    /// Waits until everything is done that was due by a time; gives the rows in any case.
    pub(super) async fn settled(
        store: &Store,
        orders: &Orders,
        (from, until): (Timestamp, Timestamp),
    ) -> Rows {
        let began = tokio::time::Instant::now();
        loop {
            let rows = rows(store, orders).await;
            let is_done = |nth: usize| {
                let ended = rows[&format!("job{nth}")].iter().filter(|row| {
                    row.scheduled > from && row.scheduled <= until && row.outcome.is_some()
                });
                ended.count() >= instants(orders.every(nth), from, until).len()
            };
            if (0..orders.jobs).all(is_done) || began.elapsed() > SETTLED_WITHIN {
                return rows;
            }
            sleep(Duration::from_secs(2)).await;
        }
    }

    pub(super) fn of(
        orders: &Orders,
        (from, until): (Timestamp, Timestamp),
        kills: usize,
        rows: &Rows,
        attempts: &Attempts,
    ) -> Self {
        let mut verdict = Self { kills, ..Self::default() };
        for nth in 0..orders.jobs {
            let job = format!("job{nth}");
            let rows = rows.get(&job).map(Vec::as_slice).unwrap_or_default();
            for instant in instants(orders.every(nth), from, until) {
                let done = attempts.get(&(job.clone(), instant.to_string()));
                verdict.judge(&job, instant, rows, done.map(Vec::as_slice).unwrap_or_default());
            }
            let of_job = attempts.iter().filter(|((of, _), _)| *of == job);
            let of_job: Vec<_> = of_job.flat_map(|(_, attempts)| attempts).collect();
            let at_once = at_once(&of_job);
            if at_once > Orders::instances_max(nth) {
                verdict.wrong.push(format!("{job}: {at_once} at once"));
            }
        }
        verdict
    }

    /// Judges what became of one instant.
    fn judge(&mut self, job: &str, instant: Timestamp, rows: &[RunRow], attempts: &[Attempt]) {
        self.instants += 1;
        self.attempts += attempts.len();
        let text = instant.to_string();
        let rows: Vec<_> = rows.iter().filter(|row| row.instant == text).collect();
        self.rows += rows.len();
        match &rows[..] {
            [row] if row.outcome.as_deref() == Some("succeeded") => {
                let late = row.ended.unwrap().duration_since(instant).unsigned_abs();
                self.done_within = self.done_within.max(late);
            }
            rows => self.wrong.push(format!("{job} at {instant}: {rows:?} {attempts:?}")),
        }
        let done = attempts.iter().filter(|attempt| attempt.is_done).count();
        if done == 0 {
            self.wrong.push(format!("{job} at {instant}: never done"));
        }
        self.done_twice += usize::from(done > 1);
        for killed in attempts.iter().filter(|attempt| attempt.was_killed) {
            self.killed_runs += 1;
            let later = attempts.iter().filter(|other| other.began >= killed.ended);
            if let Some(next) = later.map(|other| other.began).min() {
                let after = Duration::from_micros(next - killed.ended);
                self.taken_over_within = self.taken_over_within.max(after);
            }
        }
    }

    pub(super) fn must_be_good(&self) {
        let some: Vec<_> = self.wrong.iter().take(20).collect();
        assert!(self.wrong.is_empty(), "{} are wrong: {some:#?}", self.wrong.len());
        assert_eq!(self.rows, self.instants);
        assert!(self.instants > 0 && self.kills > 0, "nothing was tried");
    }
}

/// The most attempts that were under way at a time.
fn at_once(attempts: &[&Attempt]) -> usize {
    let ends = |attempt: &&Attempt| [(attempt.began, 1), (attempt.ended, -1)];
    let mut events: Vec<(u64, i32)> = attempts.iter().flat_map(ends).collect();
    // One that ends at the moment at which another begins has ended before.
    events.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, change) in events {
        now += change;
        most = most.max(now);
    }
    usize::try_from(most).unwrap()
}

/// The instants that are due after `from` and not after `until`.
fn instants(every: Duration, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let every = i64::try_from(every.as_secs()).unwrap();
    let first = from.as_second().div_euclid(every) + 1;
    let last = until.as_second().div_euclid(every);
    (first..=last).map(|nth| Timestamp::from_second(nth * every).unwrap()).collect()
}

async fn rows(store: &Store, orders: &Orders) -> Rows {
    match store.kind() {
        Kind::Sqlite => rows_of(&SqliteTier::open(&store.url).await.unwrap(), orders).await,
        Kind::Postgres => rows_of(&PostgresTier::open(&store.url).await.unwrap(), orders).await,
        Kind::Redis => rows_of(&RedisTier::open(&store.url).await.unwrap(), orders).await,
    }
}

async fn rows_of(tier: &impl Tier, orders: &Orders) -> Rows {
    let mut rows = Rows::new();
    for nth in 0..orders.jobs {
        let job = format!("job{nth}");
        let of_job = tier.runs(&format!("forewarm:{job}"), 1_000).await.unwrap();
        rows.insert(job, of_job);
    }
    tier.close().await;
    rows
}

#[test]
fn attempts_at_once_are_counted() {
    let attempt = |began, ended| Attempt { began, ended, is_done: true, was_killed: false };
    let attempts = [attempt(1, 5), attempt(2, 3), attempt(3, 9), attempt(5, 6)];
    assert_eq!(at_once(&attempts.iter().collect::<Vec<_>>()), 2);
    let every = Duration::from_secs(10);
    let from = Timestamp::UNIX_EPOCH;
    assert_eq!(instants(every, from, from + SignedDuration::from_secs(30)).len(), 3);
}
