//! What an engine has changed itself it knows already.

use forewarm::{Delivery, ReadFrom};
use tokio::time::sleep;

use super::world::{MILLISECOND, SECOND, World};

const HEARD: &str = "forewarm_changes_heard_total";

#[tokio::test(start_paused = true)]
async fn an_engine_does_not_heed_its_own_changes_again() {
    for how in ["key", "tag", "pattern", "all", "put", "expiry"] {
        let mut world = World::new();
        world.policy.refresh_spacing = Some(MILLISECOND);
        world.source.tag(1, &["red"]);
        let [one, two] = world.engines().await;
        for engine in [&one, &two] {
            engine.get(1).await;
        }
        sleep(2 * MILLISECOND).await;
        // All that it leads to happens before the log tells of it.
        one.line.bring_hints(false);
        let delivery = match how {
            "key" => one.users.invalidate(&1).await,
            "tag" => one.users.invalidate_tag("red").await.unwrap(),
            "pattern" => one.users.invalidate_matching("1").await.unwrap(),
            "all" => one.users.invalidate_all().await,
            "put" => one.users.put(&1, "put".to_owned()).await,
            _ => one.users.expire(&1).await,
        };
        assert_eq!(delivery, Delivery::Applied);
        one.get(1).await;
        one.forewarm.settled().await;
        let loads = world.source.loads();
        sleep(SECOND).await;
        let read = one.read(1).await;
        assert_eq!((read.from, world.source.loads()), (ReadFrom::L1, loads), "{how}");
        assert_eq!((one.counted(HEARD), two.counted(HEARD)), (0, 1), "{how}");
    }
}
