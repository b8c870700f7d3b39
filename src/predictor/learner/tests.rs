//! How far back the learner looks.

use super::*;

/// A memory that holds some keys for ever, and no others.
struct Held;

const HELD: std::ops::Range<u64> = 10..14;

impl Shelves for Held {
    fn text(&self, _: KeyId) -> Option<Box<str>> {
        None
    }

    fn lacks(&self, _: u16, text: &str) -> Option<u64> {
        text.parse().ok().filter(|hash| !HELD.contains(hash))
    }

    fn residence(&self, _: u16) -> Duration {
        Duration::from_mins(1)
    }
}

/// A learner, the time, and what it proposed last.
struct Bench {
    learner: Learner,
    now: Moment,
    proposed: Vec<u64>,
}

impl Bench {
    fn new() -> Self {
        let terms = LearnerTerms {
            keys_max: 10_000,
            clients_max: 10,
            half_life: Duration::from_hours(24),
            idle: Duration::from_mins(30),
            seed: 0,
        };
        let target = Target {
            calibration: Arc::new(Calibration::new()),
            threshold: 0.5,
            ttl: Duration::MAX,
            acting: Acting::Loads,
            uses_associations: true,
            uses_rules: false,
            copy_threshold: None,
        };
        let learner = Learner::new(terms, vec![target]);
        Self { learner, now: Moment::START, proposed: Vec::new() }
    }

    fn read(&mut self, hash: u64, answer: Answer) {
        self.now = self.now.plus(Duration::from_millis(1));
        let text = Some(hash.to_string().into());
        let name = KeyId { resource: 0, hash };
        let mut seen = Sighting { client: None, name, at: self.now, answer, text };
        let proposals = self.learner.see(&mut seen, Vec::new(), &Held);
        self.proposed = proposals.iter().map(|proposal| proposal.name.hash).collect();
    }

    fn followers(&self, hash: u64) -> Vec<String> {
        let learned = self.learner.followers(KeyId { resource: 0, hash });
        learned.into_iter().map(|learned| learned.to.1.into()).collect()
    }
}

/// Reads 1 and then 2, with so many others in between: four that always follow, and some that never
/// return.
fn apart(bench: &mut Bench, rounds: u64, others: u64, answer: Answer) {
    for round in 0..rounds {
        bench.read(1, Answer::Missed);
        HELD.for_each(|hash| bench.read(hash, Answer::Held));
        (4..others).for_each(|other| bench.read(1_000 + 100 * round + other, Answer::Held));
        bench.read(2, answer);
        // What ends a round is nothing that the next one follows.
        (0..16).for_each(|other| bench.read(1_050 + 100 * round + other, Answer::Held));
    }
}

#[test]
fn a_key_that_nothing_near_lets_expect_is_expected_from_afar() {
    for (others, is_found) in [(8, true), (15, true), (16, false)] {
        let mut bench = Bench::new();
        apart(&mut bench, 5, others, Answer::Missed);
        let is_known = bench.followers(1).contains(&"2".into());
        assert_eq!(is_known, is_found, "{others} reads between");
        bench.read(1, Answer::Missed);
        assert_eq!(bench.proposed.contains(&2), is_found, "{others} reads between");
    }
}

#[test]
fn where_near_keys_let_expect_what_comes_the_window_stays_narrow() {
    let mut bench = Bench::new();
    // The first time nothing can be expected, so that is learned from afar, and fades away.
    (0..20).for_each(|_| (0..12).for_each(|hash| bench.read(hash, Answer::Missed)));
    for hash in 0..12 {
        let followers = bench.followers(hash);
        let near: Vec<_> = (1..=4).map(|after| ((hash + after) % 12).to_string()).collect();
        assert!(near.iter().all(|near| followers[..4].contains(near)), "{hash}: {followers:?}");
        let learned = bench.learner.followers(KeyId { resource: 0, hash });
        assert!(learned[4..].iter().all(|far| far.weight <= 1.0), "{learned:?}");
    }
}

#[test]
fn a_read_that_memory_answers_needs_nothing_from_afar() {
    let mut bench = Bench::new();
    apart(&mut bench, 5, 8, Answer::Held);
    assert!(!bench.followers(1).contains(&"2".into()));
}

#[test]
fn what_comes_from_afar_is_not_loaded_where_that_does_not_come_true() {
    let mut bench = Bench::new();
    apart(&mut bench, 5, 8, Answer::Missed);
    let target = bench.learner.targets.first().unwrap();
    for (confidence, weight) in [(0.9, 5.0), (1.0, 5.0), (0.8, 5.0)] {
        let cell = Cell::of_far_follower(confidence, weight);
        (0..100).for_each(|_| target.calibration.predicted(cell));
    }
    bench.read(1, Answer::Missed);
    assert!(!bench.proposed.contains(&2));
}
