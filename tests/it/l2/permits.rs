//! Permits that were not used.

use std::time::Duration;

use forewarm::{Ask, Begun, Fill, Filled, Permit, Tier as _, Want};
use tokio::time::{Instant, advance};

use super::faulty::{Mode, Op};
use super::source::Source;
use super::world::{MINUTE, SECOND, Setup, World};
use crate::sim::SimStore;

const KEY: &str = "p:user:1";

fn wanting(permit: u64) -> [Ask<'static>; 1] {
    [Ask { key: KEY, permit: Permit(permit), want: Want::Value }]
}

/// C17: a permit that was given back is worth nothing, and the next load gets one at once.
#[tokio::test]
async fn a_permit_that_was_given_back_is_given_to_the_next() {
    let world = World::new();
    let tier = world.options().open().await.unwrap();
    assert_eq!(tier.begin(&wanting(1), MINUTE).await.unwrap(), [Begun::Permit]);
    tier.release(&[(KEY, Permit(2)), ("p:user:2", Permit(1))]).await.unwrap();
    assert_eq!(tier.begin(&wanting(3), MINUTE).await.unwrap(), [Begun::Busy], "it still stands");
    tier.release(&[(KEY, Permit(1))]).await.unwrap();
    let (age, fresh_for, keep_for) = (Duration::ZERO, MINUTE, MINUTE);
    let (tags, version) = (&[][..], None);
    let permit = Permit(1);
    let fill = Fill { key: KEY, permit, value: b"Ada", age, fresh_for, keep_for, tags, version };
    assert_eq!(tier.fill(&[fill]).await.unwrap(), [Filled::Refused]);
    assert_eq!(tier.begin(&wanting(4), MINUTE).await.unwrap(), [Begun::Permit]);
}

/// C12: a load that brought nothing to L2 does not stand in the way of the next one.
#[tokio::test(start_paused = true)]
async fn a_load_that_brought_nothing_does_not_hold_up_the_next() {
    for case in ["the source failed", "the fill failed", "there was nothing to keep"] {
        let (source, store) = (Source::new(), SimStore::new());
        let mut setup = Setup::timed();
        setup.policy.absent_ttl = None;
        let run = setup.begin(None, &source, store.connect()).await;
        match case {
            "the source failed" => source.fail(true),
            "the fill failed" => run.tier.set(Op::Fill, Mode::Fails),
            _ => {}
        }
        drop(run.users.get(&404).await);
        drop(run.users.get(&1).await);
        source.fail(false);
        source.set(404, "somebody");
        run.tier.set(Op::Fill, Mode::Works);
        run.forget().await;
        advance(SECOND).await;
        for id in [1, 404] {
            let began = Instant::now();
            assert!(run.get(id).await.is_some(), "{case}");
            assert_eq!(began.elapsed(), Duration::ZERO, "{case}: nobody else is loading it");
            run.forewarm.settled().await;
            assert!(store.has(&format!("shop:user:{id}")), "{case}: it gets to L2");
        }
    }
}
