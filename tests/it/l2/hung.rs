//! A tier that fails, dawdles or never answers, in paused time.

use std::time::Duration;

use forewarm::{Delivery, ReadFrom};
use futures_util::future::join_all;
use tokio::time::{Instant, advance, sleep};

use super::faulty::{Mode, Op};
use super::log::Log;
use super::source::Source;
use super::world::{Run, SECOND, Setup};
use crate::sim::SimStore;

const READ_TIMEOUT: Duration = Duration::from_millis(100);
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);

async fn shelved() -> (Source, Run) {
    let source = Source::new();
    let run = Setup::timed().begin(None, &source, SimStore::new().connect()).await;
    // The first sweep.
    sleep(SECOND).await;
    (source, run)
}

/// Reads a user that is not in memory; gives who answered, and after how long.
async fn timed_read(run: &Run, id: u32) -> (ReadFrom, Duration) {
    let began = Instant::now();
    let from = run.read(id).await.from;
    (from, began.elapsed())
}

/// C22: L2 that never answers costs a read its timeout at most, and nothing once it is left alone.
#[tokio::test(start_paused = true)]
async fn a_tier_that_hangs_holds_a_read_up_for_its_timeout_and_then_not_at_all() {
    let log = Log::new();
    let (_source, run) = shelved().await;
    run.load(1).await;
    run.counted();
    assert!(run.is_l2_up());
    run.tier.set_all(Mode::Hangs);
    run.forewarm.clear();
    for id in 1..=3 {
        assert_eq!(timed_read(&run, id).await, (ReadFrom::Source, READ_TIMEOUT), "{id}");
    }
    assert!(!run.is_l2_up());
    let asked = run.tier.calls(Op::Begin);
    for id in 4..=100 {
        assert_eq!(timed_read(&run, id).await, (ReadFrom::Source, Duration::ZERO), "{id}");
        assert_eq!(timed_read(&run, id).await, (ReadFrom::L1, Duration::ZERO), "{id}");
    }
    assert_eq!(run.tier.calls(Op::Begin), asked, "it is left alone");
    assert_eq!(log.count(&["WARN", "left alone"]), 1);
    assert_eq!(log.count(&["ERROR"]), 1, "{}", log.text());

    run.tier.set_all(Mode::Works);
    advance(SECOND).await;
    run.forewarm.clear();
    assert_eq!(timed_read(&run, 1).await, (ReadFrom::L2, Duration::ZERO));
    assert!(run.is_l2_up());
    assert_eq!(log.count(&["INFO", "answers again"]), 1);
}

/// C22: every failure of L2 is counted by what was asked.
#[tokio::test(start_paused = true)]
async fn what_fails_is_counted_by_what_was_asked() {
    let mut setup = Setup::timed();
    setup.config.l2.breaker_failures = 100;
    setup.config.l2.sweep_every = 10 * SECOND;
    let run = setup.begin(None, &Source::new(), SimStore::new().connect()).await;
    sleep(SECOND).await;
    run.counted();
    assert!(run.get(1).await.is_some());
    run.forewarm.settled().await;
    assert_eq!(run.counted_of("l2_failures"), []);
    run.tier.set(Op::Fill, Mode::Fails);
    assert!(run.get(2).await.is_some());
    run.forewarm.settled().await;
    run.tier.set_all(Mode::Fails);
    assert!(run.get(3).await.is_some());
    assert_eq!(run.users.put(&1, "put".to_owned()).await, Delivery::Queued);
    assert_eq!(run.users.expire(&2).await, Delivery::Queued);
    run.tier.set_all(Mode::Works);
    sleep(SECOND).await;
    run.tier.set_all(Mode::Fails);
    sleep(10 * SECOND).await;
    let ops = ["begin", "fill", "put", "expire", "sweep", "size"];
    let expected: Vec<_> = ops.map(|op| (op.to_owned(), 1)).into();
    let mut counted = run.counted_of("l2_failures");
    // How often these were tried depends on time.
    counted.retain(|(op, _)| op != "invalidate" && op != "poll");
    counted.sort_by_key(|(op, _)| ops.iter().position(|known| known == op));
    assert_eq!(counted, expected);
}

/// C22: a slow L2 is waited for as long as it may take, and no longer.
#[tokio::test(start_paused = true)]
async fn a_slow_tier_is_waited_for_up_to_the_timeout() {
    let (_source, run) = shelved().await;
    run.load(1).await;
    for (takes, from, waited) in [(99, ReadFrom::L2, 99), (101, ReadFrom::Source, 100)] {
        run.forget().await;
        run.tier.set(Op::Begin, Mode::Takes(Duration::from_millis(takes)));
        let expected = (from, Duration::from_millis(waited));
        assert_eq!(timed_read(&run, 1).await, expected, "{takes} ms");
    }
}

/// C22: nobody waits for what is brought to L2.
#[tokio::test(start_paused = true)]
async fn a_fill_that_hangs_holds_no_reader_up() {
    let (source, run) = shelved().await;
    run.tier.set(Op::Fill, Mode::Hangs);
    let began = Instant::now();
    assert_eq!(timed_read(&run, 1).await, (ReadFrom::Source, Duration::ZERO));
    assert_eq!(timed_read(&run, 1).await, (ReadFrom::L1, Duration::ZERO));
    run.forewarm.settled().await;
    assert_eq!((began.elapsed(), source.loads()), (WRITE_TIMEOUT, 1));
}

/// C22: an invalidation waits for L2 up to its timeout; once L2 is left alone, not at all.
#[tokio::test(start_paused = true)]
async fn an_invalidation_waits_for_a_hung_tier_up_to_the_timeout() {
    let (source, run) = shelved().await;
    run.load(1).await;
    run.tier.set_all(Mode::Hangs);
    let began = Instant::now();
    source.set(1, "new");
    assert_eq!(run.users.invalidate(&1).await, Delivery::Queued);
    assert_eq!(began.elapsed(), WRITE_TIMEOUT);
    let began = Instant::now();
    assert_eq!(run.get(1).await.unwrap(), "new");
    assert_eq!(began.elapsed(), Duration::ZERO, "the key is not asked of L2");
    for id in 2..=3 {
        assert_eq!(run.users.invalidate(&id).await, Delivery::Queued);
    }
    let began = Instant::now();
    for id in 4..=10 {
        assert_eq!(run.users.invalidate(&id).await, Delivery::Queued);
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "L2 is left alone");
}

/// C22: when L2 has been left alone for a while, one call tries it, and the others go on without.
#[tokio::test(start_paused = true)]
async fn one_call_tries_a_tier_that_was_left_alone() {
    let (_source, run) = shelved().await;
    run.tier.set_all(Mode::Hangs);
    for id in 1..=3 {
        timed_read(&run, id).await;
    }
    for still_hangs in [true, false] {
        advance(SECOND).await;
        run.tier.set_all(if still_hangs { Mode::Hangs } else { Mode::Works });
        run.forewarm.clear();
        let asked = run.tier.calls(Op::Begin);
        let waits: Vec<_> = join_all((10..20).map(|id| timed_read(&run, id))).await;
        let held_up = waits.iter().filter(|(_, waited)| !waited.is_zero()).count();
        assert_eq!(held_up, usize::from(still_hangs));
        if still_hangs {
            assert_eq!(run.tier.calls(Op::Begin), asked + 1);
            assert_eq!(timed_read(&run, 30).await, (ReadFrom::Source, Duration::ZERO));
        }
    }
    let asked = run.tier.calls(Op::Begin);
    timed_read(&run, 40).await;
    assert_eq!(run.tier.calls(Op::Begin), asked + 1, "it is asked again");
}

/// C22: a tier that breaks its contract costs no reader an answer.
#[tokio::test(start_paused = true)]
async fn a_tier_that_leaves_answers_out_has_failed() {
    let (_source, run) = shelved().await;
    run.tier.set(Op::Begin, Mode::Miscounts);
    for user in run.users.get_many(&[1, 2, 3]).await {
        assert!(user.unwrap().is_some());
    }
    assert_eq!(run.counted_of("l2_failures"), [("begin".to_owned(), 1)]);
}

/// C36: a tier that comes and goes is warned of now and then, not each time.
#[tokio::test(start_paused = true)]
async fn a_tier_that_comes_and_goes_does_not_fill_the_log() {
    let log = Log::new();
    let (_source, run) = shelved().await;
    for round in 0..60 {
        run.tier.set_all(Mode::Fails);
        run.forewarm.clear();
        for id in 1..=3 {
            run.get(id).await;
        }
        sleep(SECOND).await;
        run.tier.set_all(Mode::Works);
        assert!(run.get(100 + round).await.is_some());
    }
    let said = log.count(&["the second tier"]);
    assert!((1..=20).contains(&said), "{said} lines in a minute");
}

/// C22: an L2 that is down from the start holds nothing up, and is used when it comes.
#[tokio::test(start_paused = true)]
async fn an_engine_starts_without_its_tier() {
    let log = Log::new();
    let (source, store) = (Source::new(), SimStore::new());
    let (tier, remote) = super::faulty::Faulty::new(store.connect());
    remote.set_all(Mode::Hangs);
    let began = Instant::now();
    let run = Setup::timed().begin(None, &source, tier).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    for id in 1..=20 {
        assert!(run.get(id).await.is_some());
    }
    assert!(began.elapsed() <= 4 * READ_TIMEOUT, "{:?}", began.elapsed());
    assert_eq!(log.count(&["WARN", "left alone"]), 1);
    remote.set_all(Mode::Works);
    sleep(SECOND).await;
    run.load(21).await;
    run.forewarm.clear();
    assert_eq!(timed_read(&run, 21).await.0, ReadFrom::L2);
}
