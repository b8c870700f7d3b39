//! What is not likely enough to be loaded ahead is copied from the second tier, if that holds it.

use std::time::Duration;

use forewarm::{Delivery, PreloadMode, PreloadPolicy, ReadFrom};
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::faulty::{Mode, Op};
use super::source::Source;
use super::world::{Run, SECOND, Setup, TTL};
use crate::sim::SimStore;

/// After user 1 comes one of these, each as often as the other.
const FOLLOWERS: [u32; 2] = [2, 3];

/// An engine that has learned what follows user 1, another one, and what they share. No value is
/// fresh any more but that of user 1, which the first engine holds.
struct Ground {
    run: Run,
    other: Run,
    source: Source,
}

/// One half is too little to load what follows, and enough to copy it.
fn predicting() -> PreloadPolicy {
    let mode = PreloadMode::Predicted;
    PreloadPolicy { mode, renewals: false, threshold: 0.7, ..PreloadPolicy::default() }
}

impl Ground {
    async fn new(preload: PreloadPolicy) -> Self {
        let (source, store) = (Source::new(), SimStore::new());
        let mut setup = Setup::timed();
        setup.config.seed = Some(7);
        let other = setup.clone().begin(None, &source, store.connect()).await;
        setup.policy.preload = preload;
        let run = setup.begin(None, &source, store.connect()).await;
        for _ in 0..30 {
            for follower in FOLLOWERS {
                run.read(1).await;
                sleep(SECOND).await;
                run.read(follower).await;
                sleep(TTL + Duration::from_mins(2)).await;
            }
        }
        assert_eq!(run.users.put(&1, "put".to_owned()).await, Delivery::Applied);
        run.forewarm.settled().await;
        Self { run, other, source }
    }

    /// Lets the second tier hold some users, and reads user 1; gives the loads that this led to.
    async fn loads_after(&self, held: &[u32]) -> usize {
        for user in held {
            self.other.load(*user).await;
        }
        let loads = self.source.loads();
        assert_eq!(self.run.read(1).await.from, ReadFrom::L1);
        sleep(Duration::from_millis(1)).await;
        self.source.loads() - loads
    }
}

/// C09: what the second tier holds is in memory before anybody asks for it, for one look-up and no
/// load; what it does not hold costs nothing more.
#[tokio::test(start_paused = true)]
async fn what_is_held_is_copied_and_what_is_not_is_left() {
    for held in [&[][..], &[2], &[3], &FOLLOWERS] {
        let ground = Ground::new(predicting()).await;
        let run = &ground.run;
        let (before, asked) = (run.users.stats(), run.tier.sizes(Op::Begin).len());
        assert_eq!(ground.loads_after(held).await, 0, "{held:?}");
        assert_eq!(run.tier.sizes(Op::Begin)[asked..], [2], "{held:?}");
        let after = run.users.stats();
        let [copied, not_held] = [held.len() as u64, 2 - held.len() as u64];
        assert_eq!(after.preload_count - before.preload_count, copied, "{held:?}");
        assert_eq!(after.preloads_not_held - before.preloads_not_held, not_held, "{held:?}");
        for user in FOLLOWERS {
            let from = if held.contains(&user) { ReadFrom::L1 } else { ReadFrom::Source };
            assert_eq!(run.read(user).await.from, from, "{held:?}: {user}");
        }
        let read = run.users.stats();
        assert_eq!(read.preload_hits - before.preload_hits, copied, "{held:?}");
        assert_eq!((read.preloads_wasted, read.errors), (before.preloads_wasted, 0), "{held:?}");
    }
}

/// C12: a reader who comes while a copy is looked for gets the value by one load, if there was
/// nothing to copy, and by none if there was; the second tier holds it then.
#[tokio::test(start_paused = true)]
async fn a_reader_who_joins_a_copy_gets_the_value() {
    for is_held in [false, true] {
        let ground = Ground::new(predicting()).await;
        let (run, late) = (&ground.run, ground.run.users.stats().preloads_late);
        let asked = run.tier.calls(Op::Begin);
        run.tier.set(Op::Begin, Mode::HeldBefore);
        let held: &[u32] = if is_held { &[2] } else { &[] };
        assert_eq!(ground.loads_after(held).await, 0);
        assert_eq!(run.tier.calls(Op::Begin), asked + 1);
        let reader = {
            let users = run.users.clone();
            Handle::current().spawn(async move { users.get(&2).await })
        };
        sleep(Duration::from_millis(1)).await;
        let loads = ground.source.loads();
        run.tier.set(Op::Begin, Mode::Works);
        run.tier.release(Op::Begin);
        let value = reader.await.unwrap().unwrap();
        assert_eq!(value.as_deref().map(String::as_str), Some("user 2"), "{is_held}");
        run.forewarm.settled().await;
        // Not the other, which nobody wanted.
        assert_eq!(ground.source.loads() - loads, usize::from(!is_held), "{is_held}");
        assert_eq!(run.users.stats().preloads_late, late + 1, "{is_held}");
        run.users.clear();
        assert_eq!(run.read(2).await.from, ReadFrom::L2, "{is_held}");
    }
}

/// C09: who asks for a preload gets one, though a copy of the key is being looked for.
#[tokio::test(start_paused = true)]
async fn a_preload_that_is_asked_for_is_made_though_a_copy_is_under_way() {
    let ground = Ground::new(predicting()).await;
    ground.run.tier.set(Op::Begin, Mode::HeldBefore);
    assert_eq!(ground.loads_after(&[]).await, 0);
    assert_eq!(ground.run.users.preload(&[2]).await.held, 1);
    ground.run.tier.set(Op::Begin, Mode::Works);
    ground.run.tier.release(Op::Begin);
    ground.run.forewarm.settled().await;
    assert_eq!(ground.source.calls().last(), Some(&vec![2]));
    assert_eq!(ground.run.read(2).await.from, ReadFrom::L1);
}

/// C22: with the second tier down nothing is copied and nothing is loaded for it, and readers notice
/// nothing.
#[tokio::test(start_paused = true)]
async fn without_the_second_tier_nothing_is_copied() {
    for is_left_alone in [false, true] {
        let ground = Ground::new(predicting()).await;
        let run = &ground.run;
        run.tier.set(Op::Begin, Mode::Fails);
        for user in 11..if is_left_alone { 14 } else { 11 } {
            run.read(user).await;
        }
        assert_eq!(run.is_l2_up(), !is_left_alone);
        let (asked, before) = (run.tier.calls(Op::Begin), run.users.stats());
        assert_eq!(ground.loads_after(&[2]).await, 0);
        assert_eq!(run.tier.calls(Op::Begin) - asked, usize::from(!is_left_alone));
        let after = run.users.stats();
        assert_eq!(after.preload_count, before.preload_count);
        assert_eq!(after.active_tasks, 0);
        let read = run.read(2).await;
        assert_eq!((read.from, read.joined), (ReadFrom::Source, None));
    }
}

/// C13: copies are bounded as loads ahead are.
#[tokio::test(start_paused = true)]
async fn no_more_is_looked_for_than_is_allowed() {
    let preload = PreloadPolicy { loads_per_second: 0.001, burst: 1, ..predicting() };
    let ground = Ground::new(preload).await;
    // A token takes 1,000 s.
    sleep(Duration::from_secs(2_000)).await;
    let (run, refused) = (&ground.run, ground.run.users.stats().preloads_refused);
    assert_eq!(run.users.put(&1, "put".to_owned()).await, Delivery::Applied);
    let asked = run.tier.sizes(Op::Begin).len();
    assert_eq!(ground.loads_after(&[]).await, 0);
    assert_eq!(run.tier.sizes(Op::Begin)[asked..], [1]);
    assert_eq!(run.users.stats().preloads_refused, refused + 1);
}

/// C33: whether guesses come true is learned from the same, whether they can be copied or not.
#[tokio::test(start_paused = true)]
async fn what_is_copied_is_not_scored_as_what_is_loaded() {
    let ground = Ground::new(predicting()).await;
    let before = ground.run.users.stats().predictions;
    ground.loads_after(&FOLLOWERS).await;
    ground.run.read(2).await;
    sleep(2 * TTL).await;
    let after = ground.run.users.stats().predictions;
    assert_eq!((after.scored, after.came_true), (before.scored, before.came_true));
}
