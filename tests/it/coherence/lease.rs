//! What an engine may serve from memory while it hears nothing.

use std::time::Duration;

use forewarm::ReadFrom;
use tokio::time::sleep;

use super::world::{MILLISECOND, MINUTE, SECOND, WINDOW, World};
use crate::sim::{Fate, Op};

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_cut_off_serves_what_it_loaded_within_the_window() {
    let world = World::new();
    let engine = world.engine().await;
    engine.get(1).await;
    engine.line.cut_for(MINUTE);
    sleep(WINDOW).await;
    let (mut held, loads) = (0, world.source.loads());
    for _ in 0..40 {
        let read = engine.read(1).await;
        match read.from {
            ReadFrom::L1 => {
                assert!(read.age < WINDOW, "{:?}", read.age);
                held += 1;
            }
            from => assert_eq!(from, ReadFrom::Source),
        }
        sleep(WINDOW / 10).await;
    }
    let loaded = world.source.loads() - loads;
    assert!((3..=5).contains(&loaded) && held > 20, "{loaded} loads, {held} times held");

    // Once it hears again, memory is worth what it was.
    engine.line.mend();
    sleep(2 * SECOND).await;
    engine.get(1).await;
    let loads = world.source.loads();
    for _ in 0..40 {
        assert_eq!(engine.read(1).await.from, ReadFrom::L1);
        sleep(WINDOW / 10).await;
    }
    assert_eq!(world.source.loads(), loads);
}

#[tokio::test(start_paused = true)]
async fn what_others_change_meanwhile_is_seen_a_window_later() {
    let world = World::new();
    let [one, two] = world.engines().await;
    two.get(1).await;
    two.line.cut_for(MINUTE);
    for name in ["a", "b", "c"] {
        world.source.set(1, name);
        one.invalidate(1).await;
        sleep(WINDOW).await;
        assert_eq!(two.get(1).await, name);
    }
}

/// Its answer tells of what was known when it was made, however late it comes.
#[tokio::test(start_paused = true)]
async fn a_poll_that_is_answered_late_gives_no_lease_from_its_answer() {
    let mut world = World::new();
    world.config.l2.write_timeout = 3 * SECOND;
    let [one, two] = world.engines().await;
    two.line.bring_hints(false);
    two.get(1).await;
    let polls = two.line.calls(Op::Poll);
    let back = Duration::from_millis(1_900);
    two.line.set(Op::Poll, Fate::Takes { there: MILLISECOND, back });
    while two.line.calls(Op::Poll) == polls {
        sleep(MILLISECOND).await;
    }
    two.line.set(Op::Poll, Fate::Lost);
    sleep(2 * MILLISECOND).await;
    world.source.set(1, "new");
    one.invalidate(1).await;
    sleep(back).await;
    assert_eq!(two.named(1).await, ("old".to_owned(), ReadFrom::L1), "within the window");
    sleep(WINDOW - back).await;
    assert_eq!(two.get(1).await, "new");
}

/// Every entry has its turn, and each read asks no more than it must.
#[tokio::test(start_paused = true)]
async fn a_read_without_a_lease_waits_no_longer_than_any_other() {
    let world = World::new();
    let engine = world.engine().await;
    engine.get(1).await;
    for op in [Op::Poll, Op::Begin] {
        engine.line.set(op, Fate::Lost);
    }
    sleep(WINDOW).await;
    let began = tokio::time::Instant::now();
    assert_eq!(engine.read(1).await.from, ReadFrom::Source);
    // Once for the log, once for the value.
    assert!(began.elapsed() <= 2 * world.config.l2.read_timeout, "{:?}", began.elapsed());
}
