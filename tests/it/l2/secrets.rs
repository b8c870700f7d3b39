//! What must not get to L2, and what must not get to the log.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use forewarm::{Config, Delivery, Forewarm, LoadError, Store};

use super::faulty::{Faulty, Mode};
use super::log::Log;
use super::world::{SECOND, Setup, World};

fn holds_canary(world: &World, canary: &[u8]) -> bool {
    let files = fs::read_dir(world.home.path()).unwrap();
    let mut files = files.map(|file| fs::read(file.unwrap().path()).unwrap());
    files.any(|bytes| bytes.windows(canary.len()).any(|part| part == canary))
}

/// C23: a resource that is to be kept out of L2 leaves nothing in the file.
#[tokio::test]
async fn a_resource_that_is_kept_out_of_l2_leaves_nothing_there() {
    for (store, is_there) in [(Store::Both, true), (Store::Memory, false), (Store::Nowhere, false)]
    {
        let world = World::new();
        let mut setup = Setup::new();
        setup.policy.store = store;
        world.source.set(1, "CANARY");
        let run = world.run(setup).await;
        run.load(1).await;
        assert_eq!(run.users.put(&2, "CANARY".to_owned()).await, Delivery::Applied);
        assert_eq!(run.users.invalidate(&3).await, Delivery::Applied);
        assert!(run.forewarm.shutdown(Duration::from_mins(1)).await);
        assert_eq!(holds_canary(&world, b"CANARY"), is_there, "{store:?}");
        // Other engines must hear of what was invalidated in memory.
        let is_told = store != Store::Nowhere;
        assert_eq!(holds_canary(&world, b"shop:user"), is_told, "{store:?}");
    }
}

/// C36: neither keys nor values are logged, whatever goes wrong, unless keys are asked for.
#[tokio::test]
async fn neither_keys_nor_values_are_logged() {
    for log_keys in [false, true] {
        let log = Log::new();
        let world = World::new();
        let (tier, remote) = Faulty::new(world.options().open().await.unwrap());
        let setup = Setup::new();
        let config = Config { log_keys, ..setup.config };
        let builder = Forewarm::builder().config(config).clock(world.clock.clone()).tier(tier);
        let forewarm = builder.build().await.unwrap();
        let source_works = Arc::new(AtomicBool::new(true));
        let works = Arc::clone(&source_works);
        let users = forewarm.resource::<String, String>("user").policy(setup.policy);
        let users = users.load_with(move |key: String| {
            let works = works.load(SeqCst);
            async move {
                let value = format!("VALUE of {key}");
                works.then_some(value).ok_or_else(|| LoadError::permanent("it is down"))
            }
        });
        let users = users.build().unwrap();
        forewarm.start().await.unwrap();
        let (mut errors, mut told) = (String::new(), Vec::new());
        for mode in [Mode::Works, Mode::Fails, Mode::Works] {
            remote.set_all(mode);
            for works in [true, false] {
                source_works.store(works, SeqCst);
                for key in ["KEY1", "KEY2", "KEY3", "KEY4"] {
                    if let Err(error) = users.get(key).await {
                        errors += &format!("{error} {error:?}");
                    }
                    forewarm.settled().await;
                    told.push(users.put(key, "VALUE".to_owned()).await);
                    told.push(users.expire(key).await);
                    users.get(key).await.ok();
                    told.push(users.invalidate(key).await);
                    forewarm.clear();
                }
            }
            world.clock.advance(2 * SECOND);
        }
        assert!(forewarm.shutdown(Duration::from_mins(1)).await);
        assert!(told.contains(&Delivery::Applied) && told.contains(&Delivery::Queued));
        for line in ["miss", "hit", "the second tier failed", "left alone"] {
            assert!(log.count(&[line]) > 0, "{line}: {}", log.text());
        }
        assert!(!log.text().contains("VALUE"), "{}", log.text());
        assert_eq!((log.text() + &errors).contains("KEY"), log_keys, "{}", log.text());
    }
}
