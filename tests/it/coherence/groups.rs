//! Groups that L2 has not heard of.

use forewarm::{Delivery, ReadFrom};
use tokio::time::sleep;

use super::world::{Engine, SECOND, World};
use crate::sim::{Fate, Op};

async fn invalidate_group(engine: &Engine, how: &str) -> Delivery {
    match how {
        "tag" => engine.users.invalidate_tag("red").await.unwrap(),
        "pattern" => engine.users.invalidate_matching("1").await.unwrap(),
        _ => engine.users.invalidate_all().await,
    }
}

/// Which values it is about, nobody knows who has not looked at them.
#[tokio::test(start_paused = true)]
async fn while_l2_has_not_heard_of_a_group_the_resource_is_not_read_there() {
    for how in ["tag", "pattern", "all"] {
        let world = World::new();
        world.source.tag(1, &["red"]);
        let [one, two] = world.engines().await;
        for id in [1, 2, 3] {
            one.get(id).await;
        }
        two.line.set(Op::Invalidate, Fate::Fails);
        world.source.set(1, "new");
        assert_eq!(invalidate_group(&two, how).await, Delivery::Queued);
        let begun = two.line.calls(Op::Begin);
        assert_eq!(two.named(1).await, ("new".to_owned(), ReadFrom::Source), "{how}");
        assert_eq!(two.named(2).await, ("old".to_owned(), ReadFrom::Source), "{how}");
        assert_eq!(two.line.calls(Op::Begin), begun, "L2 is not even asked");
        assert_eq!(two.users.stats().queued_invalidations, 1);

        two.line.clear();
        sleep(3 * SECOND).await;
        assert_eq!(two.users.stats().queued_invalidations, 0);
        let from = if how == "all" { ReadFrom::Source } else { ReadFrom::L2 };
        assert_eq!(two.named(3).await.1, from, "{how}");
        assert_eq!(one.get(1).await, "new", "{how}");
    }
}

/// Until it has been delivered, what is loaded is not brought there either.
#[tokio::test(start_paused = true)]
async fn while_l2_has_not_heard_of_a_group_nothing_is_brought_there() {
    let world = World::new();
    let engine = world.engine().await;
    engine.line.set(Op::Invalidate, Fate::Fails);
    assert_eq!(invalidate_group(&engine, "all").await, Delivery::Queued);
    engine.get(1).await;
    engine.forewarm.settled().await;
    assert!(!world.store.has("shop:user:1"));
    assert_eq!(engine.named(1).await.1, ReadFrom::L1);
}
